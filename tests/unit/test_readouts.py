"""A readout is an object: another one is a class and an entry in a table, and everything else takes it as it is."""

import keras
import numpy as np
import pytest

from rediscover import dataset, distiller, evidence, introspection, readouts
from rediscover.distiller import Schedule, Windows
from rediscover.translator import Translator

TINY = Schedule(steps=3, batch=4)


class Squares(readouts.Readout):
    """The density as a sum of squares, each with a weight."""

    name = "squares"

    def layers(self, dense, members, width, units, seed):
        return [keras.layers.Activation(keras.ops.square), dense("bmsd,md->bms", (members, None), 6)]

    def form(self, kernel):
        return np.diag(kernel)

    def parameters(self, latent_dim):
        return latent_dim


@pytest.fixture
def another(monkeypatch):
    monkeypatch.setitem(readouts.READOUTS, "squares", Squares())


@pytest.mark.trains
def test_another_readout_touches_no_other_file(another, tmp_path):
    data, gru = dataset.simulate(12, sites=9), Translator(units=4, potential=(-0.65, 0.2))
    windows = Windows.of(gru, data.potential, "squares", length=5)
    population = distiller.train(windows, {}, 2, 3, "squares", TINY, folder=tmp_path)
    assert np.isfinite(population.member_losses(windows)).all()
    assert population.forms().shape == (3, 2, 2) and population.coefficients().shape == (3, 3, 2, 2)
    again = distiller.Distiller.from_config(population.get_config())
    assert isinstance(again.readout, Squares)
    assert evidence.free_parameters(2, "squares") == 12 + 2 + 2 - 4
    found = introspection.investigate(
        gru, *data.split(8, 4), scans=[["squares", "linear", [1]]], members=2, steps=2, length=5
    )
    assert list(found["losses"]) == ["squares"]
    latents = population.latents(windows)[1]
    rho = np.einsum("nsi,ij,nsj->ns", latents, population.forms()[1], latents)
    inputs, _ = windows.cut(np.arange(12), windows.start, np.arange(6))
    assert rho == pytest.approx(np.asarray(population(inputs))[:, 1], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("density", [(0.0, 3.0), (5.0, 0.1), (-40.0, 1e-3)])
@pytest.mark.parametrize("name", ["linear", "quadratic"])
def test_what_a_form_is_to_give_is_of_size_one(name, density):
    # In units of its spread a density that hardly leaves its mean would be hundreds away from what first weights give.
    gru, V = Translator(units=4, density=density), dataset.simulate(6, sites=9).potential
    windows = Windows.of(gru, V, name, length=5)
    assert 0.01 < np.sqrt(np.mean(windows.target.astype(float) ** 2)) < 1.5
    assert windows.scale * windows.target == pytest.approx(gru.translate(V), rel=1e-6)


@pytest.mark.parametrize("name", readouts.READOUTS)
def test_a_readout_is_found_by_its_name_or_given(name):
    readout = readouts.get(name)
    assert readout.name == name and readouts.get(readout) is readout


def test_an_unknown_one_is_named():
    with pytest.raises(ValueError, match="readout must be one of 'mlp', 'quadratic', 'linear'; got 'cubic'"):
        readouts.get("cubic")


def test_a_network_has_neither_form_nor_parameters_that_count(tmp_path):
    with pytest.raises(ValueError, match="for its parameters to count; got 'mlp'"):
        evidence.free_parameters(2, "mlp")
    with pytest.raises(ValueError, match="to have a form; got 'mlp'"):
        distiller.Distiller(2, 2, "mlp", units=4).forms()
