"""No unit matters: everybody's potentials and densities are learned from as if they were given in the best of units."""

import tempfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rediscover import introspection, simulator, verdict
from rediscover.dataset import Dataset, simulate
from rediscover.distiller import Schedule, Windows, scan
from rediscover.law import Law, symmetric_square
from rediscover.translator import Translator, train

DATA = simulate(24, sites=9, seed=1, current=(0.0, 0.5))
TINY, SHAPE = Schedule(steps=2, batch=4, sites=3), {"length": 5, "starts": 3, "known": 3}

powers = st.integers(-100, 100).map(lambda n: 2.0**n)
sizes = st.floats(-30, 30).map(lambda x: 10.0**x)
offsets = st.floats(-1e7, 1e7)  # in units of the size
few = settings(max_examples=5)


def measured(V=1.0, rho=1.0, told=1.0, offset=0.0, background=0.0):
    """The same experiment in other units, from other zeros."""
    potential, density = V * (DATA.potential + offset), rho * (DATA.density + background)
    return Dataset(potential, density, 0.4, initial=told * DATA.initial)


def distilled(data, **plan):
    """A translator and two latents, the shares that they leave unexplained, and the density, theirs and by the form."""
    with tempfile.TemporaryDirectory() as folder:
        gru = train(data, folder=folder, **({"units": 4, "epochs": 1} | plan))
        population = scan(gru, data, [2], 2, "quadratic", TINY, folder=folder, **SHAPE)[2]
    windows = Windows.of(gru, data.potential, "quadratic", initial=data.initial, **SHAPE)
    shares = [gru.score(data.potential, data.density, data.initial), *population.member_losses(windows)]
    law = Law.from_distiller(population, 0, gru, data).transfer_matrix(data.potential[0])
    return shares, gru.translate(data.potential, data.initial), population.forms(), law


@pytest.mark.slow
def test_powers_of_two_change_no_bit(fed):
    shares, density, forms, law = distilled(DATA)
    before = list(fed)

    @few
    @given(V=powers, rho=powers, told=powers)
    def check(V, rho, told):
        fed.clear()
        scaled = distilled(measured(V, rho, told))
        assert len(fed) == len(before) > 0 and all(map(np.array_equal, fed, before))
        assert scaled[0] == shares and np.array_equal(scaled[1] / rho, density)
        assert np.array_equal(scaled[2] / rho, forms) and np.array_equal(scaled[3], law)

    check()


def test_all_units_and_zeros_are_the_same_to_a_network(fed):
    """As far as float64 holds them. (Not to a form, which has no offset: to it a background is one more variable.)"""

    def learn(data):
        fed.clear()
        with tempfile.TemporaryDirectory() as folder:
            return train(data, units=4, epochs=1, folder=folder), list(fed)

    gru, before = learn(DATA)
    density = gru.translate(DATA.potential, DATA.initial)

    @few
    @given(V=sizes, rho=sizes, told=sizes, offset=offsets, background=offsets)
    def check(V, rho, told, offset, background):
        other, given_ = learn(measured(V, rho, told, offset, background))
        assert len(given_) == len(before) == 3
        assert all(np.allclose(x, y, atol=1e-6) for x, y in zip(given_, before, strict=True))
        said = other.translate(V * (DATA.potential + offset), told * DATA.initial)
        assert said / rho - background == pytest.approx(density, abs=1e-6)

    check()


@pytest.mark.slow
@pytest.mark.trains
def test_what_is_learned_does_not_depend_on_units(tmp_path):
    plan = {"units": 8, "epochs": 25, "batch": 8, "rate": 2e-2}
    shares, density, forms, law = distilled(DATA, **plan)
    assert shares[0] > 0.8
    same = distilled(measured(2.0**90, 2.0**-95, 4.0), **plan)
    assert same[0] == shares and np.array_equal(same[1] * 2.0**95, density)
    assert np.array_equal(same[2] * 2.0**95, forms) and np.array_equal(same[3], law)
    for units in ({"V": 1e30, "rho": 1e-30, "told": 1e3}, {"V": 3.0, "rho": 100.0, "offset": 1e7, "background": 1e3}):
        other = measured(**units)
        gru = train(other, folder=tmp_path, **plan)
        assert gru.score(other.potential, other.density, other.initial) == pytest.approx(shares[0], abs=0.02), units


@pytest.mark.parametrize("s", [2.0**-20, 2.0**20])
def test_an_investigation_finds_the_same_in_other_units(s, no_training):
    """The spacing goes with the potential, as ħ and the mass are 1."""
    found = {}
    for name, data in {"ours": DATA, "theirs": replace(measured(s, 2.0**70), spacing=0.4 / np.sqrt(s))}.items():
        pairs = replace(data, origin={}).split(16, 8)
        gru = Translator(units=4, **pairs[0].standardisation())
        found[name] = introspection.investigate(gru, *pairs, members=2, steps=2, length=5)
    ours, theirs = found.values()
    assert ours["r2"] == theirs["r2"] and ours["verdict"] == theirs["verdict"]
    assert verdict.judge(ours, r2=1.0) == verdict.judge(theirs, r2=1.0)
    for name in ("losses", "coefficients"):
        for scan_, by_dim in ours[name].items():
            assert all(np.array_equal(theirs[name][scan_][d], x) for d, x in by_dim.items())


@pytest.mark.parametrize(("s", "zero"), [(1e-30, 0.0), (1e30, 0.0), (7.0, 1e7)])
def test_a_law_in_other_units_is_judged_alike(s, zero):
    V = np.linspace(-1, -0.3, 29)
    powers = ((V + 0.65) / 0.2)[:, None] ** np.arange(3)
    for T in (exact := simulator.transfer_matrix(V, 0.4, 0.3)), symmetric_square(exact):
        U = np.linalg.lstsq(powers, T.reshape(len(V), -1), rcond=None)[0].reshape(3, *T.shape[1:])
        ours = verdict.margins(Law(U, -0.65, 0.2, 0.4), 0.01, V)
        theirs = verdict.margins(Law(U, s * (zero - 0.65), s * 0.2, 0.4 / np.sqrt(s)), 0.01, s * (V + zero))
        assert theirs == pytest.approx(ours, rel=1e-3, abs=1e-4)
        energy = Law(U, s * (zero - 0.65), s * 0.2, 0.4 / np.sqrt(s)).dispersion(s * (V + zero)).energy
        assert energy / s - zero == pytest.approx(0.3, abs=0.01)
