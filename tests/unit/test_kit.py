"""What the chapters share: sizes that fit the shipped networks, losses in which nobody who is lost counts, tables."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

import kit
from rediscover import dataset, distiller, evidence, simulator, store
from rediscover.distiller import Distiller, Schedule
from rediscover.law import Law
from rediscover.readouts import READOUTS
from rediscover.store import Run
from rediscover.translator import Translator

BOOK = Path(__file__).resolve().parents[2] / "book"
SMALL = kit.Sizes((12, 5, 4), 1, 2, 8, {"mlp": 2, "quadratic": 3, "linear": 4})


@pytest.fixture
def shown(monkeypatch):
    """What a page would show, as it is written."""
    outputs = []
    monkeypatch.setattr(kit, "display", lambda output: outputs.append(output.data))
    return outputs


@pytest.fixture(scope="module")
def data():
    return dataset.simulate(6, sites=13)


@pytest.fixture(scope="module")
def model():
    return Translator(units=5, potential=(-0.65, 0.2))


# Sizes, data and machines ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_standard_sizes_are_those_of_the_shipped_networks(monkeypatch, tmp_path):
    """A changed size, seed or schedule would have everything trained anew, and the pages show something else."""

    def refuse(config, train, path, digest):
        pytest.fail(f"{path.name} is not shipped: {config}")

    def look(population, config, fit, folder, data):
        assert (BOOK / "artifacts" / f"distiller-{store.key(config)}.npz").exists(), f"not shipped: {config}"

    whole = distiller.Windows.of
    monkeypatch.setattr(store, "current", lambda: Run(tmp_path, BOOK))
    monkeypatch.setattr(store, "_train", refuse)
    monkeypatch.setattr(distiller, "fit_or_restore", look)
    monkeypatch.setattr(distiller.Windows, "of", lambda model, V, *args, **shape: whole(model, V[:1], *args, **shape))
    train, validation, test = kit.pairs(kit.STANDARD)
    assert (len(train), len(validation), len(test)) == (18_000, 2_000, 2_000)  # as the chapters say
    for number, translator in enumerate(kit.translators(train, sizes=kit.STANDARD)):
        assert translator.settings["seed"] == number and not translator.artifact.fresh
        for readout in READOUTS:
            kit.populations(translator, train, [2], readout, number, kit.STANDARD)
        if number == 0:  # those of chapter 3 that are shown one potential only
            kit.populations(translator, train, [2], "mlp", sizes=kit.STANDARD, known=1)


def test_tiny_sizes_are_smaller_in_everything():
    tiny, standard = kit.TINY, kit.STANDARD
    assert all(a < b for a, b in zip(tiny.counts, standard.counts, strict=True))
    assert tiny.epochs < standard.epochs and tiny.members < standard.members and tiny.length < standard.length
    assert tiny.steps.keys() == standard.steps.keys() == READOUTS.keys()
    assert all(tiny.steps[name] < standard.steps[name] for name in READOUTS)
    assert kit.SIZES == (tiny if kit.SMOKE else standard)


def test_every_readout_has_its_schedule_whatever_the_size():
    for name, schedule in SMALL.schedules.items():
        assert schedule.steps == SMALL.steps[name]
        assert (schedule.batch, schedule.rate, schedule.growth) == (
            (256, 3e-3, 0.4) if READOUTS[name].explicit else (128, 1e-2, 0.7)
        )


def test_pairs_are_three_disjoint_parts_of_one_world():
    parts = kit.pairs(SMALL, sites=6, energy=0.1)
    assert [len(part) for part in parts] == [12, 5, 4]
    assert [part.origin["slice"] for part in parts] == [[0, 12], [12, 17], [17, 21]]
    whole = np.concatenate([part.potential for part in parts])
    assert np.array_equal(whole, dataset.simulate(21, sites=6).potential) and parts[2].energy == 0.1


def test_translators_are_equal_but_for_their_seeds(monkeypatch, data):
    monkeypatch.setattr("rediscover.translator.train", lambda *args, **options: (*args, options))
    (_, *one), (_, *two) = made = kit.translators(data, [3, 5], SMALL)
    assert made[0][0] is made[1][0] is data
    assert one == ["gru", {"units": 64, "epochs": 1, "batch": 128, "seed": 3}]
    assert two == ["gru", {**one[1], "seed": 5}]


def test_populations_of_different_translators_have_no_first_weights_in_common(monkeypatch, model, data):
    calls = []
    monkeypatch.setattr(distiller, "scan", lambda *args, **options: calls.append((args, options)))
    other = Schedule(steps=7)
    kit.populations(model, data, [2, 3], "linear", sizes=SMALL)
    kit.populations(model, data, [2], "mlp", 3, SMALL, other, known=1, length=5)
    assert calls[0] == ((model, data, [2, 3], 2, "linear", SMALL.schedules["linear"]), {"seed": 0, "length": 8})
    assert calls[1] == ((model, data, [2], 2, "mlp", other), {"seed": 300, "known": 1, "length": 5})


# Losses ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [1e30, np.nan])
def test_loss_of_a_diverged_member_is_infinite_and_that_of_the_others_as_before(model, data, lost):
    population = Distiller(latent_dim=2, members=3, readout="quadratic", units=5)
    before = kit.losses(model, population, data, length=8)
    kernel = population.coefficients()
    kernel[1] = lost
    population.update.cell.kernel.assign(kernel)
    after = kit.losses(model, population, data, length=8)
    assert np.isfinite(before).all() and np.isinf(after[1]) and after[1] > 0
    assert np.array_equal(after[[0, 2]], before[[0, 2]])


@pytest.mark.parametrize("readout", READOUTS)
def test_losses_are_those_of_windows_of_the_population_s_own_kind(model, data, readout):
    population = Distiller(latent_dim=2, members=2, readout=readout, units=5)
    windows = kit.windows(model, data, readout, SMALL)
    assert windows.length == SMALL.length
    assert np.array_equal(kit.losses(model, population, data, length=8), population.member_losses(windows))


def test_what_a_translator_was_told_is_told_again():
    data = dataset.simulate(5, sites=13, current=0.5)
    told = Translator(units=5, **data.standardisation())
    hidden = kit.windows(told, data, "mlp", SMALL).hidden
    assert np.array_equal(hidden, told.hidden_states(data.potential, data.initial))


def test_near_best_are_all_within_the_factor_and_never_who_is_lost():
    loss = np.array([2.0, np.inf, 1.0, 2.0001, 1.5])
    assert kit.near_best(loss, 2).tolist() == [0, 2, 4]
    assert kit.near_best(loss, 1).tolist() == [2]


def test_best_is_what_an_elbow_is_made_of_even_if_members_are_lost():
    by_dim = {1: np.array([0.5, np.inf]), 2: np.array([np.inf, 1e-3]), 3: np.array([1e-3, 2e-3])}
    assert kit.best(by_dim) == {1: 0.5, 2: 1e-3, 3: 1e-3}
    assert evidence.elbow(kit.best(by_dim)) == 2


def test_losses_can_be_written_and_small_ones_stay_what_they_are():
    losses = kit.capped(np.array([0.25, np.inf]))
    assert losses[0] == 0.25
    store.to_json({"losses": losses}, "values")


def test_unexplained_is_a_share_of_the_variance():
    density = np.array([[1.0, 2.0], [3.0, 6.0]])
    assert kit.unexplained(density, density) == 0
    assert kit.unexplained(np.full((2, 2), 3.0), density) == pytest.approx(1)  # the mean explains nothing
    assert kit.unexplained(density.astype("float32") + 1, density) == pytest.approx(1 / 3.5)
    for lost in (np.nan, np.inf, 1e300):
        assert kit.unexplained(np.where(density == 6, lost, density), density) == np.inf


def test_seen_runs_over_the_range_of_the_data(data):
    V = kit.seen(data, 7)
    assert (V[0], V[-1], len(V), len(kit.seen(data))) == (data.potential.min(), data.potential.max(), 7, 50)


# What a page shows ----------------------------------------------------------------------------------------------------


def test_table(shown):
    kit.table(["what", "how many:"], [("a", 1), ("b", "**2**")])
    kit.table(["x"], [], "Nothing:")
    assert shown == ["| what | how many |\n| --- | ---: |\n| a | 1 |\n| b | **2** |", "Nothing:\n\n| x |\n| --- |"]


def test_compare_says_for_every_row_whether_it_holds(shown):
    kit.compare([("this", "1.0", "≤ 2", True), ("that", "3.0", "≤ 2", False)], "Both:")
    title, _, _, _, first, second = shown[0].split("\n")
    assert title == "Both:"
    assert (first, second) == ("| this | 1.0 | ≤ 2 | **holds** |", "| that | 3.0 | ≤ 2 | **fails** |")
    assert (kit.holds(True), kit.holds(False)) == ("holds", "fails")


def test_the_worst_of_several_decides():
    assert kit.at_most([1e-3, 3e-3, 2e-3], 0.002) == ("3.0e-03", "≤ 0.002", False)
    assert kit.at_most(iter([1e-3, 2e-3]), 0.002) == ("2.0e-03", "≤ 0.002", True)
    assert kit.at_least([0.9999, 0.9, 0.95], 0.9) == ("0.90000", "≥ 0.9", True)
    assert kit.at_least([0.9999, 0.8], 0.9, ".2f") == ("0.80", "≥ 0.9", False)


@pytest.mark.parametrize("values", [[np.nan, 1.0], [1.0, np.nan]])
def test_what_is_not_a_number_never_holds(values):
    assert not kit.at_most(values, 2)[2] and not kit.at_least(values, 0.5)[2]


def test_image_is_kept_where_the_run_keeps_its_own(monkeypatch, tmp_path):
    monkeypatch.setattr(store, "current", lambda: Run(tmp_path / "run", BOOK))
    kit.keep_image(plt.figure(figsize=(1, 1)), "one.png")
    plt.close("all")
    assert (tmp_path / "run" / "images" / "one.png").read_bytes().startswith(b"\x89PNG")


def test_every_member_is_a_dot_and_the_best_make_the_line():
    _, ax = plt.subplots()
    kit.loss_plot(ax, {1: np.array([5.0, 0.5, np.inf]), 2: np.array([0.02, 0.01])}, "linear")
    one, two, line = ax.get_lines()
    assert one.get_ydata().tolist() == [0.5, 3, 3] and two.get_ydata().tolist() == [0.01, 0.02]
    assert line.get_xdata().tolist() == [1, 2] and line.get_ydata().tolist() == [0.5, 0.01]
    kit.loss_plot(ax, {1: np.array([0.5])}, "linear", filled=False, line=False)
    assert len(ax.get_lines()) == 4 and ax.get_lines()[3].get_markerfacecolor() == "white"
    plt.close("all")


# What is known of the hidden world ------------------------------------------------------------------------------------

V = np.linspace(-1, -0.3, 5)


def test_phase_is_the_turn_of_the_exact_step():
    T = simulator.transfer_matrix(V, 0.3, 0.1)
    assert np.trace(T, axis1=1, axis2=2) == pytest.approx(2 * np.cos(kit.phase(V, 0.3, 0.1)), abs=1e-12)
    assert kit.phase(-0.5) == pytest.approx(0.4)  # k = 1


def test_exact_traces_are_those_of_a_wave_and_of_its_density():
    ka = kit.phase(V, 0.3, 0.1)
    assert kit.exact_trace(V, 2, 0.3, 0.1) == pytest.approx(2 * np.cos(ka), abs=1e-12)
    assert kit.exact_trace(V, 3, 0.3, 0.1) == pytest.approx(1 + 2 * np.cos(2 * ka), abs=1e-12)
    assert kit.exact_trace(0.5, 2, 0.3) == pytest.approx(2 * np.cosh(0.3))  # where a wave is forbidden


@pytest.mark.parametrize(("a", "energy", "error"), [(0.0, 0.1, 0.0), (0.25, 0.1, 0.25), (0.0, 0.2, None)])
def test_trace_error_is_the_largest_and_in_the_units_of_the_law(a, energy, error):
    series = np.polynomial.polynomial.polyfit(V, kit.exact_trace(V, 2, 0.3, 0.1), 4)
    U = np.zeros((5, 2, 2))
    U[:, 0, 0] = series
    U[0, 0, 0] += a
    found = kit.trace_error(Law(U, 0.0, 1.0, 0.3, energy), V)
    assert found == pytest.approx(error, abs=1e-9) if error is not None else found > 0.01


def test_known_waves_belong_to_the_sites_of_the_windows(model, data):
    wave = simulator.propagate(data.potential, data.spacing, data.energy)
    windows = kit.windows(model, data, "quadratic", SMALL)
    known = kit.known(wave, windows)
    assert known.shape == (6, 9, 2)
    assert known[..., 0] ** 2 == pytest.approx(windows.along(data.density))


def test_products_hold_the_density_and_the_current_of_a_complex_wave(data):
    wave = simulator.propagate(data.potential, data.spacing, data.energy, (1.0, 0.5j))
    rho, eta, xi = np.moveaxis(kit.products(np.stack([wave.psi, wave.dpsi], -1)), -1, 0)
    assert rho[:, 1:] == pytest.approx(wave.density)
    assert rho * xi - eta**2 == pytest.approx(0.25)
    assert kit.products(np.array([2.0, -3.0])).tolist() == [4, -6, 9]


def test_numbers_become_names():
    assert kit.by_number({0.5: [1], 2: [3]}) == {"0.5": [1], "2": [3]}
    assert kit.by_number({1e-3: 4}, "{:g}") == {"0.001": 4}
