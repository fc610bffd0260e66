"""Simulated users for chapter 13: strangers with pictures in units of their own, and what the front says to them.

A *trial* makes one user's pictures from a seed, hands nothing but arrays and a spacing to `rediscover.discovery`, and
compares the answer with the truth afterwards. The rows of all trials are kept as those of chapter 9 are.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import panel
from rediscover import _check, potentials, simulator
from rediscover.dataset import Scaling
from rediscover.discovery import Discovery
from rediscover.law import Law

TRIAL = "users.investigate"  # what rows call `investigate`
RECIPES = {"users": 1}  # raise when a change below, or in the fits, changes what a row says
KINDS = ("wave", "forbidden", "other")
#: What a trial need not say.
DEFAULTS: dict[str, Any] = {
    "user": 0,
    "kind": "wave",
    "method": "direct",
    "chains": None,
    "sites": None,
    "noise": None,
}
#: The other worlds, by turns: those of the blind panel that are not a standing wave.
OTHERS = tuple(name for name in panel.CARDS if name != "standing_wave")
#: The sweeps of chapter 13; `make sweeps` runs them.
SWEEPS: dict[str, list[dict[str, Any]]] = {
    "users": [{"user": n} for n in range(30)],
    "forbidden": [{"user": n, "kind": "forbidden"} for n in range(10)],
    "others": [{"user": n, "kind": "other"} for n in range(100)],
    "errors": [{"user": 1000 + n, "chains": 500, "sites": 32} for n in range(200)],
    "introspecting": [{"user": n, "method": "introspect"} for n in range(10)],
}

#: What is expected of the sweeps, fixed before they ran (but for users that the fits were developed on: all ten with
#: forbidden stretches, of the others numbers 0 to 5): the least share of waves found, of masses and energies within
#: three standard errors, or the largest share of false waves; and the most seconds that a user may wait.
BANDS = {"users": 0.95, "forbidden": 0.8, "others": 0.0, "errors": 0.95, "introspecting": 0.5}
PATIENCE = {"direct": 60, "introspect": 360}


@dataclass(frozen=True)
class User:
    """What a user has, in the units of this book, and the units that she writes it down in.

    Attributes
    ----------
    world : str
        "wave", or the name of another world.
    chains, sites, prompt : int
    spacing, low, high, energy, correlation : float
        Of the potentials, and of the states.
    noise : float
        Standard deviation of the density, as a share of it (`relative`) or of its root mean square.
    relative : bool
    start : float
        Phase of the state at the left end, if all chains start alike.
    units : (float, float, float)
        Of potential, density and length.
    parameters : dict
        Of another world.

    Examples
    --------
    >>> draw(3).spacing, draw(3) == draw(3)
    (0.2343, True)
    """

    world: str
    chains: int
    sites: int
    prompt: int
    spacing: float
    low: float
    high: float
    energy: float
    correlation: float
    noise: float
    relative: bool
    start: float
    units: tuple[float, float, float]
    parameters: dict


def draw(user: int, kind: str = "wave") -> User:
    """Draw a user from a seed.

    Waves have an energy at least 0.1 above the highest potential and turn by at most 1.2 a site; in a forbidden stretch
    they grow, over any sixteen sites, by at most e³.

    Raises
    ------
    ValueError, TypeError
        If there is no such kind, or the seed is negative.

    Examples
    --------
    >>> found = draw(0, "forbidden")
    >>> found.low < found.energy < found.high
    True
    """
    _check.choice("kind", kind, KINDS)
    rng = np.random.default_rng([_check.integer("user", user, 0), KINDS.index(kind)])
    spacing = round(rng.uniform(0.2, 0.6), 4)
    chains, sites = int(np.exp(rng.uniform(np.log(500), np.log(20_000)))), int(rng.integers(24, 81))
    noise, relative = rng.choice([0.0, rng.uniform(0, 0.05)], p=[0.2, 0.8]), bool(rng.integers(2))
    prompt = int(rng.choice([0, 6, 8]))
    # ka = a √(2 (E − V)) at the deepest potential
    deepest = min((rng.uniform(0.6, 1.2) / spacing) ** 2 / 2, 4.0)
    depth = rng.uniform(0.3, 0.8) * deepest
    energy = rng.uniform(-1, 1)
    low = energy - deepest
    high = min(low + depth, energy - 0.1)
    if kind == "forbidden":
        high = energy + min(rng.uniform(0.1, 0.3) * deepest, (3 / (16 * spacing)) ** 2 / 2)
    world, parameters = "wave", {}
    if kind == "other":
        world = OTHERS[user % len(OTHERS)]
        pick = {int: lambda a, b: int(rng.integers(a, b)), float: rng.uniform}
        parameters = {name: pick[type(a)](a, b) for name, (a, b) in panel.RANGES[world].items()}
        spacing, low, high, energy, sites = 0.4, -1.0, -0.3, 0.0, min(sites, 40)  # what those worlds are made for
    units = tuple(float(10**x) for x in rng.uniform(-3, 3, 3))
    return User(
        *(world, chains, sites, 0 if kind == "other" and world == "noise" else prompt),
        *(spacing, float(low), float(high), float(energy), round(rng.uniform(0.5, 1.5), 3)),
        *(float(noise), relative, float(rng.uniform(0, 2 * np.pi)), units, parameters),
    )


def pictures(user: User, seed: int) -> dict[str, Any]:
    """What the user measures: potential, density and spacing, in units of her own; and the exact density.

    Examples
    --------
    >>> V = pictures(draw(3), 3)["potential"]
    >>> V.shape == (draw(3).chains, draw(3).sites)
    True
    """
    rng = np.random.default_rng([seed, 7])
    shape = {"low": user.low, "high": user.high, "correlation": user.correlation}
    V = potentials.random(user.chains, user.sites, **shape, seed=rng)
    if user.world == "wave":
        k = np.sqrt(2 * (user.energy - user.low))
        phase = rng.uniform(0, 2 * np.pi, user.chains) if user.prompt else np.full(user.chains, user.start)
        rho = simulator.propagate(V, user.spacing, user.energy, (np.cos(phase), k * np.sin(phase))).density
    else:
        rho = panel.worlds.WORLDS[user.world](**user.parameters).measure(V, user.spacing)
    size = rho if user.relative else np.sqrt(np.mean(rho**2))
    seen = rho + user.noise * size * rng.standard_normal(rho.shape)
    of_V, of_rho, of_length = user.units
    return {
        "potential": V * of_V,
        "density": seen * of_rho,
        "spacing": user.spacing * of_length,
        "exact": rho * of_rho,
        "mass": 1 / (of_V * of_length**2),
        "energy": user.energy * of_V,
    }


def investigate(config: Mapping[str, Any]) -> dict[str, Any]:
    """Let one user ask the front, and compare what it says with the truth: a pure function of its configuration.

    Parameters
    ----------
    config : mapping
        Entries of `DEFAULTS` that are to differ.

    Returns
    -------
    dict
        The user's settings; the verdict, its numbers, mass and energy with errors over the true ones, held-out
        losses, what the exact law would leave, and seconds.

    Raises
    ------
    ValueError, TypeError
        If an entry is unknown or does not fit.

    Examples
    --------
    >>> investigate({"user": 3, "chains": 60, "noise": 0.0})["verdict"]["kind"]
    'one wave'
    """
    if unknown := set(config) - set(DEFAULTS):
        raise ValueError(f"config must have entries of {', '.join(DEFAULTS)}; got {', '.join(sorted(unknown))}")
    c = DEFAULTS | dict(config)
    user = draw(c["user"], c["kind"])
    user = User(**(asdict(user) | {name: c[name] for name in ("chains", "sites", "noise") if c[name] is not None}))
    data = pictures(user, c["user"])
    began = time.perf_counter()
    front = Discovery(c["method"], prompt=user.prompt, random_state=c["user"])
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", UserWarning)
        found = front.fit(data["potential"], data["density"], data["spacing"])
    seconds = time.perf_counter() - began
    said = found.verdict_
    out = {
        "user": asdict(user),
        "seconds": round(seconds, 1),
        "verdict": {"kind": said.kind, "variables": said.variables},
        "limits": {limit.name: [limit.value, limit.limit] for limit in said.limits},
        "held_out": {readout: by["held_out"] for readout, by in found.n_variables_.items()},
        "warned": sorted({str(w.message).split(" (")[0][:60] for w in warned if w.category is UserWarning}),
    }
    if found.beside_ is not None:
        out["beside"] = found.beside_.kind
    if said.wave is not None:
        m, E = data["mass"], data["energy"]
        scale = user.units[0] * (user.energy - user.low)  # of an energy's error: the deepest kinetic energy
        out["mass"] = [said.wave.mass / m, said.wave.mass_error / m]
        out["energy"] = [(said.wave.energy - E) / scale, said.wave.energy_error / scale]
    if user.world == "wave":
        out["exact"] = exact_loss(user, data)
    return out


def pulls(row: Mapping[str, Any]) -> list[float]:
    """How far mass and energy of a row are off, in units of their errors; infinitely far if no wave was found.

    Examples
    --------
    >>> pulls({"result": {"mass": [1.01, 0.02], "energy": [0.003, 0.001]}})
    [0.5, 3.0]
    """
    found = row["result"]
    if "mass" not in found:
        return [np.inf, np.inf]
    (mass, mass_error), (off, energy_error) = found["mass"], found["energy"]
    return [round((mass - 1) / mass_error, 9), off / energy_error]


def exact_law(user: User, data: Mapping[str, Any], order: int = 6) -> Law:
    """Schrödinger's step as a law in the user's units: what the front would say if it were never wrong.

    Examples
    --------
    >>> user = draw(3)
    >>> data = pictures(user, 3)
    >>> law = exact_law(user, data)
    >>> bool(abs(law.dispersion().mass / data["mass"] - 1) < 1e-4)
    True
    """
    a, (low, high) = data["spacing"], (user.low * user.units[0], user.high * user.units[0])
    middle, half = (low + high) / 2, (high - low) / 2
    v = np.cos(np.pi * (np.arange(40) + 0.5) / 40)
    k2 = 2 * data["mass"] * (data["energy"] - middle - half * v)
    T = simulator.transfer_matrix(-k2 * a**2 / 2, 1.0).reshape(len(v), -1)
    U = np.polynomial.polynomial.polyfit(v, T, order).reshape(-1, 2, 2)
    return Law(U, *Scaling(middle, half), a, readout=[[1.0, 0.0], [0.0, 0.0]], span=(low, high))


def exact_loss(user: User, data: Mapping[str, Any]) -> dict[str, float]:
    """Say what the exact law leaves of pictures: from the start that suits each best, and from its prompt."""
    law = exact_law(user, data)
    V, rho = data["potential"][:400], data["density"][:400]
    out = {"best start": law.loss(V, rho)}
    if user.prompt:
        k = user.prompt
        start = law.start_from(V[:, :k], rho[:, :k])
        rest = law.predict(V, start)[:, k:] - rho[:, k:]
        out["from the prompt"] = float(np.mean(rest**2) / np.var(rho[:, k:]))
    return out
