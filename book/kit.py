"""What the chapters share: their sizes, data and machines, the tables that they print, and how a number meets its band.

It only tells this book's story: for data of your own, import `rediscover`. Each idea in here is shown in the open once,
in the chapter that comes to it first, and is imported from then on.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from IPython.display import HTML, Markdown, display
from matplotlib.figure import Figure

from rediscover import dataset, plots, simulator, store
from rediscover.dataset import Dataset
from rediscover.law import Alignment, Law, align
from rediscover.readouts import READOUTS
from rediscover.simulator import Wave

if TYPE_CHECKING:  # whoever makes networks imports them: a page that shows tables does not wait for TensorFlow
    from rediscover.distiller import Distiller, Schedule, Windows
    from rediscover.translator import Translator


@dataclass(frozen=True)
class Sizes:
    """How much a chapter trains, and on how much.

    Attributes
    ----------
    counts : tuple of int
        Potentials to learn from, to choose by, and to be judged on at the end.
    epochs : int
        Passes of a translator over the first of them.
    members : int
        Trainings side by side in a population.
    length : int
        Steps of a window.
    steps : dict of str to int
        Training steps of a population, by its readout.
    """

    counts: tuple[int, int, int]
    epochs: int
    members: int
    length: int
    steps: dict[str, int] = field(default_factory=dict)

    @property
    def schedules(self) -> dict[str, Schedule]:
        """How a population is trained, by its readout: chapter 3 says why."""
        from rediscover.distiller import Schedule

        form = {"batch": 256, "rate": 3e-3, "growth": 0.4}
        network = {"batch": 128, "rate": 1e-2, "growth": 0.7}
        return {
            name: Schedule(steps=steps, **(form if READOUTS[name].explicit else network))
            for name, steps in self.steps.items()
        }


STANDARD = Sizes((18_000, 2_000, 2_000), 60, 8, 32, {"mlp": 3000, "quadratic": 6000, "linear": 6000})
TINY = Sizes((128, 100, 100), 2, 2, 8, {"mlp": 1, "quadratic": 1, "linear": 1})
SMOKE = store.current().tier == "smoke"
SIZES = TINY if SMOKE else STANDARD


# --- data and machines


def pairs(sizes: Sizes = SIZES, **setup) -> tuple[Dataset, Dataset, Dataset]:
    """The pairs of the book, to learn from, to choose by and to be judged on; `setup` as for `dataset.simulate`."""
    return dataset.simulate(sum(sizes.counts), **setup).split(*sizes.counts)


def translators(train: Dataset, seeds: Iterable[int] = (0, 1), sizes: Sizes = SIZES) -> list[Translator]:
    """The translators of chapter 2 on which all later ones build: equal but for their seeds."""
    from rediscover import translator

    return [translator.train(train, "gru", units=64, epochs=sizes.epochs, batch=128, seed=seed) for seed in seeds]


def populations(
    model: Translator,
    train: Dataset,
    dims: Iterable[int],
    readout: str,
    number: int = 0,
    sizes: Sizes = SIZES,
    schedule: Schedule | None = None,
    **options,
) -> dict[int, Distiller]:
    """Populations distilled from translator `number`, by latent dimension; `options` as for `distiller.scan`."""
    from rediscover import distiller

    schedule = schedule or sizes.schedules[readout]
    options = {"length": sizes.length} | options
    return distiller.scan(model, train, dims, sizes.members, readout, schedule, seed=100 * number, **options)


def windows(model: Translator, data: Dataset, readout: str, sizes: Sizes = SIZES, **shape) -> Windows:
    """Windows of a translator's run on a data set, as long as those of the training."""
    from rediscover.distiller import Windows

    return Windows.of(model, data.potential, readout, initial=data.initial, **({"length": sizes.length} | shape))


def losses(model: Translator, population: Distiller, data: Dataset, **shape) -> np.ndarray:
    """Loss of every member on held-out potentials, as a share of the variance; infinite for one that diverged."""
    return population.member_losses(windows(model, data, population.readout.name, **shape))


def near_best(loss: np.ndarray, factor: float) -> np.ndarray:
    """Numbers of the members whose loss is at most `factor` times the best: whoever is judged, is chosen like this."""
    return np.flatnonzero(loss <= factor * loss.min())


def best(by_dim: Mapping[int, np.ndarray]) -> dict[int, float]:
    """The smallest loss of each latent dimension, which is what an elbow is made of: who diverged does not count."""
    return {d: float(np.min(loss)) for d, loss in by_dim.items()}


def capped(losses: np.ndarray, limit: float = 1e6) -> np.ndarray:
    """Losses as a file of results can hold them: JSON has no infinity."""
    return np.minimum(losses, limit)


def by_number(entries: Mapping, form: str = "{}") -> dict[str, object]:
    """Entries as a file of results can hold them, under the text of their numbers: JSON has names only."""
    return {form.format(number): values for number, values in entries.items()}


