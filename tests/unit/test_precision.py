"""Networks count in float32 whatever Keras is set to, and layers by themselves as they are told."""

import keras
import numpy as np
import pytest

from rediscover.dataset import simulate
from rediscover.distiller import UPDATES, Distiller, Schedule, Windows, scan
from rediscover.layers import FreeCell, MemberWise, NearIdentity, QuadraticForm, TaylorCell
from rediscover.readouts import READOUTS
from rediscover.translator import CELLS, Translator, train

DATA = simulate(24, sites=9, seed=1, current=(0.0, 0.5))
TINY, SHAPE = Schedule(steps=3, batch=8), {"length": 5, "starts": 3, "known": 3}


@pytest.fixture(params=["mixed_float16", "float64"])
def setting(request):
    """Another default than Keras's own."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64" if request.param == "float64" else "float32")
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx(before[0]), keras.config.set_dtype_policy(before[1])


def made():
    """First weights of every network, and what they say."""
    said = {}
    for cell in CELLS:
        model = Translator(cell, 4, **DATA.standardisation())
        said[cell] = [*model.get_weights(), model.translate(DATA.potential, DATA.initial)]
    for readout in READOUTS:
        windows = Windows.of(model, DATA.potential, readout, initial=DATA.initial, **SHAPE)
        for update in UPDATES:
            population = Distiller(2, 2, readout, units=4, known=3, width=6, update=update)
            population.adapt(windows)
            said[readout, update] = [*population.get_weights(), population.latents(windows)]
            said[readout, update].append(population.member_losses(windows))
    return said


def trained(folder):
    """Weights of a translator and of a population, after a few steps."""
    gru = train(DATA, units=4, epochs=1, batch=8, folder=folder)
    population = scan(gru, DATA, [2], 2, "mlp", TINY, folder=folder, update="mlp", **SHAPE)[2]
    return {"gru": gru.get_weights(), "population": population.get_weights()}


@pytest.fixture(scope="module")
def by_default(tmp_path_factory):
    """What is made and trained while Keras is set as it comes: done before `setting`, as it serves the whole module."""
    return made(), trained(tmp_path_factory.mktemp("default"))


def assert_same(found, expected):
    for name, arrays in expected.items():
        for one, other in zip(found[name], arrays, strict=True):
            # the last bit may differ: a step's constants are Python's, which Keras takes as its own floats
            assert one.dtype == other.dtype and np.allclose(one, other, rtol=1e-5, atol=1e-6), name


@pytest.mark.slow
@pytest.mark.trains
def test_networks_and_what_they_learn_are_the_same_whatever_keras_is_set_to(by_default, setting, tmp_path):
    for found, expected in zip((made(), trained(tmp_path)), by_default, strict=True):
        assert_same(found, expected)
    assert keras.config.dtype_policy().name == setting


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_layers_by_themselves_count_as_they_are_told(dtype):
    for cell in (TaylorCell(3, members=2, dtype=dtype), FreeCell(3, members=2, dtype=dtype)):
        layer = keras.layers.RNN(cell, return_sequences=True, dtype=dtype)
        assert layer(np.ones((2, 4, 1), dtype)).dtype == dtype == cell.kernel.dtype
    form = QuadraticForm(2, dtype=dtype)
    assert form(np.ones((2, 2, 4, 3), dtype)).dtype == dtype == form.kernel.dtype
    assert keras.backend.standardize_dtype(MemberWise(NearIdentity())((2, 3, 3), dtype).dtype) == dtype


def test_layers_by_themselves_follow_keras(setting):
    form = QuadraticForm(2)
    assert form(np.ones((2, 2, 4, 3))).dtype == keras.dtype_policies.get(setting).compute_dtype
