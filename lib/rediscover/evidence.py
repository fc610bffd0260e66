"""How to decide: the elbow rule, and how sure a population of trainings lets us be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy import stats

from . import _check


def _level(level: float) -> float:
    if not 0 < _check.number("level", level) < 1:
        raise ValueError(f"level must lie between 0 and 1; got {level!r}")
    return level


def elbow(losses: Mapping[int, float | Sequence[float]], jump: float = 10.0, flat: float = 2.0) -> int | None:
    """Latent dimension at which the loss stops falling, or None if there is no such place.

    The rule (chapter 03 states it before the run): among all d take the one that maximises loss(d − 1)/loss(d).
    It is the elbow if that ratio is at least `jump` and loss(d)/loss(d + 1) is at most `flat`.

    Parameters
    ----------
    losses : mapping of int to float or sequence of float
        Loss by latent dimension; of several members the best counts. Dimensions must be consecutive.
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
    best = {_check.integer("latent dimension", d): _check.array(f"losses[{d}]", losses[d]).min() for d in losses}
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
    losses = _check.array("losses", losses, 1)
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
