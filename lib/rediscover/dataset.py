"""All that the machine is ever given: pairs of potential and density. ψ is not in here, and cannot be asked for."""

from __future__ import annotations

import copy
import hashlib
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from . import _check, potentials, simulator, store

_PROPAGATORS = {"exact": simulator.propagate, "leapfrog": simulator.leapfrog}


@dataclass(frozen=True)
class Dataset:
    """Potentials, the densities measured in them, and how the experiment was set up.

    It keeps read-only copies of what it is given: `origin` goes on telling the truth whatever happens to the originals.

    Attributes
    ----------
    potential, density : numpy.ndarray
        Shape (n, sites), float64; density at the right edge of every site.
    spacing : float
        Length of a site.
    energy : float
        Energy of every state.
    origin : dict
        Where the pairs come from, JSON-able: it stands for the data in the keys of trained artefacts. Left empty it
        becomes a digest of the arrays. Give a new one with ``dataclasses.replace(data, density=..., origin=...)``.
    initial : numpy.ndarray, optional
        What is known about the left end of every chain where they do not all start alike: ρ, η = Re ψ*ψ' and ξ = |ψ'|²,
        shape (n, 3).

    Raises
    ------
    ValueError, TypeError
        If an array is empty, not finite, has the wrong number of axes, or shapes disagree.

    Examples
    --------
    >>> data = Dataset(potential=[[-1.0, -0.5]], density=[[0.9, 0.4]], spacing=0.4)
    >>> len(data), data.potential.shape, list(data.origin)
    (1, (1, 2), ['sha256'])
    """

    potential: np.ndarray
    density: np.ndarray
    spacing: float
    energy: float = 0.0
    origin: dict = field(default_factory=dict)
    initial: np.ndarray | None = None

    def __post_init__(self) -> None:
        checked = {
            "potential": _check.array("potential", self.potential, 2),
            "density": _check.array("density", self.density, 2),
            "spacing": _check.positive("spacing", self.spacing),
            "energy": _check.number("energy", self.energy),
        }
        V, rho = checked["potential"], checked["density"]
        if V.shape != rho.shape:
            raise ValueError(f"density must have the shape of potential, {V.shape}; got {rho.shape}")
        if self.initial is not None:
            checked["initial"] = _check.array("initial", self.initial, 2)
            if checked["initial"].shape != (len(V), 3):
                raise ValueError(f"initial must have shape {(len(V), 3)}; got {checked['initial'].shape}")
        if not isinstance(self.origin, dict):
            raise TypeError(f"origin must be a dict; got {self.origin!r}")
        content = [name for name in ("potential", "density", "initial") if name in checked]
        checked |= {name: _check.frozen(checked[name]) for name in content}
        checked["origin"] = copy.deepcopy(self.origin)
        if not self.origin:
            digest = hashlib.sha256()
            for name in content:
                digest.update(checked[name])
            checked["origin"] = {"sha256": digest.hexdigest()}
        try:
            json.dumps(checked["origin"])
        except TypeError as problem:
            raise TypeError(f"origin must hold only what JSON can; got {self.origin!r} ({problem})") from None
        for name, value in checked.items():
            object.__setattr__(self, name, value)  # the one way to set a field of a frozen dataclass

    def __reduce__(self) -> tuple:  # a copy, or one that is sent away, is made anew: NumPy would unlock its arrays
        return type(self), tuple(getattr(self, f.name) for f in fields(self))

    def __len__(self) -> int:
        return len(self.potential)

    def split(self, *counts: int) -> tuple[Dataset, ...]:
        """Cut into consecutive, disjoint parts of the given sizes; what is left over is dropped.

        The parts are rows of the same read-only arrays: nothing is copied.

        Raises
        ------
        ValueError, TypeError
            If there is no count, one is below 1 or they ask for more samples than there are.

        Examples
        --------
        >>> train, test = simulate(10, sites=4).split(7, 3)
        >>> len(train), len(test), test.origin["slice"]
        (7, 3, [7, 10])
        """
        counts = [_check.integer("counts", c) for c in counts]
        if not counts or sum(counts) > len(self):
            raise ValueError(f"counts must name parts of {len(self)} samples; got {counts}")
        first = self.origin.get("slice", [0])[0]  # rows are counted in the uncut data
        return tuple(
            Dataset(
                self.potential[i:j],
                self.density[i:j],
                self.spacing,
                self.energy,
                {**self.origin, "slice": [first + i, first + j]},
                None if self.initial is None else self.initial[i:j],
            )
            for i, j in pairwise(accumulate(counts, initial=0))
        )

    def standardisation(self) -> tuple[float, float]:
        """Mean and standard deviation of the potential, to shift and scale a network's input.

        Raises
        ------
        ValueError
            If the potential is the same everywhere.

        Examples
        --------
        >>> Dataset([[1.0, 3.0]], [[1.0, 1.0]], spacing=1.0).standardisation()
        (2.0, 1.0)
        """
        if np.ptp(self.potential) == 0:
            raise ValueError(f"potential cannot be standardised: it is {self.potential.flat[0]} everywhere")
        return float(self.potential.mean()), float(self.potential.std())

    def save(self, path: Path | str) -> Path:
        """Write one npz file, complete or not at all.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = simulate(3, sites=4).save(Path(folder) / "pairs.npz")
        ...     len(Dataset.load(path))
        3
        """
        path = Path(path)
        setup = {"spacing": self.spacing, "energy": self.energy, "origin": self.origin}
        arrays = {"potential": self.potential, "density": self.density}
        if self.initial is not None:
            arrays["initial"] = self.initial
        with store.atomic_write(path) as file:
            np.savez_compressed(file, **arrays, setup=json.dumps(setup))
        return path

    @classmethod
    def load(cls, path: Path | str) -> Dataset:
        """Read what `save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is damaged or not a data set; the message names it.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Dataset.load(simulate(3, sites=4).save(Path(folder) / "pairs.npz")).origin["n"]
        3
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files if name != "setup"}
                return cls(**arrays, **json.loads(str(file["setup"])))
        except (EOFError, KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile, zlib.error) as problem:
            raise ValueError(f"{path} is damaged or not a saved Dataset: {problem}") from problem


def simulate(
    n: int,
    *,
    sites: int = 40,
    spacing: float = 0.4,
    energy: float = 0.0,
    low: float = -1.0,
    high: float = -0.3,
    correlation: float = 1.0,
    seed: int | np.random.Generator = 0,
    propagator: str = "exact",
    current: float | Sequence[float] | None = None,
) -> Dataset:
    """Run the experiment `n` times: random potentials, a state that starts as (ψ, ψ') = (1, 0), its densities.

    With a `current` the state is a complex one that starts as (1, ij), and carries the current j along the chain.

    Parameters
    ----------
    n, sites : int
        Number of pairs and of sites.
    spacing, energy : float
        Length of a site and energy of the state.
    low, high, correlation, seed
        See `potentials.random`.
    propagator : {"exact", "leapfrog"}
        Which discrete Schrödinger equation rules this world.
    current : float or sequence of float, optional
        j, one for all chains or several by turns; the data set's `initial` then tells (ρ, η, ξ) = (1, 0, j²).

    Returns
    -------
    Dataset
        Its origin lists the arguments, or is a digest of the arrays if `seed` is a generator.

    Raises
    ------
    ValueError, TypeError
        From `potentials.random` and `simulator.propagate`, or for an unknown propagator.

    Examples
    --------
    >>> data = simulate(100)
    >>> data.density.shape, data.origin["seed"]
    ((100, 40), 0)
    >>> simulate(3, current=(0.0, 0.5)).initial[:, 2].tolist()
    [0.0, 0.25, 0.0]
    """
    run = _PROPAGATORS[_check.choice("propagator", propagator, _PROPAGATORS)]
    spacing, energy = _check.positive("spacing", spacing), _check.number("energy", energy)
    V = potentials.random(n, sites, low=low, high=high, correlation=correlation, seed=seed)
    origin = origin_of(V, seed, spacing, low, high, correlation)
    origin |= {"kind": "simulate", "energy": energy, "propagator": propagator} if origin else {}
    if current is None:
        return Dataset(V, run(V, spacing, energy).density, spacing, energy, origin)
    currents = np.atleast_1d(_check.array("current", current, (0, 1)))
    j = np.resize(currents, len(V))
    origin |= {"current": currents.tolist()} if origin else {}
    density = run(V, spacing, energy, (1.0, 1j * j)).density
    initial = np.stack([np.ones_like(j), np.zeros_like(j), j**2], axis=-1)
    return Dataset(V, density, spacing, energy, origin, initial)


def origin_of(
    V: np.ndarray, seed: int | np.random.Generator, spacing: float, low: float, high: float, correlation: float
) -> dict[str, Any]:
    """Origin of random potentials as far as their arguments tell it: nothing if they were drawn from a generator.

    Examples
    --------
    >>> origin_of(np.zeros((3, 40)), seed=0, spacing=0.4, low=-1, high=-0.3, correlation=1)["n"]
    3
    """
    if isinstance(seed, np.random.Generator):
        return {}
    ensemble = {"low": float(low), "high": float(high), "correlation": float(correlation), "seed": int(seed)}
    return {"n": len(V), "sites": V.shape[1], "spacing": spacing} | ensemble
