"""The layers keep Keras's contracts, and members of a population keep out of each other's way."""

import keras
import numpy as np
import pytest
from keras import ops

from rediscover.layers import FreeCell, MemberWise, NearIdentity, QuadraticForm, TaylorCell

RNG = np.random.default_rng(0)
numpy = ops.convert_to_numpy


def by_hand(kernel, v, start):
    """Step every chain, member and site in plain loops: (batch, sites, members * units)."""
    members, orders, units, _ = kernel.shape
    out = np.empty((*v.shape, members * units))
    for b, chain in enumerate(v):
        for m in range(members):
            g = start[b, m * units : (m + 1) * units]
            for i, value in enumerate(chain):
                g = sum(value**n * kernel[m, n] for n in range(orders)) @ g
                out[b, i, m * units : (m + 1) * units] = g
    return out


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize(("units", "order", "members"), [(2, 2, 3), (3, 1, 1), (1, 0, 2)])
def test_taylor_cell_is_the_recurrence_written_out(units, order, members, unroll):
    layer = keras.layers.RNN(TaylorCell(units, order, members, seed=5), return_sequences=True, unroll=unroll)
    v, start = RNG.normal(size=(4, 6)), RNG.normal(size=(4, members * units))
    found = numpy(layer(ops.cast(v[..., None], "float32"), initial_state=ops.cast(start, "float32")))
    expected = by_hand(numpy(layer.cell.kernel).astype(float), v, start)
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_taylor_cell_keeps_the_contract_of_an_rnn_cell():
    cell = TaylorCell(3, members=2)
    assert cell.state_size == cell.output_size == 6
    (start,) = cell.get_initial_state(batch_size=4)
    output, (state,) = cell(ops.ones((4, 1)), [start])
    assert start.shape == output.shape == state.shape == (4, 6) and np.any(numpy(start))
    assert np.array_equal(numpy(output), numpy(state))
    layer = keras.layers.RNN(cell, return_sequences=True, return_state=True)
    sequence, last = layer(ops.ones((4, 5, 1)))
    assert sequence.shape == layer.compute_output_shape((4, 5, 1))[0] == (4, 5, 6)
    assert np.array_equal(numpy(sequence[:, -1]), numpy(last))


def test_taylor_cell_moves_the_state_linearly():
    layer = keras.layers.RNN(TaylorCell(3), return_sequences=True)
    v = ops.cast(RNG.normal(size=(4, 5, 1)), "float32")
    one, two = (ops.cast(RNG.normal(size=(4, 3)), "float32") for _ in range(2))
    both = layer(v, initial_state=2 * one - two)
    apart = 2 * layer(v, initial_state=one) - layer(v, initial_state=two)
    assert numpy(both) == pytest.approx(numpy(apart), rel=1e-4, abs=1e-4)


def test_gradients_reach_coefficients_and_potential_where_the_potential_is_zero():
    tf = pytest.importorskip("tensorflow")
    cell, v = TaylorCell(2, members=2), tf.zeros((3, 1))
    with tf.GradientTape() as tape:
        tape.watch(v)
        loss = ops.sum(ops.square(cell(v, cell.get_initial_state(3))[0]))
    by_kernel, by_v = tape.gradient(loss, [cell.kernel, v])
    assert np.all(np.any(numpy(by_kernel)[:, 0], axis=(1, 2))), "a member's step does not learn"
    assert np.isfinite(numpy(by_v)).all() and np.any(numpy(by_v))


def test_free_cell_is_its_equation_member_by_member():
    layer = keras.layers.RNN(FreeCell(2, members=3, width=5, seed=4), return_sequences=True)
    v, start = RNG.normal(size=(4, 6)), RNG.normal(size=(4, 6))
    layer.build((None, None, 1))
    layer.cell.bias.assign(RNG.normal(size=(3, 5)))
    U, inward, bias, outward = (w.astype(float) for w in layer.cell.get_weights())
    found = numpy(layer(ops.cast(v[..., None], "float32"), initial_state=ops.cast(start, "float32")))
    for b, m in np.ndindex(4, 3):
        g = start[b, 2 * m : 2 * m + 2]
        for i, value in enumerate(v[b]):
            linear = sum(value**n * U[m, n] for n in range(3)) @ g
            g = linear + np.tanh(np.append(g, value) @ inward[m] + bias[m]) @ outward[m]
            assert found[b, i, 2 * m : 2 * m + 2] == pytest.approx(g, rel=1e-4, abs=1e-5)


