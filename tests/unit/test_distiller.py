"""The distiller: windows cut right, members that ignore each other, and nothing started on bad input."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy.special import erf

from rediscover.dataset import simulate
from rediscover.distiller import (
    UPDATES,
    Distiller,
    PopulationError,
    Schedule,
    Windows,
    scan,
    train,
)
from rediscover.readouts import READOUTS
from rediscover.translator import Translator

N, SITES, UNITS = 12, 9, 4
RNG = np.random.default_rng(0)
HIDDEN, V, DENSITY = RNG.normal(1, 2, (N, SITES, UNITS)), RNG.normal(size=(N, SITES)), RNG.random((N, SITES))
SHAPE = {"length": 5, "starts": 3, "known": 3}
TINY = Schedule(steps=6, batch=8, sites=4)
numpy = ops.convert_to_numpy
every_readout = pytest.mark.parametrize("readout", READOUTS)


def windows(readout="quadratic", **shape):
    target = HIDDEN if readout == "mlp" else DENSITY
    return Windows(HIDDEN, V, target, **(SHAPE | shape))


def small(readout="quadratic", members=3, latent_dim=2, **settings):
    return Distiller(latent_dim, members, readout, units=UNITS, known=SHAPE["known"], **({"width": 6} | settings))


def stepper(model):
    """Give a function that moves one member's latents by one site, in double precision."""
    U, *network = (x.astype(float) for x in model.update.get_weights())

    def step(m, v, g):
        moved = sum(v**k * U[m, k] for k in range(U.shape[1])) @ g
        if not network:
            return moved
        inward, bias, outward = (x[m] for x in network)
        return moved + np.tanh(np.append(g, v) @ inward + bias) @ outward

    return step


def by_hand(model, w):
    """Latents and output of every member on every chain, in plain loops and double precision."""
    v, step = V.astype("float32").astype(float), stepper(model)
    first = numpy(model.encode(w.hidden[np.arange(N), w.start])).astype(float)
    weights = [x.astype(float) for x in model.decoder.get_weights()]
    latents = np.zeros((model.members, N, w.length + 1, model.latent_dim))
    output = np.zeros(
        (N, model.members, w.length + 1, UNITS) if model.readout.name == "mlp" else latents.swapaxes(0, 1).shape[:3]
    )
    for n, m, i in np.ndindex(N, model.members, w.length + 1):
        site = w.start[n] + i
        g = step(m, v[n, site], latents[m, n, i - 1]) if i else first[n, m]
        latents[m, n, i] = g
        if model.readout.name == "mlp":
            x = np.concatenate([g, [v[n, site - lag] if site >= lag else 0.0 for lag in range(w.known)]])
            for layer in range(3):
                x = x @ weights[2 * layer][m] + weights[2 * layer + 1][m]
                x = x if layer == 2 else x * (1 + erf(x / np.sqrt(2))) / 2
            output[n, m, i] = x * np.sqrt(w.variance) + HIDDEN.mean((0, 1))  # the decoder rebuilds deviations
        elif model.readout.name == "quadratic":
            output[n, m, i] = g @ weights[0][m] @ g
        else:
            output[n, m, i] = weights[0][m] @ g
    return latents, output


# Windows --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [1, 3, 6])
@every_readout
def test_windows_are_cut_as_explicit_indexing_would(readout, known):
    w, rows, starts, sites = windows(readout, known=known), [3, 0, 3], [2, 0, 1], [5, 0, 2, 2]
    inputs, target = w.cut(rows, starts, sites)
    assert set(inputs) == {"hidden", "known", "sites"}
    assert inputs["hidden"].shape == (3, UNITS) and inputs["known"].shape == (3, 6, known)
    assert np.array_equal(inputs["sites"], sites)
    for b, (row, start) in enumerate(zip(rows, starts, strict=True)):
        assert np.array_equal(inputs["hidden"][b], HIDDEN[row, start].astype("float32"))
        for i, lag in np.ndindex(6, known):
            site = start + i - lag
            assert inputs["known"][b, i, lag] == np.float32(V[row, site] if site >= 0 else 0)
        for k, site in enumerate(sites):
            assert np.array_equal(target[b, k], w.target[row, start + site])


