"""An explicit law of motion, such as a distiller finds, and the tools to compare it with physics.

Nothing here is trained, tuned or decided: a `Law` is a matrix as a function of the potential. Its trace and determinant
do not depend on the basis in which a machine happened to find its latents. What is to be *said* of a law stands in
`discovery`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import Polynomial

from . import _check, simulator
from .dataset import Dataset


@dataclass(frozen=True)
class Law:
    """Linear law ``g <- T(V) g`` with ``T(V) = sum_n v**n U_n`` and ``v = (V - shift) / scale``.

    Attributes
    ----------
    coefficients : numpy.ndarray
        Taylor coefficients U_n, shape (order + 1, latent_dim, latent_dim).
    shift, scale : float
        Standardisation of the potential.
    spacing, energy : float
        Length of a site and energy of the states, which set the units of `trace_series`.

    Raises
    ------
    ValueError, TypeError
        If the coefficients are not a finite stack of square matrices, or scale or spacing is not positive.

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
    energy: float = 0.0

    def __post_init__(self) -> None:
        coefficients = _check.array("coefficients", self.coefficients, 3)
        if coefficients.shape[1] != coefficients.shape[2]:
            raise ValueError(f"coefficients must be square matrices (order + 1, d, d); got shape {coefficients.shape}")
        object.__setattr__(self, "coefficients", _check.frozen(coefficients))
        _check.number("shift", self.shift), _check.number("energy", self.energy)
        _check.positive("scale", self.scale), _check.positive("spacing", self.spacing)

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
        return cls(coefficients[member], *translator.potential, data.spacing, data.energy)

    def transfer_matrix(self, V: np.ndarray) -> np.ndarray:
        """Update matrix at every potential in `V`, shape V.shape + (latent_dim, latent_dim).

        Examples
        --------
        >>> Law(np.eye(2)[None], 0, 1, spacing=0.4).transfer_matrix([-1.0, -0.5]).shape
        (2, 2, 2)
        """
        v = (_check.array("V", V) - self.shift) / self.scale
        return np.einsum("...n,nij->...ij", v[..., None] ** np.arange(len(self.coefficients)), self.coefficients)

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
        order, d, _ = self.coefficients.shape
        if g.shape != (len(V), d):
            raise ValueError(f"latents must have shape {(len(V), d)}; got {g.shape}")
        v = np.ascontiguousarray((V.T - self.shift) / self.scale)
        # all chains side by side, one product a site: the matrices [U_0 U_1 ...] times [g, v g, ...]
        flat = np.ascontiguousarray(self.coefficients.transpose(1, 0, 2).reshape(d, -1))
        path, terms = np.empty((len(v) + 1, d, len(g))), np.empty((order, d, len(g)))
        path[0] = g.T
        with np.errstate(over="ignore", invalid="ignore"):  # a law that is none may run away; whoever asked sees it
            for i, here in enumerate(v):
                terms[0] = path[i]
                for n in range(1, order):
                    np.multiply(terms[n - 1], here, out=terms[n])
                np.matmul(flat, terms.reshape(-1, len(g)), out=path[i + 1])
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
        return replace(self, coefficients=M @ self.coefficients @ np.linalg.inv(M))

    def trace(self, V: np.ndarray) -> np.ndarray:
        """Trace of the update matrix, shape of `V`; 2 cos ka for Schrödinger's ψ, 1 + 2 cos 2ka for its density.

        Examples
        --------
        >>> Law(np.eye(2)[None], 0, 1, spacing=0.4).trace([-1.0, -0.5]).tolist()
        [2.0, 2.0]
        """
        return np.trace(self.transfer_matrix(V), axis1=-2, axis2=-1)

    def determinant(self, V: np.ndarray) -> np.ndarray:
        """Determinant of the update matrix, shape of `V`; 1 where a current or a Wronskian is conserved.

        Examples
        --------
        >>> Law(2 * np.eye(2)[None], 0, 1, spacing=0.4).determinant(-1.0).item()
        4.0
        """
        return np.linalg.det(self.transfer_matrix(V))

    def trace_series(self) -> np.ndarray:
        """Coefficients c_n of ``tr T = sum_n c_n U**n`` in U = 2 (V − E), exactly, from the learned polynomial.

        Schrödinger's exact step has c = 2, a², a⁴/12, …; the leapfrog recurrence 2, a², 0. The learned polynomial
        knows only the range of V that it was trained on: extrapolated to U = 0, c₂ is poorly determined.
        `curvature_ratio` is the robust number.

        Examples
        --------
        >>> leapfrog = Law([[[1, 0.4], [0, 1]], [[0.32, 0], [0.8, 0]]], shift=0, scale=1, spacing=0.4)
        >>> leapfrog.trace_series().round(6).tolist()
        [2.0, 0.16]
        """
        in_v = Polynomial(np.trace(self.coefficients, axis1=1, axis2=2))
        v_of_U = Polynomial([(self.energy - self.shift) / self.scale, 0.5 / self.scale])
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
        >>> leapfrog = Law([[[1, 0.4], [0, 1]], [[0.32, 0], [0.8, 0]]], shift=0, scale=1, spacing=0.4)
        >>> abs(leapfrog.curvature_ratio(np.linspace(-1, -0.3, 29))) < 1e-12
        True
        """
        x = self.spacing**2 * 2 * (_check.array("V", V, 1) - self.energy)  # a²U: c₁² = 1 in this variable
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
        return np.sort(np.abs(np.angle(np.linalg.eigvals(self.transfer_matrix(V)))), axis=-1)

    def dispersion(self, V: np.ndarray) -> Dispersion:
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
        V : array_like
            Potentials inside the training range, at least three different ones.

        Raises
        ------
        ValueError, TypeError
            If the law has neither two nor three latents, or `V` is not one axis of at least three potentials.

        Examples
        --------
        >>> V = np.linspace(-1, -0.3, 5)
        >>> leapfrog = Law([[[1, 0.4], [0, 1]], [[0.32, 0], [0.8, 0]]], shift=0, scale=1, spacing=0.4)
        >>> found = leapfrog.dispersion(V)
        >>> [round(float(x), 3) for x in (found.mass, found.energy, found.residual, found.scattering)]
        [1.036, -0.01, 0.001, 0.004]
        """
        V, d = _check.array("V", V, 1), self.coefficients.shape[-1]
        if d not in (2, 3):
            raise ValueError(f"a wave number can be read off two latents or three; the law has {d}")
        if len(np.unique(V)) < 3:
            raise ValueError(f"V must hold at least three different potentials; got {V.tolist()}")
        turn = d - 1  # a density turns twice as fast
        cosine = np.clip((self.trace(V) - (d - 2)) / 2, -1, 1)
        k2 = (np.arccos(cosine) / (turn * self.spacing)) ** 2
        middle = V.mean()  # taken off, so that a large one does not drown the line in rounding
        slope, level = np.polyfit(V - middle, k2, 1)
        line = level + slope * (V - middle)
        fitted = d - 2 + 2 * np.cos(turn * self.spacing * np.emath.sqrt(line)).real
        residual = np.abs(self.trace(V) - fitted).max()
        # in sites instead of lengths, which may be of any size
        law, wave = self.transfer_matrix(V), simulator.transfer_matrix(-line * self.spacing**2 / 2, 1.0)
        pairs, exact = (np.einsum("iab,jba->ij", T, np.linalg.pinv(T)) for T in (law, wave))
        off = np.abs(pairs - (exact if d == 2 else exact**2 - 1)).max()
        energy = float(middle - level / slope) if slope else np.inf
        return Dispersion(float(-slope / 2), energy, float(residual), float(off))

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
        T = self.transfer_matrix(np.ravel(_check.array("V", V)))[:, None]
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

    Examples
    --------
    >>> Dispersion(mass=1.0, energy=0.2, residual=1e-4, scattering=2e-4).mass
    1.0
    """

    mass: float
    energy: float
    residual: float
    scattering: float


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
    (a, b), (c, d) = np.moveaxis(T, (-2, -1), (0, 1))
    S = [[a * a, 2 * a * b, b * b], [a * c, a * d + b * c, b * d], [c * c, 2 * c * d, d * d]]
    return np.moveaxis(np.array(S), (0, 1), (-2, -1))


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
