"""One whole investigation as a trial: a law is measured, translated, distilled and judged, from a configuration alone.

`investigate` is what chapter 07 runs hundreds of times with `sweep.run`: other laws, other networks, noise, controls.
`judge` is the rule by which each is decided. It sees numbers and never the law.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import _check, distiller, evidence, laws, measurement, potentials, translator
from ._training import forget
from .dataset import Dataset
from .distiller import Schedule, Windows
from .theory import Theory
from .translator import Translator

__all__ = [
    "BOUNDS",
    "CARDS",
    "DEFAULTS",
    "SWEEPS",
    "baseline",
    "deal",
    "expected",
    "investigate",
    "judge",
    "laws_of",
    "margins",
    "verdict",
]

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
    "scans": [["quadratic", "linear", [1, 2, 3]], ["linear", "linear", [1, 2, 3, 4]]],
    "members": 8,
    "steps": 2000,
    "mlp_steps": 3000,
    "length": 32,
    "known": 6,
    "pasts": 40,  # the spectral baseline: as many pasts and a quarter as many futures
}
# The blind panel: a deck of cards, shuffled; the parameters of a card are drawn when it is opened.
CARDS = {name: 12 if name == "standing_wave" else 5 for name in laws.PANEL}
# The sweeps of chapter 07; `make sweeps` runs them.
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
BOUNDS = {"r2": 0.95, "det": 0.02, "mass": 0.05, "residual": 0.005, "worse": 3.0, "loss": 0.02, "scattering": 0.01}


def deal(card: int, cards: Mapping[str, int] | None = None, seed: int = 0) -> laws.Law:
    """Draw the hidden law of one card of a shuffled deck: the name from the deck, the parameters from `laws.RANGES`.

    Parameters
    ----------
    card : int
        Position in the deck, from 0.
    cards : mapping of str to int, optional
        How many cards there are of each law; `CARDS` if nothing is said.
    seed : int
        Of the shuffling and of all parameters.

    Raises
    ------
    ValueError, TypeError
        If the deck has no such card.

    Examples
    --------
    >>> sorted({deal(card).name for card in range(sum(CARDS.values()))}) == sorted(laws.PANEL)
    True
    """
    deck = [name for name, copies in (cards or CARDS).items() for _ in range(copies)]
    if _check.integer("card", card, 0) >= len(deck):
        raise ValueError(f"card must be below {len(deck)}, the size of the deck; got {card}")
    name = np.random.default_rng([seed, 0]).permutation(deck)[card]
    return laws.draw(np.random.default_rng([seed, 1, card]), name)


def investigate(config: Mapping[str, Any]) -> dict[str, Any]:
    """Run one whole investigation; a pure function of its configuration.

    Simulate, photograph, train a translator, distil it with every readout and latent dimension, read the law off the
    best member at the elbow, and `judge`. Networks are trained anew and not kept.

    Parameters
    ----------
    config : mapping
        Entries of `DEFAULTS` that are to differ. With `"draw"` the answer is *not* in the result: see `deal`.

    Returns
    -------
    dict
        ``"r2"`` of the translator on held-out chains as measured, ``"r2_true"`` on the densities before the camera,
        ``"losses"`` by scan and latent dimension (of every member, on held-out chains), Taylor ``"coefficients"`` of
        the best member likewise, ``"shift"`` and ``"scale"`` of the potential, the range ``"V"`` of potentials, what
        `baseline` finds, and the ``"verdict"``.

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
    c, law = _complete(config)
    rng = np.random.default_rng([c["seed"], 2])
    data = laws.simulate(law, sum(c["chains"]), sites=c["sites"], seed=np.random.default_rng([c["seed"], 1]))
    photograph = _camera(c["camera"])
    # from here on nobody knows the law, nor its energy
    seen = Dataset(data.potential, photograph(data.density, rng), data.spacing)
    train, test = seen.split(*c["chains"])
    V = np.linspace(train.potential.min(), train.potential.max(), 29)
    spectral = _baseline(lambda V: photograph(law.measure(V, data.spacing), rng), V, c)
    forget()
    with tempfile.TemporaryDirectory() as folder:
        gru = _translator(train, c, folder)
        losses, coefficients = _scans(gru, train, test, c, folder)
    r2, truth = gru.score(test.potential, test.density), data.density[c["chains"][0] :]
    result = {"r2": r2, "r2_true": gru.score(test.potential, truth), "shift": gru.shift, "scale": gru.scale}
    result |= {"V": [V[0], V[-1]], "losses": losses, "coefficients": coefficients, **spectral}
    return result | ({"verdict": verdict(result)} if {"linear", "quadratic"} <= set(losses) else {})