def test_free_cell_begins_near_the_linear_one_and_draws_members_as_if_alone():
    three, alone = FreeCell(2, members=3, width=8, seed=7), FreeCell(2, width=8, seed=9)
    for cell in (three, alone):
        cell.build((None, 1))
    for together, single in zip(three.get_weights(), alone.get_weights(), strict=True):
        assert np.array_equal(together[2], single[0])
    (start,), linear = three.get_initial_state(batch_size=4), TaylorCell(2, members=3, seed=7)
    beside = numpy(three(ops.ones((4, 1)), [start])[0]) - numpy(linear(ops.ones((4, 1)), [start])[0])
    assert beside.shape == (4, 6) and 0 < np.abs(beside).max() < 0.2


def test_each_member_is_drawn_as_if_alone():
    shape = (3, 40, 30)
    all_three = numpy(MemberWise("glorot_uniform", seed=7)(shape))
    for m in range(3):
        alone = numpy(MemberWise("glorot_uniform", seed=7 + m)((1, *shape[1:])))[0]
        assert np.array_equal(all_three[m], alone)
        assert np.array_equal(alone, numpy(keras.initializers.GlorotUniform(seed=7 + m)(shape[1:])))
    assert not np.array_equal(all_three[0], all_three[1])


@pytest.mark.parametrize("members", [1, 8])
def test_members_are_not_shrunk(members):
    stacked = numpy(MemberWise("glorot_uniform")((members, 64, 64)))
    limit = np.sqrt(6 / 128)
    assert stacked.std() == pytest.approx(limit / np.sqrt(3), rel=0.03)
    assert np.abs(stacked).max() == pytest.approx(limit, rel=0.03)


def test_member_wise_takes_initialisers_that_draw_nothing():
    assert not numpy(MemberWise("zeros")((2, 3))).any()


def test_near_identity_spreads_about_the_identity():
    draws = numpy(MemberWise(NearIdentity(noise=0.1), seed=1)((200, 3, 2, 2)))
    centre = np.stack([np.eye(2), np.zeros((2, 2)), np.zeros((2, 2))])
    assert draws.mean(0) == pytest.approx(centre, abs=5 * 0.1 / np.sqrt(200))
    assert draws.std(0) == pytest.approx(0.1, rel=0.3)


@pytest.mark.parametrize("initialiser", [MemberWise("he_normal", seed=3), MemberWise(NearIdentity(0.3), seed=3)])
def test_initialisers_survive_serialisation(initialiser):
    back = keras.initializers.deserialize(keras.initializers.serialize(initialiser))
    assert type(back) is MemberWise and back.get_config() == initialiser.get_config()
    assert np.array_equal(numpy(back((2, 3, 4, 4))), numpy(initialiser((2, 3, 4, 4))))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (TaylorCell(3, 1, 2, noise=0.4, seed=9), (None, 1)),
        (FreeCell(3, 1, 2, noise=0.4, width=5, seed=9), (None, 1)),
        (QuadraticForm(2, seed=9), (None, 2, 7, 3)),
    ],
)
def test_layers_survive_get_config(layer, shape):
    back = type(layer).from_config(layer.get_config())
    assert back.get_config() == layer.get_config()
    for one in (layer, back):
        one.build(shape)
    assert all(np.array_equal(*pair) for pair in zip(back.get_weights(), layer.get_weights(), strict=True))
    assert type(layer) is type(keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer)))


@pytest.mark.parametrize("cell", [TaylorCell(2, members=3), FreeCell(2, members=3)])
def test_model_of_these_layers_survives_a_keras_file(cell, tmp_path):
    rnn = keras.layers.RNN(cell, return_sequences=True)
    model = keras.Sequential([keras.Input((5, 1)), rnn, keras.layers.Reshape((3, 5, 2)), QuadraticForm(3)])
    model.save(tmp_path / "model.keras")
    x = ops.cast(RNG.normal(size=(4, 5, 1)), "float32")
    assert np.array_equal(numpy(keras.saving.load_model(tmp_path / "model.keras")(x)), numpy(model(x)))


def test_quadratic_form_is_its_definition():
    layer, g = QuadraticForm(2, seed=4), RNG.normal(size=(5, 2, 7, 3)).astype("float32")
    found, Q = numpy(layer(g)), numpy(layer.kernel)
    for b, m, s in np.ndindex(5, 2, 7):
        assert found[b, m, s] == pytest.approx(g[b, m, s] @ Q[m] @ g[b, m, s], rel=1e-4, abs=1e-5)
    assert numpy(layer(-3 * g)) == pytest.approx(9 * found, rel=1e-4, abs=1e-4)


def test_gradient_of_a_quadratic_form_stays_with_its_member():
    tf = pytest.importorskip("tensorflow")
    layer, g = QuadraticForm(3), tf.ones((2, 3, 4, 2))
    layer.build(g.shape)
    with tf.GradientTape() as tape:
        loss = ops.sum(layer(g)[:, 1])
    gradient = numpy(tape.gradient(loss, layer.kernel))
    assert gradient[1].all() and not gradient[[0, 2]].any()
