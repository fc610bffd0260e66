"""The sceptic's experiments, which chapter 09 runs by the dozen: hidden worlds, cameras, controls and a blind panel.

A *trial* is a whole investigation from a configuration alone: a world is simulated and photographed, a translator
learns from most of the chains, and `rediscover.introspection`, which never sees the world, distils and judges it. A
*row* is what `rediscover.sweep` keeps of it; how rows are read, counted and doubted stands in the second half.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy import stats

import kit
from rediscover import (
    _check,
    distiller,
    evidence,
    introspection,
    measurement,
    potentials,
    sweep,
    translator,
    verdict,
    worlds,
)
from rediscover.dataset import Dataset
from rediscover.distiller import Distiller, Windows
from rediscover.law import Law
from rediscover.translator import Translator

TRIAL = "rediscover.trials.investigate"  # what rows call `investigate`: an id that stays, wherever the function lives
RECIPES = {"investigate": 2, "translator": translator.RECIPE, "distiller": distiller.RECIPE}  # what a row depends on
CONTROLS = (None, "untrained", "shuffled")
CAMERAS: dict[str, Callable[[np.ndarray, float, np.random.Generator], np.ndarray]] = {
    "atoms": measurement.shot_noise,
    "blur": lambda density, width, rng: measurement.blur(density, width),
    "additive": lambda density, sigma, rng: (
        density + rng.normal(0.0, _check.positive("additive", sigma), density.shape)
    ),
}
# What a configuration need not say. "scans" lists (readout, update, latent dimensions).
DEFAULTS: dict[str, Any] = {
    "law": None,  # {"name": ..., and its parameters}; or "draw" instead
    "draw": None,  # a card of the blind panel
    "camera": {},  # one entry of CAMERAS
    "seed": 0,
    "chains": [9000, 1000],  # to learn from, to judge by
    "sites": 40,
    "cell": "gru",
    "units": 64,
    "epochs": 20,
    "control": None,
    "scans": introspection.SCANS,
    "members": 8,
    "steps": 2000,
    "mlp_steps": 3000,
    "length": 32,
    "known": 6,
    "pasts": 40,  # the spectral baseline: as many pasts and a quarter as many futures
}
# The blind panel: a deck of cards, shuffled; the parameters of a card are drawn when it is opened. The deck is written
# out, and its order counts: a new world must not deal it anew.
CARDS = {
    "standing_wave": 12,
    "travelling_wave": 5,
    "classical": 5,
    "boltzmann": 5,
    "leaky_integrator": 5,
    "dirac": 5,
    "two_orbitals": 5,
    "coupled_channels": 5,
    "half_driven_channels": 5,
    "beam": 5,
    "gross_pitaevskii": 5,
    "noise": 5,
}
# What is drawn for a card, uniformly (integers for integers), made for V from −1 to −0.3. The rest is left as it is.
RANGES: dict[str, dict[str, tuple]] = {
    "standing_wave": {"energy": (0.0, 0.5)},
    "travelling_wave": {"energy": (0.0, 0.5), "current": (0.3, 1.2)},
    "classical": {"energy": (0.0, 0.5)},
    "boltzmann": {"beta": (0.1, 0.25)},
    "leaky_integrator": {"decay": (0.9, 0.97), "gain": (1.5, 2.5)},
    "dirac": {"mass": (0.1, 0.25), "energy": (0.0, 0.3)},
    "two_orbitals": {"energy": (0.0, 0.3), "gap": (0.3, 0.8)},
    "coupled_channels": {"energy": (0.1, 0.4), "coupling": (0.1, 0.3)},
    "half_driven_channels": {"energy": (0.1, 0.4), "coupling": (0.1, 0.3)},
    "beam": {"stiffness": (0.0005, 0.0015)},
    "gross_pitaevskii": {"interaction": (-0.6, -0.2), "energy": (0.0, 0.5)},
    "noise": {"seed": (0, 2**31)},
}
# The sweeps of chapter 09; `make sweeps` runs them.
WAVE = {"name": "standing_wave"}
LEVELS = {"atoms": [10, 1e2, 1e3, 1e4, 1e5, 1e6], "additive": [3.0, 1.0, 0.3, 0.1, 0.03], "blur": [1.0, 0.5]}
DEEP, SHORT = ([[readout, "linear", list(range(1, top))] for readout in ("mlp", "quadratic")] for top in (5, 4))
NETWORKS = [{"units": n} for n in (16, 32, 128)] + [{"cell": "lstm"}, {"cell": "taylor", "units": 4}]
NETWORKS += [{"known": n, "scans": SHORT[:1]} for n in (0, 1, 4)]  # a density is read without known potentials
SWEEPS: dict[str, list[dict[str, Any]]] = {
    "panel": [{"draw": card, "seed": card} for card in range(sum(CARDS.values()))],
    "controls": [{"law": WAVE, "control": control, "seed": seed} for control in CONTROLS for seed in (0, 1)],
    "noise": [{"law": WAVE, "camera": {camera: value}} for camera, values in LEVELS.items() for value in values],
    "condensate": [{"law": {"name": "gross_pitaevskii", "interaction": g}} for g in (-0.01, -0.03, -0.1, -0.2, -0.4)],
    "populations": [{"law": WAVE, "seed": 100 * seed, "scans": DEEP} for seed in range(4)],
    "networks": [{"law": WAVE, "scans": SHORT, **change} for change in NETWORKS],
}


def deal(card: int, cards: Mapping[str, int] | None = None, seed: int = 0) -> worlds.World:
    """Draw the hidden world of one card of a shuffled deck: its name from the deck, its parameters from `RANGES`.

    Parameters
    ----------
    card : int
        Position in the deck, from 0.
    cards : mapping of str to int, optional
        How many cards there are of each world; `CARDS` if nothing is said.
    seed : int
        Of the shuffling and of all parameters.

    Raises
    ------
    ValueError, TypeError
        If the deck has no such card.

    Examples
    --------
    >>> sorted({deal(card).name for card in range(sum(CARDS.values()))}) == sorted(CARDS)
    True
    """
    deck = [name for name, copies in (cards or CARDS).items() for _ in range(copies)]
    if _check.integer("card", card, 0) >= len(deck):
        raise ValueError(f"card must be below {len(deck)}, the size of the deck; got {card}")
    name = np.random.default_rng([seed, 0]).permutation(deck)[card]
    rng = np.random.default_rng([seed, 1, card])
    pick = {int: lambda low, high: int(rng.integers(low, high)), float: rng.uniform}
    return worlds.WORLDS[name](**{key: pick[type(low)](low, high) for key, (low, high) in RANGES[name].items()})


def investigate(config: Mapping[str, Any]) -> dict[str, Any]:
    """Run one whole investigation; a pure function of its configuration.

    Networks are trained anew and not kept.

    Parameters
    ----------
    config : mapping
        Entries of `DEFAULTS` that are to differ. With `"draw"` the answer is *not* in the result: see `deal`.

    Returns
    -------
    dict
        What `introspection.investigate` finds; ``"r2_true"`` of the translator on the densities before the camera; and
        what `baseline` finds.

    Raises
    ------
    ValueError, TypeError
        If an entry is unknown or does not fit; before anything is trained.

    Examples
    --------
    >>> tiny = {"chains": [60, 20], "sites": 12, "length": 6, "epochs": 1, "units": 4, "members": 2, "steps": 2}
    >>> investigate({"law": {"name": "boltzmann"}, **tiny})["verdict"]
    {'law': 'no law', 'variables': None}
    """
    c, world = _complete(config)
    rng = np.random.default_rng([c["seed"], 2])
    data = worlds.simulate(world, sum(c["chains"]), sites=c["sites"], seed=np.random.default_rng([c["seed"], 1]))
    photograph = _camera(c["camera"])
    # from here on nobody knows the world, nor its energy
    seen = Dataset(data.potential, photograph(data.density, rng), data.spacing)
    train, test = seen.split(*c["chains"])
    V = np.linspace(train.potential.min(), train.potential.max(), 29)
    spectral = _baseline(lambda V: photograph(world.measure(V, data.spacing), rng), V, c)
    keras.utils.clear_session(free_memory=True)  # else a process that runs many trials grows with each
    shape = {name: c[name] for name in ("scans", "members", "steps", "mlp_steps", "length", "known", "seed")}
    with tempfile.TemporaryDirectory() as folder:
        gru = _translator(train, c, folder)
        found = introspection.investigate(gru, train, test, **shape)
    truth = data.density[c["chains"][0] :]
    losses = {scan: {d: kit.capped(loss) for d, loss in by.items()} for scan, by in found["losses"].items()}
    return found | {"losses": losses, "r2_true": gru.score(test.potential, truth)} | spectral


def expected(world: worlds.World) -> dict[str, Any]:
    """What `verdict.judge` should say about a world: the answer with which a blind verdict is compared.

    Ranks above 3 are out of reach of the scans, so no number of variables is predicted there, nor for the worlds that
    have none. A classical particle needs 2, not its rank 1, in a machine that moves its state before it reads it out.

    Examples
    --------
    >>> expected(worlds.standing_wave()), expected(worlds.classical())
    ({'law': 'wave function', 'variables': 3}, {'law': 'another law', 'variables': 2})
    """
    names = {"standing_wave": "wave function", "travelling_wave": "wave with current", "noise": "no law"}
    variables = {"classical": 2}.get(world.name, world.rank if world.rank and world.rank <= 3 else None)
    return {"law": names.get(world.name, "another law"), "variables": variables}


def baseline(config: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the same world without any network: the spectral part of `investigate`, which takes a second.

    Every past meets every future, twice, so that the noise is seen; then once more with a site of potential V between
    them, for every V. All of it through the camera.

    Parameters
    ----------
    config : mapping
        As for `investigate`.

    Returns
    -------
    dict
        ``"hankel"`` rank, above the noise, of pasts and futures of 12 sites; the first ``"singular"`` values; and
        ``"spectral_trace"`` of the law of three variables at 29 potentials, None if there are fewer than three.

    Examples
    --------
    >>> found = baseline({"law": {"name": "standing_wave"}})
    >>> found["hankel"], len(found["spectral_trace"])
    (3, 29)
    """
    c, world = _complete(config, networks=False)
    rng, photograph = np.random.default_rng([c["seed"], 2]), _camera(c["camera"])
    return _baseline(lambda V: photograph(world.measure(V, 0.4), rng), np.linspace(-1, -0.3, 29), c)


