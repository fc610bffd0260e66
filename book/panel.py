"""The sceptic's experiments, which chapter 09 runs by the dozen: hidden worlds, cameras, controls and a blind panel.

A *trial* is a whole investigation from a configuration alone: a world is simulated and photographed, a translator
learns from most of the chains, and `rediscover.discovery`, which never sees the world, distils and judges it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from rediscover import _check, discovery, distiller, evidence, measurement, potentials, translator, worlds
from rediscover.dataset import Dataset
from rediscover.distiller import Windows
from rediscover.translator import Translator

TRIAL = "rediscover.trials.investigate"  # what rows call `investigate`: an id that stays, wherever the function lives
RECIPES = {"investigate": 1, "translator": translator.RECIPE, "distiller": distiller.RECIPE}  # what a row depends on
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
    "scans": discovery.SCANS,
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
    return worlds.draw(np.random.default_rng([seed, 1, card]), name)


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
        What `discovery.investigate` finds; ``"r2_true"`` of the translator on the densities before the camera; and
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
        found = discovery.investigate(gru, train, test, **shape)
    truth = data.density[c["chains"][0] :]
    # a row is JSON, which has no infinity
    losses = {scan: {d: np.minimum(loss, 1e6) for d, loss in by.items()} for scan, by in found["losses"].items()}
    return found | {"losses": losses, "r2_true": gru.score(test.potential, truth)} | spectral


def expected(world: worlds.World) -> dict[str, Any]:
    """What `discovery.judge` should say about a world: the answer with which a blind verdict is compared.

    Ranks above 4 are out of reach of the scans, so no number of variables is predicted there, nor for the laws that
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
    c, world = _complete(config)
    rng, photograph = np.random.default_rng([c["seed"], 2]), _camera(c["camera"])
    return _baseline(lambda V: photograph(world.measure(V, 0.4), rng), np.linspace(-1, -0.3, 29), c)


def _complete(config: Mapping[str, Any]) -> tuple[dict[str, Any], worlds.World]:
    if unknown := set(config) - set(DEFAULTS):
        raise ValueError(f"config has unknown entries {sorted(unknown)}; known are {list(DEFAULTS)}")
    c = DEFAULTS | dict(config)
    if (c["law"] is None) == (c["draw"] is None):
        raise ValueError("config must name a law or a draw, and not both")
    _refuse_early(c)
    return c, deal(c["draw"]) if c["law"] is None else _world(c["law"])


def _refuse_early(c: Mapping[str, Any]) -> None:
    """Try on nothing what would otherwise be refused after minutes."""
    _check.choice("control", c["control"], CONTROLS)
    Translator(c["cell"], c["units"], seed=c["seed"])
    nothing = np.zeros((1, _check.integer("sites", c["sites"])))
    Windows(nothing[..., None], nothing, nothing, length=c["length"], known=c["known"])
    _check.integer("epochs", c["epochs"]), _check.integer("pasts", c["pasts"], 4)
    discovery.check_scans(c["scans"], **{name: c[name] for name in ("members", "steps", "mlp_steps")})


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
        return Translator(c["cell"], c["units"], *train.standardisation(), seed=c["seed"])
    if c["control"] == "shuffled":
        mixed = np.random.default_rng([c["seed"], 4]).permutation(train.density)
        train = Dataset(train.potential, mixed, train.spacing)
    return translator.train(train, c["cell"], c["units"], c["epochs"], 128, seed=c["seed"], folder=folder)
