"""What a fit of a law is given, and the way from somebody's units to numbers of size one and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from . import _check, _fitting
from .dataset import Scaling

if TYPE_CHECKING:
    from .law import Law

READOUTS = ("quadratic", "linear")


@dataclass(frozen=True)
class Told:
    """A start that follows from what is told of each chain: states are a polynomial of second order in it.

    Attributes
    ----------
    matrix : numpy.ndarray
        Shape (states, terms): states are the latents for a linear readout, products of two for a quadratic one.
    scaling : Scaling
        Of the numbers that are told.

    Examples
    --------
    >>> Told(np.array([[1.0, 2.0, 0.0]]), Scaling([0.0], [1.0])).states([[3.0]]).tolist()
    [[7.0]]
    """

    matrix: np.ndarray
    scaling: Scaling

    def states(self, initial: np.ndarray) -> np.ndarray:
        """States (states, n) of chains of which `initial` (n, numbers) is told."""
        return self.matrix @ told_terms(self.scaling.to(initial))


def told_terms(x: np.ndarray) -> np.ndarray:
    """1, all numbers, and all products of two: (terms, n)."""
    i, j = np.triu_indices(x.shape[1])
    return np.concatenate([np.ones((1, len(x))), x.T, (x[:, i] * x[:, j]).T])


def state_form(readout: np.ndarray) -> np.ndarray:
    """The readout as a linear form of states."""
    if readout.ndim == 1:
        return readout
    return (2 * readout - np.diag(np.diag(readout)))[np.triu_indices(len(readout))]


def padded(name: str, chains: object) -> tuple[np.ndarray, list[int]]:
    """Chains of any lengths as one array (n, sites), short ones filled up with their last value; and the lengths."""
    if not (isinstance(chains, list | tuple) and len({np.size(c) for c in chains}) > 1):
        array = _check.array(name, chains, 2)
        return array, [array.shape[1]] * len(array)
    rows = [_check.array(f"{name}[{i}]", chain, 1) for i, chain in enumerate(chains)]
    out = np.empty((len(rows), max(map(len, rows))))
    for line, row in zip(out, rows, strict=True):
        line[:] = row[-1]
        line[: len(row)] = row
    return out, [len(row) for row in rows]


def unpadded(values: np.ndarray, lengths: list[int]) -> np.ndarray | list[np.ndarray]:
    """Give values (n, sites) as the chains came: an array, or rows where their lengths differ."""
    return values if len(set(lengths)) == 1 else [row[:n] for row, n in zip(values, lengths, strict=True)]


def table(name: str, value: object, n: int, columns: int | None = None) -> np.ndarray:
    """Numbers that belong to chains, shape (n, numbers); one number a chain may come as (n,)."""
    out = _check.array(name, value, (1, 2))
    out = out[:, None] if out.ndim == 1 else out
    expected = (n, columns if columns is not None else out.shape[1])
    if out.shape != expected:
        raise ValueError(f"{name} must have shape {expected}, a row for every chain; got {out.shape}")
    return out


@dataclass(frozen=True)
class Given:
    """Measured pairs and what is known beside them, checked, and as arrays: what a law is fitted to.

    Attributes
    ----------
    potential, density, weight : numpy.ndarray
        Shape (n, sites). A weight is 1/σ, or 1, and 0 where a chain has ended or nothing was measured.
    initial, constants : numpy.ndarray, optional
        Shape (n, numbers).

    Examples
    --------
    >>> given = Given.of([[1.0, 2.0], [1.0]], [[3.0, 4.0], [5.0]])
    >>> given.density.tolist(), given.weight.tolist()
    ([[3.0, 4.0], [5.0, 5.0]], [[1.0, 1.0], [1.0, 0.0]])
    """

    potential: np.ndarray
    density: np.ndarray
    weight: np.ndarray
    initial: np.ndarray | None = None
    constants: np.ndarray | None = None

    @classmethod
    def of(cls, potential, density, *, initial=None, constants=None, sigma=None, mask=None) -> Given:
        """Check what is handed in: see `Law.fit`."""
        V, lengths = padded("potential", potential)
        known = density if mask is None else _filled(density, mask, lengths)
        rho, found = padded("density", known)
        if found != lengths:
            where = next((i for i, (a, b) in enumerate(zip(lengths, found, strict=False)) if a != b), "?")
            raise ValueError(
                f"density must have as many sites as potential in every chain; chain {where} of {len(lengths)} and"
                f" {len(found)} differs: got shapes {V.shape} and {rho.shape}"
            )
        weight = (np.arange(V.shape[1]) < np.array(lengths)[:, None]).astype(float)
        if sigma is not None:
            error = np.asarray(sigma) if np.ndim(sigma) == 0 and not isinstance(sigma, list | tuple) else None
            error = (
                np.full(V.shape, _check.positive("sigma", sigma)) if error is not None else padded("sigma", sigma)[0]
            )
            if error.shape != V.shape or error.min() <= 0:
                raise ValueError(
                    f"sigma must be greater than 0 and of the shape of density, {V.shape}; got {error.shape}"
                )
            weight /= error
        if mask is not None:
            weight[_holes(mask, lengths, V.shape)] = 0
        if not weight.any():
            raise ValueError("density must be measured somewhere; mask leaves nothing of it")
        tables = {
            name: None if value is None else table(name, value, len(V))
            for name, value in (("initial", initial), ("constants", constants))
        }
        return cls(V, rho, weight, **tables)

    def __len__(self) -> int:
        return len(self.potential)

    def take(self, rows: np.ndarray | slice) -> Given:
        """Some of the chains."""
        return Given(*(None if (x := getattr(self, name)) is None else x[rows] for name in self.__dataclass_fields__))

    @property
    def seen(self) -> np.ndarray:
        """Where there are sites at all, measured or not, as far as weights tell."""
        return self.weight > 0

    @cached_property
    def total(self) -> float:
        """Weighted sum of squares of the density about its mean."""
        return _fitting.variation(self.density, self.weight)

    @property
    def span(self) -> tuple[float, float]:
        """Lowest and highest potential at which a density was measured."""
        V = self.potential[self.seen]
        return float(V.min()), float(V.max())


def _holes(mask: object, lengths: list[int], shape: tuple[int, int]) -> np.ndarray:
    """Where a density is missing, (n, sites)."""
    rows = mask if isinstance(mask, list | tuple) else np.asarray(mask)
    out = np.zeros(shape, bool)
    if len(rows) != len(lengths):
        raise ValueError(f"mask must have a row for each of {len(lengths)} chains; got {len(rows)}")
    for line, row, n in zip(out, rows, lengths, strict=True):
        row = np.asarray(row)
        if row.dtype != bool or row.shape != (n,):
            raise ValueError(
                f"mask must be true or false for every site of a chain, {n} of them; got {row.dtype}, shape {row.shape}"
            )
        line[:n] = row
    return out


def _filled(density: object, mask: object, lengths: list[int]) -> object:
    """The density with zeros where it is missing: what stands there, NaN mostly, says nothing."""
    _check._refuse_lost_meaning("density", density)
    rows = density if isinstance(density, list | tuple) else np.asarray(density, float)
    if len(rows) != len(lengths):
        raise ValueError(f"density must have a chain for each of {len(lengths)} potentials; got {len(rows)}")
    holes = _holes(mask, lengths, (len(rows), max(lengths)))
    out = [np.where(hole[: np.size(row)], 0.0, np.asarray(row, float)) for hole, row in zip(holes, rows, strict=True)]
    return np.array(out) if len(set(map(len, out))) == 1 else out


@dataclass(frozen=True)
class Problem:
    """The fit of one form of law: its shape, and all that leads from somebody's units to numbers of size one and back.

    Examples
    --------
    >>> Problem.of(Given.of([[1.0, 2.0, 4.0]], [[3.0, 4.0, 5.0]]), latent_dim=3, order=1).shape.terms
    2
    """

    shape: _fitting.Shape
    potential: Scaling
    unit: float
    powers: np.ndarray
    constants: Scaling | None
    initial: Scaling | None
    span: tuple[float, float]

    @classmethod
    def of(
        cls,
        given: Given,
        *,
        latent_dim: int = 2,
        readout: str = "quadratic",
        order: int = 2,
        copies: int = 1,
        own: bool = False,
        pure: bool = True,
    ) -> Problem:
        """Set a problem up for data: every power of what drives the law up to the total `order` has a coefficient."""
        _check.integer("latent_dim", latent_dim), _check.integer("order", order), _check.integer("copies", copies)
        _check.choice("readout", readout, READOUTS)
        V, rho = given.potential[given.seen], given.density[given.seen]
        for name, values in (("potential", V), ("density", rho)):
            if np.ptp(values) <= 1e-10 * np.abs(values).max():
                raise ValueError(f"{name} must vary; got {values.flat[0]:g} everywhere, but for rounding")
        numbers = 0 if given.constants is None else given.constants.shape[1]
        powers = np.array([row for row in np.ndindex(*[order + 1] * (1 + numbers)) if sum(row) <= order])
        powers = powers[np.lexsort((*powers.T[::-1], powers.sum(1)))]
        told = 1 if given.initial is None else (1 + given.initial.shape[1]) * (2 + given.initial.shape[1]) // 2
        start = "told" if given.initial is not None else "own" if own else "fixed"
        shape = _fitting.Shape(latent_dim, len(powers), readout == "quadratic", start, told, copies, pure)
        tables = (None if x is None else _scaling(x) for x in (given.constants, given.initial))
        unit = float(np.sqrt(np.mean(rho**2)))
        return cls(shape, Scaling(float(V.mean()), float(V.std())), unit, powers, *tables, given.span)

    @classmethod
    def of_law(cls, law: Law, given: Given, own: bool) -> Problem:
        """Set up the problem whose answer would be a law like this one."""
        if law.feedback is not None:
            raise ValueError("feedback must be None to fit a law; this one is driven by its own density")
        form = law.form()
        if (law.constants is None) != (given.constants is None):
            raise ValueError(f"constants must {'not ' if law.constants is None else ''}be given for this law")
        told = law.start.scaling if isinstance(law.start, Told) else None
        if (told is None) != (given.initial is None):
            raise ValueError(f"initial must {'not ' if told is None else ''}be given for this law")
        kind, numbers = ("own" if own else "fixed"), 1
        if told is not None:
            kind, numbers = "told", law.start.matrix.shape[1]
        shape = _fitting.Shape(
            law.latent_dim, len(law.powers), form.ndim == 2, kind, numbers, law.copies, form.ndim == 2
        )
        unit = float(np.sqrt(np.mean(given.density[given.seen] ** 2))) or 1.0
        span = law.span or given.span
        return cls(shape, Scaling(law.shift, law.scale), unit, law.powers, law.constants, told, span)

    def chains(self, given: Given) -> _fitting.Chains:
        """What is given, in numbers of size one."""
        x = [self.potential.to(given.potential).T]
        if self.constants is not None:
            x += [np.broadcast_to(c, x[0].shape) for c in self.constants.to(given.constants).T]
        drive = np.stack([np.prod([f ** int(n) for f, n in zip(x, row, strict=True)], 0) for row in self.powers])
        told = {"own": None, "fixed": np.ones((1, len(given)))}.get(self.shape.start)
        if self.shape.start == "told":
            told = told_terms(self.initial.to(given.initial))
        size = given.weight.max()
        return _fitting.Chains(drive, given.density.T / self.unit, given.weight.T / size, told)

    def unknowns(self, law: Law, chains: _fitting.Chains) -> np.ndarray:
        """The numbers of a law, as the fit has them; a start that it lacks is the one that suits all chains best."""
        parts = [law.coefficients.ravel(), state_form(law.readout) / self.unit]
        if self.shape.start == "told":
            parts.append(law.start.matrix.ravel())
        elif self.shape.start == "fixed" and law.start is not None:
            parts.append(law.start.ravel())
        elif self.shape.start == "fixed":
            parts.append(_fitting.common_start(self.shape, np.concatenate(parts), chains).ravel())
        return np.concatenate(parts)

    def latents(self, x: np.ndarray, chains: _fitting.Chains) -> np.ndarray:
        """Latents (copies, d, n) at the left ends that suit chains with starts of their own."""
        return _fitting.own_latents(self.shape, _fitting.responses(self.shape, x, chains.drive), chains)

    def solution(self, fit: _fitting.Fit, chains: _fitting.Chains) -> dict:
        """What a fit has come to, in the units of the data: all that makes a `Law` but its spacing and energy."""
        U, q, start = self.shape.unpack(fit.x)
        form = self.unit * q
        if self.shape.quadratic:
            Q = np.zeros(U.shape[1:])
            Q[self.shape.pairs] = form / 2
            form = Q + Q.T
        if self.shape.start == "own":
            start = None
        elif self.shape.start == "told":
            start = Told(start, self.initial)
        coefficients, D, _ = self.shape.sizes
        scale = np.concatenate([np.ones(coefficients), np.full(D, self.unit)])
        C = _fitting.covariance(fit, chains)[: len(scale), : len(scale)] * np.outer(scale, scale)
        return {
            "coefficients": U,
            "shift": self.potential.shift,
            "scale": self.potential.scale,
            "readout": form,
            "start": start,
            "copies": self.shape.copies,
            "powers": self.powers,
            "constants": self.constants,
            "span": self.span,
            "covariance": C,
        }


def _scaling(columns: np.ndarray) -> Scaling:
    spread = columns.std(0)
    return Scaling(columns.mean(0).tolist(), np.where(spread > 0, spread, 1.0).tolist())