def test_judging_uses_every_chain_once_and_every_start():
    w = windows()
    batches = list(w.batches(size=5))
    assert [len(target) for _, target in batches] == [5, 5, 2]
    hidden = np.concatenate([inputs["hidden"] for inputs, _ in batches])
    assert np.array_equal(hidden, HIDDEN[np.arange(N), np.arange(N) % 3].astype("float32"))
    assert all(np.array_equal(inputs["sites"], np.arange(6)) for inputs, _ in batches)
    assert len(w) == N and set(w.start) == {0, 1, 2}


def test_variance_is_about_the_mean_of_every_unit():
    assert windows().variance == pytest.approx(DENSITY.var(), rel=1e-5)
    assert windows("mlp").variance == pytest.approx(HIDDEN.var((0, 1)).mean(), rel=1e-5)


def test_windows_own_what_they_show():
    hidden, potential, target = HIDDEN.astype("f4"), V.astype("f4"), DENSITY.astype("f4")
    kept = Windows(hidden, potential, target, **(SHAPE | {"known": 0}))  # nothing is padded
    for array, mine in ((kept.hidden, hidden), (kept.padded, potential), (kept.target, target)):
        assert np.array_equal(array, mine) and not np.shares_memory(array, mine)
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 0.0
    whole = Windows(hidden, potential, kept.hidden, **SHAPE)
    assert np.shares_memory(whole.target, kept.hidden), "large arrays are not copied twice"


@every_readout
def test_training_sees_the_windows_that_are_cut_for_judging(readout):
    w, picks = windows(readout), [np.array(pick, "int32") for pick in ([3, 0, 3], [2, 0, 1], [5, 0, 2, 2])]
    inputs, target = w._cut(ops, *map(ops.convert_to_tensor, (w.hidden, w.padded, w.target)), *picks)
    expected, same = w.cut(*picks)
    assert np.array_equal(target, same)
    assert inputs.keys() == expected.keys() and all(np.array_equal(inputs[name], expected[name]) for name in expected)


@every_readout
def test_windows_of_a_translator_show_its_own_run(readout):
    gru = Translator(units=UNITS, potential=(-0.6, 0.2), density=(30.0, 40.0))
    potential = simulate(4, sites=SITES).potential
    w = Windows.of(gru, potential, readout, **SHAPE)
    assert np.array_equal(w.hidden, gru.hidden_states(potential))
    expected, scale = (gru.hidden_states(potential), 1) if readout == "mlp" else (gru.translate(potential), 50)
    assert w.scale * w.target == pytest.approx(expected, rel=1e-6) and w.scale == scale
    inputs, _ = w.cut([1], [0], [0])
    assert inputs["known"][0, :, 0] == pytest.approx((potential[1, :6] + 0.6) / 0.2, rel=1e-6)
    assert np.array_equal(Windows.of(gru, potential.tolist(), readout, **SHAPE).hidden, w.hidden)


def test_along_picks_the_sites_to_which_latents_belong():
    w = windows("mlp")
    assert np.array_equal(w.along(w.target), w.cut(range(N), w.start, range(w.length + 1))[1])
    assert np.array_equal(w.along(V)[:, 0], V[np.arange(N), w.start])


def test_longest_window_fits():
    w = windows(length=6, starts=3)
    _, target = w.cut([0], [2], [6])
    assert target == np.float32(DENSITY[0, 8])


# Schedule -------------------------------------------------------------------------------------------------------------


