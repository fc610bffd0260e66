"""The rules by which the book decides, on cases where the right decision is known."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from rediscover import potentials, simulator
from rediscover.evidence import (
    bootstrap_interval,
    description_length,
    elbow,
    free_parameters,
    hankel,
    hankel_rank,
    spectral_law,
    success_share,
)

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
        ({0: 1.0, 1: 0.01, 2: 0.01}, 1),  # one variable, against none at all
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


# Hankel rank ----------------------------------------------------------------------------------------------------------

A = 0.4


def schrodinger(V, energy=0.0, start=(1.0, 0.0)):
    return simulator.propagate(V, A, energy, start).density


def boltzmann(V):
    return np.exp(-np.cumsum(V + 0.65, axis=1))


def leaky_integrator(V, decay=0.9):
    held = [np.zeros(len(V))]
    for v in V.T:
        held.append(decay * held[-1] + v + 0.65)
    return 1 + np.stack(held[1:], -1)


def words(n=24, sites=12, seed=0):
    both = potentials.random(2 * n, sites, seed=seed)
    return both[:n], both[n:]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("law", "rank"),
    [
        (boltzmann, 1),
        (leaky_integrator, 2),
        (schrodinger, 3),
        (lambda V: schrodinger(V, start=(1, 1j)), 3),  # a current needs no fourth variable
        (lambda V: 1 + schrodinger(V), 4),  # a constant background does
        (lambda V: schrodinger(V) + schrodinger(V, start=(0, 1)), 3),  # two states of one energy share a law
        (lambda V: schrodinger(V) + schrodinger(V, 0.6), 6),  # of two energies, they do not
    ],
)
def test_rank_of_known_laws(law, rank, seed):
    found = hankel_rank(hankel(law, *words(seed=seed)))
    assert found.rank == rank
    assert found.singular_values[rank - 1] > 1e3 * found.floor, "a near miss is no proof"
    assert found.singular_values[rank] < 0.1 * found.floor


def test_normalising_a_density_over_the_chain_destroys_finite_rank():
    def normalised(V):
        return (density := schrodinger(V)) / density.sum(1, keepdims=True)

    assert hankel_rank(hankel(normalised, *words())).rank == 24


@settings(max_examples=40, deadline=None)
@given(d=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_random_linear_law_has_the_rank_of_its_dimension(d, seed):
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    kick, readout, start = 0.5 * rng.normal(size=(d, d)), rng.normal(size=d), rng.normal(size=d)

    def law(V):
        g, seen = np.tile(start, (len(V), 1)), []
        for v in V.T:
            g = g @ rotation.T + v[:, None] * (g @ kick.T)
            seen.append(g @ readout)
        return np.stack(seen, -1)

    assert hankel_rank(hankel(law, *rng.uniform(-1, 1, (2, 20, 6)))).rank == d


LEVELS = [0.001, 0.01, 0.1, 0.3, 1.0, 3.0]


def test_noise_can_hide_a_variable_but_not_invent_one():
    ranks = []
    for level in LEVELS:
        ranks.append([])
        for seed in range(8):
            block = hankel(schrodinger, *words(40, seed=seed))
            noisy = block * (1 + level * np.random.default_rng(seed).normal(size=block.shape))
            ranks[-1].append(hankel_rank(noisy, level * np.abs(noisy)).rank)
    ranks = np.array(ranks)
    assert ranks.max() == 3
    assert np.all(ranks[:3] == 3), "up to 10 % of the signal every block shows all three"
    assert np.any(ranks[3] < 3), "the answer breaks at 30 %"
    assert np.all(np.diff(ranks.mean(1)) <= 0) and np.all(ranks[-1] <= 1)


@pytest.mark.parametrize("shape", [(3, 60), (20, 60), (60, 60)])
def test_pure_noise_has_rank_zero_nearly_always(shape):
    rng, sigma = np.random.default_rng(0), 0.01
    found = [hankel_rank(sigma * rng.normal(size=shape), sigma) for _ in range(300)]
    assert np.mean([f.rank > 0 for f in found]) <= 0.01
    # and the floor is not needlessly high
    assert np.mean([f.singular_values[0] / f.floor for f in found]) > 0.5


@pytest.mark.parametrize("sigma", [1e-6, 1.0, 1e6])
def test_floor_of_equal_errors(sigma):
    zeros = np.zeros((9, 16))
    assert hankel_rank(zeros, sigma).floor == pytest.approx((3 + 4 + 3) * sigma)
    assert hankel_rank(zeros, np.full(zeros.shape, sigma)).floor == pytest.approx((3 + 4 + 3) * sigma)


def test_noise_of_one_loud_column_does_not_raise_the_floor_by_the_whole_block():
    noise = np.zeros((50, 80))
    noise[:, 3] = 1
    assert hankel_rank(np.eye(50, 80), noise).floor == pytest.approx(1 + np.sqrt(50) + 3)


def test_rank_does_not_depend_on_the_unit():
    block = hankel(schrodinger, *words())
    for unit in (1e-200, 1e-3, 1e100):
        assert hankel_rank(unit * block).rank == 3
    assert hankel_rank(0 * block).rank == 0


@pytest.mark.parametrize("start", [(1.0, 0.0), (1.0, 0.6j)])
def test_spectral_law_is_the_symmetric_square(start):
    random, at = potentials.random(24, 10, seed=3), np.linspace(-1, -0.3, 7)
    law = spectral_law(lambda V: simulator.propagate(V, 0.4, start=start).density, random[:16], random[16:], at, 3)
    exact = np.exp(0.8j * np.sqrt(-2 * at))
    assert law.shape == (7, 3, 3)
    assert np.linalg.det(law) == pytest.approx(1, abs=1e-6)
    assert np.trace(law, axis1=1, axis2=2) == pytest.approx(1 + 2 * exact.real, abs=1e-6)


def test_block_holds_every_future_after_every_past():
    prefixes, suffixes = words(5, 4)
    suffixes = suffixes[:3, :2]
    block = hankel(schrodinger, prefixes, suffixes).reshape(5, 3, 2)
    for i, past in enumerate(prefixes):
        for j, future in enumerate(suffixes):
            assert block[i, j] == pytest.approx(schrodinger(np.concatenate([past, future]))[4:])


# Description length ---------------------------------------------------------------------------------------------------


def test_bits_by_hand():
    density = np.array([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0]])
    predicted = density + np.array([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0]])
    bits = description_length(density, predicted, sigma=0.5, parameters=3, resolution=0.25)
    # Σr² = 6, so 6/(2·0.25) = 12 nats; 8 numbers, each log₂(2√2π) bits; 3 parameters of ½ log₂ 8 bits
    assert bits.data == pytest.approx(12 / np.log(2) + 8 * (1 + np.log2(np.sqrt(2 * np.pi))))
    assert bits.parameters == pytest.approx(4.5)
    assert bits.total == bits.data + bits.parameters
    assert bits.bic == pytest.approx(8 * np.log(6 / 8) + 3 * np.log(8))


def test_data_part_is_the_gaussian_probability_of_a_cell():
    rng = np.random.default_rng(0)
    density, predicted, sigma, step = rng.normal(size=(5, 6)), rng.normal(size=(5, 6)), 0.7, 1e-3
    edges = (density - predicted + np.array([-step, step])[:, None, None] / 2) / sigma
    bits = -np.log2(np.diff(special.ndtr(edges), axis=0)).sum()
    assert description_length(density, predicted, sigma, 0, step).data == pytest.approx(bits, rel=1e-6)


@given(fit=st.floats(0, 1), worse=st.floats(1e-3, 1), sigma=st.floats(0.01, 10), k=st.integers(0, 50))
def test_better_fit_and_fewer_parameters_are_cheaper(fit, worse, sigma, k):
    density = np.zeros((4, 5))
    good, bad = (description_length(density, density + r, sigma, k) for r in (fit, fit + worse))
    more = description_length(density, density + fit, sigma, k + 1)
    assert good.total < bad.total and good.bic < bad.bic
    assert good.total < more.total and good.data == more.data


def test_resolution_costs_every_theory_the_same():
    density, one, two = np.random.default_rng(0).normal(size=(3, 4, 5))
    coarse, fine = (
        description_length(density, one, 1, 2, step).total - description_length(density, two, 1, 9, step).total
        for step in (None, 1e-6)
    )
    assert coarse == pytest.approx(fine)


def test_cheapest_theory_depends_on_the_stated_noise():
    x = np.linspace(-1, 1, 64).reshape(8, 8)
    density = 1 + 0.1 * x
    constant, line = np.full_like(x, density.mean()), density

    def cheapest(sigma):
        totals = [
            description_length(density, constant, sigma, 1).total,
            description_length(density, line, sigma, 2).total,
        ]
        return int(np.argmin(totals)) + 1

    # The slope saves Σ(0.1 x)²/2σ² · log₂ e bits and costs ½ log₂ 64 = 3: they balance at σ = 0.23.
    balance = np.sqrt(np.sum((0.1 * x) ** 2) * np.log2(np.e) / 6)
    assert balance == pytest.approx(0.23, abs=0.005)
    assert [cheapest(sigma) for sigma in (0.01, 0.99 * balance, 1.01 * balance, 10)] == [2, 2, 1, 1]


def test_perfect_theory_has_no_bic():
    assert description_length(np.ones((2, 2)), np.ones((2, 2)), 1.0, 3).bic == -np.inf


@pytest.mark.parametrize(
    ("d", "readout", "order", "count"),
    [
        (2, "quadratic", 2, 12 + 3 + 2 - 4),
        (3, "linear", 2, 27 + 3 + 3 - 9),
        (2, "linear", 2, 12 + 2 + 2 - 4),
        (3, "quadratic", 1, 18 + 6 + 3 - 9),
        (1, "linear", 2, 4),
        (4, "quadratic", 2, 46),
    ],
)
def test_parameters_net_of_basis(d, readout, order, count):
    assert free_parameters(d, readout, order) == count


@pytest.mark.parametrize(("d", "readout"), [(1, "quadratic"), (2, "quadratic"), (2, "linear"), (3, "linear")])
def test_count_is_the_rank_of_the_predictions(d, readout):
    """As many directions of the parameters change the predictions as are counted."""
    rng = np.random.default_rng(0)
    V, (i, j) = rng.uniform(-1, 1, (40, 8)), np.triu_indices(d)
    sizes = [3 * d * d, d, len(i) if readout == "quadratic" else d]

    def density(parameters):
        U, g, form = np.split(parameters, np.cumsum(sizes)[:-1])
        g, seen = np.tile(g, (len(V), 1)), []
        for v in V.T:
            g = np.einsum("sn,nij,sj->si", v[:, None] ** np.arange(3), U.reshape(3, d, d), g)
            seen.append((g[:, i] * g[:, j] if readout == "quadratic" else g) @ form)
        return np.ravel(seen)

    at, step = 0.6 * rng.normal(size=sum(sizes)), 1e-5
    slopes = [(density(at + step * e) - density(at - step * e)) / (2 * step) for e in np.eye(sum(sizes))]
    assert np.linalg.matrix_rank(np.array(slopes), rtol=1e-7) == free_parameters(d, readout)


def test_a_member_that_diverged_is_lost_and_no_mistake():
    assert elbow({1: [0.4, np.inf], 2: [np.inf, 0.01], 3: [0.008, np.inf]}) == 2
    assert success_share([0.01, 0.011, np.inf, np.inf])[0] == 0.5
    with pytest.raises(ValueError, match=r"losses\[2\] must be finite; got inf"):
        elbow({1: [0.4], 2: [np.inf], 3: [0.008]})
    with pytest.raises(ValueError, match=r"losses\[1\] must be finite; got nan"):
        elbow({1: [0.4, np.nan], 2: [0.01], 3: [0.008]})