def _complete(config: Mapping[str, Any], networks: bool = True) -> tuple[dict[str, Any], worlds.World]:
    if unknown := set(config) - set(DEFAULTS):
        raise ValueError(f"config has unknown entries {sorted(unknown)}; known are {list(DEFAULTS)}")
    c = DEFAULTS | dict(config)
    if (c["law"] is None) == (c["draw"] is None):
        raise ValueError("config must name a law or a draw, and not both")
    _check.integer("pasts", c["pasts"], 4)
    if networks:
        _refuse_early(c)
    return c, deal(c["draw"]) if c["law"] is None else _world(c["law"])


def _refuse_early(c: Mapping[str, Any]) -> None:
    """Try on nothing what would otherwise be refused after minutes."""
    _check.choice("control", c["control"], CONTROLS)
    Translator(c["cell"], c["units"], seed=c["seed"])
    nothing = np.zeros((1, _check.integer("sites", c["sites"])))
    Windows(nothing[..., None], nothing, nothing, length=c["length"], known=c["known"])
    _check.integer("epochs", c["epochs"])
    introspection.check_scans(c["scans"], **{name: c[name] for name in ("members", "steps", "mlp_steps")})


def _world(description: Mapping[str, Any]) -> worlds.World:
    parameters = dict(description)
    name = _check.choice("law", parameters.pop("name", None), worlds.WORLDS)
    return worlds.WORLDS[name](**parameters)