@given(
    steps=st.integers(1, 5000),
    first=st.integers(1, 40),
    length=st.integers(1, 40),
    growth=st.floats(0, 1, allow_subnormal=False),
    power=st.floats(0.5, 4),
)
def test_horizon_grows_from_the_first_to_the_whole_window(steps, first, length, growth, power):
    schedule = Schedule(steps=steps, first=first, growth=growth, power=power)
    horizons = [schedule.horizon(step, length) for step in np.linspace(0, steps, 23).astype(int)]
    assert horizons == sorted(horizons)
    assert horizons[0] == (min(first, length) if growth else length)
    assert schedule.horizon(int(np.ceil(growth * steps)), length) == length


@pytest.mark.parametrize(("power", "expected"), [(1.0, [2, 3, 7, 11, 12, 12]), (2.0, [2, 2, 4, 10, 12, 12])])
def test_horizon_grows_as_a_power_of_the_time(power, expected):
    schedule = Schedule(steps=100, first=2, growth=0.5, power=power)
    assert [schedule.horizon(step, 12) for step in (0, 5, 25, 45, 50, 99)] == expected


def test_batches_are_a_pure_function_of_the_seed():
    one, same, other = (TINY.draw(windows(), seed) for seed in (3, 3, 4))
    assert [drawn.shape for drawn in one] == [(6, 8), (6, 8), (6, 4)]
    assert all(map(np.array_equal, one, same)) and not any(map(np.array_equal, one, other))
    assert not any(np.array_equal(drawn[0], drawn[1]) for drawn in one), "every step has a batch of its own"


def test_sites_are_drawn_from_the_whole_horizon_and_nowhere_else():
    w, schedule = windows(), Schedule(steps=300, batch=1, sites=4, first=1, growth=1.0, power=1.0)
    _, _, sites = schedule.draw(w)
    for horizon in range(1, 6):
        steps = [step for step in range(300) if schedule.horizon(step, w.length) == horizon]
        if steps:
            assert set(sites[steps].ravel()) == set(range(horizon + 1))


def test_every_chain_and_start_is_drawn():
    rows, starts, _ = Schedule(steps=1, batch=1000).draw(windows())
    assert len(set(zip(rows[0], starts[0], strict=True))) == N * SHAPE["starts"]


# The model ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("members", "latent_dim"), [(1, 3), (3, 1), (3, 2)])
@pytest.mark.parametrize("update", UPDATES)
@every_readout
def test_model_is_the_equations_written_out(readout, update, members, latent_dim):
    model, w = small(readout, members, latent_dim, seed=1, update=update), windows(readout)
    model.adapt(w)
    latents, output = by_hand(model, w)
    assert model.latents(w) == pytest.approx(latents, rel=1e-3, abs=1e-4)
    inputs, target = w.cut(np.arange(N), w.start, [4, 0, 4])
    found = numpy(model(inputs))
    assert found.shape == ((N, members, 3, UNITS) if readout == "mlp" else (N, members, 3))
    assert found == pytest.approx(output[:, :, [4, 0, 4]], rel=1e-3, abs=1e-4)
    _, target = w.cut(np.arange(N), w.start, np.arange(6))
    squares = (output - target[:, None]) ** 2
    expected = [squares[:, m].mean() / w.variance for m in range(members)]
    assert model.member_losses(w) == pytest.approx(expected, rel=1e-3)
    loss = float(PopulationError(w.variance)(target, ops.cast(output, "float32")))
    assert loss == pytest.approx(sum(expected), rel=1e-3)


