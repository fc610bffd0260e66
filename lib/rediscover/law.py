"""An explicit law of motion: how latents move, what is read off them, where they start; and how to compare it.

Nothing here decides anything: a `Law` is a matrix as a function of what drives it. Its trace and determinant do not
depend on the basis in which it happened to be found. What is to be *said* of a law stands in `verdict`.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.polynomial import Polynomial
from scipy.linalg import eigh

from . import _check, _fitting, simulator, store
from ._problem import Given, Problem, Told, padded, state_form, table, unpadded
from .dataset import Dataset, Scaling

FORMAT, VERSION = "rediscover.law", 1


@dataclass(frozen=True)
class Law:
    """Law ``g <- T g`` whose matrix is a polynomial in what drives it, ``T = sum_n x**powers[n] U_n``.

    What drives it is the potential, as ``(V - shift) / scale``; besides, constants of a chain, such as a number on its
    label; and, with `feedback`, the density that it has just read out itself.

    Attributes
    ----------
    coefficients : numpy.ndarray
        Matrices U_n, shape (terms, latent_dim, latent_dim).
    shift, scale : float
        Standardisation of the potential.
    spacing : float
        Length of a site.
    energy : float, optional
        Energy of the states, if it is known. `dispersion` fits one and does not ask.
    readout : numpy.ndarray, optional
        How the density is read off, in its own units: ``w @ g`` for shape (latent_dim,), ``g @ Q @ g`` for shape
        (latent_dim, latent_dim).
    start : numpy.ndarray or Told, optional
        Latents at the left end, shape (copies, latent_dim), if all chains start alike; `Told` if they follow from what
        is told of each chain. Without, every chain has a start of its own.
    copies : int
        Sets of latents that the law moves, whose densities add up: a complex ψ is two.
    powers : numpy.ndarray, optional
        Exponents of the drives in each term, shape (terms, drives): the potential, the constants, the density. Without,
        term n is the n-th power of the potential.
    constants : Scaling, optional
        Standardisation of the constants.
    feedback : float, optional
        The law is driven by its own density, too, in units of this one.
    span : (float, float), optional
        Range of the potentials that it was found in.
    covariance : numpy.ndarray, optional
        Of coefficients and readout, as a fit left it; what is `canonical`, and a mass or an energy, has errors by it.

    Raises
    ------
    ValueError, TypeError
        If the coefficients are not a finite stack of square matrices, scale or spacing not positive, or another shape
        does not fit them.

    Examples
    --------
    The leapfrog recurrence is a law whose matrix is linear in V:

    >>> leapfrog = Law([[[1, 0.4], [0, 1]], [[0.32, 0], [0.8, 0]]], shift=0, scale=1, spacing=0.4)
    >>> leapfrog.determinant(-0.5).item(), round(leapfrog.trace(-0.5).item(), 6)
    (1.0, 1.84)
    """

    coefficients: np.ndarray
    shift: float
    scale: float
    spacing: float
    energy: float | None = None
    readout: np.ndarray | None = None
    start: np.ndarray | Told | None = None
    copies: int = 1
    powers: np.ndarray | None = None
    constants: Scaling | None = None
    feedback: float | None = None
    span: tuple[float, float] | None = None
    covariance: np.ndarray | None = None

    def __post_init__(self) -> None:
        checked = {"coefficients": _check.array("coefficients", self.coefficients, 3)}
        terms, d, other = checked["coefficients"].shape
        if d != other:
            raise ValueError(
                f"coefficients must be square matrices (terms, d, d); got shape {checked['coefficients'].shape}"
            )
        _check.number("shift", self.shift)
        for name in ("scale", "spacing"):
            _check.positive(name, getattr(self, name))
        if self.energy is not None:
            _check.number("energy", self.energy)
        _check.integer("copies", self.copies)
        if self.readout is not None:
            form = _check.array("readout", self.readout, (1, 2))
            if form.shape not in ((d,), (d, d)):
                raise ValueError(f"readout must have shape {(d,)} or {(d, d)}; got {form.shape}")
            checked["readout"] = form if form.ndim == 1 else (form + form.T) / 2
        if self.start is not None and not isinstance(self.start, Told):
            checked["start"] = _check.array("start", self.start, 2)
            if checked["start"].shape != (self.copies, d):
                raise ValueError(f"start must have shape {(self.copies, d)}; got {checked['start'].shape}")
        if self.feedback is not None:
            _check.positive("feedback", self.feedback)
        drives = 1 + (0 if self.constants is None else len(self.constants.shift)) + (self.feedback is not None)
        powers = np.arange(terms)[:, None] if self.powers is None else np.asarray(self.powers)
        if powers.shape != (terms, drives) or powers.dtype.kind not in "iu" or powers.min() < 0:
            raise ValueError(f"powers must be whole numbers of shape {(terms, drives)}; got {self.powers!r}")
        checked["powers"] = powers
        if self.covariance is not None:
            checked["covariance"] = _check.array("covariance", self.covariance, 2)
        for name, value in checked.items():
            object.__setattr__(self, name, _check.frozen(value))  # the one way to set a field of a frozen dataclass

    @classmethod
    def from_distiller(cls, distiller, member: int, translator, data: Dataset) -> Law:
        """Read the law off one member of a population; nothing is fitted.

        Parameters
        ----------
        distiller : distiller.Distiller
        member : int
        translator : translator.Translator
            The one that was distilled: it knows the standardisation, and so potentials stay in their units.
        data : Dataset
            Knows spacing and energy.

        Raises
        ------
        ValueError, TypeError
            If the distiller has no such member.

        Examples
        --------
        >>> from rediscover.dataset import simulate
        >>> from rediscover.distiller import Distiller
        >>> from rediscover.translator import Translator
        >>> Law.from_distiller(Distiller(latent_dim=2), 0, Translator(), simulate(2)).coefficients.shape
        (3, 2, 2)
        """
        coefficients = distiller.coefficients()
        if _check.integer("member", member, 0) >= len(coefficients):
            raise ValueError(f"member must be below {len(coefficients)}, the size of the population; got {member}")
        V = data.potential
        told = {
            "readout": distiller.forms()[member] if distiller.readout.explicit else None,
            "span": (V.min(), V.max()),
        }
        return cls(coefficients[member], *translator.potential, data.spacing, data.energy, **told)

    @classmethod
    def fit(
        cls,
        potential: np.ndarray | Sequence,
        density: np.ndarray | Sequence,
        *,
        spacing: float = 1.0,
        energy: float | None = None,
        latent_dim: int = 2,
        readout: str = "quadratic",
        order: int = 2,
        copies: int = 1,
        start: str = "fixed",
        initial: np.ndarray | None = None,
        constants: np.ndarray | None = None,
        sigma: np.ndarray | float | None = None,
        mask: np.ndarray | Sequence | None = None,
        starts: int = 8,
        seed: int = 0,
    ) -> tuple[Law, np.ndarray]:
        """Fit a law to measured pairs by damped steps of second order; no network has a part in it.

        Coefficients, readout and start are unknowns; the residuals are densities; the horizon grows along the chain,
        and of several random starts the one with the smallest loss is taken. Chapter 13 shows what comes of it.

        Parameters
        ----------
        potential, density : array_like
            Shape (n, sites), or n chains of different lengths; density at the right edge of every site.
        spacing, energy : float
            Length of a site, and energy of the states, if known; the fit uses neither.
        latent_dim, order : int
            Number of latents, and highest total power of potential and constants.
        readout : {"quadratic", "linear"}
        copies : int
            Sets of latents that start apart and move by the same law.
        start : {"fixed", "own"}
            Whether all chains start alike, or each in its own way, which is then found from its own density.
        initial : array_like, optional
            What is told of the left end of each chain, shape (n, numbers): the start is a polynomial of second order in
            it.
        constants : array_like, optional
            Numbers that belong to a chain and drive it, shape (n, numbers).
        sigma : array_like or float, optional
            Standard deviation of the density, of its shape or one number.
        mask : array_like of bool, optional
            True where the density is missing, of its shape.
        starts, seed : int
            How many random laws to begin with, and their seed.

        Returns
        -------
        law : Law
            The best, with its covariance.
        losses : numpy.ndarray
            Of all starts: the share of the density's (weighted) variance that is left, shape (starts,).

        Raises
        ------
        ValueError, TypeError
            If shapes disagree, a value is not finite, potential or density do not vary, or a number is out of range.

        Notes
        -----
        Levenberg–Marquardt (Marquardt, J. Soc. Indust. Appl. Math. 11 (1963) 431); own starts by variable projection
        (Golub & Pereyra, SIAM J. Numer. Anal. 10 (1973) 413). Derivatives are exact, carried along the chain.

        Examples
        --------
        >>> from rediscover.dataset import simulate
        >>> data = simulate(40, sites=12)
        >>> law, losses = Law.fit(data.potential, data.density, spacing=0.4, starts=2)
        >>> wave = law.dispersion()
        >>> bool(losses.min() < 1e-6), round(wave.mass, 3), round(abs(wave.energy), 3)
        (True, 1.0, 0.0)
        """
        given = Given.of(potential, density, initial=initial, constants=constants, sigma=sigma, mask=mask)
        problem = Problem.of(
            given, latent_dim=latent_dim, readout=readout, order=order, copies=copies, own=start == "own"
        )
        _check.choice("start", start, ("fixed", "own"))
        if start == "own" and initial is not None:
            raise ValueError('start must be "fixed" where initial tells how chains start; got "own"')
        rng = np.random.default_rng(_check.integer("seed", seed, 0))
        chains, shape = problem.chains(given), problem.shape
        begin = (shape.first(rng, turn=0.5) for _ in range(_check.integer("starts", starts)))
        fits = [_fitting.climb(shape, x, chains) for x in begin]
        best = _fitting.descend(min(fits), chains, 100, 1e-9)
        law = cls(spacing=spacing, energy=energy, **problem.solution(best, chains))
        return law.upright(), np.array([fit.loss for fit in fits])

    def refit(
        self,
        potential: np.ndarray | Sequence,
        density: np.ndarray | Sequence,
        *,
        start: str | None = None,
        initial: np.ndarray | None = None,
        constants: np.ndarray | None = None,
        sigma: np.ndarray | float | None = None,
        mask: np.ndarray | Sequence | None = None,
        steps: int = 100,
    ) -> Law:
        """Bring this law to rest on measured pairs, from where it is: the polish of a law that a network found.

        Parameters
        ----------
        potential, density, initial, constants, sigma, mask
            See `fit`.
        start : {"fixed", "own"}, optional
            Whether all chains start alike; a law without a start gets one if they do. As it is if nothing is said.
        steps : int
            How many steps at most.

        Raises
        ------
        ValueError, TypeError
            As `fit`; if the law has no readout, or is driven by its own density.

        Examples
        --------
        >>> from rediscover.dataset import simulate
        >>> data = simulate(40, sites=12)
        >>> law, _ = Law.fit(data.potential, data.density, spacing=0.4, starts=2)
        >>> rough = replace(law, coefficients=law.coefficients * 1.001)
        >>> again = rough.refit(data.potential, data.density)
        >>> bool(again.loss(data.potential, data.density) < 1e-3 * rough.loss(data.potential, data.density))
        True
        """
        if start is not None:
            _check.choice("start", start, ("fixed", "own"))
        given = Given.of(potential, density, initial=initial, constants=constants, sigma=sigma, mask=mask)
        own = self.start is None if start is None else start == "own"
        problem = Problem.of_law(self, given, own)
        chains = problem.chains(given)
        x = problem.unknowns(self, chains)
        fit = _fitting.descend(_fitting.Fit(problem.shape, x, np.inf), chains, _check.integer("steps", steps), 1e-9)
        return Law(spacing=self.spacing, energy=self.energy, **problem.solution(fit, chains))

    @cached_property
    def latent_dim(self) -> int:
        """Number of latents of a copy."""
        return self.coefficients.shape[-1]

    def known_energy(self) -> float:
        """Energy of the states; an error where it was not told."""
        if self.energy is None:
            raise ValueError("energy of the law must be known for this; it was not told. `dispersion` fits one")
        return self.energy

    def drives(
        self, V: np.ndarray, constants: np.ndarray | None = None, density: np.ndarray | None = None
    ) -> np.ndarray:
        """Products of powers of what drives the law, shape V.shape + (terms,).

        `constants` (..., numbers) and the `density`, which only laws driven by them need, must fit the shape of V.

        Examples
        --------
        >>> Law(np.zeros((3, 2, 2)), 0, 2, spacing=0.4).drives([-1.0]).tolist()
        [[1.0, -0.5, 0.25]]
        """
        V = _check.array("V", V)
        x = [(V - self.shift) / self.scale]
        for name, value, needed in (
            ("constants", constants, self.constants is not None),
            ("density", density, self.feedback is not None),
        ):
            if (value is not None) != needed:
                raise ValueError(f"{name} must {'' if needed else 'not '}be given: the law is driven by {name} or not")
        if constants is not None:
            numbers = self.constants.to(_check.array("constants", constants))
            x += [np.broadcast_to(part, V.shape) for part in np.moveaxis(numbers, -1, 0)]
        if density is not None:
            x += [np.asarray(density) / self.feedback]
        return np.stack(
            [np.prod([drive ** int(n) for drive, n in zip(x, row, strict=True)], 0) for row in self.powers], -1
        )

    def transfer_matrix(
        self, V: np.ndarray, constants: np.ndarray | None = None, density: np.ndarray | None = None
    ) -> np.ndarray:
        """Update matrix at every potential in `V`, shape V.shape + (latent_dim, latent_dim).

        Constants and density as for `drives`.

        Examples
        --------
        >>> Law(np.eye(2)[None], 0, 1, spacing=0.4).transfer_matrix([-1.0, -0.5]).shape
        (2, 2, 2)
        """
        return np.einsum("...n,nij->...ij", self.drives(V, constants, density), self.coefficients)

    def predict(
        self, potential: np.ndarray | Sequence, start: np.ndarray | None = None, constants: np.ndarray | None = None
    ) -> np.ndarray | list[np.ndarray]:
        """Densities in given potentials, in the units that the law was found in.

        Parameters
        ----------
        potential : array_like
            Shape (n, sites), or n chains of different lengths, which come back so.
        start : array_like, optional
            Where chains start if that is not part of the law: latents, shape (n, latent_dim) or (n, copies,
            latent_dim), as from `start_from`; or, if the law's start is `Told`, what is told, shape (n, numbers).
        constants : array_like, optional
            Shape (n, numbers), if the law is driven by them.

        Raises
        ------
        ValueError, TypeError
            If the law has no readout, or a start or constant is missing, superfluous or of another shape.

        Examples
        --------
        >>> turn = Law([[[0.0, 1.0], [-1.0, 0.0]]], 0, 1, spacing=0.4, readout=[[1, 0], [0, 0]], start=[[1, 0]])
        >>> turn.predict([[-0.5, -0.6, -0.7]]).tolist()
        [[0.0, 1.0, 0.0]]
        """
        self.form()
        V, lengths = padded("potential", potential)
        g = self._starts(len(V), start)
        C = None
        if self.constants is not None:
            if constants is None:
                raise ValueError("constants must be given: the law is driven by them")
            C = table("constants", constants, len(V), len(self.constants.shift))
        elif constants is not None:
            raise ValueError("constants must not be given: the law is driven by none")
        return unpadded(self._run(V, C, g), lengths)

    def start_from(
        self,
        potential: np.ndarray | Sequence,
        density: np.ndarray | Sequence,
        *,
        constants: np.ndarray | None = None,
        sigma: np.ndarray | float | None = None,
        mask: np.ndarray | Sequence | None = None,
    ) -> np.ndarray:
        """Latents at the left ends, (n, copies, latent_dim), that suit densities best: those of the first sites, say.

        A quadratic readout leaves the sign of ψ open: it is chosen as it comes.

        Parameters
        ----------
        potential, density, constants, sigma, mask
            See `fit`. A chain must show at least as many sites as a start has numbers.

        Raises
        ------
        ValueError, TypeError
            If the law has no readout, or too few sites are shown.

        Examples
        --------
        >>> turn = Law([[[0.8, 0.6], [-0.6, 0.8]]], 0, 1, spacing=0.4, readout=[1.0, 0.0])
        >>> V = np.array([[-0.5, -0.6, -0.7, -0.8]])
        >>> rho = turn.predict(V, [[2.0, 1.0]])
        >>> turn.start_from(V[:, :3], rho[:, :3]).round(9).tolist()
        [[[2.0, 1.0]]]
        """
        given = Given.of(potential, density, constants=constants, sigma=sigma, mask=mask)
        problem = Problem.of_law(self, given, own=True)
        needed = self.latent_dim * (self.copies if self.readout.ndim == 2 else 1)
        if (shown := int((given.weight > 0).sum(1).min())) < needed:
            raise ValueError(f"density must show at least {needed} sites of every chain; got {shown}")
        chains = problem.chains(given)
        x = problem.unknowns(self, chains)
        g = [problem.latents(x, part) for part in chains.blocks()]
        return np.concatenate(g, axis=-1).transpose(2, 0, 1)

    def loss(self, potential, density, start: np.ndarray | None = None, **given) -> float:
        """Share of the density's variance that the law leaves; a start that is not known is the one that suits best.

        Parameters
        ----------
        potential, density, **given
            As `fit`: constants, sigma, mask, initial.
        start : array_like, optional
            As `predict`.

        Examples
        --------
        >>> turn = Law([[[0.0, 1.0], [-1.0, 0.0]]], 0, 1, spacing=0.4, readout=[[1, 0], [0, 0]], start=[[1, 0]])
        >>> turn.loss([[-0.5, -0.6, -0.7]], [[0.0, 1.0, 0.0]])
        0.0
        """
        if start is not None:
            found = self.predict(potential, start, given.get("constants"))
            want = Given.of(potential, density, **given)
            rest = (padded("predicted", found)[0] - want.density) * want.weight
            return float(np.sum(rest**2) / want.total)
        given = Given.of(potential, density, **given)
        problem = Problem.of_law(self, given, own=self.start is None)
        chains = problem.chains(given)
        return _fitting.cost(problem.shape, problem.unknowns(self, chains), chains) / chains.total

    def form(self) -> np.ndarray:
        """The readout; an error where there is none."""
        if self.readout is None:
            raise ValueError("the law must have a readout to give densities; it has none")
        return self.readout

    def _starts(self, n: int, start: np.ndarray | None) -> np.ndarray:
        """States, or latents, at the left ends as `_run` takes them: (n, D)."""
        shape = _fitting.Shape(self.latent_dim, 1, self.readout.ndim == 2)
        if isinstance(self.start, Told):
            if start is None:
                raise ValueError("start must be given: what is told of every chain, as when the law was found")
            return self.start.states(table("start", start, n, len(self.start.scaling.shift))).T
        if start is None:
            if self.start is None:
                raise ValueError("start must be given: every chain of this law has its own; see start_from")
            return np.broadcast_to(shape.products(self.start), (n, shape.state_dim))
        g = _check.array("start", start, (2, 3))
        g = g[:, None] if g.ndim == 2 else g
        if g.shape[0] != n or g.shape[2] != self.latent_dim:
            raise ValueError(
                f"start must have shape {(n, self.latent_dim)} or {(n, '*', self.latent_dim)}; got {g.shape}"
            )
        return shape.products(g.transpose(1, 2, 0)).T

    def _run(self, V: np.ndarray, constants: np.ndarray | None, states: np.ndarray) -> np.ndarray:
        quadratic = self.readout.ndim == 2
        shape = _fitting.Shape(self.latent_dim, len(self.coefficients), quadratic)
        q, s = state_form(self.readout), np.ascontiguousarray(states.T)[:, None]
        rho, seen = np.empty(V.shape), q @ s[:, 0]
        with np.errstate(over="ignore", invalid="ignore"):  # as in roll_out
            for i, here in enumerate(V.T):
                fed = None if self.feedback is None else seen
                S = shape.lift(np.moveaxis(self.transfer_matrix(here, constants, fed), 0, -1))
                s = _fitting.times(S, s)
                rho[:, i] = seen = q @ s[:, 0]
        return rho

    def upright(self) -> Law:
        """Of T and −T, which give the same densities under a quadratic readout, the one that is more like a wave.

        A ψ that changes its sign from site to site turns by π − ka instead of ka.

        Examples
        --------
        >>> turn = Law([[[-1, -0.4], [0, -1]], [[-0.32, 0], [-0.8, 0]]], 0, 1, spacing=0.4, span=(-1, -0.3),
        ...     readout=[[1, 0], [0, 0]])
        >>> turn.upright().trace(0.0).item()
        2.0
        """
        if self.latent_dim != 2 or self.readout is None or self.readout.ndim != 2 or self.span is None:
            return self
        other = replace(self, coefficients=-self.coefficients)
        return min(self, other, key=lambda law: law.dispersion(errors=False).residual)

    def roll_out(self, latents: np.ndarray, V: np.ndarray) -> np.ndarray:
        """Carry latents through potentials by the law alone.

        Parameters
        ----------
        latents : array_like
            Where the chains start, shape (n, latent_dim).
        V : array_like
            Potentials of the sites that follow, shape (n, sites).

        Returns
        -------
        numpy.ndarray
            The latents at the start and after every site, shape (n, sites + 1, latent_dim).

        Raises
        ------
        ValueError, TypeError
            If a shape does not fit.

        Examples
        --------
        >>> leapfrog = Law([[[1, 0.4], [0, 1]], [[0.32, 0], [0.8, 0]]], shift=0, scale=1, spacing=0.4)
        >>> leapfrog.roll_out([[1.0, 0.0]], [[-0.5, -0.5]]).round(4).tolist()
        [[[1.0, 0.0], [0.84, -0.4], [0.5456, -0.736]]]
        """
        g, V = _check.array("latents", latents, 2), _check.array("V", V, 2)
        d = self.latent_dim
        if g.shape != (len(V), d):
            raise ValueError(f"latents must have shape {(len(V), d)}; got {g.shape}")
        drive = np.ascontiguousarray(self.drives(V).transpose(1, 2, 0))
        # all chains side by side, one product a site: the matrices [U_0 U_1 ...] times [g, v g, ...]
        flat = np.ascontiguousarray(self.coefficients.transpose(1, 0, 2).reshape(d, -1))
        path = np.empty((len(drive) + 1, d, len(g)))
        path[0] = g.T
        with np.errstate(over="ignore", invalid="ignore"):  # a law that is none may run away; whoever asked sees it
            for i, here in enumerate(drive):
                np.matmul(flat, (here[:, None] * path[i]).reshape(-1, len(g)), out=path[i + 1])
        return path.transpose(2, 0, 1)

    def change_basis(self, matrix: np.ndarray) -> Law:
        """Write the same law for latents ``matrix @ g``.

        Trace, determinant, angles and dispersion stay what they are.

        Parameters
        ----------
        matrix : array_like
            Invertible, shape (latent_dim, latent_dim).

        Raises
        ------
        ValueError, TypeError
            If the matrix has another shape or cannot be inverted.

        Examples
        --------
        >>> turned = Law([[[0.0, 1.0], [-1.0, 0.0]]], 0, 1, spacing=0.4).change_basis([[2.0, 0.0], [0.0, 1.0]])
        >>> turned.coefficients[0].tolist(), turned.determinant(0.0).item()
        ([[0.0, 2.0], [-0.5, 0.0]], 1.0)
        """
        M, d = _check.array("matrix", matrix, 2), self.coefficients.shape[-1]
        if M.shape != (d, d) or np.linalg.matrix_rank(M) < d:
            raise ValueError(f"matrix must be invertible, of shape {(d, d)}; got {M.tolist()}")
        back, changed = np.linalg.inv(M), {}
        lift = _fitting.Shape(d, 1, self.readout is not None and self.readout.ndim == 2).lift
        if self.readout is not None:
            changed["readout"] = back.T @ self.readout if self.readout.ndim == 1 else back.T @ self.readout @ back
        if isinstance(self.start, Told):
            changed["start"] = replace(self.start, matrix=lift(M) @ self.start.matrix)
        elif self.start is not None:
            changed["start"] = self.start @ M.T
        if self.covariance is not None:
            A = np.kron(np.eye(len(self.coefficients)), np.kron(M, back.T))
            A = np.block([[A, np.zeros((len(A), len(lift(M))))], [np.zeros((len(lift(M)), len(A))), lift(back).T]])
            changed["covariance"] = A @ self.covariance @ A.T
        return replace(self, coefficients=M @ self.coefficients @ back, **changed)

    def canonical(self) -> Law:
        """The same law for what is read off and its differences from site to site, so that it reads as a recurrence.

        The first latent is ψ, of which the density is the square (the largest part of the form, if it has several), or
        the density itself for a linear readout; the next is what a step in the mean potential adds to it; and so on.

        Raises
        ------
        ValueError
            If the law has no readout, or what is read off moves in fewer dimensions.

        Examples
        --------
        >>> turn = Law([[[0.8, 0.3], [-1.2, 0.8]]], 0, 1, spacing=0.4, readout=[[4, 0], [0, 0]])
        >>> turn.canonical().coefficients.round(9).tolist(), turn.canonical().readout.round(9).tolist()
        ([[[1.0, 1.0], [-0.4, 0.6]]], [[1.0, 0.0], [0.0, 0.0]])
        """
        form, d = self.form(), self.latent_dim
        here, row = self._at(self.shift), form
        if form.ndim == 2:
            size = np.eye(d)
            if d == 2:  # what a step in the mean potential conserves tells how large latents are, in any basis
                conserved = np.array([[0.0, 1.0], [-1.0, 0.0]]) @ (here - np.trace(here) / 2 * np.eye(2))
                values = np.linalg.eigvalsh(conserved)
                size = conserved * np.sign(values[0]) if values[0] * values[1] > 0 else size
            values, vectors = eigh(form, size)
            which = np.argmax(np.abs(values))
            row = np.sqrt(abs(values[which])) * size @ vectors[:, which]
        rows = [row]
        for _ in range(d - 1):
            rows.append(rows[-1] @ here - rows[-1])
        sizes = np.linalg.norm(rows, axis=1, keepdims=True)
        if not sizes.all() or np.linalg.cond(np.array(rows) / sizes) > 1e12:
            raise ValueError(f"what the law reads off must move in all its {d} dimensions; it moves in fewer")
        return self.change_basis(np.array(rows))

    def _middle(self) -> list:
        """Constants and density at which the law is looked at where only the potential is asked for."""
        constants = None if self.constants is None else np.array(self.constants.shift)
        return [constants, None if self.feedback is None else 0.0]

    def errors(self, function: Callable[[Law], np.ndarray]) -> np.ndarray:
        """Standard errors of whatever does not depend on the basis, by the covariance of the fit; to first order.

        Parameters
        ----------
        function : callable
            Takes a law and gives numbers, such as its trace somewhere, or its canonical coefficients.

        Raises
        ------
        ValueError
            If the law has no covariance.

        Examples
        --------
        >>> from rediscover.dataset import simulate
        >>> data = simulate(40, sites=12)
        >>> rho = data.density + 0.01 * np.random.default_rng(0).normal(size=data.density.shape)
        >>> law, _ = Law.fit(data.potential, rho, spacing=0.4, starts=2)
        >>> bool(0 < law.errors(lambda law: law.trace(-0.65)) < 0.01)
        True
        """
        if self.covariance is None:
            raise ValueError("the law must come from a fit to have errors; it has no covariance")
        each = np.sqrt(np.maximum(np.diag(self.covariance), 1e-300))  # coefficients and readout differ in size
        values, vectors = np.linalg.eigh(self.covariance / np.outer(each, each))
        size, total = self.coefficients.size, 0.0
        i, j = np.triu_indices(self.latent_dim)
        for value, vector in zip(values, vectors.T, strict=True):
            if value <= 1e-12 * values[-1]:
                continue
            ends = []
            for step in (0.1, -0.1):  # of a standard error: short enough to be linear, long enough for rounding
                change = step * np.sqrt(value) * each * vector
                form = change[size:]
                if self.readout.ndim == 2:
                    form = np.zeros_like(self.readout)
                    form[i, j] += change[size:] / 2
                    form[j, i] += change[size:] / 2
                moved = self.coefficients + change[:size].reshape(self.coefficients.shape)
                ends.append(np.asarray(function(replace(self, coefficients=moved, readout=self.readout + form))))
            total = total + ((ends[0] - ends[1]) / 0.2) ** 2
        return np.sqrt(total)

    def trace(self, V: np.ndarray) -> np.ndarray:
        """Trace of the update matrix, shape of `V`; 2 cos ka for Schrödinger's ψ, 1 + 2 cos 2ka for its density.

        Examples
        --------
        >>> Law(np.eye(2)[None], 0, 1, spacing=0.4).trace([-1.0, -0.5]).tolist()
        [2.0, 2.0]
        """
        return np.trace(self._at(V), axis1=-2, axis2=-1)

    def determinant(self, V: np.ndarray) -> np.ndarray:
        """Determinant of the update matrix, shape of `V`; 1 where a current or a Wronskian is conserved.

        Examples
        --------
        >>> Law(2 * np.eye(2)[None], 0, 1, spacing=0.4).determinant(-1.0).item()
        4.0
        """
        return np.linalg.det(self._at(V))

    def trace_series(self) -> np.ndarray:
        """Coefficients c_n of ``tr T = sum_n c_n U**n`` in U = 2 (V − E), exactly, from the learned polynomial.

        Schrödinger's exact step has c = 2, a², a⁴/12, …; the leapfrog recurrence 2, a², 0. The learned polynomial
        knows only the range of V that it was trained on: extrapolated to U = 0, c₂ is poorly determined.
        `curvature_ratio` is the robust number.

        Examples
        --------
        >>> leapfrog = Law([[[1, 0.4], [0, 1]], [[0.32, 0], [0.8, 0]]], shift=0, scale=1, spacing=0.4, energy=0)
        >>> leapfrog.trace_series().round(6).tolist()
        [2.0, 0.16]
        """
        in_v = Polynomial(np.trace(self.coefficients, axis1=1, axis2=2))
        v_of_U = Polynomial([(self.known_energy() - self.shift) / self.scale, 0.5 / self.scale])
        return in_v(v_of_U).coef

    def curvature_ratio(self, V: np.ndarray) -> float:
        """c₂/c₁² fitted to the trace over `V` with c₀ = 2 and c₁ = a² held: which discrete Schrödinger equation is it?

        1/12 for the exact step (less 1–2 % from the next term of the cosine), 0 for leapfrog.

        Parameters
        ----------
        V : array_like
            Potentials inside the training range.

        Raises
        ------
        ValueError, TypeError
            If `V` is not one axis of finite numbers, or equals the energy everywhere.

        Examples
        --------
        >>> leapfrog = Law([[[1, 0.4], [0, 1]], [[0.32, 0], [0.8, 0]]], shift=0, scale=1, spacing=0.4, energy=0)
        >>> abs(leapfrog.curvature_ratio(np.linspace(-1, -0.3, 29))) < 1e-12
        True
        """
        x = self.spacing**2 * 2 * (_check.array("V", V, 1) - self.known_energy())  # a²U: c₁² = 1 in this variable
        if not x.any():
            raise ValueError(f"V must differ from the energy somewhere; got {self.energy} everywhere")
        return float(np.sum(x**2 * (self.trace(V) - 2 - x)) / np.sum(x**4))

    def angles(self, V: np.ndarray) -> np.ndarray:
        """Arguments of the eigenvalues in [0, π], ascending, shape V.shape + (latent_dim,): the turn at every site.

        ka twice for a wave function (its pair e^{±ika}); 0 and twice 2ka for its density. The basis does not matter.
        An angle beyond π is folded back: a site half a wavelength long cannot be told from a shorter one.

        Examples
        --------
        >>> quarter = Law([[[0.0, 1.0], [-1.0, 0.0]]], shift=0, scale=1, spacing=0.4)
        >>> (quarter.angles([-1.0]) / np.pi).tolist()
        [[0.5, 0.5]]
        """
        return np.sort(np.abs(np.angle(np.linalg.eigvals(self._at(V)))), axis=-1)

    def dispersion(self, V: np.ndarray | None = None, *, errors: bool = True) -> Dispersion:
        """Fit ``k² = 2 m (E − V)`` to the wave number k at every potential: which mass and energy would a wave have?

        A wave function turns by ka at a site, tr T = 2 cos ka, and its density by 2ka, tr S = 1 + 2 cos 2ka: with two
        latents and with three the trace alone gives k, in any basis. A law that is not Schrödinger's has another
        dispersion relation, so no mass fits, or not the mass 1. The energy of the law is not used.

        One potential at a time says nothing about how the eigenvectors turn from one to the next: a rotation by ka in
        a fixed plane, a wave that is never scattered, has the same traces. So pairs are compared too, by the traces of
        ``T(V) T(V')⁻¹``: 2 cos ka cos k'a + (k/k' + k'/k) sin ka sin k'a for a wave (and t² − 1 for a density),
        2 cos (k − k')a for the rotation.

        Parameters
        ----------
        V : array_like, optional
            Potentials inside the training range, at least three different ones; 29 over the law's `span` if none are
            given.
        errors : bool
            Whether mass and energy are to have standard errors, if the law was fitted.

        Raises
        ------
        ValueError, TypeError
            If the law has neither two nor three latents, or `V` is not one axis of at least three potentials, or not
            given where the law has no span.

        Notes
        -----
        An error has two parts, added in squares: that of the fit, and what a polynomial leaves out of a wave:
        the difference between the masses (or energies) of the polynomials that are nearest to its transfer matrix over
        all potentials, and in their middle.

        Examples
        --------
        >>> V = np.linspace(-1, -0.3, 5)
        >>> leapfrog = Law([[[1, 0.4], [0, 1]], [[0.32, 0], [0.8, 0]]], shift=0, scale=1, spacing=0.4)
        >>> found = leapfrog.dispersion(V)
        >>> [round(float(x), 3) for x in (found.mass, found.energy, found.residual, found.scattering)]
        [1.036, -0.01, 0.001, 0.004]
        """
        d = self.latent_dim
        if d not in (2, 3):
            raise ValueError(f"a wave number can be read off two latents or three; the law has {d}")
        if V is None:
            if self.span is None:
                raise ValueError("V must be given: the law does not know in which potentials it was found")
            V = np.linspace(*self.span, 29)
        V = _check.array("V", V, 1)
        if len(np.unique(V)) < 3:
            raise ValueError(f"V must hold at least three different potentials; got {V.tolist()}")
        a, T = self.spacing, self._at(V)
        mass, energy, line = _wave(T, V, a)
        trace = np.trace(T, axis1=-2, axis2=-1)
        fitted = d - 2 + 2 * np.cos((d - 1) * a * np.emath.sqrt(line)).real
        # in sites instead of lengths, which may be of any size
        wave = simulator.transfer_matrix(-line * a**2 / 2, 1.0)
        pairs, exact = (np.einsum("iab,jba->ij", M, np.linalg.pinv(M)) for M in (T, wave))
        off = np.abs(pairs - (exact if d == 2 else exact**2 - 1)).max()
        found = Dispersion(mass, energy, float(np.abs(trace - fitted).max()), float(off))
        if not errors or self.covariance is None:
            return found
        chance = self.errors(lambda law: np.array(_wave(law._at(V), V, a)[:2]))
        x = (V - V.mean()) / V.std()
        terms = x[:, None] ** np.arange(1 + self.powers[:, 0].max())
        shape = (wave if d == 2 else symmetric_square(wave)).reshape(len(V), -1)
        nearest = []
        for weight in (np.ones((len(V), 1)), np.exp(-(x**2))[:, None]):
            fitted = np.linalg.lstsq(weight * terms, weight * shape, rcond=None)[0]
            nearest.append(_wave((terms @ fitted).reshape(T.shape), V, a)[:2])
        left_out = np.subtract(*nearest)
        return replace(
            found, **dict(zip(("mass_error", "energy_error"), np.hypot(chance, left_out).tolist(), strict=True))
        )

    def _at(self, V: np.ndarray) -> np.ndarray:
        """The update matrix where nothing but the potential is asked for."""
        return self.transfer_matrix(V, *self._middle())

    def equations(self) -> str:
        """The law in formulas: the recurrence of its canonical latents, and the wave equation nearest to it.

        Every coefficient has its standard error where the law was fitted. A wave equation stands there for two latents
        and for three; whether it is one is another question, see `verdict`.

        Examples
        --------
        >>> leapfrog = Law([[[1, 0.4], [0, 1]], [[0.32, 0], [0.8, 0]]], shift=-0.65, scale=0.2, spacing=0.4,
        ...     readout=[[1, 0], [0, 0]], span=(-1.0, -0.3))
        >>> print(leapfrog.equations())
        v = (V + 0.65) / 0.2
        ψ  ←  ψ + δ + 0.32 v ψ
        δ  ←  δ + 0.32 v ψ
        ρ  =  ψ²
        ψ″ = −2m (E − V) ψ  with  m = ..., E = ...
        """
        law = self.canonical()
        error = self.errors(lambda law: law.canonical().coefficients) if self.covariance is not None else None
        names = _names(self.latent_dim, self.readout.ndim == 2)
        lines = [f"v = (V {_signed(-self.shift)}) / {self.scale:.6g}"]
        for row, name in enumerate(names):
            terms = []
            for n, powers in enumerate(self.powers):
                drive = _monomial(powers)
                for column, other in enumerate(names):
                    bar = None if error is None else float(error[n, row, column])
                    terms += _term(float(law.coefficients[n, row, column]), bar, " ".join(filter(None, [drive, other])))
            right = " ".join(terms) or "0"
            lines.append(f"{name}  ←  {right.removeprefix('+ ')}")
        lines.append("ρ  =  ψ²" if self.readout.ndim == 2 else "")
        if self.latent_dim in (2, 3) and self.span is not None:
            wave = self.dispersion()
            what = "ψ″ = −2m (E − V) ψ" if self.latent_dim == 2 else "ρ‴ = −8m (E − V) ρ′ + 4m V′ ρ"
            lines.append(f"{what}  with  {wave}")
        return "\n".join(filter(None, lines))

    def __str__(self) -> str:
        return self.equations() if self.readout is not None else repr(self)

    def as_dict(self) -> dict:
        """All there is to the law, as JSON can hold it.

        Examples
        --------
        >>> Law(np.eye(2)[None], 0, 1, spacing=0.4).as_dict()["version"]
        1
        """
        out = {"format": FORMAT, "version": VERSION}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if isinstance(value, Told):
                value = {"matrix": value.matrix.tolist(), "shift": value.scaling.shift, "scale": value.scaling.scale}
            elif isinstance(value, Scaling):
                value = value._asdict()
            elif value is not None and name in ("coefficients", "readout", "start", "powers", "covariance"):
                value = np.asarray(value).tolist()
            elif value is not None:
                value = list(map(float, value)) if name == "span" else int(value) if name == "copies" else float(value)
            out[name] = value
        return out

    @classmethod
    def from_dict(cls, values: dict) -> Law:
        """Make the law that `as_dict` wrote down.

        Raises
        ------
        ValueError
            If it is none, or of a later version than this library knows.

        Examples
        --------
        >>> Law.from_dict(Law(np.eye(2)[None], 0, 1, spacing=0.4).as_dict()).latent_dim
        2
        """
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise ValueError(f"a law must say that its format is {FORMAT!r}; this one does not")
        if values.get("version") != VERSION:
            raise ValueError(
                f"a law must be of version {VERSION}, which this library knows; got {values.get('version')!r}"
            )
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        if isinstance(known.get("start"), dict):
            told = known["start"]
            known["start"] = Told(np.array(told["matrix"]), Scaling(told["shift"], told["scale"]))
        if known.get("constants") is not None:
            known["constants"] = Scaling(**known["constants"])
        if known.get("span") is not None:
            known["span"] = tuple(known["span"])
        return cls(**known)

    def save(self, path: Path | str) -> Path:
        """Write the law to one file, complete or not at all: JSON if its name ends so, else npz.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Law(np.eye(2)[None], 0, 1, spacing=0.4).save(Path(folder) / "law.json")
        ...     Law.load(path).spacing
        0.4
        """
        path = Path(path)
        text = json.dumps(self.as_dict(), indent=1)
        with store.atomic_write(path) as file:
            if path.suffix == ".json":
                file.write(f"{text}\n".encode())
            else:
                np.savez_compressed(file, law=text)
        return path

    @classmethod
    def load(cls, path: Path | str) -> Law:
        """Read what `save` wrote; no code in it is run.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is damaged or not a law; the message names it.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Law.load(Law(np.eye(2)[None], 0, 1, spacing=0.4).save(Path(folder) / "law.npz")).latent_dim
        2
        """
        path = Path(path)
        try:
            if path.suffix == ".json":
                return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
            with np.load(path, allow_pickle=False) as file:
                return cls.from_dict(json.loads(str(file["law"])))
        except (EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as problem:
            raise ValueError(f"{path} is damaged or not a saved Law: {problem}") from problem

    def invariant_form(self, V: np.ndarray) -> InvariantForm:
        """Symmetric form B for which gᵀBg is best conserved: ``T(V).T @ B @ T(V) = B`` at all `V`, by least squares.

        Of all B with Frobenius norm 1 the one with the smallest mean square of ‖TᵀBT − B‖ over `V`: a singular vector
        of a linear map on symmetric matrices. The density of Schrödinger's equation conserves ρξ − η², the square of
        the current, and nothing else; a wave function in one dimension conserves no symmetric form (its Wronskian is
        antisymmetric).

        Parameters
        ----------
        V : array_like
            Potentials inside the training range, any shape.

        Raises
        ------
        ValueError, TypeError
            If `V` is empty or not finite.

        Notes
        -----
        g → Mg takes an exactly conserved B to M⁻ᵀBM⁻¹. The residuals are norms in the basis of the law, so that the
        best form of a law that conserves none exactly, and the size of its residual, depend on the basis: scale the
        latents alike before comparing two laws.

        Examples
        --------
        A rotation by one radian for every unit of V, to second order, keeps the sum of squares:

        >>> turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
        >>> form = Law([np.eye(2), turn, turn @ turn / 2], 0, 1, spacing=0.4).invariant_form([-0.1, 0.1])
        >>> np.allclose(form.matrix, np.eye(2) / np.sqrt(2)), form.signature
        (True, (2, 0, 0))
        """
        T = self._at(np.ravel(_check.array("V", V)))[:, None]
        i, j = np.triu_indices(T.shape[-1])
        basis = np.zeros((len(i), *T.shape[-2:]))  # of the symmetric matrices, orthonormal
        basis[range(len(i)), i, j] = basis[range(len(i)), j, i] = np.where(i == j, 1, np.sqrt(0.5))
        change = np.moveaxis(T.mT @ basis @ T - basis, 1, -1).reshape(-1, len(i))
        _, residuals, forms = np.linalg.svd(change / np.sqrt(len(T)), full_matrices=False)
        form = InvariantForm(np.tensordot(forms[-1], basis, 1), residuals[::-1])
        positive, negative, _ = form.signature
        return InvariantForm(-form.matrix, form.residuals) if positive < negative else form


@dataclass(frozen=True)
class Dispersion:
    """The wave ``k² = 2 m (E − V)`` that a law of motion resembles most: see `Law.dispersion`.

    Attributes
    ----------
    mass, energy : float
        m, which is 1 in the units of this book, and E.
    residual : float
        Largest difference between the trace of the law and the trace of that wave.
    scattering : float
        The same for the traces of T(V) T(V')⁻¹, all pairs of potentials.
    mass_error, energy_error : float, optional
        Standard errors, if the law was fitted.

    Examples
    --------
    >>> print(Dispersion(mass=1.0, energy=0.2, residual=1e-4, scattering=2e-4, mass_error=0.003, energy_error=0.01))
    m = 1.0000 ± 0.0030, E = 0.200 ± 0.010
    """

    mass: float
    energy: float
    residual: float
    scattering: float
    mass_error: float | None = None
    energy_error: float | None = None

    def __str__(self) -> str:
        pairs = ("m", self.mass, self.mass_error), ("E", self.energy, self.energy_error)
        return ", ".join(f"{name} = {with_error(value, error)}" for name, value, error in pairs)


def with_error(value: float, error: float | None) -> str:
    """Write a number with as many digits as its standard error allows: two of the error.

    Examples
    --------
    >>> with_error(0.17925, 0.00021), with_error(31982.4, 31.0), with_error(2.0, None)
    ('0.17925 ± 0.00021', '31982 ± 31', '2')
    """
    if error is None or not np.isfinite([value, error]).all() or error <= 0:
        return f"{value:.6g}"
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    if digits > 9 or abs(value) >= 1e9:
        return f"{value:.9g} ± {error:.1e}"
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _wave(T: np.ndarray, V: np.ndarray, spacing: float) -> tuple[float, float, np.ndarray]:
    """Mass, energy and k² along the line fitted to it, for a law's matrices at potentials."""
    d = T.shape[-1]
    cosine = (np.trace(T, axis1=-2, axis2=-1) - (d - 2)) / 2
    # beyond ±1 a wave does not turn but grow, and k² is negative
    k2 = (np.emath.arccos(cosine) ** 2).real / ((d - 1) * spacing) ** 2
    middle = V.mean()  # taken off, so that a large one does not drown the line in rounding
    slope, level = np.polyfit(V - middle, k2, 1)
    energy = float(middle - level / slope) if slope else np.inf
    return float(-slope / 2), energy, level + slope * (V - middle)


def _names(d: int, quadratic: bool) -> list[str]:
    """What canonical latents are called: what is read off, and its first, second … difference."""
    return ["ψ" if quadratic else "ρ", *("δ" + "′" * n for n in range(d - 1))]


def _signed(x: float) -> str:
    return f"{'−' if x < 0 else '+'} {abs(x):.6g}"


def _monomial(powers: Iterable[int]) -> str:
    signs = {0: "", 1: "", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶"}
    names = ["v", *(f"c{n}" for n in range(1, 10))]
    return " ".join(f"{name}{signs.get(int(n), f'^{n}')}" for name, n in zip(names, powers, strict=False) if n)


def _term(value: float, error: float | None, of: str) -> list[str]:
    """One term of an equation; none where there is nothing but rounding."""
    if error is None:
        if abs(value) < 1e-9:
            return []
        size = "" if abs(abs(value) - 1) < 1e-9 else f"{abs(value):.6g} "
        return [f"{'−' if value < 0 else '+'} {size}{of}"]
    if error < 1e-12:
        if abs(value) < 1e-9:
            return []
        size = "" if abs(abs(value) - 1) < 1e-6 else f"{abs(value):.6g} "
        return [f"{'−' if value < 0 else '+'} {size}{of}"]
    return [f"{'−' if value < 0 else '+'} ({with_error(abs(value), error)}) {of}"]


@dataclass(frozen=True)
class InvariantForm:
    """A quadratic form of the latents that a law of motion conserves, as far as it does.

    Attributes
    ----------
    matrix : numpy.ndarray
        Symmetric, Frobenius norm 1, shape (latent_dim, latent_dim). Its sign, which conservation leaves open, is
        chosen so that the signature has at least as many plus as minus signs.
    residuals : numpy.ndarray
        Root mean square of ‖TᵀBT − B‖ for this form and for those orthogonal to it, ascending, shape
        (latent_dim (latent_dim + 1)/2,). The first says how well the form is conserved, the gap to the second that
        there is no other.

    Examples
    --------
    >>> form = InvariantForm(np.diag([0.8, -0.6]), np.array([1e-9, 0.1, 0.2]))
    >>> form.signature, round(float(form.value([1.0, 1.0])), 6)
    ((1, 1, 0), 0.2)
    """

    matrix: np.ndarray
    residuals: np.ndarray

    @property
    def signature(self) -> tuple[int, int, int]:
        """Number of positive, negative and zero eigenvalues, the same in every basis (Sylvester's law of inertia).

        An eigenvalue counts as zero within the uncertainty of the form: the first residual over the second, which is
        how far other forms may have mixed in (1e-12 is added to both, for rounding). Where nothing singles a form out,
        all of its eigenvalues are zero.
        """
        first, second = (*self.residuals, np.inf)[:2]
        uncertain, values = (first + 1e-12) / (second + 1e-12), np.linalg.eigvalsh(self.matrix)
        positive, negative = int(np.sum(values > uncertain)), int(np.sum(values < -uncertain))
        return positive, negative, len(values) - positive - negative

    def value(self, latents: np.ndarray) -> np.ndarray:
        """Conserved quantity gᵀBg of latents with shape (..., latent_dim), shape (...)."""
        g = _check.array("latents", latents)
        if g.shape[-1:] != self.matrix.shape[:1]:
            raise ValueError(f"latents must have {len(self.matrix)} components on the last axis; got shape {g.shape}")
        return np.einsum("...i,ij,...j->...", g, self.matrix, g)


def symmetric_square(T: np.ndarray) -> np.ndarray:
    """Matrices that move all products of two numbers, where `T` moves the numbers: (ψ, ψ') to (ρ, η, ξ).

    A law of a wave function becomes the law of its density (chapter 06).

    Parameters
    ----------
    T : array_like
        Shape (..., 2, 2).

    Returns
    -------
    numpy.ndarray
        Shape (..., 3, 3), acting on (a², ab, b²) of a pair (a, b).

    Raises
    ------
    ValueError, TypeError
        If `T` does not hold two-by-two matrices.

    Examples
    --------
    >>> symmetric_square([[1.0, 2.0], [0.0, 1.0]]).tolist()
    [[1.0, 4.0, 4.0], [0.0, 1.0, 2.0], [0.0, 0.0, 1.0]]
    """
    T = _check.array("T", T)
    if T.shape[-2:] != (2, 2):
        raise ValueError(f"T must hold two-by-two matrices; got shape {T.shape}")
    S = _fitting.Shape(2, 1, quadratic=True).lift(np.moveaxis(T, (-2, -1), (0, 1)))
    return np.moveaxis(S, (0, 1), (-2, -1))


def whiten(latents: np.ndarray) -> np.ndarray:
    """Change of basis after which latents are equally large in all directions, for `Law.change_basis`.

    Parameters
    ----------
    latents : array_like
        Shape (..., latent_dim).

    Returns
    -------
    numpy.ndarray
        W, upper triangular, for which the second moments of ``W @ g`` are the identity.

    Raises
    ------
    ValueError, TypeError
        If the latents are not finite, or lie in a plane, so that no basis makes them equally large.

    Examples
    --------
    >>> whiten([[2.0, 0.0], [0.0, 1.0]]).round(3).tolist()
    [[0.707, 0.0], [0.0, 1.414]]
    """
    g = _check.array("latents", latents)
    flat = g.reshape(-1, g.shape[-1])
    try:
        return np.linalg.cholesky(np.linalg.inv(flat.T @ flat / len(flat))).T
    except np.linalg.LinAlgError:
        raise ValueError(f"latents must span all of their {g.shape[-1]} dimensions; these do not") from None


@dataclass(frozen=True)
class Alignment:
    """A linear map from latents to known variables, judged on windows that it was not fitted on.

    Attributes
    ----------
    matrix : numpy.ndarray
        Shape (latent_dim, variables): ``aligned = sign * latents @ matrix``.
    signs : numpy.ndarray
        ±1 for every window, shape (windows,); ones if no window was allowed a sign of its own.
    aligned : numpy.ndarray
        The latents in the basis of the known variables, shape (windows, sites, variables).
    r2 : numpy.ndarray
        Coefficient of determination of every variable on the half that was not fitted, shape (variables,).

    Examples
    --------
    >>> Alignment(np.eye(2), np.ones(3), np.zeros((3, 5, 2)), np.array([0.9, 0.8])).r2.min().item()
    0.8
    """

    matrix: np.ndarray
    signs: np.ndarray
    aligned: np.ndarray
    r2: np.ndarray


def align(latents: np.ndarray, known: np.ndarray, signs: bool = True) -> Alignment:
    """Find the basis in which latents are known variables, (ψ, ψ') say: fit on every other window, score on the rest.

    A density fixes ψ only up to sign, so every window is allowed one sign of its own (for a window that is scored, too:
    one bit against hundreds of numbers). There is no offset: a linear law leaves the origin where it is.

    Parameters
    ----------
    latents : array_like
        Shape (windows, sites, latent_dim).
    known : array_like
        The variables at the same sites, shape (windows, sites, variables): (ψ, ψ'), or (ρ, η, ξ).
    signs : bool
        Whether each window may have a sign of its own: for ψ it must, for a density it would be one bit too many.

    Returns
    -------
    Alignment

    Raises
    ------
    ValueError, TypeError
        If shapes disagree, there are fewer than two windows, or a value is not finite.

    Notes
    -----
    Signs and map are found by turns: the map is first fitted to one window alone, then signs follow from the map and
    the map from the signs until the signs stay. Derived in chapter 04.

    Examples
    --------
    >>> x = np.linspace(0, 6, 30) + np.arange(8)[:, None]
    >>> hidden = np.stack([np.cos(x), -np.sin(x)], -1) @ [[2.0, 1.0], [0.5, -1.0]]
    >>> hidden[::3] *= -1
    >>> bool(align(hidden, np.stack([np.cos(x), -np.sin(x)], -1)).r2.min() > 1 - 1e-12)
    True
    """
    g = _check.array("latents", latents, 3)
    known = _check.array("known", known, 3)
    if known.shape[:2] != g.shape[:2]:
        raise ValueError(
            f"known must begin with the shape (windows, sites) of latents, {g.shape[:2]}; got {known.shape}"
        )
    if len(g) < 2:
        raise ValueError("latents must hold at least two windows, one to fit and one to score; got 1")
    fit, score = slice(0, None, 2), slice(1, None, 2)

    def solve(windows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        return np.linalg.lstsq(windows.reshape(-1, g.shape[-1]), wanted.reshape(-1, known.shape[-1]), rcond=None)[0]

    def choose(matrix: np.ndarray) -> np.ndarray:
        return np.where(np.einsum("wsd,dk,wsk->w", g, matrix, known) < 0, -1.0, 1.0)

    matrix, chosen = (solve(g[0], known[0]), None) if signs else (solve(g[fit], known[fit]), np.ones(len(g)))
    for _ in range(50 if signs else 0):
        chosen, before = choose(matrix), chosen
        if before is not None and np.array_equal(chosen, before):
            break
        matrix = solve(g[fit], chosen[fit, None, None] * known[fit])
    aligned = chosen[:, None, None] * (g @ matrix)
    rest, total = aligned[score] - known[score], known[score] - known[score].mean((0, 1))
    return Alignment(matrix, chosen, aligned, 1 - (rest**2).sum((0, 1)) / (total**2).sum((0, 1)))
