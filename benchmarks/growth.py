"""How time and memory of a training grow with members, latent dimension, chains, sites and hidden units."""

import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from timing import each, fresh

#: What is varied, one at a time; the first value of each is that of all others.
AXES = {
    "members": (8, 1, 2, 4, 16, 32, 64),
    "latent dimension": (2, 1, 4, 8, 16),
    "chains": (4000, 1000, 2000, 8000, 16000),
    "sites": (40, 20, 80, 160),
    "hidden units": (64, 16, 32, 128),
}
READOUTS = ("mlp", "quadratic")
STEPS, BATCH = 200, 128


def population(readout: str, sizes: dict, steps: int = STEPS) -> tuple[float, float]:
    """Milliseconds of a training step of a population, and the most megabytes that its process held."""
    from rediscover import distiller

    rng = np.random.default_rng(0)
    n, sites, units = sizes["chains"], sizes["sites"], sizes["hidden units"]
    hidden, V = rng.random((n, sites, units), "float32"), rng.random((n, sites), "float32")
    # the windows grow with the chain; the share of it in which they may begin stays
    windows = distiller.Windows(hidden, V, hidden if readout == "mlp" else V, length=sites * 4 // 5, starts=sites // 10)

    shape = sizes["latent dimension"], sizes["members"], readout

    def train(steps):
        fresh(distiller.train, windows, {}, *shape, distiller.Schedule(steps=steps, batch=BATCH))

    return timed(train, steps)


def translation(sizes: dict) -> tuple[float, float]:
    """Milliseconds of an epoch of a translator, and the most megabytes that its process held."""
    from rediscover import dataset, translator

    data = dataset.simulate(sizes["chains"], sites=sizes["sites"])

    def train(epochs):
        fresh(translator.train, data, units=sizes["hidden units"], epochs=epochs, batch=BATCH)

    return timed(train, -(-STEPS * BATCH // sizes["chains"]))


def timed(train: Callable[[int], None], few: int) -> tuple[float, float]:
    """Milliseconds of one more, and megabytes of this process at its largest."""
    train(few)  # what is made once in a process, and the first compilation, which is slower
    return each(train, few, 3 * few), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(what: str, sizes: dict) -> tuple[float, float]:
    """Time one thing in this process."""
    return translation(sizes) if what == "translator" else population(what, sizes)


def vary(measure: Callable[[str, dict], tuple[float, float]], what: str, axes: dict):
    """Yield one row per size of one thing: what, which size is varied, its value, milliseconds and megabytes."""
    usual = {name: values[0] for name, values in axes.items()}
    for axis, values in axes.items():
        for value in sorted(values):
            # a process of its own, for its memory
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                took, memory = pool.submit(measure, what, usual | {axis: value}).result()
            yield {"what": what, "axis": axis, "value": value, "ms": round(took, 3), "MB": round(memory)}


def grow():
    """Yield the rows of populations and of the translator, which has no members and no latents."""
    for what in READOUTS:
        yield from vary(measure, what, AXES)
    own = {axis: values for axis, values in AXES.items() if axis not in ("members", "latent dimension")}
    yield from vary(measure, "translator", own)


def exponents(rows: list[dict]) -> dict[str, dict[str, float]]:
    """Slope of log time over log size at the three largest sizes: what it tends to, not what it begins with."""
    slopes: dict = {}
    for what, axis in {(row["what"], row["axis"]): None for row in rows}:
        points = [(row["value"], row["ms"]) for row in rows if (row["what"], row["axis"]) == (what, axis)][-3:]
        slope = np.polyfit(*np.log(np.array(points)).T, 1)[0]
        slopes.setdefault(what, {})[axis] = round(float(slope), 2)
    return slopes
