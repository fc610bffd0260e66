"""The hidden world: a stationary state of Schrödinger's equation carried along a chain, exactly and for many at once.

Units ħ = m = 1, so ψ'' = Uψ with U = 2(V − E). Where V is constant the solution is known in closed form, and a site
of length a carries (ψ, ψ') by a 2×2 matrix T. Chapter 01 derives it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh_tridiagonal

from . import _check

_LARGEST = 1e150  # amplitudes up to here can be squared without overflow


@dataclass(frozen=True)
class Wave:
    """A wave function along a chain.

    Attributes
    ----------
    psi, dpsi : numpy.ndarray
        ψ and ψ' at the start and at the right edge of every site, shape (n, sites + 1), or (sites + 1,) for a single
        potential; real for real starts, complex otherwise.

    Examples
    --------
    A plane wave exp(ix) has density 1 everywhere and carries the current k = 1:

    >>> wave = propagate([-0.5, -0.5], spacing=0.4, start=(1, 1j))
    >>> wave.psi.shape, wave.density.round(12).tolist(), wave.current.round(12).tolist()
    ((3,), [1.0, 1.0], [1.0, 1.0])
    """

    psi: np.ndarray
    dpsi: np.ndarray

    @property
    def density(self) -> np.ndarray:
        """|ψ|² at the right edge of every site, shape (n, sites)."""
        psi = self.psi[..., 1:]
        return (psi.conj() * psi).real

    @property
    def current(self) -> np.ndarray:
        """Probability current Im ψ*ψ' at the right edge of every site, shape (n, sites); zero for real ψ."""
        return (self.psi[..., 1:].conj() * self.dpsi[..., 1:]).imag


