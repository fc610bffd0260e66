"""The sceptic's trials: a deck that is fair, and an investigation that does not know the answer."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import panel
from rediscover import discovery, store, sweep, worlds

SWEEPS = Path(__file__).resolve().parents[2] / "book" / "sweeps"
V = np.linspace(-1, -0.3, 29)
TINY = {"chains": [60, 20], "sites": 12, "length": 5, "epochs": 1, "units": 4, "members": 2, "steps": 2, "mlp_steps": 2}
TINY |= {"pasts": 8, "scans": [["quadratic", "linear", [1, 2, 3]], ["linear", "linear", [1, 2, 3, 4]]]}


# The deck -------------------------------------------------------------------------------------------------------------


def test_deck_holds_the_cards_that_it_should_in_an_order_of_its_own():
    dealt = [panel.deal(card) for card in range(sum(panel.CARDS.values()))]
    assert Counter(law.name for law in dealt) == panel.CARDS
    assert panel.CARDS["standing_wave"] >= 10 and min(panel.CARDS.values()) >= 5
    assert [law.name for law in dealt] != sorted((law.name for law in dealt), key=list(panel.CARDS).index)
    assert panel.deal(3) == panel.deal(3) and len({str(law.parameters) for law in dealt}) == len(dealt)
    for law in dealt:
        for name, (low, high) in worlds.RANGES[law.name].items():
            assert low <= law.parameters[name] <= high


@pytest.mark.parametrize("name", worlds.WORLDS)
def test_every_law_has_an_expected_verdict(name):
    right = panel.expected(worlds.WORLDS[name]())
    assert right["law"] in ("wave function", "wave with current", "another law", "no law")
    assert right["law"].startswith("wave") == (name in ("standing_wave", "travelling_wave"))
    assert right["variables"] in (None, 1, 2, 3)


# The investigation ----------------------------------------------------------------------------------------------------


@pytest.mark.trains
def test_investigation_is_a_pure_function():
    config = TINY | {"draw": 4, "seed": 3, "scans": [["quadratic", "linear", [2]]]}
    one, two = (store.to_json(panel.investigate(config), "row") for _ in range(2))
    assert one == two


def test_a_row_holds_all_that_its_verdict_needs_and_not_the_name_of_the_world(no_training):
    text = store.to_json(panel.investigate(TINY | {"draw": 4, "seed": 3}), "row")
    row = json.loads(text)
    assert set(row) == {
        *("r2", "r2_true", "shift", "scale", "spacing", "V", "losses", "coefficients"),
        *("hankel", "singular", "spectral_trace", "verdict"),
    }
    dimensions = {"quadratic": ["1", "2", "3"], "linear": ["1", "2", "3", "4"]}
    assert {scan: list(by) for scan, by in row["losses"].items()} == dimensions
    assert {scan: list(by) for scan, by in row["coefficients"].items()} == dimensions
    assert all(len(loss) == 2 for by in row["losses"].values() for loss in by.values())
    assert discovery.judge(row) == row["verdict"] == {"law": "no law", "variables": None}
    assert discovery.judge(row, r2=1.0)["law"] != "no law"
    assert panel.deal(4).name not in text


def test_baseline_alone_is_that_of_the_investigation_with_another_noise():
    config = TINY | {"law": {"name": "leaky_integrator"}}
    found = panel.baseline(config)
    assert found["hankel"] == 2 and found["spectral_trace"] is None
    noisy = panel.baseline(config | {"camera": {"additive": 0.1}})
    assert noisy["hankel"] <= 2 and len(noisy["spectral_trace"]) == 29  # noise in the place of a third variable


def test_machines_see_neither_law_nor_energy_nor_the_density_before_the_camera(monkeypatch, no_training):
    seen = []
    train = panel.translator.train
    monkeypatch.setattr(panel.translator, "train", lambda data, *a, **k: seen.append(data) or train(data, *a, **k))
    wave = {"name": "standing_wave", "energy": 0.25}
    for extra in ({}, {"camera": {"additive": 0.1}}, {"control": "shuffled"}):
        panel.investigate(TINY | {"law": wave, "scans": []} | extra)
    clear, noisy, mixed = seen
    assert clear.energy == 0 and set(clear.origin) == {"sha256", "slice"} and len(clear) == 60
    assert np.array_equal(clear.potential, noisy.potential) and np.array_equal(clear.potential, mixed.potential)
    assert (noisy.density - clear.density).std() == pytest.approx(0.1, rel=0.1)
    assert not np.array_equal(mixed.density, clear.density)
    assert np.array_equal(np.sort(mixed.density, axis=0), np.sort(clear.density, axis=0))


def test_spectral_baseline_counts_and_reads_the_trace(no_training):
    found = panel.investigate(TINY | {"law": {"name": "standing_wave"}, "scans": []})
    assert found["hankel"] == 3 and "verdict" not in found
    k = np.sqrt(-2 * np.linspace(*found["V"], 29))
    assert found["spectral_trace"] == pytest.approx(1 + 2 * np.cos(0.8 * k), abs=1e-6)


def test_noise_of_the_spectral_baseline_is_that_of_one_photograph(monkeypatch):
    """It is seen in the difference of two."""
    seen, rank = [], panel.evidence.hankel_rank
    monkeypatch.setattr(panel.evidence, "hankel_rank", lambda block, noise: seen.append(noise) or rank(block, noise))
    panel.baseline({"law": {"name": "standing_wave"}, "camera": {"additive": 0.3}})
    assert np.sqrt(np.mean(seen[0] ** 2)) == pytest.approx(0.3, rel=0.1)


def test_score_is_against_what_was_measured_and_the_true_one_against_the_truth():
    count, sites = sum(TINY["chains"]), TINY["sites"]
    clear = worlds.simulate(worlds.standing_wave(), count, sites=sites, seed=np.random.default_rng([0, 1]))
    noisy = clear.density + np.random.default_rng([0, 2]).normal(0, 0.5, clear.density.shape)
    untrained = {"law": {"name": "standing_wave"}, "control": "untrained", "scans": []}
    found = panel.investigate(TINY | untrained | {"camera": {"additive": 0.5}})
    train, test = clear.split(*TINY["chains"])
    gru = panel.Translator(units=TINY["units"], shift=train.potential.mean(), scale=train.potential.std())
    for name, density in (("r2", noisy), ("r2_true", clear.density)):
        assert found[name] == pytest.approx(gru.score(test.potential, density[len(train) :]), rel=1e-3)


def test_untrained_translator_is_left_as_it_is(monkeypatch, no_training):
    monkeypatch.setattr(panel.translator, "train", lambda *_, **__: pytest.fail("trained"))
    wave = {"law": {"name": "standing_wave"}, "control": "untrained", "scans": [["mlp", "mlp", [1]]]}
    found = panel.investigate(TINY | wave)
    assert list(found["losses"]) == ["mlp, mlp update"] and found["coefficients"] == {}


# The sweeps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", panel.SWEEPS)
def test_trials_of_a_sweep_are_all_different_and_say_only_what_is_known(name):
    configs = panel.SWEEPS[name]
    assert len({store.key(config) for config in configs}) == len(configs)
    assert all(set(config) <= set(panel.DEFAULTS) for config in configs)


@pytest.mark.parametrize("path", sorted(SWEEPS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_shipped_rows_are_those_of_the_sweep(path):
    rows = sweep.table(path)
    shipped = sorted(store.key(row["config"]) for row in rows)
    assert shipped == sorted(store.key(config) for config in panel.SWEEPS[path.stem])
    # the name is an id that stays; and what was trained by other code is not shipped
    assert all(row["trial"] == "rediscover.trials.investigate" == panel.TRIAL for row in rows)
    assert all(row["recipe"] == panel.RECIPES and "result" in row for row in rows)


@pytest.mark.parametrize("path", sorted(SWEEPS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_shipped_verdicts_follow_from_the_shipped_numbers(path):
    judged = [row["result"] for row in sweep.table(path) if "verdict" in row["result"]]
    assert [discovery.judge(result) for result in judged] == [result["verdict"] for result in judged]


def test_bounds_are_those_under_which_the_shipped_rows_were_judged():
    """Most could be moved by half without a shipped verdict changing; but they were fixed before the runs."""
    bounds = {"r2": 0.95, "det": 0.02, "mass": 0.05, "residual": 0.005, "worse": 3.0, "loss": 0.02, "scattering": 0.01}
    assert bounds == discovery.BOUNDS


def test_a_new_world_does_not_deal_the_deck_anew(monkeypatch):
    dealt = [panel.deal(card) for card in range(sum(panel.CARDS.values()))]
    monkeypatch.setitem(worlds.WORLDS, "ether", worlds.standing_wave)
    monkeypatch.setitem(worlds.RANGES, "ether", {"energy": (0.0, 1.0)})
    assert [panel.deal(card) for card in range(len(dealt))] == dealt
    # as it was when the shipped rows were run
    assert [world.name for world in dealt[:5]] == [
        "classical",
        "noise",
        "boltzmann",
        "standing_wave",
        "coupled_channels",
    ]
    assert dealt[-1] == worlds.dirac(0.19814833459974562, 0.18380071889881264)