def test_zero_and_unit_of_the_hidden_states_do_not_matter():
    one, two, changed = small(), small(), 100.0 * HIDDEN - 300.0
    one.adapt(windows())
    two.adapt(Windows(changed, V, DENSITY, **SHAPE))
    assert numpy(two.encode(changed[:, 0])) == pytest.approx(numpy(one.encode(HIDDEN[:, 0])), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("readout", [name for name, readout in READOUTS.items() if readout.explicit])
def test_all_windows_start_alike_where_a_density_cannot_tell_the_sign(readout):
    """From starts of either sign a seam would stay between them."""
    model = Distiller(2, 8, readout, units=UNITS)
    model.adapt(windows())
    first = numpy(model.encode(HIDDEN.reshape(-1, UNITS)))
    assert np.all(first > 0) and np.all(first.std(0) < 0.2 * first.mean(0))


def test_decoder_need_not_see_any_potential():
    w, model = windows("mlp", known=0), Distiller(2, 3, "mlp", units=UNITS, known=0, width=6)
    inputs, target = w.cut([3], [2], [0, 5])
    assert np.array_equal(inputs["known"][0, :, 0], V[3, 2:8].astype("float32")), "the update needs its potential"
    output = numpy(model(inputs))
    inputs["known"][:, 0] *= -1  # drives no step: only a decoder would see it
    assert target.shape == (1, 2, UNITS) and np.array_equal(numpy(model(inputs)), output)
    assert model.decoder.get_weights()[0].shape[1] == 2


@pytest.mark.parametrize("update", UPDATES)
@every_readout
def test_gradients_reach_every_weight_of_every_member_and_stay_there(readout, update):
    tf = pytest.importorskip("tensorflow")
    model, (inputs, target) = small(readout, update=update), windows(readout).cut(range(N), [0, 1, 2] * 4, range(6))
    with tf.GradientTape(persistent=True) as tape:
        output = model(inputs)
        everyone, second = PopulationError()(target, output), PopulationError()(target, output[:, 1:2])
    for weight in model.trainable_weights:
        assert weight.shape[0] == 3, f"{weight.path} has no member axis"
        reached = [
            np.any(numpy(tape.gradient(loss, weight).numpy()), axis=tuple(range(1, len(weight.shape))))
            for loss in (everyone, second)
        ]
        assert reached[0].all(), f"{weight.path} does not learn"
        assert reached[1].tolist() == [False, True, False], f"members mix in {weight.path}"


@pytest.mark.trains
@every_readout
def test_member_of_a_population_trains_as_it_would_alone(readout, tmp_path, monkeypatch):
    w, schedule = windows(readout), Schedule(steps=5, batch=16)
    drawn = schedule.draw(w, 7)  # the same windows for all; everything else is what train does
    monkeypatch.setattr(Schedule, "draw", lambda self, windows, seed: drawn)

    def five_steps(members, seed):
        return train(w, {}, 2, members, readout, schedule, seed, folder=tmp_path)

    together = five_steps(3, 20)
    start = Distiller.from_config(together.get_config())
    for m in (0, 2):
        alone = five_steps(1, 20 + m)
        for before, one, all_three in zip(
            start.trainable_weights, alone.trainable_weights, together.trainable_weights, strict=True
        ):
            assert numpy(one)[0] == pytest.approx(numpy(all_three)[m], abs=1e-3), one.path  # five steps of 0.01 each
            assert np.abs(numpy(one)[0] - numpy(before)[m]).max() > 1e-3, f"{one.path} has not moved"
        assert alone.member_losses(w)[0] == pytest.approx(together.member_losses(w)[m], rel=1e-2)


@every_readout
def test_configuration_and_seed_give_the_same_model(readout):
    model = small(readout, noise=0.1, order=1, seed=6)
    back = Distiller.from_config(model.get_config())
    assert back.get_config() == model.get_config()
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), back.get_weights(), strict=True))
    other = small(readout, noise=0.1, order=1, seed=60)
    assert not np.array_equal(model.coefficients(), other.coefficients())


# Training -------------------------------------------------------------------------------------------------------------