def transfer_matrix(V: np.ndarray, spacing: float, energy: float | np.ndarray = 0.0) -> np.ndarray:
    """Exact transfer matrix of one site, (ψ, ψ') at its left edge to (ψ, ψ') at its right edge.

    T = [[cos ka, sin(ka)/k], [−k sin ka, cos ka]] with k = √(2(E − V)); hyperbolic functions where V > E, and the
    limit [[1, a], [0, 1]] at V = E. det T = 1 and tr T = 2 cos ka. Derived in chapter 01.

    Parameters
    ----------
    V : array_like
        Potential (energy), any shape.
    spacing : float
        Length a of a site.
    energy : float or array_like
        E, one number or one a sample (the shape of V without its last axis).

    Returns
    -------
    numpy.ndarray
        Shape V.shape + (2, 2).

    Raises
    ------
    ValueError, TypeError
        If an input is empty, not finite or of the wrong shape, the spacing is not positive, or the matrix overflows
        (the message says where and why).

    Examples
    --------
    >>> T = transfer_matrix(-0.5, spacing=np.pi / 2)  # k = 1: a quarter of a wavelength swaps ψ and ψ'
    >>> np.abs(T.round(12)).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    V, a = _check.array("V", V), _check.positive("spacing", spacing)
    E = _per_sample("energy", energy, V)
    with np.errstate(over="ignore", invalid="ignore"):  # overflow is caught and explained below
        U = 2 * (V - (E[..., None] if E.ndim else E))
        t = _exact(U, a)
    T = np.stack([np.stack(t[:2], -1), np.stack(t[2:], -1)], -2)
    if not np.isfinite(T).all():
        where = tuple(map(int, np.argwhere(~np.isfinite(T))[0][:-2]))
        raise ValueError(
            f"V, energy, spacing: the transfer matrix overflows at index {where} of V. It grows as exp(a √(2(V − E))),"
            f" here with V − E = {U[where] / 2:.3g} and a = {a:.3g}. Lower the potential, raise the energy or shorten"
            " the spacing."
        )
    return T


def propagate(V: np.ndarray, spacing: float, energy: float | np.ndarray = 0.0, start: tuple = (1.0, 0.0)) -> Wave:
    """Carry (ψ, ψ') from the left end of each chain to the right by the exact transfer matrices.

    Parameters
    ----------
    V : array_like
        Potentials, shape (n, sites), or (sites,) for one.
    spacing : float
        Length a of a site.
    energy : float or array_like
        E, one number or one a sample, shape (n,).
    start : tuple
        (ψ, ψ') at the left end, real or complex, each one number or one a sample, shape (n,).

    Returns
    -------
    Wave
        ψ and ψ' including the start; without the batch axis if V has none.

    Raises
    ------
    ValueError
        If the density overflows (the message says in which sample, at which site and why), or an input is empty, not
        finite or of the wrong shape.
    TypeError
        If an input does not hold numbers.

    Examples
    --------
    A free particle with k = 1 that starts with slope zero is a cosine:

    >>> wave = propagate(np.full(50, -0.5), spacing=0.1)
    >>> bool(np.allclose(wave.density, np.cos(0.1 * np.arange(1, 51)) ** 2))
    True
    """
    return _march(_exact, V, spacing, energy, start)


def leapfrog(V: np.ndarray, spacing: float, energy: float | np.ndarray = 0.0, start: tuple = (1.0, 0.0)) -> Wave:
    """Carry (ψ, ψ') by the second-order recurrence ψᵢ₊₁ − 2ψᵢ + ψᵢ₋₁ = a²Uᵢψᵢ instead of the exact step.

    T = [[1 + a²U, a], [aU, 1]], which has det T = 1 and tr T = 2 + a²U, where the exact trace is
    2 + a²U + (a²U)²/12 + … . ψ' here is the backward difference (ψᵢ − ψᵢ₋₁)/a, that is the slope half a site
    earlier. Parameters, result and errors are those of `propagate`; chapter 05 tells the two laws apart.

    Examples
    --------
    >>> psi = leapfrog([-0.5, -0.5, -0.5], spacing=0.1).psi
    >>> bool(np.allclose(np.diff(psi, 2), 0.1**2 * 2 * -0.5 * psi[1:-1]))
    True
    """
    return _march(_leapfrog, V, spacing, energy, start)


def ground_state(V: np.ndarray, spacing: float) -> tuple[float, np.ndarray]:
    """Ground state of a particle (or an ideal condensate) trapped between hard walls one site beyond either end.

    The lowest eigenvector of −½ d²/dx² + V with the second derivative as a second difference; its energy is right to
    second order in the spacing. Where V is its own mirror image, so is the state, however high the barrier between two
    wells. Elsewhere two states closer than rounding (some 10⁻¹⁵ of the largest V + 1/a²) may come out mixed: any
    mixture solves the equation as well as double precision can tell.

    Parameters
    ----------
    V : array_like
        Potential, shape (sites,).
    spacing : float
        Distance a between sites.

    Returns
    -------
    energy : float
    psi : numpy.ndarray
        Shape (sites,), positive, normalised so that a Σψ² = 1.

    Raises
    ------
    ValueError, TypeError
        If V is empty, not finite or not one-dimensional, or the spacing is not positive, or 1/a² overflows.

    Examples
    --------
    >>> x = np.linspace(-6, 6, 601)
    >>> energy, psi = ground_state(x**2 / 2, spacing=0.02)
    >>> round(energy, 4)
    0.5
    """
    V, a = _check.array("V", V, 1), _check.positive("spacing", spacing)
    hop, size = 0.5 / a / a, len(V)
    with np.errstate(over="ignore"):
        diagonal, beside = V + 2 * hop, np.full(size - 1, -hop)
    largest = np.abs(diagonal).max()
    if not largest < np.inf:
        raise ValueError(f"V, spacing: V + 1/spacing² overflows. Widen the spacing, {a:.3g}, or lower V.")
    even = np.all(np.abs(diagonal - diagonal[::-1]) <= 16 * np.finfo(float).eps * largest)  # but for rounding
    if even:
        # the state is even, so one half of the trap decides it, and there no odd state is close enough to be mixed in
        half = (size + 1) // 2
        diagonal, beside = diagonal[:half], beside[: half - 1]
        if size % 2:
            beside[-1:] *= np.sqrt(2)  # the middle site counts once, every other one twice
        else:
            diagonal[-1] -= hop  # the site beyond the middle has the same amplitude
    # MRRR (stemr) separates close states as well as double precision can; bisection (stebz), the default, does not
    energy, state = eigh_tridiagonal(diagonal, beside, select="i", select_range=(0, 0), lapack_driver="stemr")
    psi = np.abs(state[:, 0])  # a ground state has no node; the solver leaves its sign open
    if even:
        psi[-1] *= np.sqrt(2) if size % 2 else 1
        psi = np.concatenate([psi, psi[: size // 2][::-1]])
    return float(energy[0]), psi / np.sqrt(a * np.sum(psi**2))


def _exact(U: np.ndarray, a: float) -> tuple[np.ndarray, ...]:
    """Entries (T₀₀, T₀₁, T₁₀, T₁₁) of the exact step."""
    # ka, or κa where V > E; sin(r)/r needs some r, of which a/r neither overflows nor is rounded
    r = np.maximum(np.sqrt(np.abs(U)) * a, 2.0**-500)
    forbidden, c, s = U > 0, np.asarray(np.cos(r)), np.asarray(np.sin(r))
    np.cosh(r, out=c, where=forbidden)
    np.sinh(r, out=s, where=forbidden)
    s *= a / r
    return c, s, U * s, c


def _leapfrog(U: np.ndarray, a: float) -> tuple[np.ndarray, ...]:
    one = np.ones_like(U)
    return 1 + a * a * U, a * one, a * U, one


def _march(step: Callable, V: np.ndarray, spacing: float, energy: float | np.ndarray, start: tuple) -> Wave:
    """The whole batch one site at a time. Arrays are time-major, so that every site is contiguous in memory."""
    V, a = _check.array("V", V, (1, 2)), _check.positive("spacing", spacing)
    E = _per_sample("energy", energy, V)
    if not isinstance(start, tuple | list | np.ndarray) or getattr(start, "ndim", 1) == 0 or len(start) != 2:
        raise ValueError(f"start must be a pair (psi, dpsi); got {start!r}")
    begin = [_per_sample(f"start[{i}]", s, V, allow_complex=True) for i, s in enumerate(start)]
    with np.errstate(over="ignore", invalid="ignore"):  # overflow is caught and explained below
        U = 2 * np.subtract(np.atleast_2d(V).T, E, order="C")
        psi, dpsi = np.empty((2, len(U) + 1, U.shape[1]), np.result_type(*begin))
        psi[0], dpsi[0] = begin
        for i, u in enumerate(U):
            t00, t01, t10, t11 = step(u, a)
            psi[i + 1] = t00 * psi[i] + t01 * dpsi[i]
            dpsi[i + 1] = t10 * psi[i] + t11 * dpsi[i]
            if not (np.abs(psi[i + 1]).max() < _LARGEST and np.abs(dpsi[i + 1]).max() < _LARGEST):
                _explain_overflow(U, psi, dpsi, i)
    psi, dpsi = psi.T, dpsi.T
    return Wave(psi, dpsi) if V.ndim == 2 else Wave(psi[0], dpsi[0])


def _explain_overflow(U: np.ndarray, psi: np.ndarray, dpsi: np.ndarray, site: int) -> None:
    fine = (np.abs(psi[site + 1]) < _LARGEST) & (np.abs(dpsi[site + 1]) < _LARGEST)
    sample = int(np.argmin(fine))
    above = U[: site + 1, sample] / 2
    cause = (
        f"psi grows exponentially where V exceeds the energy, here at {np.sum(above > 0)} of {site + 1} sites and by up"
        f" to {above.max():.3g}. Lower the potential, raise the energy or shorten the chain."
        if np.any(above > 0)
        else "V does not exceed the energy before it, so that the start, the spacing or energy − V is too large."
    )
    raise ValueError(f"V, energy: the density of sample {sample} overflows at site {site}. {cause}")


def _per_sample(name: str, value: object, V: np.ndarray, **allow: bool) -> np.ndarray:
    out = _check.array(name, value, **allow)
    if out.shape not in ((), V.shape[:-1]):
        raise ValueError(f"{name} must be one number or have shape {V.shape[:-1]} (one a sample); got {out.shape}")
    return out
