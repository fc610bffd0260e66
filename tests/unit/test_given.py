"""What the machines are given: measured pairs, and never a wave function. Seen where the arrays reach Keras."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from rediscover import introspection, potentials, simulator
from rediscover.dataset import Dataset, simulate
from rediscover.distiller import Schedule, scan
from rediscover.translator import Translator, train

RNG = np.random.default_rng(0)
V = potentials.random(12, 9, seed=0)
PSI, DPSI = RNG.normal(size=(2, 12, 1)) + 1j * RNG.normal(size=(2, 12, 1))
SHAPE = {"length": 5, "starts": 3, "known": 3}


def photographed(phase=1.0, conjugate=False, energy=0.3):
    """Densities of complex waves, with what may be known of their left ends; times a phase nobody can tell them."""
    psi, dpsi = (phase * (x.conj() if conjugate else x) for x in (PSI, DPSI))
    waves = [simulator.propagate(V[i : i + 1], 0.4, energy, (*psi[i], *dpsi[i])) for i in range(len(V))]
    density = np.concatenate([wave.density for wave in waves])
    initial = np.concatenate([np.abs(psi) ** 2, (psi.conj() * dpsi).real, np.abs(dpsi) ** 2], -1)
    return Dataset(V, density, 0.4, energy, initial=initial)


def same(one, other):
    return len(one) == len(other) > 0 and all(map(np.array_equal, one, other))


# The translator -------------------------------------------------------------------------------------------------------


@pytest.fixture
def given(fed, tmp_path):
    """Give a function that trains, and returns what was fed."""

    def run(data):
        fed.clear()
        train(data, units=4, epochs=1, folder=tmp_path)
        return list(fed)

    return run


def test_translator_is_given_potentials_densities_and_what_is_told_of_the_left_end(given):
    data, order = photographed(), np.random.default_rng(0).permutation(12)
    seen = [(x - x.mean(axis)) / x.std(axis) for x, axis in ((V, None), (data.initial, 0), (data.density, None))]
    assert all(np.allclose(x, y[order], atol=1e-6) for x, y in zip(given(data), seen, strict=True))
    blind = given(replace(data, initial=None, origin={}))
    assert all(np.allclose(x, y[order], atol=1e-6) for x, y in zip(blind, seen[::2], strict=True))


def test_nothing_that_the_translator_is_given_tells_sign_phase_or_direction_of_a_wave(given):
    wave = given(photographed())
    turned = {"sign": {"phase": -1.0}, "phase": {"phase": 1j}, "direction": {"conjugate": True}}
    for what, other in turned.items():
        # an origin of its own: the same data would be found on disk, and not be fed
        assert same(given(replace(photographed(**other), origin={"turned": what})), wave), f"the {what} is told"
    for one, other in zip(given(photographed(phase=np.exp(0.7j))), wave, strict=True):
        assert one == pytest.approx(other, rel=1e-6)


def test_direction_of_a_simulated_current_is_not_told(given):
    assert same(*(given(simulate(8, sites=5, current=j)) for j in (0.5, -0.5)))


def test_energy_of_a_data_set_is_not_told(given):
    assert same(*(given(replace(photographed(), energy=E, origin={"energy": E})) for E in (0.3, 7.0)))


# The distiller --------------------------------------------------------------------------------------------------------


@pytest.fixture
def gru():
    model = Translator(units=4, **photographed().standardisation())
    model.artifact = SimpleNamespace(config={"kind": "translator"})
    return model


@pytest.mark.parametrize("readout", ["mlp", "quadratic"])
def test_distiller_is_given_the_run_of_the_translator_and_nothing_else(fed, tmp_path, gru, readout):
    data, tiny = photographed(), Schedule(steps=3, batch=4, sites=2)
    scan(gru, data, [2], 2, readout, tiny, folder=tmp_path, **SHAPE)
    hidden, seen = gru.hidden_states(V, data.initial), np.float32(gru.standardise(V))
    density = gru.translate(V, data.initial) / np.hypot(*gru.density)
    rows = {hidden[i, j].tobytes(): (i, j) for i in range(12) for j in range(3)}
    assert len(fed) == 3 * 4
    for step in range(3):
        first, known, sites, target = fed[4 * step : 4 * step + 4]
        for b, (i, start) in enumerate(rows[x.tobytes()] for x in first):
            padded = np.concatenate([np.zeros(2, "float32"), seen[i]])
            assert np.array_equal(known[b], [padded[start + k : start + k + 3][::-1] for k in range(6)])
            rebuilt = hidden if readout == "mlp" else density
            assert target[b] == pytest.approx(rebuilt[i, start + sites], rel=1e-6)


def test_distiller_does_not_use_measured_densities_nor_the_energy(fed, tmp_path, gru):
    data, tiny = photographed(), Schedule(steps=3, batch=4, sites=2)
    other = Dataset(V, RNG.random(V.shape), 0.4, 7.0, initial=data.initial)

    def distil(data):
        fed.clear()
        scan(gru, data, [2], 2, "linear", tiny, folder=tmp_path, **SHAPE)
        return list(fed)

    assert same(distil(other), distil(data))


def test_investigation_uses_measured_densities_for_its_score_alone(fed, gru):
    found = {}
    for name, density in (("measured", photographed().density), ("random", RNG.random(V.shape))):
        pairs = Dataset(V, density, 0.4, initial=photographed().initial).split(8, 4)
        fed.clear()
        tiny = {"members": 2, "steps": 3, "length": 5, "known": 3}
        found[name] = introspection.investigate(gru, *pairs, scans=[["linear", "linear", [2]]], **tiny), list(fed)
    (one, given), (other, same_given) = found.values()
    assert same(given, same_given) and one["r2"] != other["r2"]
    assert np.array_equal(one["losses"]["linear"][2], other["losses"]["linear"][2])