def laws_of(result: Mapping[str, Any], spacing: float = 0.4) -> dict[str, dict[int, Theory]]:
    """Rebuild the laws of the best members from a result: by scan, then by latent dimension.

    Examples
    --------
    >>> result = {"coefficients": {"linear": {"1": [[[1.0]]]}}, "shift": -0.65, "scale": 0.2}
    >>> laws_of(result)["linear"][1].trace(-0.5).item()
    1.0
    """
    return {
        scan: {int(d): Theory(U, result["shift"], result["scale"], spacing) for d, U in by_dim.items()}
        for scan, by_dim in result["coefficients"].items()
    }


def verdict(result: Mapping[str, Any], r2: float | None = None, slack: float = 1.0) -> dict[str, Any]:
    """Apply `judge` to the numbers of a result; with `r2` as if the translator had that score.

    Examples
    --------
    >>> verdict({"r2": 0.3, "shift": 0.0, "scale": 1.0, "coefficients": {}, "losses": {}, "V": [-1, -0.3]})
    {'law': 'no law', 'variables': None}
    """
    V = np.linspace(*result["V"], 29)
    return judge(result["r2"] if r2 is None else r2, result["losses"], laws_of(result), V, slack)


def margins(law: Theory, loss: float, V: np.ndarray) -> dict[str, float]:
    """How much of each of its bounds a law uses up, as a wave of Schrödinger's: it passes with at most 1 everywhere.

    A law of three variables is read at its double angle, where traces are up to four times as sensitive.

    Parameters
    ----------
    law : Theory
        Of two variables, or of three.
    loss : float
        What it leaves unexplained, as a share of the variance.
    V : array_like
        Potentials at which it is judged.

    Examples
    --------
    >>> ka = 0.4 * np.sqrt(-2 * np.linspace(-1, -0.3, 29))
    >>> U = np.zeros((3, 2, 2))
    >>> U[:, 0, 0], U[0, 0, 1], U[0, 1, 0] = [1.0, 0.16, 0.0], -1.0, 1.0  # tr T = 1 + 0.16 V, det T = 1
    >>> found = margins(Theory(U, 0.0, 1.0, spacing=0.4), 0.001, np.linspace(-1, -0.3, 29))
    >>> found["det"], found["mass"] > 1
    (0.0, True)
    """
    times = 1 if law.coefficients.shape[-1] == 2 else 4
    found = law.dispersion(V)
    used = {"mass": abs(found.mass - 1) / BOUNDS["mass"], "residual": found.residual / (times * BOUNDS["residual"])}
    used["scattering"] = found.scattering / (times * BOUNDS["scattering"])
    used["det"] = np.abs(law.determinant(V) - 1).max() / BOUNDS["det"]
    return {name: float(x) for name, x in (used | {"loss": loss / BOUNDS["loss"]}).items()}


def judge(
    r2: float,
    losses: Mapping[str, Mapping[str, list[float]]],
    theories: Mapping[str, Mapping[int, Theory]],
    V: np.ndarray,
    slack: float = 1.0,
) -> dict[str, Any]:
    """Decide, by a rule that was fixed before the runs, how many variables a law has and whether it is Schrödinger's.

    The number of variables is the elbow of the linear readout: where the loss falls most, if it is by a factor of 10 at
    least and by 2 at most after that (the loss of no variable at all is 1). Then:

    * *no law*: the translator's R² is below 0.95. Nothing was learned that could be read.
    * *wave function*: that number is 3; the elbow of the quadratic readout is 2; those two leave at most 2 % of the
      density unexplained, and at most 3 times what the three do; the law of the best two turns by k with
      k² = 2m(E − V), a mass within 5 % of 1 and any E, its trace nowhere off by more than 0.005; pairs of potentials
      scatter as they should, to 0.01 (see `Theory.dispersion`); its determinant is 1 to 0.02.
    * *wave with current*: the number is 3, it is no wave function, and the best three pass the same tests, their law
      at its double angle, where traces are up to four times as sensitive: 0.02 and 0.04.
    * *another law*: everything else.

    Parameters
    ----------
    r2 : float
        Of the translator, on held-out chains.
    losses : mapping
        By scan (``"quadratic"``, ``"linear"``), then by latent dimension, of all members.
    theories : mapping
        By scan, then by latent dimension: the law of the best member, by loss.
    V : array_like
        Potentials at which laws are judged.
    slack : float
        What all bounds but that on R² are multiplied by: how near a call was.

    Examples
    --------
    >>> judge(0.3, {}, {}, np.linspace(-1, -0.3, 5))
    {'law': 'no law', 'variables': None}
    """
    if r2 < BOUNDS["r2"]:
        return {"law": "no law", "variables": None}
    best = {scan: {int(d): min(members) for d, members in by_dim.items()} for scan, by_dim in losses.items()}
    variables = evidence.elbow({0: 1.0} | best["linear"])

    def schroedinger(scan: str, latents: int) -> bool:
        used = margins(theories[scan][latents], best[scan][latents], V)
        return all(x <= slack for x in used.values())  # what is not a number does not pass

    kind = "another law"
    if variables == 3:
        two = evidence.elbow(best["quadratic"]) == 2
        two = two and best["quadratic"][2] <= slack * BOUNDS["worse"] * best["linear"][3]
        if two and schroedinger("quadratic", 2):
            kind = "wave function"
        elif schroedinger("linear", 3):
            kind = "wave with current"
    return {"law": kind, "variables": variables}