def _camera(entries: Mapping[str, float]) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    if not entries:
        return lambda density, rng: density
    (name, value), *more = entries.items()
    if more:
        raise ValueError(f"camera must be one of {', '.join(CAMERAS)}; got {dict(entries)}")
    see = CAMERAS[_check.choice("camera", name, CAMERAS)]
    return lambda density, rng: see(density, value, rng)


def _baseline(measure: Callable[[np.ndarray], np.ndarray], V: np.ndarray, c: Mapping[str, Any]) -> dict[str, Any]:
    """Count variables and read traces off experiments alone, with a noise that is seen by repeating them."""
    pasts, sites = c["pasts"], 12
    random = potentials.random(pasts + max(pasts // 4, 1), sites, seed=np.random.default_rng([c["seed"], 3]))
    block, again = (evidence.hankel(measure, random[:pasts], random[pasts:]) for _ in range(2))
    found = evidence.hankel_rank(block, np.abs(block - again) / np.sqrt(2))
    trace, rounding = None, max(block.shape) * np.finfo(float).eps * found.singular_values[0]
    if found.singular_values[2] > rounding:  # three variables, or noise in their place
        trace = np.trace(evidence.spectral_law(measure, random[:pasts], random[pasts:], V, 3), axis1=1, axis2=2)
    return {"hankel": found.rank, "singular": found.singular_values[:12], "spectral_trace": trace}


def _translator(train: Dataset, c: Mapping[str, Any], folder: str) -> Translator:
    if c["control"] == "untrained":
        return Translator(c["cell"], c["units"], **train.standardisation(), seed=c["seed"])
    if c["control"] == "shuffled":
        mixed = np.random.default_rng([c["seed"], 4]).permutation(train.density)
        train = Dataset(train.potential, mixed, train.spacing)
    return translator.train(train, c["cell"], c["units"], c["epochs"], 128, seed=c["seed"], folder=folder)


# --- what became of the trials


def rows(name: str, tiny: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Give the finished trials of a sweep: the shipped ones, or a few of the same that are run here and now.

    Parameters
    ----------
    name : str
        One of `SWEEPS`.
    tiny : mapping, optional
        Entries of a configuration that make a trial small. If there are any, the first trial of the sweep is run with
        them (of controls and populations the last one too, which differs), up to three latents; and nothing is read.

    Raises
    ------
    RuntimeError
        If a trial failed.

    Examples
    --------
    >>> shipped = rows("controls")
    >>> len(shipped), shipped[-1]["result"]["verdict"]["law"]
    (6, 'wave function')
    """
    if tiny is None:
        found = sweep.table(Path(__file__).with_name("sweeps") / f"{name}.jsonl")
    else:
        every = len(SWEEPS[name]) - (name in ("controls", "populations"))
        few = [DEFAULTS | config | dict(tiny) for config in SWEEPS[name][::every]]
        few = [c | {"scans": [[readout, update, dims[:3]] for readout, update, dims in c["scans"]]} for c in few]
        with tempfile.TemporaryDirectory() as folder:
            found = sweep.run(investigate, few, folder, name=TRIAL, recipe=RECIPES)
    for row in found:
        if "error" in row:
            raise RuntimeError(f"a trial of {name} failed: {row['config']}: {row['error']['message']}")
    return found


def best(row: Mapping[str, Any], scan: str = "quadratic") -> dict[int, float]:
    """Loss of the best member of a row, by latent dimension.

    Examples
    --------
    >>> best({"result": {"losses": {"quadratic": {"1": [0.5, 0.4], "2": [0.01, 0.3]}}}})
    {1: 0.4, 2: 0.01}
    """
    return {int(d): min(losses) for d, losses in row["result"]["losses"][scan].items()}


def law(row: Mapping[str, Any], scan: str = "quadratic", latents: int = 2) -> Law:
    """Law of the best member of a row.

    Examples
    --------
    >>> found = {"coefficients": {"linear": {"1": [[[2.0]]]}}, "shift": -0.65, "scale": 0.2, "spacing": 0.4}
    >>> law({"result": found}, "linear", 1).trace(-0.5).item()
    2.0
    """
    return verdict.laws_of(row["result"])[scan][latents]


def seen(row: Mapping[str, Any]) -> np.ndarray:
    """Potentials at which `verdict.judge` looks at the laws of a row, shape (29,).

    Examples
    --------
    >>> seen({"result": {"V": [-1.0, -0.3]}})[[0, 14, 28]].round(2).tolist()
    [-1.0, -0.65, -0.3]
    """
    return np.linspace(*row["result"]["V"], 29)


def words(name: str) -> str:
    """Write the name of a world as a page does.

    Examples
    --------
    >>> words("half_driven_channels")
    'half driven channels'
    """
    return name.replace("_", " ")


def share(hits: Sequence[bool], what: str) -> str:
    """Say how many of several draws are hits, with the interval of Clopper and Pearson: a line of a list.

    Examples
    --------
    >>> share([False] * 55, "false alarms")
    '- false alarms: **0 of 55** (95 % interval, Clopper–Pearson: 0% to 6%).'
    """
    if not len(hits):
        return f"- {what}: no such draw in this run."
    low, high = stats.binomtest(int(sum(hits)), len(hits)).proportion_ci()
    return f"- {what}: **{sum(hits)} of {len(hits)}** (95 % interval, Clopper–Pearson: {low:.0%} to {high:.0%})."


TESTS = {"mass": "mass", "residual": "traces", "scattering": "pairs", "det": "det", "loss": "loss"}


def margins(rows: Iterable[Mapping[str, Any]], answers: Iterable[worlds.World]) -> tuple[list[str], list[list]]:
    """Tabulate how much of each bound the laws of all draws of three variables use up: they pass with 1 at most.

    Parameters
    ----------
    rows : iterable of mapping
    answers : iterable of worlds.World
        The world of each row, from `deal`.

    Returns
    -------
    tuple
        Columns and lines: for every world one line for the best two latents with a quadratic readout and one for the
        best three with a linear one, with the smallest and the largest margin of its draws. *Ratio* is what the two
        leave over, compared with the three; *elbow* counts the draws in which the quadratic readout has it at two.

    Examples
    --------
    >>> deck = rows("panel")
    >>> columns, lines = margins(deck, [deal(row["config"]["draw"]) for row in deck])
    >>> len(columns) == len(lines[0]), lines[0][:2]
    (True, ['standing wave (12)', 'best 2, quadratic'])
    """
    drawn = list(zip(rows, answers, strict=True))
    lines = []
    for name in (name for name in CARDS if any(world.name == name for _, world in drawn)):
        three = [row for row, a in drawn if a.name == name and row["result"]["verdict"]["variables"] == 3]
        for scan, d in (("quadratic", 2), ("linear", 3)) if three else ():
            used = [verdict.margins(law(row, scan, d), best(row, scan)[d], seen(row)) for row in three]
            cells = [_span([x[test] for x in used]) for test in TESTS]
            if d == 2:
                over = verdict.BOUNDS["worse"]
                cells.append(_span([best(row)[2] / best(row, "linear")[3] / over for row in three]))
                cells.append(sum(evidence.elbow(best(row)) == 2 for row in three))
            else:
                cells += ["", ""]
            lines.append([f"{words(name)} ({len(three)})", f"best {d}, {scan}", *cells])
    return ["world", "variables", *TESTS.values(), "ratio", "elbow"], lines


def _span(values: Sequence[float]) -> str:
    return f"{min(values):.2g}" + (f" to {max(values):.2g}" if len(values) > 1 else "")


def slack(rows: Sequence[Mapping[str, Any]], most: float = 5.0, steps: int = 14) -> tuple[float, float]:
    """Find by what all bounds but that on R² can be multiplied before a verdict changes.

    Parameters
    ----------
    rows : sequence of mapping
    most : float
        Factors from ``1 / most`` to `most` are tried, outwards from 1, in equal ratios.
    steps : int
        Number of them on each side.

    Returns
    -------
    tuple of float
        The smallest and the largest factor up to which all verdicts stay.

    Examples
    --------
    >>> nothing_learned = {"result": {"r2": 0.3, "verdict": {"law": "no law", "variables": None}}}
    >>> slack([nothing_learned], most=2.0)
    (0.5, 2.0)
    """
    rows = [row for row in rows if row["result"]["verdict"]["variables"] == 3]  # no bound decides on the others
    said = [row["result"]["verdict"]["law"] for row in rows]

    def stays(factor: float) -> bool:
        return [verdict.judge(row["result"], slack=factor)["law"] for row in rows] == said

    ends = []
    for towards in (1 / most, most):
        ends.append(1.0)
        for factor in np.geomspace(1, towards, steps + 1)[1:]:
            if not stays(factor):
                break
            ends[-1] = float(factor)
    return ends[0], ends[1]


def unexpected(rows: Iterable[Mapping[str, Any]], answers: Iterable[worlds.World]) -> tuple[list[str], list[list]]:
    """Tabulate every draw whose verdict is not the expected one, with what may explain it.

    Parameters
    ----------
    rows : iterable of mapping
    answers : iterable of worlds.World
        The world of each row, from `deal`.

    Returns
    -------
    tuple
        Columns and lines. The last column is the verdict without the line on R².

    Examples
    --------
    >>> deck = rows("panel")
    >>> columns, lines = unexpected(deck, [deal(row["config"]["draw"]) for row in deck])
    >>> all(said != right for _, said, right, *_ in lines)
    True
    """
    lines = []
    for row, world in zip(rows, answers, strict=True):
        found, right = row["result"], expected(world)
        if found["verdict"] != right:
            values = ", ".join(f"{k} {v:.2g}" for k, v in world.parameters.items())
            both = [f"{verdict['law']}, {verdict['variables']}" for verdict in (found["verdict"], right)]
            losses = ", ".join(f"{x:.1g}" for x in best(row, "linear").values())
            mass = law(row, "linear", 3).dispersion(seen(row)).mass
            numbers = [f"{found['r2']:.3f}", losses, f"{mass:.2f}"]
            lines.append([f"{words(world.name)} ({values})", *both, *numbers, verdict.judge(found, r2=1.0)["law"]])
    scores = ["R²", "losses, linear, $d=1$ to $4$", "mass", "ungated"]
    return ["world", "verdict, variables", "expected", *scores], lines


# --- one lucky seed?


def resampled(
    rows: Sequence[Mapping[str, Any]], readout: str, one: int, two: int, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the mean log₁₀ of best loss(one) / best loss(two), over translators and members drawn anew.

    A draw takes as many translators as there are, with replacement, and for each of them as many members as it has.

    Parameters
    ----------
    rows : sequence of mapping
        One for each translator, with populations of the same size.
    readout : str
    one, two : int
        Latent dimensions.
    draws : int
    seed : int

    Examples
    --------
    >>> losses = {"1": [0.5, 0.5], "2": [0.005, 0.005]}
    >>> resampled([{"result": {"losses": {"mlp": losses}}}] * 4, "mlp", 1, 2)
    (2.0, 2.0)
    """
    rng = np.random.default_rng(seed)
    by_dim = [np.array([row["result"]["losses"][readout][str(d)] for row in rows]) for d in (one, two)]
    n, k = by_dim[0].shape
    means = []
    for _ in range(draws):
        who = rng.integers(n, size=n)
        low = [x[who[:, None], rng.integers(k, size=(n, k))].min(1) for x in by_dim]
        means.append(np.log10(low[0] / low[1]).mean())
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def student(rows: Sequence[Mapping[str, Any]], readout: str, one: int, two: int) -> tuple[float, float]:
    """Student's 95 % interval of the same mean, over the translators as they are.

    Examples
    --------
    >>> trials = [{"result": {"losses": {"mlp": {"1": [0.5], "2": [0.5 / fall]}}}} for fall in (10, 1000)]
    >>> [round(end, 1) for end in student(trials, "mlp", 1, 2)]
    [-10.7, 14.7]
    """
    logs = np.log10([best(row, readout)[one] / best(row, readout)[two] for row in rows])
    low, high = stats.t.interval(0.95, len(logs) - 1, logs.mean(), stats.sem(logs))
    return float(low), float(high)


def residuals(population: Distiller, windows: Windows) -> np.ndarray:
    """Loss of every member on every single window, as a share of the variance, shape (windows, members).

    Infinite where a member diverged. For readouts of the density.

    Examples
    --------
    >>> windows = Windows(np.ones((5, 10, 4)), np.ones((5, 10)), np.random.default_rng(0).random((5, 10)), length=6)
    >>> residuals(Distiller(2, members=3, readout="linear", units=4), windows).shape
    (5, 3)
    """
    with np.errstate(over="ignore", invalid="ignore"):
        off = [np.mean((np.asarray(population(x)) - y[:, None]) ** 2, axis=2) for x, y in windows.batches()]
        off = np.concatenate(off) / windows.variance
    return np.where(np.isfinite(off), off, np.inf)