def unexplained(guess: np.ndarray, density: np.ndarray) -> float:
    """Share of the variance of a density that a guess leaves over (chapter 1); infinite for one that ran away."""
    with np.errstate(over="ignore", invalid="ignore"):
        left = np.mean((guess - density) ** 2, dtype=float) / np.var(density)
    return float(left) if np.isfinite(left) else np.inf


def seen(data: Dataset, count: int = 50) -> np.ndarray:
    """Potentials at which a law is judged: evenly over the range in which it was learned."""
    return np.linspace(data.potential.min(), data.potential.max(), count)


# --- what a page shows


def say(text: str) -> None:
    """Show a sentence, or several, as Markdown."""
    display(Markdown(text))


def table(columns: Sequence[str], rows: Iterable[Sequence], title: str = "") -> None:
    """Show a table; a column is aligned to the right if its name ends with a colon."""
    head = [column.removesuffix(":") for column in columns]
    rule = ["---:" if column.endswith(":") else "---" for column in columns]
    lines = ["| " + " | ".join(map(str, line)) + " |" for line in (head, rule, *rows)]
    say((f"{title}\n\n" if title else "") + "\n".join(lines))


def holds(good: bool) -> str:
    """The word for a number that lies in its band, or does not: the one place that says it."""
    return "holds" if good else "fails"


def compare(rows: Iterable[tuple[str, str, str, bool]], title: str = "") -> None:
    """Show predictions beside what was measured: what, the number found, the band, and whether it lies there."""
    table(["prediction", "measured", "band", ""], [(*row[:3], f"**{holds(row[3])}**") for row in rows], title)


def at_most(values: Iterable[float], band: float) -> tuple[str, str, bool]:
    """The largest of several numbers against a band: measured, band, whether it holds, for `compare`."""
    worst = np.max(list(values))  # not max(): if one of them is not a number, nothing holds
    return f"{worst:.1e}", f"≤ {band:g}", bool(worst <= band)


def at_least(values: Iterable[float], band: float, form: str = ".5f") -> tuple[str, str, bool]:
    """The smallest of several numbers against a band: measured, band, whether it holds, for `compare`."""
    worst = np.min(list(values))
    return f"{worst:{form}}", f"≥ {band:g}", bool(worst >= band)


def keep_image(figure: Figure, name: str) -> None:
    """Keep a figure that other pages show, too."""
    folder = store.current().home / "images"
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / name, dpi=200)


def page(name: str) -> Path:
    """Where to write a page of its own, such as a report, which the site shows beside the chapters."""
    folder = store.current().home / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def loss_plot(ax, by_dim: Mapping[int, np.ndarray], colour: str, filled: bool = True, line: bool = True) -> None:
    """Draw the loss of every member by latent dimension, best first, and a line through the best of each."""
    for d, loss in by_dim.items():
        look = {"markersize": 4.5, "color": plots.COLOURS[colour], "markerfacecolor": None if filled else "white"}
        ax.plot(d + np.linspace(-0.18, 0.18, len(loss)), np.minimum(np.sort(loss), 3), "o", **look)
    if line:
        best = {d: min(loss.min(), 3) for d, loss in by_dim.items()}
        ax.plot(list(best), list(best.values()), color=plots.COLOURS[colour], linewidth=1.2, zorder=0)
    ax.set(yscale="log", xlabel="latent dimension", xticks=list(by_dim))
    ax.grid(axis="y", alpha=0.3)


def positions(windows: Windows, w: int, spacing: float = 0.4) -> np.ndarray:
    """Where the sites of window `w` end on the right, where its latents belong."""
    return spacing * (windows.start[w] + np.arange(windows.length + 1) + 1)


def draw_wave(ax, test: Dataset, windows: Windows, aligned: np.ndarray, w: int, parts: int = 8) -> None:
    """Draw latents aligned with (ψ, ψ') along window `w` (dots) on the exact wave and its slope (lines)."""
    wave = simulator.propagate(np.repeat(test.potential[w], parts), test.spacing / parts, test.energy)
    x = test.spacing / parts * np.arange(len(wave.psi))
    for i, (name, label) in enumerate((("psi", r"$\psi$"), ("dpsi", r"$\psi'$"))):
        ax.plot(x, getattr(wave, name), color=plots.COLOURS[name], linewidth=1, label=label)
        ax.plot(positions(windows, w), aligned[w, :, i], ".", color=plots.COLOURS[name], markersize=5)


