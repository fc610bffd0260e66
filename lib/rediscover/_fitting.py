"""Second-order fits of an explicit law to measured densities: steps of Levenberg and Marquardt with exact derivatives.

A law moves latents, g <- T g. What is read off them, w · g or gᵀQg, is a *linear* form of a **state** s that moves by a
matrix S of its own: s = g and S = T for a linear readout; for a quadratic one s are the products of two latents, and S
is the symmetric square of T. So the density is linear in the state at the left end. Where every chain has a start of
its own, the best one is therefore a small linear problem, solved anew for each law (variable projection: Golub &
Pereyra, SIAM J. Numer. Anal. 10 (1973) 413), and never becomes an unknown of the fit.

Arrays here have the chains on their last axis: all steps are products of whole rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import expm

#: Sites that count, stage by stage: the law of a step is learned before its consequences far down the chain are.
HORIZONS = (2, 3, 4, 6, 8, 12, 18, 26, 40, 60, 90, 130, 200, 300)
BLOCK = 512  # chains at once: their derivatives fit the cache
ROUGH = 1e-3  # of what is left, gained by a step: enough for laws that have rivals
TURN = 1.0  # radians, about, that random laws of a race turn by
TINY = 1e-13  # of the largest entry of a normal matrix: below it is rounding


@dataclass(frozen=True)
class Chains:
    """What a fit is given, in numbers of size one.

    Attributes
    ----------
    drive : numpy.ndarray
        Products of powers of what drives the law, shape (terms, sites, n).
    density, weight : numpy.ndarray
        Shape (sites, n); the weight is 1/σ, and 0 where nothing was measured.
    told : numpy.ndarray, optional
        What the states at the left ends are a linear form of, shape (numbers, n); a single row of ones where all start
        alike. None if every chain has a start of its own.
    """

    drive: np.ndarray
    density: np.ndarray
    weight: np.ndarray
    told: np.ndarray | None

    def __len__(self) -> int:
        return self.density.shape[1]

    @cached_property
    def total(self) -> float:
        """Weighted sum of squares about the weighted mean: what a loss is a share of."""
        return variation(self.density, self.weight)

    def take(self, chains: slice | np.ndarray, sites: int | None = None) -> Chains:
        """Some of the chains, and of each the first sites."""
        told = None if self.told is None else self.told[:, chains]
        drive, density, weight = (
            self.drive[:, :sites, chains],
            self.density[:sites, chains],
            self.weight[:sites, chains],
        )
        return Chains(np.ascontiguousarray(drive), np.ascontiguousarray(density), np.ascontiguousarray(weight), told)

    def pieces(self, sites: int) -> Chains:
        """Stretches of at most so many sites, each with a start of its own: errors have no time to grow on them."""
        total, n = self.density.shape
        count = -(-total // sites)
        sites = -(-total // count)

        def cut(x: np.ndarray) -> np.ndarray:
            x = np.concatenate([x, np.zeros((*x.shape[:-2], count * sites - total, n))], axis=-2)
            x = np.moveaxis(x.reshape(*x.shape[:-2], count, sites, n), -3, -2)
            return np.ascontiguousarray(x).reshape(*x.shape[:-2], count * n)

        return Chains(cut(self.drive), cut(self.density), cut(self.weight), None)

    def blocks(self) -> Iterator[Chains]:
        """Go through all chains, some at a time."""
        for first in range(0, len(self), BLOCK):
            yield self.take(slice(first, first + BLOCK)) if len(self) > BLOCK else self


@dataclass(frozen=True)
class Shape:
    """Which law is fitted: how many latents, read out how, driven by how many terms, started how.

    The unknowns are one vector: coefficients (terms, d, d), the form of the readout in terms of states (D,), and the
    start: latents (copies, d) if all chains start alike, a matrix (D, numbers) if they are told, nothing if each has
    its own.

    Attributes
    ----------
    latent_dim, terms : int
    quadratic : bool
        Whether the density is a quadratic form of the latents, or a linear one.
    start : {"fixed", "told", "own"}
    numbers : int
        How many numbers a chain is told.
    copies : int
        Sets of latents that one law moves; their forms add up. A complex ψ is two.
    pure : bool
        Whether an own start must be that of `copies` sets of latents; else its state may be any.
    """

    latent_dim: int
    terms: int
    quadratic: bool
    start: str = "fixed"
    numbers: int = 1
    copies: int = 1
    pure: bool = False

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Which latents the entries of a state are products of."""
        return np.triu_indices(self.latent_dim)

    @property
    def state_dim(self) -> int:
        d = self.latent_dim
        return d * (d + 1) // 2 if self.quadratic else d

    @property
    def restricted(self) -> bool:
        """Whether an own start is latents, and not any state."""
        return self.pure and self.quadratic

    @property
    def own_numbers(self) -> int:
        """How many numbers an own start takes."""
        return self.copies * self.latent_dim if self.restricted else self.state_dim

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Number of coefficients, of the numbers of the readout, and of those of the start."""
        d, D = self.latent_dim, self.state_dim
        start = {"fixed": self.copies * d, "told": D * self.numbers, "own": 0}[self.start]
        return self.terms * d * d, D, start

    def unpack(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Coefficients (terms, d, d), readout (D,) and start of a vector of unknowns."""
        U, q, start = np.split(x, np.cumsum(self.sizes)[:2])
        d = self.latent_dim
        shape = {"fixed": (self.copies, d), "told": (self.state_dim, self.numbers), "own": (0,)}[self.start]
        return U.reshape(self.terms, d, d), q, start.reshape(shape)

    def first(self, rng: np.random.Generator, turn: float = 0.0) -> np.ndarray:
        """Random unknowns to begin with: steps that change little, or that turn latents by angles of order `turn`."""
        d = self.latent_dim
        U = 0.1 * rng.normal(size=(self.terms, d, d))
        U[0] = np.eye(d) + 0.2 * rng.normal(size=(d, d))  # the term without any drive
        if turn:
            A = np.triu(rng.normal(size=(d, d)), 1)
            U[0] += expm(turn * (A - A.T)) - np.eye(d)
        if self.quadratic:
            Q = 0.5 * np.eye(d) + 0.1 * rng.normal(size=(d, d))
            q = (Q + Q.T - np.diag(np.diag(Q)))[self.pairs]
        else:
            q = rng.normal(size=d)
        start = rng.normal(size=self.sizes[2])
        if self.start == "told":
            start.reshape(self.state_dim, -1)[:, 1:] *= 0.1
        return np.concatenate([U.ravel(), q, start])

    def products(self, g: np.ndarray) -> np.ndarray:
        """States (D, ...) of latents (copies, d, ...)."""
        if not self.quadratic:
            return g.sum(0)
        i, j = self.pairs
        return (g[:, i] * g[:, j]).sum(0)

    def tangents(self, g: np.ndarray) -> np.ndarray:
        """How a state changes with the latents (copies, d, ...) that it is made of: (D, copies * d, ...)."""
        copies, d = g.shape[:2]
        if not self.quadratic:
            one = np.tile(np.eye(d), (1, copies))
            return np.broadcast_to(one.reshape(d, copies * d, *[1] * (g.ndim - 2)), (d, copies * d, *g.shape[2:]))
        out = np.zeros((self.state_dim, copies, d, *g.shape[2:]))
        for p, (i, j) in enumerate(zip(*self.pairs, strict=True)):
            out[p, :, i] += g[:, j]
            out[p, :, j] += g[:, i]
        return out.reshape(self.state_dim, copies * d, *g.shape[2:])

    def lift(self, T: np.ndarray) -> np.ndarray:
        """Matrices (D, D, ...) that move states, where T (d, d, ...) moves latents."""
        if not self.quadratic:
            return T
        pairs = list(zip(*self.pairs, strict=True))
        S = np.empty((len(pairs), len(pairs), *T.shape[2:]))
        for p, (i, j) in enumerate(pairs):
            for r, (k, m) in enumerate(pairs):
                S[p, r] = T[i, k] * T[j, m] if k == m else T[i, k] * T[j, m] + T[i, m] * T[j, k]
        return S

    def source(self, T: np.ndarray, s: np.ndarray) -> np.ndarray:
        """How a step's outcome changes with the entries of T (d, d, n): (D, d * d, n), from the state s (D, n)."""
        d, n = self.latent_dim, s.shape[-1]
        out = np.zeros((self.state_dim, d, d, n))
        if not self.quadratic:
            for i in range(d):
                out[i, i] = s
            return out.reshape(d, d * d, n)
        X = np.empty((d, d, n))
        i, j = self.pairs
        X[i, j] = X[j, i] = s
        moved = np.einsum("acn,cbn->abn", T, X)
        for p, (i, j) in enumerate(zip(*self.pairs, strict=True)):
            out[p, i] += moved[j]
            out[p, j] += moved[i]
        return out.reshape(self.state_dim, d * d, n)

    def steps(self, x: np.ndarray, drive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Matrices of all sites, for latents (d, d, sites, n) and for states (D, D, sites, n)."""
        U, d = x[: self.sizes[0]].reshape(self.terms, -1), self.latent_dim
        T = (U.T @ drive.reshape(self.terms, -1)).reshape(d, d, *drive.shape[1:])
        return T, self.lift(T)


def variation(density: np.ndarray, weight: np.ndarray) -> float:
    """Weighted sum of squares of a density about its weighted mean."""
    w = weight**2
    return float(np.sum(w * (density - np.sum(w * density) / w.sum()) ** 2))


def times(S: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Products S x of matrices (D, D, n) with columns (D, k, n)."""
    out = S[:, 0, None] * x[None, 0]
    for j in range(1, len(x)):
        out += S[:, j, None] * x[None, j]
    return out


def responses(shape: Shape, x: np.ndarray, drive: np.ndarray) -> np.ndarray:
    """How the densities depend on the state at the left end: (D, sites, n)."""
    _, S = shape.steps(x, drive)
    coefficients, D, _ = shape.sizes
    q, (sites, n) = x[coefficients : coefficients + D], drive.shape[1:]  # there may be no start yet
    P, out = np.broadcast_to(np.eye(D)[..., None], (D, D, n)), np.empty((D, sites, n))
    for i in range(sites):
        P = times(S[:, :, i], P)
        out[:, i] = np.einsum("p,prn->rn", q, P)
    return out


def own_states(shape: Shape, B: np.ndarray, chains: Chains) -> np.ndarray:
    """The state at the left end that suits each chain best, (D, n), from the responses B (D, sites, n)."""
    return shape.products(own_latents(shape, B, chains)) if shape.restricted else _best(*_normal(B, chains)).T


def own_latents(shape: Shape, B: np.ndarray, chains: Chains) -> np.ndarray:
    """Latents (copies, d, n) at the left ends that suit each chain best, from the responses B."""
    return _latents(shape, *_normal(B, chains))


def common_start(shape: Shape, x: np.ndarray, chains: Chains) -> np.ndarray:
    """Latents (copies, d) that suit all chains best, if they are to start alike."""
    A, b = _normal(responses(shape, x, chains.drive), chains)
    return _latents(shape, A.sum(0, keepdims=True), b.sum(0, keepdims=True), steps=50)[..., 0]


def _best(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """States (n, D) that solve normal equations."""
    return _solve(A, b[..., None])[..., 0]


def _latents(shape: Shape, A: np.ndarray, b: np.ndarray, steps: int = 12) -> np.ndarray:
    """Latents (copies, d, n) that solve normal equations of states as well as latents can."""
    best = _best(A, b)
    return _purify(shape, A, best, steps) if shape.quadratic else best.T[None]


def _normal(B: np.ndarray, chains: Chains) -> tuple[np.ndarray, np.ndarray]:
    """Normal equations of the states at the left ends: (n, D, D) and (n, D)."""
    weighted = np.moveaxis(B * chains.weight, -1, 0)  # (n, D, sites)
    y = (chains.density * chains.weight).T
    return weighted @ weighted.mT, np.einsum("nds,ns->nd", weighted, y)


def _solve(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Solve small symmetric systems (n, D, D) for b (n, D, k); directions that nothing depends on stay 0."""
    size = np.sqrt(np.maximum(np.einsum("nii->ni", A), 1e-300))
    scaled = A / (size[:, :, None] * size[:, None, :])
    scaled[:, range(A.shape[1]), range(A.shape[1])] += TINY
    with np.errstate(all="ignore"):
        finite = np.isfinite(scaled).all((1, 2))
        scaled[~finite] = np.eye(A.shape[1])
        return np.linalg.solve(scaled, b / size[..., None]) / size[..., None]


def _purify(shape: Shape, A: np.ndarray, best: np.ndarray, steps: int) -> np.ndarray:
    """Latents (copies, d, n) whose state is nearest to the best one (n, D), as far as densities can tell.

    Damped steps of Gauss and Newton on (s(g) − best)ᵀ A (s(g) − best), for all chains side by side.
    """
    n, d, copies = len(best), shape.latent_dim, shape.copies
    X, (i, j) = np.empty((n, d, d)), shape.pairs
    X[:, i, j] = X[:, j, i] = np.where(np.isfinite(best), best, 0)
    values, vectors = np.linalg.eigh(X)
    g = np.sqrt(np.maximum(values, 1e-12 * np.abs(values).max(1, keepdims=True) + 1e-300))[:, None] * vectors
    g = g[:, :, ::-1][:, :, :copies].transpose(2, 1, 0)  # the largest first
    damping = np.full(n, 1e-3)

    def off(g):
        rest = shape.products(g).T - best
        return rest, np.einsum("ni,nij,nj->n", rest, A, rest)

    rest, cost = off(g)
    for _ in range(steps):
        t = np.moveaxis(shape.tangents(g), -1, 0)  # (n, D, copies * d)
        H = t.mT @ A @ t
        diagonal = np.einsum("nii->ni", H)
        H[:, range(H.shape[1]), range(H.shape[1])] += damping[:, None] * diagonal + 1e-300
        step = _solve(H, t.mT @ (A @ rest[..., None]))[..., 0]
        new = g - step.T.reshape(copies, d, n)
        new_rest, new_cost = off(new)
        better = new_cost < cost
        g, cost = np.where(better, new, g), np.where(better, new_cost, cost)
        rest = np.where(better[:, None], new_rest, rest)
        damping = np.where(better, damping / 10, damping * 10)
    return g


def starts_of(shape: Shape, x: np.ndarray, chains: Chains) -> np.ndarray:
    """States at the left ends, (D, n)."""
    start = shape.unpack(x)[2]
    if shape.start == "own":
        return own_states(shape, responses(shape, x, chains.drive), chains)
    if shape.start == "told":
        return start @ chains.told
    return np.repeat(shape.products(start)[:, None], len(chains), 1)


def predictions(shape: Shape, x: np.ndarray, chains: Chains) -> np.ndarray:
    """Densities (sites, n) that a law gives, each chain from its start."""
    if shape.start == "own":
        B = responses(shape, x, chains.drive)
        return np.einsum("dsn,dn->sn", B, own_states(shape, B, chains))
    s, q = starts_of(shape, x, chains)[:, None], shape.unpack(x)[1]
    _, S = shape.steps(x, chains.drive)
    out = np.empty(chains.density.shape)
    for i in range(len(out)):
        s = times(S[:, :, i], s)
        out[i] = q @ s[:, 0]
    return out


def cost(shape: Shape, x: np.ndarray, chains: Chains) -> float:
    """Weighted sum of squares that a law leaves."""
    with np.errstate(all="ignore"):  # a law that is none may run away
        parts = [np.sum(((predictions(shape, x, c) - c.density) * c.weight) ** 2) for c in chains.blocks()]
    return float(np.sum(parts)) if np.isfinite(parts).all() else np.inf


def normal_equations(shape: Shape, x: np.ndarray, chains: Chains) -> tuple[np.ndarray, np.ndarray]:
    """JᵀJ over all unknowns, own starts eliminated, and what each chain adds to Jᵀr: (k, k) and (n, k)."""
    with np.errstate(all="ignore"):
        parts = [_normal_block(shape, x, c) for c in chains.blocks()]
    return np.sum([H for H, _ in parts], axis=0), np.concatenate([b for _, b in parts])


def _normal_block(shape: Shape, x: np.ndarray, chains: Chains) -> tuple[np.ndarray, np.ndarray]:
    coefficients, D, _ = shape.sizes
    d, n, sites = shape.latent_dim, len(chains), len(chains.density)
    _, q, start = shape.unpack(x)
    T, S = shape.steps(x, chains.drive)
    latents = None
    if shape.start == "own" and shape.restricted:
        latents = own_latents(shape, responses(shape, x, chains.drive), chains)
    s0 = starts_of(shape, x, chains) if latents is None else shape.products(latents)
    # columns that move alike: the state, its derivatives by the coefficients, those by the start
    if shape.start == "own":
        by_start = np.broadcast_to(np.eye(D)[..., None], (D, D, n))
    elif shape.start == "told":
        by_start = np.zeros((D, D, shape.numbers, n))
        by_start[range(D), range(D)] = chains.told
        by_start = by_start.reshape(D, -1, n)
    else:
        by_start = np.repeat(shape.tangents(start)[..., None], n, -1)
    columns = np.concatenate([s0[:, None], np.zeros((D, coefficients, n)), by_start], axis=1)
    J, found = np.empty((coefficients + D + by_start.shape[1], sites, n)), np.empty((sites, n))
    for i in range(sites):
        here = shape.source(T[:, :, i], columns[:, 0])
        columns = times(S[:, :, i], columns)
        inner = columns[:, 1 : 1 + coefficients].reshape(D, shape.terms, d * d, n)
        inner += chains.drive[None, :, i, None] * here[:, None]
        seen = np.einsum("p,pkn->kn", q, columns)
        found[i] = seen[0]
        J[:coefficients, i], J[coefficients + D :, i] = seen[1 : 1 + coefficients], seen[1 + coefficients :]
        J[coefficients : coefficients + D, i] = columns[:, 0]
    J *= chains.weight
    r = (found - chains.density) * chains.weight
    if shape.start != "own":
        flat = J.reshape(len(J), -1)
        return flat @ flat.T, np.einsum("ksn,sn->nk", J, r)
    shared, own = (np.moveaxis(part, -1, 0) for part in (J[: coefficients + D], J[coefficients + D :]))  # (n, k, sites)
    if latents is not None:
        own = np.moveaxis(shape.tangents(latents), -1, 0).mT @ own
    rest = r.T[:, :, None]
    cross = own @ shared.mT  # (n, own, k)
    inverse = _solve(own @ own.mT, np.concatenate([cross, own @ rest], axis=-1))
    flat = np.ascontiguousarray(shared.transpose(1, 0, 2)).reshape(shared.shape[1], -1)
    H = flat @ flat.T - np.einsum("nok,nol->kl", cross, inverse[..., :-1])
    return H, (shared @ rest)[..., 0] - np.einsum("nok,no->nk", cross, inverse[..., -1])


@dataclass(frozen=True)
class Fit:
    """Where a fit has come to: the unknowns, their loss, and the losses of the stages so far."""

    shape: Shape
    x: np.ndarray
    loss: float
    path: tuple[float, ...] = ()

    def __lt__(self, other: Fit) -> bool:
        return self.loss < other.loss


def descend(fit: Fit, chains: Chains, steps: int = 40, gain: float = 1e-5) -> Fit:
    """Take damped steps until one gains less than a share `gain` of what is left."""
    shape, x, damping = fit.shape, fit.x, 1e-2
    total, now = chains.total, cost(shape, x, chains)
    for _ in range(steps):
        H, by_chain = normal_equations(shape, x, chains)
        b = by_chain.sum(0)
        if not (np.isfinite(H).all() and np.isfinite(b).all()):
            break
        diagonal = np.diag(H) + TINY * np.trace(H) + 1e-300
        for _ in range(8):
            step = np.linalg.solve(H + np.diag(damping * diagonal), b)
            then = cost(shape, x - step, chains)
            if then < now:
                break
            damping *= 5
        else:
            break
        gained = (now - then) / now
        x, now, damping = x - step, then, max(damping / 5, 1e-12)
        if gained < gain or now < 1e-26 * total:
            break
    return replace(fit, x=x, loss=now / total, path=(*fit.path, now / total))


def horizons(shape: Shape, sites: int) -> list[int]:
    """Stages of a fit: an own start must leave something to be explained."""
    least = 2 if shape.start != "own" else shape.state_dim + 3
    return [*(h for h in HORIZONS if least <= h < sites), sites]


def race(shape: Shape, chains: Chains, few: int, tries: int, seed: int, keep: int = 2) -> list[Fit]:
    """Begin with random laws on a `few` of the chains, leave the worse half behind at every stage; the best first.

    Judged by the loss alone. Those that are kept go on to all chains; the others keep the loss that they had over whole
    chains.
    """
    rng = np.random.default_rng([seed, shape.latent_dim, shape.quadratic])
    near = chains.take(slice(None, None, max(1, len(chains) // few)))
    running = [Fit(shape, shape.first(rng, TURN), np.inf) for _ in range(tries)]
    done: list[Fit] = []
    for stage, horizon in enumerate(horizons(shape, len(chains.density))):
        running = sorted(descend(fit, near.take(slice(None), horizon), 20, ROUGH) for fit in running)
        if stage >= 2 and len(running) > keep:
            half = max(keep, (len(running) + 1) // 2)
            done += running[half:]
            running = running[:half]
    done = [replace(fit, loss=cost(shape, fit.x, near) / near.total) for fit in done + running[keep:]]
    return sorted([*(descend(fit, chains, gain=ROUGH) for fit in running[:keep]), *done])


def climb(shape: Shape, x: np.ndarray, chains: Chains, steps: int = 40, gain: float = 1e-5) -> Fit:
    """Take one law through all stages."""
    fit = Fit(shape, x, np.inf)
    for horizon in horizons(shape, len(chains.density)):
        fit = descend(fit, chains.take(slice(None), horizon), steps, gain)
    return fit


def covariance(fit: Fit, chains: Chains) -> np.ndarray:
    """Covariance of the unknowns, net of the directions in which nothing changes.

    By how much the chains disagree (a sandwich, clustered by chain: Liang & Zeger, Biometrika 73 (1986) 13): right
    whatever the noise is, as long as that of one chain has nothing to do with that of another.
    """
    H, by_chain = normal_equations(fit.shape, fit.x, chains)
    size = np.sqrt(np.maximum(np.diag(H), 1e-300))
    inverse = np.linalg.pinv(H / np.outer(size, size), rcond=1e-10, hermitian=True) / np.outer(size, size)
    n, fitted = len(chains), np.linalg.matrix_rank(inverse)
    # those few unknowns that follow a chain make it look too good: the square is the correction for it (HC3)
    return inverse @ (by_chain.T @ by_chain) @ inverse * (n / max(n - fitted, 1)) ** 2
