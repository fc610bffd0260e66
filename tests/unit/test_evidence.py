"""The rules by which the book decides, on cases where the right decision is known."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rediscover.evidence import bootstrap_interval, elbow, success_share

# Elbow ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ({1: 0.32, 2: 0.0108, 3: 0.0081, 4: 0.0061}, 2),
        ({1: 0.7, 2: 0.5, 3: 1.5e-4, 4: 1.7e-4}, 3),
        ({1: [0.4, 0.32, 0.9], 2: [0.5, 0.6, 0.0108], 3: [0.7, 0.0081, 0.3]}, 2),  # the best of the members counts
        ({3: 0.0081, 1: 0.32, 2: 0.0108}, 2),  # in any order
        ({2: 5.0, 3: 0.1, 4: 0.08}, 3),  # from any dimension on
        ({1: 0.8, 2: 0.4, 3: 0.2, 4: 0.1}, None),  # a slope is no elbow
        ({1: 1.0, 2: 0.101, 3: 0.1}, None),  # the fall is less than tenfold
        ({1: 1.0, 2: 0.1, 3: 0.1}, 2),  # exactly tenfold will do
        ({1: 1.0, 2: 0.01, 3: 0.005}, 2),  # and so will exactly twofold after it
        ({1: 1.0, 2: 0.01, 3: 0.0049}, None),  # still falling
        ({1: 1.0, 2: 0.9, 3: 0.001}, None),  # nothing shows that it is flat beyond the last dimension
        (
            {1: 1.0, 2: 2.0**-4, 3: 2.0**-8, 4: 2.0**-8},
            None,
        ),  # a tie goes to the smaller dimension, where it still falls
        ({1: 1.0, 2: 0.08, 3: 0.06, 4: 0.001, 5: 0.001}, 4),  # the larger of two falls
        ({1: 0.1, 2: 0.1, 3: 0.1}, None),
        ({1: 0.1, 2: 0.2, 3: 0.3}, None),  # training got worse
    ],
)
def test_elbow_on_constructed_losses(losses, expected):
    assert elbow(losses) == expected


@given(losses=st.lists(st.floats(1e-6, 1.0), min_size=3, max_size=6), power=st.integers(-20, 20))
def test_elbow_does_not_depend_on_the_unit_of_the_loss(losses, power):
    first, second = ({d: x * unit for d, x in enumerate(losses, 1)} for unit in (1.0, 2.0**power))
    assert elbow(first) == elbow(second)


@given(losses=st.lists(st.floats(1e-6, 1.0), min_size=3, max_size=6))
def test_elbow_keeps_its_word(losses):
    if (d := elbow(dict(enumerate(losses, 1)))) is not None:
        falls = [before / after for before, after in pairwise(losses)]
        assert falls[d - 2] == max(falls) >= 10 and falls[d - 1] <= 2


def test_thresholds_can_be_chosen():
    losses = {1: 1.0, 2: 0.2, 3: 0.08}
    assert elbow(losses) is None
    assert elbow(losses, jump=4, flat=3) == 2


@pytest.mark.parametrize(
    ("losses", "error"),
    [
        ({}, ValueError),
        ({1: 1.0, 2: 0.1}, ValueError),
        ({0: 1.0, 1: 0.1, 2: 0.1}, ValueError),
        ({1: 1.0, 2: 0.1, 4: 0.1}, ValueError),
        ({0.5: 1.0, 1.5: 0.1, 2.5: 0.1}, TypeError),
        ({"1": 1.0, "2": 0.1, "3": 0.1}, TypeError),
        ({1: 1.0, 2: 0.0, 3: 0.1}, ValueError),
        ({1: 1.0, 2: -0.1, 3: 0.1}, ValueError),
        ({1: 1.0, 2: [0.1, np.nan], 3: 0.1}, ValueError),
        ({1: 1.0, 2: [], 3: 0.1}, ValueError),
    ],
)
def test_bad_losses(losses, error):
    with pytest.raises(error, match=r"losses|latent dimension"):
        elbow(losses)


# Success --------------------------------------------------------------------------------------------------------------


def test_success_is_counted_from_the_best():
    assert success_share([3.0, 2.0, 1.0, 2.000001])[0] == 0.5
    assert success_share([3.0, 2.0, 1.0, 2.000001], factor=3)[0] == 1.0
    assert success_share([0.7])[0] == 1.0
    assert success_share([0.0, 1.0])[0] == 0.5


@pytest.mark.parametrize(
    ("good", "n", "low", "high"), [(6, 8, 0.4093, 0.9285), (15, 16, 0.7167, 0.9889), (8, 8, 0.6756, 1)]
)
def test_interval_is_wilson_s(good, n, low, high):
    z = 1.959964
    centre, half = good + z * z / 2, z * np.sqrt(good * (n - good) / n + z * z / 4)
    assert [low, high] == pytest.approx([(centre - half) / (n + z * z), (centre + half) / (n + z * z)], abs=1e-4)
    assert success_share([1.0] * good + [9.0] * (n - good)) == pytest.approx((good / n, low, high), abs=1e-4)


def test_higher_level_is_wider():
    losses = [1.0, 1.5, 9.0, 9.0]
    _, low, high = success_share(losses, level=0.5)
    _, lower, higher = success_share(losses, level=0.99)
    assert lower < low < 0.5 < high < higher


@pytest.mark.parametrize(
    ("call", "names"),
    [
        ({"losses": []}, "losses"),
        ({"losses": [1.0, np.nan]}, "losses"),
        ({"losses": [[1.0], [2.0]]}, "losses"),
        ({"losses": [-1.0, 2.0]}, "losses"),
        ({"losses": [1.0], "factor": 0.5}, "factor"),
        ({"losses": [1.0], "level": 1.0}, "level"),
        ({"losses": [1.0], "level": -0.5}, "level"),
    ],
)
def test_bad_shares(call, names):
    with pytest.raises(ValueError, match=names):
        success_share(**call)


# Bootstrap ------------------------------------------------------------------------------------------------------------


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [
        bootstrap_interval(np.mean, rng.normal(3, 1, 25), level=0.8, resamples=199, seed=i) for i in range(200)
    ]
    coverage = np.mean([low <= 3 <= high for low, high in intervals])
    assert 0.7 < coverage < 0.87  # 0.8, a little less for the percentile method, give or take 0.03
    widths = np.array([high - low for low, high in intervals])
    assert widths.mean() == pytest.approx(2 * 1.2816 / 5, rel=0.1)


def test_samples_are_drawn_apart():
    low, high = bootstrap_interval(lambda one, two: np.min(one) / np.min(two), [30.0, 40.0], [1.0, 2.0], seed=1)
    assert (low, high) == (pytest.approx(15), pytest.approx(40))


def test_seed_decides_and_nothing_else_does():
    sample = np.random.default_rng(0).normal(size=9)
    first = bootstrap_interval(np.median, sample, resamples=200, seed=3)
    np.random.default_rng().normal()
    assert bootstrap_interval(np.median, sample, resamples=200, seed=3) == first
    assert bootstrap_interval(np.median, sample, resamples=200, seed=np.random.default_rng(3)) == first
    assert bootstrap_interval(np.mean, sample, resamples=200, seed=4) != bootstrap_interval(
        np.mean, sample, resamples=200, seed=3
    )


@pytest.mark.parametrize(
    ("samples", "options", "error", "names"),
    [
        ([], {}, ValueError, "samples"),
        ([[1.0]], {}, ValueError, "samples"),
        ([[1.0, 2.0], [1.0]], {}, ValueError, "samples"),
        ([[1.0, np.nan]], {}, ValueError, r"samples\[0\]"),
        ([[1.0, 2.0], [[1.0, 2.0]]], {}, ValueError, r"samples\[1\]"),
        ([[1.0, 2.0]], {"level": 1.5}, ValueError, "level"),
        ([[1.0, 2.0]], {"resamples": 0}, ValueError, "resamples"),
        ([[1.0, 2.0]], {"seed": None}, TypeError, "seed"),
    ],
)
def test_bad_samples(samples, options, error, names):
    with pytest.raises(error, match=names):
        bootstrap_interval(np.mean, *samples, **options)
