"""The translator is an honest Keras model: causal, repeatable, and the same after a trip to disk."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops
from sklearn.metrics import r2_score

from rediscover import translator
from rediscover.dataset import simulate
from rediscover.translator import CELLS, Translator, train

DATA = simulate(64, sites=6, seed=1)
V = DATA.potential[:5]
every_cell = pytest.mark.parametrize("cell", CELLS)


def small(cell="gru", **settings):
    return Translator(cell, **({"units": 4, "potential": (-0.65, 0.2), "density": (0.7, 0.6)} | settings))


def same_weights(one, two):
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), two.get_weights(), strict=True))


@every_cell
def test_shapes(cell):
    model = small(cell)
    assert model.translate(V).shape == (5, 6)
    assert model.hidden_states(V).shape == (5, 6, 4)
    assert model(model.seen(V)).shape == (5, 6)
    assert model.translate(V[:, :2]).shape == (5, 2), "any length of chain will do"


@every_cell
def test_density_is_read_off_the_hidden_states(cell):
    model = small(cell)
    kernel, bias = model.readout.get_weights()
    standardised = (model.hidden_states(V) @ kernel + bias)[..., 0]
    assert 0.7 + 0.6 * standardised == pytest.approx(model.translate(V), rel=1e-5, abs=1e-6)


@every_cell
def test_potential_acts_on_its_own_site_and_later_ones_only(cell):
    model, changed = small(cell), V.copy()
    changed[:, 3] += 0.2
    before, after = model.translate(V), model.translate(changed)
    assert np.array_equal(before[:, :3], after[:, :3])
    assert np.all(before[:, 3:] != after[:, 3:])


@every_cell
def test_network_sees_the_standardised_potential(cell):
    plain = Translator(cell, units=4)
    assert np.array_equal(small(cell).translate(V), 0.6 * plain.translate((V + 0.65) / 0.2) + 0.7)
    told = small(cell, initial=([1.0, 0.0, 8.0], [1.0, 2.0, 4.0]))
    start = np.array([[3.0, 2.0, 4.0]] * 5)
    same = small(cell, initial=([0.0] * 3, [1.0] * 3)).translate(V, np.array([[2.0, 1.0, -1.0]] * 5))
    assert np.array_equal(told.translate(V, start), same)


def test_arrays_in_somebodys_units_do_not_pass_for_standardised_ones():
    model = small()
    model.compile("adam", "mse", run_eagerly=True)
    with pytest.raises(TypeError, match=r"inputs must be what Translator\.seen makes of arrays; got a "):
        model.fit(DATA.potential, DATA.density, verbose=0)
    x, y = model.seen(DATA.potential), model.density.to(DATA.density)
    assert (x["potential"].dtype, y.dtype) == ("float32", "float64")
    model.fit(x, y, verbose=0)


def test_long_inputs_are_cut_into_batches_without_a_seam():
    model, many = small(), simulate(1003, sites=3).potential
    pieces = np.concatenate([model.translate(many[:500]), model.translate(many[500:])])
    assert model.translate(many) == pytest.approx(pieces, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("sites", "rows"), [(1, 6000), (40, 6000), (41, 5853), (4000, 60), (300_000, 1)])
def test_the_longer_the_chains_the_fewer_at_a_time(sites, rows, monkeypatch):
    model, seen = Translator(units=64), []

    def translate(inputs):
        seen.append(tuple(inputs["potential"].shape))
        return ops.zeros(seen[-1])

    monkeypatch.setattr(model, "_translate", translate)
    n = min(2 * rows, 6001) + 1
    assert model.translate(np.broadcast_to(0.0, (n, sites))).shape == (n, sites)
    assert max(seen) == seen[0] == (rows, sites) and sum(first for first, _ in seen) == n
    assert rows == 1 or rows * sites * 64 <= translator.LARGEST_BATCH


@every_cell
def test_batches_make_no_difference(cell, monkeypatch):
    model, potential = small(cell), simulate(7, sites=9).potential
    at_once = [model.translate(potential), model.hidden_states(potential)]
    monkeypatch.setattr(translator, "LARGEST_BATCH", 1)  # one by one
    for whole, method in zip(at_once, (model.translate, model.hidden_states), strict=True):
        assert method(potential) == pytest.approx(whole, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_gated_cell_can_be_compiled_on_a_gpu_too(cell):
    # Left to itself Keras takes cuDNN's there, and training ends with "Detected unsupported operations ... CudnnRNNV3".
    assert Translator(cell, units=4).hidden.use_cudnn is False


@every_cell
def test_configuration_and_seed_give_the_same_model(cell):
    model = small(cell, seed=3)
    back = Translator.from_config(model.get_config())
    assert back.get_config() == model.get_config() and same_weights(back, model)
    assert not same_weights(small(cell, seed=4), model)


@every_cell
def test_keras_file_round_trip(cell, tmp_path):
    model = small(cell, seed=2)
    if cell == "gru":  # one with an optimiser
        model.compile("adam", "mse")
        model.fit(model.seen(DATA.potential), model.density.to(DATA.density), verbose=0)
    model.save(tmp_path / "translator.keras")
    back = keras.saving.load_model(tmp_path / "translator.keras")
    assert type(back) is Translator and same_weights(back, model)
    assert np.array_equal(back.translate(V), model.translate(V))
    model.save_weights(tmp_path / "translator.weights.h5")
    other = small(cell, seed=5)
    other.load_weights(tmp_path / "translator.weights.h5")
    assert np.array_equal(other.translate(V), model.translate(V))


@pytest.mark.trains
@every_cell
def test_training_learns_is_repeatable_and_comes_back_from_disk(cell, tmp_path):
    def run(folder):
        return train(DATA, cell, units=8, epochs=25, batch=8, rate=2e-2, seed=3, folder=tmp_path / folder)

    first = run("a")
    loss = first.artifact.arrays["loss"]
    assert first.artifact.fresh and loss.shape == (25,)
    profile = DATA.density.var(0).mean() / DATA.density.var()  # what the mean at each site leaves unexplained
    assert loss[-1] < 0.5 * profile < loss[0], "it knows no more than the mean profile"
    restored = run("a")
    assert not restored.artifact.fresh and same_weights(restored, first)
    assert np.array_equal(restored.translate(V), first.translate(V))
    assert np.array_equal(restored.artifact.arrays["loss"], loss)
    assert len(list((tmp_path / "a").iterdir())) == 1
    if cell == "gru":
        again = run("b")
        assert again.artifact.fresh and same_weights(again, first)


def test_whatever_decides_the_outcome_is_part_of_the_key(tmp_path, no_training):
    base = {"data": DATA, "cell": "gru", "units": 3, "epochs": 1, "batch": 32, "rate": 1e-2, "seed": 0}
    changes = [{"cell": "lstm"}, {"units": 4}, {"epochs": 2}, {"batch": 64}, {"rate": 2e-2}, {"seed": 1}]
    for change in [{}, *changes, {"data": replace(DATA, density=DATA.density + 1, origin={})}]:
        assert train(**(base | change), folder=tmp_path).artifact.fresh, change
    assert not train(**base, folder=tmp_path).artifact.fresh


def test_score_is_scikit_learn_s():
    model = small()
    expected = r2_score(DATA.density.ravel(), model.translate(DATA.potential).ravel())
    assert model.score(DATA.potential, DATA.density) == pytest.approx(expected, rel=1e-12)
    assert model.score(V, model.translate(V)) == 1.0


# --- translators that are told how the chain begins

FLUX = simulate(64, sites=6, seed=1, current=(0.0, 0.8))
INITIAL = FLUX.standardisation()["initial"]


@every_cell
def test_what_is_told_matters_from_the_first_site_on(cell):
    model = small(cell, initial=INITIAL)
    one, other = (model.translate(V, np.tile([1.0, 0.0, xi], (5, 1))) for xi in (0.0, 0.64))
    assert np.all(np.abs(one - other) > 1e-6)
    assert model.hidden_states(V, FLUX.initial[:5]).shape == (5, 6, 4)


@every_cell
def test_a_told_translator_survives_a_keras_file(cell, tmp_path):
    model, path = small(cell, initial=INITIAL), tmp_path / "model.keras"
    model.save(path)
    again = keras.models.load_model(path)
    assert again.get_config() == model.get_config()
    assert again.translate(V, FLUX.initial[:5]) == pytest.approx(model.translate(V, FLUX.initial[:5]))


@pytest.mark.trains
def test_training_tells_what_the_data_know(tmp_path):
    model = train(FLUX, units=4, epochs=2, batch=16, folder=tmp_path)
    assert model.told == 3
    score = model.score(FLUX.potential, FLUX.density, FLUX.initial)
    assert score == pytest.approx(r2_score(FLUX.density.ravel(), model.translate(FLUX.potential, FLUX.initial).ravel()))
    assert model.artifact.config != train(DATA, units=4, epochs=2, batch=16, folder=tmp_path).artifact.config


# --- artefacts belong to the data that they were trained on


def altered(name):
    """The same data but for one entry, the order of two rows, or the shape; under their old name."""
    V, rho = DATA.potential.copy(), DATA.density.copy()
    if name == "one potential":
        V[40, 3] += 0.01 * V.std()
    elif name == "one density":
        rho[40, 3] += 0.01 * rho.std()
    elif name == "rows":
        rho[[7, 8]] = rho[[8, 7]]
    elif name == "shape":
        V, rho = V.reshape(32, 12), rho.reshape(32, 12)
    return replace(DATA, potential=V, density=rho)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("one potential", "potential holds other numbers"),
        ("one density", "density holds other numbers"),
        ("rows", "density holds other numbers"),
        ("shape", r"potential had shape \(64, 6\), and has \(32, 12\)"),
    ],
)
def test_other_data_under_an_old_name_are_refused_with_a_way_out(name, says, tmp_path, no_training):
    base = {"units": 3, "epochs": 1, "folder": tmp_path}
    train(DATA, **base)
    assert altered(name).origin == DATA.origin
    with pytest.raises(ValueError, match=rf"trained on other data of the same name: {says}.*origin={{}}"):
        train(altered(name), **base)
    assert train(replace(altered(name), origin={}), **base).artifact.fresh


def test_last_bits_of_a_simulation_may_differ(tmp_path, no_training):
    noise = 1 + 1e-13 * np.random.default_rng(0).standard_normal(DATA.density.shape)
    train(DATA, units=3, epochs=1, folder=tmp_path)
    again = train(replace(DATA, density=DATA.density * noise), units=3, epochs=1, folder=tmp_path)
    assert not again.artifact.fresh


def test_the_same_numbers_in_another_shape_are_other_data(tmp_path, no_training):
    one, other = (replace(altered(name), origin={}) for name in ("none", "shape"))
    assert one.origin != other.origin
    assert all(train(data, units=3, epochs=1, folder=tmp_path).artifact.fresh for data in (one, other))
