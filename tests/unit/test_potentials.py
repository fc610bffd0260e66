"""The ensemble must be the one announced, and the traps must have the shapes of the textbooks."""

import numpy as np
import pytest
from scipy.stats import kstest

from rediscover import potentials


@pytest.mark.parametrize("correlation", [0.0, 1.0, 6.0])
def test_random_values_are_uniform(correlation):
    V = potentials.random(20_000, 7, low=-1.0, high=-0.3, correlation=correlation, seed=1)
    assert V.shape == (20_000, 7)
    for site in V.T[[0, 3, 6]]:  # one site across the ensemble is an independent sample; the ends are not special
        assert kstest((site + 1.0) / 0.7, "uniform").pvalue > 1e-3
    assert V.min() > -1.0 and V.max() < -0.3


@pytest.mark.parametrize("correlation", [1.0, 3.0])
def test_neighbours_are_correlated_as_announced(correlation):
    V = potentials.random(40_000, 12, correlation=correlation, seed=2)
    for distance in (1, 3, 8):
        r = np.exp(-(distance**2) / (4 * correlation**2))
        expected = 6 / np.pi * np.arcsin(r / 2)  # what the uniform law leaves of a Gaussian correlation r
        found = np.mean([np.corrcoef(V[:, i], V[:, i + distance])[0, 1] for i in range(12 - distance)])
        assert found == pytest.approx(expected, abs=0.01)


def test_zero_correlation_is_white():
    V = potentials.random(20_000, 2, correlation=0.0, seed=3)
    assert abs(np.corrcoef(V.T)[0, 1]) < 0.03


def test_a_correlation_too_short_to_reach_the_next_site_is_none():
    for correlation in (1e-200, 0.1249):
        V = potentials.random(3, 5, correlation=correlation, seed=3)
        assert np.array_equal(V, potentials.random(3, 5, correlation=0.0, seed=3))
    assert not np.array_equal(V, potentials.random(3, 5, correlation=0.126, seed=3))


def test_the_seed_decides_and_the_size_does_not():
    few, many = (potentials.random(n, 10, seed=5) for n in (3, 50))
    assert np.array_equal(few, many[:3])  # nothing is normalised by the batch
    assert not np.array_equal(few, potentials.random(3, 10, seed=6))
    assert np.array_equal(few, potentials.random(3, 10, seed=np.random.default_rng(5)))
    rng = np.random.default_rng(5)
    potentials.random(3, 10, seed=rng)
    assert not np.array_equal(few, potentials.random(3, 10, seed=rng))  # a generator moves on


@pytest.mark.parametrize(
    ("V", "expected"),
    [
        (potentials.square_well(5, width=3, depth=2.0, top=1.0), [1, -1, -1, -1, 1]),
        (potentials.square_well(3, width=3, depth=2.0), [-2, -2, -2]),
        (potentials.barrier(5, width=2, height=3.0), [0, 3, 3, 0, 0]),
        (potentials.harmonic(4, frequency=2.0, spacing=0.5, floor=-1.0), [0.125, -0.875, -0.875, 0.125]),
        (
            potentials.double_well(5, separation=2.0, height=1.0, spacing=0.5, floor=0.5),
            [0.5, 1.0625, 1.5, 1.0625, 0.5],
        ),
        (potentials.kronig_penney(7, period=3, width=2, height=1.0, floor=-1.0), [-1, 0, 0, -1, 0, 0, -1]),
    ],
)
def test_textbook_shapes(V, expected):
    assert V.dtype == np.float64 and np.allclose(V, expected, rtol=0, atol=1e-14)