def expected(law: laws.Law) -> dict[str, Any]:
    """What `judge` should say about a law: the prediction, and the answer with which a blind verdict is compared.

    Ranks above 4 are out of reach of the scans, so no number of variables is predicted there, nor for the laws that
    have none. A classical particle needs 2, not its rank 1, in a machine that moves its state before it reads it out.

    Examples
    --------
    >>> expected(laws.standing_wave()), expected(laws.classical())
    ({'law': 'wave function', 'variables': 3}, {'law': 'another law', 'variables': 2})
    """
    names = {"standing_wave": "wave function", "travelling_wave": "wave with current", "noise": "no law"}
    variables = {"classical": 2}.get(law.name, law.rank if law.rank and law.rank <= 3 else None)
    return {"law": names.get(law.name, "another law"), "variables": variables}


def baseline(config: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the same law without any network: the spectral part of `investigate`, which takes a second.

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
    c, law = _complete(config)
    rng, photograph = np.random.default_rng([c["seed"], 2]), _camera(c["camera"])
    return _baseline(lambda V: photograph(law.measure(V, 0.4), rng), np.linspace(-1, -0.3, 29), c)


def _complete(config: Mapping[str, Any]) -> tuple[dict[str, Any], laws.Law]:
    if unknown := set(config) - set(DEFAULTS):
        raise ValueError(f"config has unknown entries {sorted(unknown)}; known are {list(DEFAULTS)}")
    c = DEFAULTS | dict(config)
    if (c["law"] is None) == (c["draw"] is None):
        raise ValueError("config must name a law or a draw, and not both")
    _refuse_early(c)
    return c, deal(c["draw"]) if c["law"] is None else _law(c["law"])


def _refuse_early(c: Mapping[str, Any]) -> None:
    """Try on nothing what would otherwise be refused after minutes."""
    _check.choice("control", c["control"], CONTROLS)
    Translator(c["cell"], c["units"], seed=c["seed"])
    nothing = np.zeros((1, _check.integer("sites", c["sites"])))
    Windows(nothing[..., None], nothing, nothing, length=c["length"], known=c["known"])
    for name, least in {"epochs": 1, "members": 1, "steps": 1, "mlp_steps": 1, "pasts": 4}.items():
        _check.integer(name, c[name], least)
    for readout, update, dims in c["scans"]:
        _check.choice("readout", readout, distiller.READOUTS)
        _check.choice("update", update, distiller.UPDATES)
        for d in dims:
            _check.integer("latent dimension", d)


def _law(description: Mapping[str, Any]) -> laws.Law:
    parameters = dict(description)
    name = _check.choice("law", parameters.pop("name", None), laws.PANEL)
    return laws.PANEL[name](**parameters)


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
        return Translator(c["cell"], c["units"], *train.standardisation(), seed=c["seed"])
    if c["control"] == "shuffled":
        mixed = np.random.default_rng([c["seed"], 4]).permutation(train.density)
        train = Dataset(train.potential, mixed, train.spacing)
    return translator.train(train, c["cell"], c["units"], c["epochs"], 128, seed=c["seed"], folder=folder)


def _scans(gru: Translator, train: Dataset, test: Dataset, c: Mapping[str, Any], folder: str) -> tuple[dict, dict]:
    """Losses of all members on held-out chains, and the Taylor coefficients of the best, by scan and dimension."""
    losses: dict = {}
    coefficients: dict = {}
    windows: dict = {}  # both kinds of readout of the density share theirs
    shape = {"length": c["length"], "known": c["known"]}
    for readout, update, dims in c["scans"]:
        name = readout if update == "linear" else f"{readout}, {update} update"
        hidden = readout == "mlp"
        if hidden not in windows:
            windows[hidden] = [Windows.of(gru, data.potential, readout, **shape) for data in (train, test)]
        learn, check = windows[hidden]
        schedule = Schedule(steps=c["mlp_steps"]) if hidden else Schedule(steps=c["steps"], rate=6e-3, growth=0.4)
        for d in dims:
            population = distiller.train(learn, {}, d, c["members"], readout, schedule, c["seed"], folder, update)
            loss = np.nan_to_num(population.member_losses(check), nan=np.inf).clip(max=1e6)
            losses.setdefault(name, {})[d] = loss
            if update == "linear":
                coefficients.setdefault(name, {})[d] = population.coefficients()[np.argmin(loss)].round(7)
    return losses, coefficients
