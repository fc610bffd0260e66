"""A camera may be noisy and blurred, but it must be unbiased and lose no atom."""

import numpy as np
import pytest

from rediscover.measurement import blur, shot_noise

PROFILE = np.array([0.5, 2.0, 0.0, 1.5])


def test_shot_noise_is_unbiased_with_poisson_variance():
    pictures = shot_noise(np.tile(PROFILE, (40_000, 1)), atoms=100, seed=0)
    assert pictures.shape == (40_000, 4)
    assert np.allclose(pictures.mean(0), PROFILE, atol=0.01)
    assert np.allclose(pictures.var(0), PROFILE * PROFILE.sum() / 100, rtol=0.04)
    assert np.all(pictures[:, 2] == 0)  # no atoms where there is no density


def test_shot_noise_counts_whole_atoms_of_each_sample():
    density = np.stack([PROFILE, 100 * PROFILE])  # the same cloud in other units: the same relative noise
    counts = shot_noise(density, atoms=50, seed=1) / (density.sum(1, keepdims=True) / 50)
    assert np.allclose(counts, counts.round(), rtol=0, atol=1e-9) and counts.max() > 1


def test_many_atoms_show_the_density_and_the_seed_decides():
    assert np.allclose(shot_noise(PROFILE, atoms=1e14, seed=0), PROFILE, rtol=1e-5)
    one, two, other = (shot_noise(PROFILE, atoms=30, seed=s) for s in (3, 3, 4))
    assert np.array_equal(one, two) and not np.array_equal(one, other)


def test_blur_loses_no_atom_and_widens_by_its_width():
    point = np.zeros(41)
    point[20] = 1.0
    seen = blur(point, width=2.0)
    x = np.arange(41) - 20
    assert seen.sum() == pytest.approx(1) and np.sum(seen * x**2) == pytest.approx(4, rel=0.01)
    edge = np.zeros((2, 9))
    edge[:, 0] = 3.0
    assert np.allclose(blur(edge, width=1.5).sum(1), 3)  # mirrored at the end, not lost
    assert np.allclose(blur(np.ones((2, 9)), width=1.5), 1)


def test_blur_of_zero_width_is_a_copy():
    seen = blur(PROFILE, 0)
    assert np.array_equal(seen, PROFILE) and seen is not PROFILE and not np.shares_memory(seen, PROFILE)


@pytest.mark.parametrize("width", [1e-200, 0.05, 0.1249])
def test_blur_below_an_eighth_of_a_site_changes_nothing(width):
    assert np.array_equal(blur(PROFILE, width), PROFILE)
    assert not np.array_equal(blur(PROFILE, 0.126), PROFILE)
