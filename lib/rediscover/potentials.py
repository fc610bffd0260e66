"""Potentials on a lattice: the random ensemble the machine learns from, and the traps of the textbooks.

A potential is an array with one value per site; it is constant within a site. Energies are in units where
ħ = m = 1. Chapter 01 draws all of them with their densities.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtr

from . import _check


def random(
    n: int,
    sites: int,
    *,
    low: float = -1.0,
    high: float = -0.3,
    correlation: float = 1.0,
    seed: int | np.random.Generator,
) -> np.ndarray:
    """Draw random potentials whose values are uniform between `low` and `high` and smooth over `correlation` sites.

    White Gaussian noise is smoothed with a Gaussian filter, divided by the filter's own standard deviation and sent
    through the normal cumulative distribution. Nothing is estimated from the sample, so each potential is an
    independent draw from one law: the first rows do not depend on `n`.

    Parameters
    ----------
    n, sites : int
        Number of potentials and of sites.
    low, high : float
        Range of the values (energy).
    correlation : float
        Width σ of the filter in sites; 0 gives white noise. Before the mapping to a uniform law, sites a distance d
        apart are correlated as exp(−d²/4σ²).
    seed : int or numpy.random.Generator

    Returns
    -------
    numpy.ndarray
        Shape (n, sites).

    Raises
    ------
    ValueError, TypeError
        If a count is below one, the range is empty or the correlation negative.

    Examples
    --------
    >>> V = random(1000, 40, low=-1.0, high=-0.3, seed=0)
    >>> V.shape, bool(V.min() >= -1.0), bool(V.max() <= -0.3)
    ((1000, 40), True, True)
    >>> bool(abs(V.mean() + 0.65) < 0.01)
    True
    """
    n, sites = _check.integer("n", n), _check.integer("sites", sites)
    low, high = _check.number("low", low), _check.number("high", high)
    if high <= low:
        raise ValueError(f"high must be greater than low; got low = {low}, high = {high}")
    correlation, rng = _check.at_least("correlation", correlation, 0.0), _check.generator(seed)
    pad = int(4 * correlation + 0.5)  # where gaussian_filter1d cuts its kernel off: no site feels the border
    if pad == 0:
        z = rng.standard_normal((n, sites))
    else:
        impulse = np.zeros(2 * pad + 1)
        impulse[pad] = 1.0
        kernel = gaussian_filter1d(impulse, correlation, mode="constant")
        z = gaussian_filter1d(rng.standard_normal((n, sites + 2 * pad)), correlation, axis=1)
        z = z[:, pad : pad + sites] / np.sqrt(np.sum(kernel**2))
    return low + (high - low) * ndtr(z)


def _middle(sites: int, width: int) -> np.ndarray:
    """Mask of the middle `width` of `sites` sites (one site left of the middle when they cannot be centred)."""
    sites, width = _check.integer("sites", sites), _check.integer("width", width)
    if width > sites:
        raise ValueError(f"width must not exceed sites = {sites}; got {width}")
    first = (sites - width) // 2
    return (np.arange(sites) >= first) & (np.arange(sites) < first + width)


def _positions(sites: int, spacing: float) -> np.ndarray:
    """Centres of the sites, measured from the middle of the chain."""
    sites, spacing = _check.integer("sites", sites), _check.positive("spacing", spacing)
    return (np.arange(sites) - (sites - 1) / 2) * spacing


def square_well(sites: int, *, width: int, depth: float, top: float = 0.0) -> np.ndarray:
    """Square well: `top` outside, `top - depth` on the middle `width` sites; shape (sites,).

    Raises
    ------
    ValueError, TypeError
        If `width` is not between 1 and `sites` or `depth` is not positive.

    Examples
    --------
    >>> square_well(6, width=2, depth=1.0).tolist()
    [0.0, 0.0, -1.0, -1.0, 0.0, 0.0]
    """
    return _check.number("top", top) - _check.positive("depth", depth) * _middle(sites, width)


def barrier(sites: int, *, width: int, height: float, floor: float = 0.0) -> np.ndarray:
    """Square barrier: `floor` outside, `floor + height` on the middle `width` sites; shape (sites,).

    Raises
    ------
    ValueError, TypeError
        If `width` is not between 1 and `sites` or `height` is not positive.

    Examples
    --------
    >>> barrier(5, width=1, height=2.0, floor=-1.0).tolist()
    [-1.0, -1.0, 1.0, -1.0, -1.0]
    """
    return _check.number("floor", floor) + _check.positive("height", height) * _middle(sites, width)


def harmonic(sites: int, *, frequency: float, spacing: float, floor: float = 0.0) -> np.ndarray:
    """Harmonic trap `floor` + ω²x²/2 with angular frequency ω, x from the middle of the chain; shape (sites,).

    Raises
    ------
    ValueError, TypeError
        If `frequency` or `spacing` is not positive.

    Examples
    --------
    >>> harmonic(3, frequency=1.0, spacing=2.0).tolist()
    [2.0, 0.0, 2.0]
    """
    omega = _check.positive("frequency", frequency)
    return _check.number("floor", floor) + 0.5 * (omega * _positions(sites, spacing)) ** 2


def double_well(sites: int, *, separation: float, height: float, spacing: float, floor: float = 0.0) -> np.ndarray:
    """Quartic double well, minima `floor` at x = ± separation / 2 and a hump of `height` between; shape (sites,).

    Raises
    ------
    ValueError, TypeError
        If `separation` (a length), `height` or `spacing` is not positive.

    Examples
    --------
    >>> double_well(3, separation=2.0, height=0.5, spacing=1.0).tolist()
    [0.0, 0.5, 0.0]
    """
    u = 2 * _positions(sites, spacing) / _check.positive("separation", separation)
    return _check.number("floor", floor) + _check.positive("height", height) * (1 - u**2) ** 2


def kronig_penney(sites: int, *, period: int, width: int, height: float, floor: float = 0.0) -> np.ndarray:
    """Periodic barriers: the last `width` of every `period` sites at `floor + height`; shape (sites,).

    The finite-width form of R. de L. Kronig and W. G. Penney, Proc. R. Soc. A 130 (1931) 499.

    Raises
    ------
    ValueError, TypeError
        If `width` is not below `period` or `height` is not positive.

    Examples
    --------
    >>> kronig_penney(6, period=3, width=1, height=2.0).tolist()
    [0.0, 0.0, 2.0, 0.0, 0.0, 2.0]
    """
    period, width = _check.integer("period", period, least=2), _check.integer("width", width)
    if width >= period:
        raise ValueError(f"width must be less than period = {period}; got {width}")
    inside = np.arange(_check.integer("sites", sites)) % period >= period - width
    return _check.number("floor", floor) + _check.positive("height", height) * inside
