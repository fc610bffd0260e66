"""How to decide: the elbow rule, how sure a population of trainings lets us be, and two judges that train nothing.

The Hankel rank counts the variables of a linear law straight from experiments, the description length weighs a theory
in bits. Both are the baselines that a distiller has to be compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from . import _check, readouts
from .readouts import Readout


def _level(level: float) -> float:
    if not 0 < _check.number("level", level) < 1:
        raise ValueError(f"level must lie between 0 and 1; got {level!r}")
    return level


def _losses(name: str, losses: object) -> np.ndarray:
    """Give losses of members as an array; that of a member that diverged is infinite, which is no mistake."""
    out = np.asarray(losses, float)
    _check.array(name, np.where(out == np.inf, 0.0, out), (0, 1))
    return out


def elbow(losses: Mapping[int, float | Sequence[float]], jump: float = 10.0, flat: float = 2.0) -> int | None:
    """Latent dimension at which the loss stops falling, or None if there is no such place.

    The rule (chapter 03 states it before the run): among all d take the one that maximises loss(d − 1)/loss(d).
    It is the elbow if that ratio is at least `jump` and loss(d)/loss(d + 1) is at most `flat`.

    Parameters
    ----------
    losses : mapping of int to float or sequence of float
        Loss by latent dimension; of several members the best counts, and those that diverged are infinite. Dimensions
        must be consecutive.
    jump, flat : float
        Thresholds of the rule.

    Raises
    ------
    ValueError, TypeError
        If there are fewer than three dimensions, they are not consecutive, or a loss is not a positive number.

    Examples
    --------
    >>> elbow({1: [0.4, 0.3], 2: [0.5, 0.01], 3: [0.008]})
    2
    >>> elbow({1: 0.4, 2: 0.2, 3: 0.1}) is None
    True
    """
    best = {_check.integer("latent dimension", d, 0): _losses(f"losses[{d}]", losses[d]).min() for d in losses}
    dims = sorted(best)
    if len(dims) < 3 or dims != list(range(dims[0], dims[0] + len(dims))):
        raise ValueError(f"losses must cover at least three consecutive latent dimensions; got {dims}")
    for d in dims:
        _check.positive(f"losses[{d}]", best[d])
    fall = {d: best[d - 1] / best[d] for d in dims[1:]}
    d = max(fall, key=fall.get)
    # the largest dimension scanned cannot be an elbow: nothing shows that the loss is flat beyond it
    return d if fall[d] >= jump and d + 1 in best and fall[d + 1] <= flat else None


def success_share(
    losses: Sequence[float], factor: float = 2.0, level: float = 0.95, best: float | None = None
) -> tuple[float, float, float]:
    """Share of fresh starts whose loss is within `factor` of the best, with its Wilson interval.

    Parameters
    ----------
    losses : sequence of float
        One a member; all must have had the same budget.
    factor : float
        What counts as success, at least 1.
    level : float
        Confidence level of the interval.
    best : float, optional
        Compare with this loss instead of the best of `losses`, to judge several trainings by the same measure.

    Returns
    -------
    tuple of float
        Share, lower and upper end.

    Raises
    ------
    ValueError, TypeError
        If the losses are empty, negative or not finite, the factor is below 1, or the level not between 0 and 1.

    Examples
    --------
    >>> share, low, high = success_share([1.0, 1.1, 1.9, 40.0])
    >>> share
    0.75
    """
    losses = _losses("losses", losses)
    _check.at_least("losses", losses.min(), 0)
    best = losses.min() if best is None else _check.at_least("best", best, 0)
    good = int(np.sum(losses <= _check.at_least("factor", factor, 1) * best))
    interval = stats.binomtest(good, losses.size).proportion_ci(_level(level), "wilson")
    return good / losses.size, float(interval.low), float(interval.high)


def bootstrap_interval(
    statistic: Callable[..., float],
    *samples: Sequence[float],
    level: float = 0.95,
    resamples: int = 2000,
    seed: int | np.random.Generator = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic of one or several independent samples.

    Parameters
    ----------
    statistic : callable
        Takes one resampled array a sample and returns a number, e.g. ``lambda one, two: one.min() / two.min()``.
    *samples : sequence of float
        Losses of the members at one latent dimension each, say.
    level : float
        Confidence level.
    resamples : int
        Number of bootstrap draws.
    seed : int or numpy.random.Generator
        Randomness of the draws.

    Returns
    -------
    tuple of float
        Lower and upper end.

    Raises
    ------
    ValueError, TypeError
        If a sample has fewer than two values or holds NaN or infinity, or the level is not between 0 and 1.

    Notes
    -----
    Efron & Tibshirani, *An Introduction to the Bootstrap* (1993), chapter 13; computed by `scipy.stats.bootstrap`.

    Examples
    --------
    >>> low, high = bootstrap_interval(np.mean, [1.0, 2.0, 3.0, 4.0])
    >>> low < 2.5 < high
    True
    """
    samples = tuple(_check.array(f"samples[{i}]", sample, 1) for i, sample in enumerate(samples))
    if not samples or min(map(len, samples)) < 2:
        raise ValueError(f"samples must hold at least two values each; got sizes {[len(s) for s in samples]}")
    interval = stats.bootstrap(
        samples,
        statistic,
        n_resamples=_check.integer("resamples", resamples),
        vectorized=False,
        confidence_level=_level(level),
        method="percentile",
        rng=_check.generator(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def hankel(measure: Callable[[np.ndarray], np.ndarray], prefixes: np.ndarray, suffixes: np.ndarray) -> np.ndarray:
    """Let every suffix follow every prefix and record the densities on the suffix: a block of the Hankel matrix.

    All pairs are needed, so `measure` must be an experiment that can be repeated with a potential of one's choice: a
    simulator, a laboratory or a translator. A distiller makes do with whatever chains were recorded.

    Parameters
    ----------
    measure : callable
        Maps potentials, shape (n, sites), to densities of the same shape. Called once, with
        n = len(prefixes) · len(suffixes).
    prefixes, suffixes : array_like
        Potentials of the left and the right part of the chains, shapes (p, sites) and (s, sites); the number of sites
        may differ.

    Returns
    -------
    numpy.ndarray
        Shape (p, s · sites of a suffix): a row for every past, a column for every site of every future.

    Raises
    ------
    ValueError, TypeError
        If an input is empty, not finite or not of two axes, or `measure` returns another shape than it was given.

    Examples
    --------
    >>> hankel(lambda V: np.cumsum(V, axis=1), [[1.0], [2.0]], [[0.1, 0.1], [0.3, 0.5]]).round(3).tolist()
    [[1.1, 1.2, 1.3, 1.8], [2.1, 2.2, 2.3, 2.8]]
    """
    prefixes, suffixes = _check.array("prefixes", prefixes, 2), _check.array("suffixes", suffixes, 2)
    past = np.repeat(prefixes, len(suffixes), axis=0)
    V = np.concatenate([past, np.tile(suffixes, (len(prefixes), 1))], axis=1)
    density = _check.array("measure(V)", measure(V), 2)
    if density.shape != V.shape:
        raise ValueError(f"measure must return densities of the shape of V, {V.shape}; got {density.shape}")
    return density[:, past.shape[1] :].reshape(len(prefixes), -1)


@dataclass(frozen=True)
class HankelRank:
    """Number of variables of a linear law, with the singular values that it was read from.

    Attributes
    ----------
    rank : int
        Number of singular values above the floor.
    singular_values : numpy.ndarray
        Of the block, descending.
    floor : float
        What noise and rounding alone may reach.

    Examples
    --------
    >>> HankelRank(1, np.array([5.0, 1e-16]), 1e-15).rank
    1
    """

    rank: int
    singular_values: np.ndarray
    floor: float


def hankel_rank(block: np.ndarray, noise: float | np.ndarray = 0.0) -> HankelRank:
    """Count the variables of a law that moves linearly given the potential and is read out linearly.

    For ``g <- T(V) g`` and ``density = c · g`` an entry is (c · T(suffix)) · (T(prefix) g₀): what a future does with a
    state, times the state that a past leaves behind. The block is therefore a product of a (rows, d) and a
    (d, columns) matrix, and its rank is the smallest d that will do, as soon as pasts and futures are varied enough. A
    constant added to the readout counts as one variable that does not move.

    Parameters
    ----------
    block : array_like
        From `hankel`, shape (rows, columns); d cannot be found beyond the smaller of the two.
    noise : float or array_like
        Standard deviation of the error of every entry: one number, or shape (rows, columns). Noise of 1 % of the
        signal is ``0.01 * abs(block)``, single precision ``6e-8 * abs(block)``.

    Returns
    -------
    HankelRank

    Raises
    ------
    ValueError, TypeError
        If the block is not a finite matrix, or the noise negative or of another shape.

    Notes
    -----
    By Weyl's inequality errors N lift a zero singular value to at most the norm ‖N‖. The floor is what ‖N‖ of
    independent Gaussian errors exceeds in 1 % of all blocks at most: its mean, for equal errors at most
    σ(√rows + √columns), plus 3σ, as P(‖N‖ > mean + tσ) ≤ exp(−t²/2) (Davidson & Szarek, *Handbook of the Geometry of
    Banach Spaces* 1 (2001), chapter 8). For unequal errors the largest root-sum-square of a row and that of a column
    take the place of σ√columns and σ√rows (the leading terms of Bandeira & van Handel, Ann. Probab. 44 (2016) 2479),
    and σ is the largest. A variable weaker than the floor is missed: with noise the rank is a lower bound. Errors that
    are not independent, such as a translator's, may be larger than the floor and count as variables.

    To this is added max(rows, columns) · ε · s₁, the usual numerical rank (Golub & Van Loan, *Matrix Computations*,
    §5.4): the singular values of exact numbers come out right to about ε s₁, and rounding every entry in its n-th ε
    gives ‖N‖ ≤ n ε √rank s₁.

    The rank of the Hankel matrix is the order of a linear system in Ho & Kalman, Regelungstechnik 14 (1966) 545; with
    a word V₁V₂… in place of the time, that of a weighted automaton, and of a linear second-order recurrent network:
    Rabusseau, Li & Precup, arXiv:1807.01406.

    Examples
    --------
    The density of a wave needs three variables, with and without noise of 1 % of the signal:

    >>> from rediscover import potentials, simulator
    >>> V = potentials.random(40, 12, seed=0)
    >>> block = hankel(lambda V: simulator.propagate(V, spacing=0.4).density, V[:20], V[20:])
    >>> noisy = block * (1 + 0.01 * np.random.default_rng(0).normal(size=block.shape))
    >>> hankel_rank(block).rank, hankel_rank(noisy, 0.01 * np.abs(noisy)).rank
    (3, 3)
    """
    block, noise = _check.array("block", block, 2), _check.array("noise", noise, (0, 2))
    if noise.shape not in ((), block.shape):
        raise ValueError(f"noise must be one number or have the shape of block, {block.shape}; got {noise.shape}")
    _check.at_least("noise", noise.min(), 0)
    singular = np.linalg.svd(block, compute_uv=False)
    variance = np.broadcast_to(noise**2, block.shape)
    random = np.sqrt(variance.sum(1).max()) + np.sqrt(variance.sum(0).max()) + 3 * noise.max()
    floor = random + max(block.shape) * np.finfo(float).eps * singular[0]
    return HankelRank(int(np.sum(singular > floor)), singular, float(floor))


def spectral_law(
    measure: Callable[[np.ndarray], np.ndarray], prefixes: np.ndarray, suffixes: np.ndarray, V: np.ndarray, rank: int
) -> np.ndarray:
    """Read a linear law off experiments, without any training: the update at every potential in `V`.

    A Hankel block factorises into what futures do with a state and the states that pasts leave, H = P S. A block with
    one site of potential V between past and future is H_V = P T(V) S. The `rank` leading singular vectors of H give P
    and S up to a basis, and pseudo-inverses the rest: T(V) = P⁺ H_V S⁺.

    Parameters
    ----------
    measure, prefixes, suffixes
        See `hankel`, which is called twice: for H, and for all V together.
    V : array_like
        Potentials, shape (k,).
    rank : int
        Number of variables, at most the rank of the block.

    Returns
    -------
    numpy.ndarray
        Shape (k, rank, rank), in an unknown basis. Rows are pasts, so the matrices are transposed; traces,
        determinants and eigenvalues do not care.

    Raises
    ------
    ValueError, TypeError
        As `hankel`; if the block has fewer rows or columns than `rank`, or so many independent ones are not there.

    Notes
    -----
    Spectral learning of weighted automata (Rabusseau, Li & Precup, arXiv:1807.01406), with a letter for each V.

    Examples
    --------
    >>> from rediscover import potentials, simulator
    >>> random = potentials.random(20, 8, seed=0)
    >>> law = spectral_law(lambda V: simulator.propagate(V, 0.4).density, random[:10], random[10:], [-0.5], rank=3)
    >>> bool(abs(np.trace(law[0]) - (1 + 2 * np.cos(2 * 0.4))) < 1e-9)  # 1 + 2 cos 2ka with k = 1
    True
    """
    prefixes, V = _check.array("prefixes", prefixes, 2), _check.array("V", V, 1)
    block = hankel(measure, prefixes, suffixes)
    if _check.integer("rank", rank) > min(block.shape):
        raise ValueError(f"rank must not exceed the smaller side of the block, {block.shape}; got {rank}")
    left, singular, right = np.linalg.svd(block, full_matrices=False)
    if singular[rank - 1] <= max(block.shape) * np.finfo(float).eps * singular[0]:
        raise ValueError(f"rank must not exceed the rank of the block; got {rank}, singular values {singular}")
    past, future = left[:, :rank] / singular[:rank], right[:rank]
    longer = np.column_stack([np.tile(prefixes, (len(V), 1)), np.repeat(V, len(prefixes))])
    longer = hankel(measure, longer, suffixes).reshape(len(V), *block.shape)
    return past.T @ longer @ future.T


@dataclass(frozen=True)
class DescriptionLength:
    """What it costs to send measured densities by means of a theory: see `description_length`.

    Attributes
    ----------
    data, parameters : float
        Bits for what the theory leaves over, and for the theory's own parameters.
    bic : float
        Bayesian information criterion, which fits the noise instead of stating it. It is in nats and counts twice, so
        that a difference of 2 ln 2 ≈ 1.39 is one bit.

    Examples
    --------
    >>> DescriptionLength(data=1000.0, parameters=90.0, bic=1500.0).total
    1090.0
    """

    data: float
    parameters: float
    bic: float

    @property
    def total(self) -> float:
        """Both parts together, in bits; the smaller, the better the theory."""
        return self.data + self.parameters


def description_length(
    density: np.ndarray, predicted: np.ndarray, sigma: float, parameters: int, resolution: float | None = None
) -> DescriptionLength:
    """Bits needed to send measured densities: first the theory, then what it leaves over.

    With n numbers, residuals r and k parameters, at a measurement noise σ that is stated, not fitted,

    data = Σr²/2σ² · log₂ e + n log₂(σ√2π/resolution),  parameters = k/2 · log₂ n,

    and BIC = n ln(Σr²/n) + k ln n. Which theory is cheapest depends on σ: where noise hides the difference the one with
    fewer parameters wins. BIC assumes that all of the residual is noise, and for many numbers that drowns the
    parameters.

    Parameters
    ----------
    density, predicted : array_like
        Measured and predicted densities, shape (n, sites).
    sigma : float
        Standard deviation of the measurement.
    parameters : int
        Real parameters of the theory, net of the choice of basis: see `free_parameters`.
    resolution : float, optional
        Step to which the densities are sent, not coarser than `sigma`, which is the default. It adds the same number
        of bits to every theory.

    Returns
    -------
    DescriptionLength

    Raises
    ------
    ValueError, TypeError
        If shapes differ, a value is not finite, sigma or resolution is not positive, resolution is above sigma, or
        `parameters` is not a count.

    Notes
    -----
    Two-part code of Rissanen, Automatica 14 (1978) 465 and Ann. Statist. 11 (1983) 416: a parameter is worth sending to
    its standard error, which shrinks as 1/√n, hence ½ log₂ n bits. BIC: Schwarz, Ann. Statist. 6 (1978) 461.

    Examples
    --------
    Sixteen numbers, each off by σ: half a nat each, and two bits for a parameter.

    >>> bits = description_length(np.ones((4, 4)), np.zeros((4, 4)), sigma=1.0, parameters=1)
    >>> bits.parameters, round(bits.data, 2)
    (2.0, 32.75)
    """
    density, predicted = _check.array("density", density, 2), _check.array("predicted", predicted, 2)
    if predicted.shape != density.shape:
        raise ValueError(f"predicted must have the shape of density, {density.shape}; got {predicted.shape}")
    sigma, k, n = _check.positive("sigma", sigma), _check.integer("parameters", parameters, 0), density.size
    step = sigma if resolution is None else _check.positive("resolution", resolution)
    if step > sigma:
        raise ValueError(f"resolution must not exceed sigma = {sigma}; got {step}")
    rss = np.sum((density - predicted) ** 2)
    data = rss / (2 * sigma**2) * np.log2(np.e) + n * np.log2(sigma * np.sqrt(2 * np.pi) / step)
    with np.errstate(divide="ignore"):  # a theory without any residual: −∞
        bic = n * np.log(rss / n) + k * np.log(n)
    return DescriptionLength(float(data), float(k / 2 * np.log2(n)), float(bic))


def free_parameters(latent_dim: int, readout: str | Readout, order: int = 2) -> int:
    """Count the real parameters of an explicit theory of the density, net of the choice of basis.

    d latents move by ``g <- (sum_n v**n U_n) g``, (order + 1) d² numbers, from one start, d numbers. The density is a
    form of them, which says itself how many numbers it has (`readouts`): d if linear, d (d + 1)/2 if quadratic. A
    change of basis, d² numbers, changes nothing that can be measured.

    Parameters
    ----------
    latent_dim : int
    readout : {"quadratic", "linear"} or readouts.Readout
        Without an offset. ``"mlp"`` is refused: the weights of a network are no measure of the theory.
    order : int
        Highest power of the potential.

    Raises
    ------
    ValueError, TypeError
        If the readout is not explicit, or a number is not a positive integer.

    Examples
    --------
    >>> free_parameters(2, "quadratic"), free_parameters(3, "linear")
    (13, 24)
    """
    d, order = _check.integer("latent_dim", latent_dim), _check.integer("order", order)
    return (order + 1) * d**2 + readouts.get(readout).parameters(d) + d - d**2
