"""The look of the book: one style, one colour per quantity, and the drawings that more than one chapter needs.

The colours are those of M. Okabe and K. Ito, which stay apart for every common kind of colour vision.
"""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes

_BLACK, _ORANGE, _SKY, _GREEN, _BLUE, _VERMILLION, _PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"
)  # fmt: skip
_GREY = "#6E6E6E"

#: Colour of each quantity, the same in every chapter.
COLOURS = {
    "potential": _GREY,
    "density": _BLUE,
    "psi": _VERMILLION,
    "dpsi": _GREEN,
    "energy": _BLACK,
    "exact": _BLACK,
    "leapfrog": _ORANGE,
    "gru": _BLUE,
    "lstm": _ORANGE,
    "taylor": _GREEN,
    "mlp": _BLUE,
    "quadratic": _VERMILLION,
    "linear": _GREEN,
    "muted": "#B5B5B5",
}


def style() -> None:
    """Set Matplotlib's defaults for the book; called once at the head of a chapter.

    Examples
    --------
    >>> with mpl.rc_context():
    ...     style()
    ...     mpl.rcParams["figure.dpi"]
    130.0
    """
    mpl.rcParams.update(
        {
            "axes.prop_cycle": cycler(color=[_BLUE, _VERMILLION, _GREEN, _ORANGE, _PURPLE, _SKY, _BLACK]),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10.5,
            "axes.titlelocation": "left",
            "axes.labelsize": 10,
            "figure.constrained_layout.use": True,
            "figure.dpi": 130,
            "figure.figsize": (7.2, 3.4),
            "font.size": 10,
            "legend.frameon": False,
            "legend.fontsize": 9,
            "lines.linewidth": 1.6,
            "savefig.dpi": 130,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
        }
    )


def draw_potential(ax: Axes, V: np.ndarray, spacing: float, energy: float | None = 0.0, **kwargs) -> None:
    """Draw a potential as the steps that it is, filled from below, with the energy as a dotted line.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    V : array_like
        Shape (sites,).
    spacing : float
        Length of a site.
    energy : float or None
        Level to mark; None draws no line.
    **kwargs
        Passed on to ``ax.stairs``.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> draw_potential(ax, [-1.0, -0.5, -1.0], spacing=0.4)
    >>> bool(ax.get_xlim()[1] >= 1.2)
    True
    """
    V = np.asarray(V)
    bottom = V.min() - 0.15 * max(np.ptp(V), 0.5)
    look = {"fill": True, "color": COLOURS["potential"], "alpha": 0.35, "linewidth": 0, "baseline": bottom}
    ax.stairs(V, np.arange(len(V) + 1) * spacing, **(look | kwargs))
    if energy is not None:
        ax.axhline(energy, color=COLOURS["energy"], linewidth=1, linestyle=":")
    ax.margins(x=0)
