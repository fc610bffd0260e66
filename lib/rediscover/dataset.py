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
from typing import Any, NamedTuple

import numpy as np

from . import _check, potentials, simulator, store

_PROPAGATORS = {"exact": simulator.propagate, "leapfrog": simulator.leapfrog}


class Scaling(NamedTuple):
    """Shift and scale that lead from somebody's units to numbers about zero, of size one, and back again, in float64.

    Attributes
    ----------
    shift, scale : float or list of float
        One number each, or one for every entry of the last axis.

    Examples
    --------
    >>> celsius = Scaling(shift=20.0, scale=5.0)
    >>> celsius.to([15.0, 30.0]).tolist(), celsius.back([-1.0, 2.0]).tolist()
    ([-1.0, 2.0], [15.0, 30.0])
    """

    shift: float | list[float]
    scale: float | list[float]

    def to(self, values: np.ndarray) -> np.ndarray:
        """Give numbers about zero for values in somebody's units."""
        return (np.asarray(values, float) - self.shift) / self.scale

    def back(self, numbers: np.ndarray) -> np.ndarray:
        """Give values in somebody's units for numbers about zero."""
        return np.asarray(numbers, float) * self.scale + self.shift


@dataclass(frozen=True)
class Dataset:
    """Potentials, the densities measured in them, and how the experiment was set up.

    It keeps read-only copies of what it is given: `origin` goes on telling the truth whatever happens to the originals.

    Attributes
    ----------
    potential, density : numpy.ndarray
        Shape (n, sites), float64, in any units; density at the right edge of every site.
    spacing : float
        Length of a site.
    energy : float, optional
        Energy of every state; None if it is not known.
    origin : dict
        Where the pairs come from, JSON-able: it stands for the data in the keys of trained artefacts. Left empty it
        becomes a digest of the arrays. Give a new one with ``dataclasses.replace(data, density=..., origin={})``: where
        others stand under the old one, `store.load_or_train` says so.
    initial : numpy.ndarray, optional
        What is told of the left end of every chain where they do not all start alike, shape (n, numbers): in this book
        ρ, η = Re ψ*ψ' and ξ = |ψ'|².

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
    energy: float | None = 0.0
    origin: dict = field(default_factory=dict)
    initial: np.ndarray | None = None

    def __post_init__(self) -> None:
        checked = {
            "potential": _check.array("potential", self.potential, 2),
            "density": _check.array("density", self.density, 2),
            "spacing": _check.positive("spacing", self.spacing),
            "energy": None if self.energy is None else _check.number("energy", self.energy),
        }
        V, rho = checked["potential"], checked["density"]
        if V.shape != rho.shape:
            raise ValueError(f"density must have the shape of potential, {V.shape}; got {rho.shape}")
        if self.initial is not None:
            checked["initial"] = _check.array("initial", self.initial, 2)
            if len(checked["initial"]) != len(V):
                raise ValueError(f"initial must have a row for each of {len(V)} chains; got {checked['initial'].shape}")
        if not isinstance(self.origin, dict):
            raise TypeError(f"origin must be a dict; got {self.origin!r}")
        content = [name for name in ("potential", "density", "initial") if name in checked]
        checked |= {name: _check.frozen(checked[name]) for name in content}
        checked["origin"] = copy.deepcopy(self.origin)
        if not self.origin:
            digest = hashlib.sha256()
            for name in content:  # the same bytes in another shape are other data
                digest.update(f"{name} {checked[name].dtype.str} {checked[name].shape}".encode())
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

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """All that is measured or told, by name: potential, density and, where it is told, initial."""
        names = ("potential", "density", "initial")
        return {name: array for name in names if (array := getattr(self, name)) is not None}

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

    def standardisation(self) -> dict[str, Scaling]:
        """Mean and standard deviation of the potential, the density and each column of `initial`, as `Translator` asks.

        Networks work with standardised numbers, so that no result depends on units.

        Raises
        ------
        ValueError
            If potential or density are the same everywhere, or all but: they vary by less than a part in 10¹⁰. (What is
            told of the left ends may be: it is shifted to zero.)

        Examples
        --------
        >>> scalings = Dataset([[1.0, 3.0]], [[0.5, 0.5 + 1e-3]], spacing=1.0).standardisation()
        >>> scalings["potential"], list(scalings)
        (Scaling(shift=2.0, scale=1.0), ['potential', 'density'])
        """
        found = {}
        for name in ("potential", "density"):
            values = getattr(self, name)
            if _constant(values):
                raise ValueError(
                    f"{name} cannot be standardised: it varies by {np.ptp(values):.2g} about {values.mean():g}, less"
                    " than a part in 10¹⁰. If that is not rounding, subtract what is common to all"
                )
            found[name] = Scaling(float(values.mean()), _spread(values))
        if self.initial is not None:
            shifts = self.initial.mean(0).tolist()
            of = zip(self.initial.T, shifts, strict=True)
            found["initial"] = Scaling(shifts, [(abs(m) or 1.0) if _constant(x) else _spread(x) for x, m in of])
        return found

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
        with store.atomic_write(path) as file:
            np.savez_compressed(file, **self.arrays, setup=json.dumps(setup))
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


def _constant(values: np.ndarray) -> bool:
    """Whether numbers vary by so little that little more than rounding would be left of them without their mean."""
    return bool(np.ptp(values) <= 1e-10 * np.abs(values.mean()))


def _spread(values: np.ndarray) -> float:
    """Give the standard deviation, also of numbers whose squares would be too large or too small for a float."""
    size = np.ptp(values)
    return float(size * ((values - values.mean()) / size).std())


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