@pytest.mark.trains
@pytest.mark.parametrize("readout", ["mlp", "quadratic"])
def test_training_is_repeatable_and_comes_back_from_disk(readout, tmp_path):
    w = windows(readout)

    def run(folder):
        return train(w, {"test": 1}, 2, 3, readout, TINY, seed=5, folder=tmp_path / folder)

    model, losses = (first := run("a")), first.member_losses(w)
    assert first.artifact.fresh and losses.shape == (3,) and len(set(losses)) == 3
    restored = run("a")
    assert not restored.artifact.fresh
    assert np.array_equal(restored.member_losses(w), losses)
    assert np.array_equal(restored.coefficients(), model.coefficients())
    model.save(tmp_path / "model.keras")
    back = keras.saving.load_model(tmp_path / "model.keras")
    assert type(back) is Distiller and back.get_config() == model.get_config()
    assert np.array_equal(back.member_losses(w), losses)
    if readout == "quadratic":
        again = run("b")
        assert again.artifact.fresh and np.array_equal(again.member_losses(w), losses)


@every_readout
def test_training_centres_the_hidden_states(readout, tmp_path, no_training):
    model = train(windows(readout), {}, 2, 2, readout, TINY, folder=tmp_path)
    assert numpy(model.centre) == pytest.approx(HIDDEN.mean((0, 1)), rel=1e-5)
    assert float(model.spread) == pytest.approx(np.sqrt(HIDDEN.var((0, 1)).mean()), rel=1e-5)


def test_whatever_decides_the_outcome_is_part_of_the_key(tmp_path, no_training):
    base = {"windows": windows(), "identity": {"data": 1}, "latent_dim": 2, "members": 2, "readout": "quadratic"}
    changes = [{"identity": {"data": 2}}, {"latent_dim": 3}, {"members": 3}, {"readout": "linear"}, {"seed": 1}]
    changes += [{"update": "mlp"}]
    changes += [{"windows": windows(**{name: SHAPE[name] - 1})} for name in SHAPE]
    fields = {"steps": 7, "batch": 9, "rate": 0.5, "sites": 5, "first": 3, "growth": 0.5, "power": 3.0}
    fields |= {"clip": 0.5, "noise": 0.5}
    assert set(fields) == set(vars(TINY)), "a field of Schedule is not covered"
    changes += [{"schedule": Schedule(**{"steps": 6, name: value})} for name, value in fields.items()]
    for change in [{}, *changes]:
        assert train(**({"schedule": Schedule(steps=6)} | base | change), folder=tmp_path).artifact.fresh, change
    assert not train(**base, schedule=Schedule(steps=6), folder=tmp_path).artifact.fresh


def trained(config=None):
    gru = Translator(units=UNITS)
    gru.artifact = SimpleNamespace(config=config or {"kind": "translator"})
    return gru


@pytest.mark.parametrize("part", ["hidden", "potential", "target", "order", "shape"])
def test_other_windows_under_an_old_identity_are_refused_with_a_way_out(part, tmp_path, no_training):
    arrays = {"hidden": HIDDEN.copy(), "potential": V.copy(), "target": DENSITY.copy()}
    plan = {"identity": {"test": 1}, "latent_dim": 2, "readout": "quadratic", "schedule": TINY, "folder": tmp_path}
    train(Windows(**arrays, **SHAPE), **plan)
    if part == "order":
        arrays = {name: array[::-1] for name, array in arrays.items()}
    elif part == "shape":
        arrays = {name: array[:-1] for name, array in arrays.items()}
    else:
        arrays[part][3, 2] += 0.01 * arrays[part].std()
    with pytest.raises(ValueError, match=r"trained on other data of the same name: .*windows by another identity"):
        train(Windows(**arrays, **SHAPE), **plan)