def slider(draw: Callable[[Figure, object], str], values: Sequence, label: str, caption: str, first: int = 0, **look):
    """Draw a figure for each of several values, and show them one at a time under a slider that needs no kernel.

    The pictures are part of the output, so that the slider works on a static page, by mouse, touch and arrow keys. On
    paper and without JavaScript the picture number `first` is shown.

    Parameters
    ----------
    draw : callable
        ``draw(figure, value)`` draws on an empty Matplotlib figure and returns in words what is to be seen there.
    values : sequence
        What the slider runs through.
    label, caption : str
        What the values are, and what the figure shows.
    first : int
        Which value is shown at first.
    **look
        Passed on to ``matplotlib.figure.Figure``, such as ``figsize``.

    Returns
    -------
    IPython.display.HTML

    Examples
    --------
    >>> def draw(figure, x):
    ...     figure.subplots().plot([0, x])
    ...     return f"A line from 0 to {x}."
    >>> shown = slider(draw, [1, 2, 3], "end", "Lines.").data
    >>> shown.count("<img"), shown.count(" hidden>")
    (3, 2)
    """
    pictures = []
    for number, value in enumerate(values):
        figure, file = Figure(**look), io.BytesIO()
        alt = draw(figure, value)
        figure.savefig(file, format="png")
        source = base64.b64encode(file.getvalue()).decode()
        hidden = "" if number == first else " hidden"
        pictures.append(f'<img src="data:image/png;base64,{source}" alt="{escape(alt)}"{hidden}>')
    names = [str(value) for value in values]
    move = (
        "const f=this.closest('figure'),i=+this.value,v=this.dataset.values.split('|')[i];"
        "f.querySelectorAll('img').forEach((x,n)=>x.toggleAttribute('hidden',n!==i));"
        "f.querySelector('span').textContent=v;this.setAttribute('aria-valuetext',v)"
    )
    control = f'type="range" autocomplete="off" min="0" max="{len(names) - 1}" value="{first}"'
    control += f' aria-valuetext="{escape(names[first])}" data-values="{escape("|".join(names))}"'
    return HTML(
        f'<figure class="slider"><p><label>{escape(label)} <input {control} oninput="{escape(move)}"></label> '
        f'<span aria-hidden="true">{escape(names[first])}</span></p>{"".join(pictures)}'
        f"<figcaption>{caption}</figcaption></figure>"
        "<noscript><style>.slider p { display: none }</style></noscript>"
    )


# --- what is known of the hidden world


def phase(V: np.ndarray, spacing: float = 0.4, energy: float = 0.0) -> np.ndarray:
    """How far the wave turns at a site of potential V, ka with k = √(2(E − V)); for V below E."""
    return spacing * np.sqrt(2 * (energy - np.asarray(V)))


def known(wave: Wave, windows: Windows) -> np.ndarray:
    """(ψ, ψ') of a `simulator.Wave` at the sites of every window, shape (windows, sites, 2)."""
    return windows.along(np.stack([wave.psi, wave.dpsi], -1)[:, 1:])


def products(known: np.ndarray) -> np.ndarray:
    """(ρ, η, ξ), all products of (ψ, ψ') that the density can be made of: shape (..., 2) to (..., 3)."""
    psi, dpsi = np.moveaxis(known, -1, 0)
    return np.stack([np.abs(psi) ** 2, (psi.conj() * dpsi).real, np.abs(dpsi) ** 2], -1)


def exact_trace(V: np.ndarray, variables: int, spacing: float = 0.4, energy: float = 0.0) -> np.ndarray:
    """tr T(V) = 2 cos ka of the law of two variables, or tr S(V) = 1 + 2 cos 2ka of that of three."""
    trace = np.trace(simulator.transfer_matrix(V, spacing, energy), axis1=-2, axis2=-1)
    return trace if variables == 2 else trace**2 - 1


def trace_error(law: Law, V: np.ndarray) -> float:
    """Largest difference between the trace of a law of two or three variables and Schrödinger's."""
    exact = exact_trace(V, law.coefficients.shape[-1], law.spacing, law.energy)
    return float(np.abs(law.trace(V) - exact).max())


@dataclass(frozen=True)
class Finding:
    """One member of a population of two latents: what it lost, whether it is judged, its law, its latents as (ψ, ψ').

    `translator` is the number of the one that was distilled.
    """

    readout: str
    translator: int
    member: int
    loss: float
    judged: bool
    law: Law
    alignment: Alignment
    population: Distiller

    @property
    def rarer_sign(self) -> float:
        """Share of the windows that have the sign which fewer of them have: not 0 if there is a seam."""
        return float(min(np.mean(self.alignment.signs > 0), np.mean(self.alignment.signs < 0)))


def examine(
    models: Sequence[Translator],
    populations: Sequence[Distiller],
    losses: Sequence[np.ndarray],
    test: Dataset,
    wave: np.ndarray,
    within: float,
) -> list[Finding]:
    """Everybody in the populations of one readout, one population for each translator (chapters 4 and 5).

    Judged are those whose loss is at most `within` times the best of their population; `wave` is (ψ, ψ') as `known`
    gives it.
    """
    findings = []
    for i, (model, population, loss) in enumerate(zip(models, populations, losses, strict=True)):
        name, chosen = population.readout.name, near_best(loss, within)
        latents = np.nan_to_num(population.latents(windows(model, test, name, length=wave.shape[1] - 1)))
        for m in range(population.members):
            found = Law.from_distiller(population, m, model, test), align(latents[m], wave)
            findings.append(Finding(name, i, m, loss[m], m in chosen, *found, population))
    return findings