@pytest.mark.parametrize("change", ["weights", "potential", "density", "chains", None])
def test_windows_of_another_run_are_other_windows(change, tmp_path, no_training):
    """Told by what the run was made of: hidden states have other last digits on another machine."""
    data, plan = simulate(6, sites=SITES), {"readout": "linear", "schedule": TINY, "folder": tmp_path}

    def distil(potential=(-0.6, 0.2), density=(1.0, 0.5), seed=0, V=data.potential, noise=0.0):
        w = Windows.of(Translator("gru", UNITS, potential, density, seed=seed), V, "linear", **SHAPE)
        w.hidden = w.hidden * np.float32(1 + noise)
        return train(w, {}, 2, **plan)

    distil()
    others = {"weights": {"seed": 1}, "potential": {"potential": (-0.7, 0.2)}, "density": {"density": (1.1, 0.5)}}
    others["chains"] = {"V": data.potential[::-1]}
    if change:
        with pytest.raises(ValueError, match="trained on other data of the same name"):
            distil(**others[change])
    else:
        assert not distil(noise=1e-4).artifact.fresh
        assert not distil(density=(2.0, 1.0)).artifact.fresh, "the unit of the density makes no difference"


def test_forms_and_rebuilt_densities_are_in_the_units_of_the_caller():
    gru = Translator(units=UNITS, density=(3e30, 2e30))
    w = Windows.of(gru, V, "quadratic", **SHAPE)
    model = small(scale=w.scale)
    model.adapt(w)
    inputs, target = w.cut(range(N), w.start, range(6))
    rebuilt, g = model.rebuild(inputs), model.latents(w)
    assert rebuilt == pytest.approx(np.einsum("mnsi,mij,mnsj->nms", g, model.forms(), g), rel=1e-4)
    assert w.scale * target == pytest.approx(w.along(gru.translate(V)), rel=1e-6)
    back = Distiller.from_config(model.get_config())
    assert np.array_equal(back.forms(), model.forms())


def test_scan_gives_every_dimension_the_same_budget(tmp_path, no_training):
    data = simulate(6, sites=SITES)
    models = scan(trained(), data, range(1, 4), 2, "linear", TINY, seed=4, folder=tmp_path, **SHAPE)
    assert list(models) == [model.latent_dim for model in models.values()] == [1, 2, 3]
    configs = [
        m.artifact.config | {"model": m.artifact.config["model"] | {"latent_dim": None}} for m in models.values()
    ]
    assert configs[0] == configs[1] == configs[2]
    of = configs[0]["of"]
    assert of["translator"] == {"kind": "translator"} and of["potential"] == data.origin
    retrained = trained()
    retrained.set_weights([w + 1 for w in retrained.get_weights()])
    anew = scan(retrained, data, [2], 2, "linear", TINY, seed=4, folder=tmp_path, **SHAPE)
    assert anew[2].artifact.fresh, "a distiller of other hidden states must not be taken for this one's"
    again = scan(trained(), data, [2], 2, "linear", TINY, seed=4, folder=tmp_path, **SHAPE)
    assert not again[2].artifact.fresh
    other = scan(trained({"kind": "other"}), data, [2], 2, "linear", TINY, seed=4, folder=tmp_path, **SHAPE)
    assert other[2].artifact.fresh, "an artefact of another translator was used"


def test_a_window_that_does_not_fit_is_refused_before_the_long_run(monkeypatch):
    rows, run = [], Translator.hidden_states
    monkeypatch.setattr(Translator, "hidden_states", lambda self, V, told: rows.append(len(V)) or run(self, V, told))
    with pytest.raises(ValueError, match="length"):
        scan(trained(), simulate(6, sites=SITES), [2], **SHAPE | {"length": SITES})
    assert rows == [1]


def test_scan_watches_a_translator_that_is_told_how_chains_begin(tmp_path, no_training):
    data = simulate(6, sites=SITES, current=(0.0, 0.5))
    gru = Translator(units=UNITS, initial=data.standardisation()["initial"])
    gru.artifact = SimpleNamespace(config={"kind": "translator"})
    watched = Windows.of(gru, data.potential, initial=data.initial, **SHAPE)
    assert watched.hidden == pytest.approx(gru.hidden_states(data.potential, data.initial))
    assert list(scan(gru, data, [2], 2, "linear", TINY, folder=tmp_path, **SHAPE)) == [2]
    with pytest.raises(ValueError, match="initial must be given"):
        Windows.of(gru, data.potential, **SHAPE)
