"""Trials: a deck that is fair, a rule that keeps its word, and an investigation that does not know the answer."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from rediscover import laws, simulator, store, sweep, trials
from rediscover.theory import Theory

SWEEPS = Path(__file__).resolve().parents[2] / "book" / "sweeps"
V = np.linspace(-1, -0.3, 29)
TINY = {"chains": [60, 20], "sites": 12, "length": 5, "epochs": 1, "units": 4, "members": 2, "steps": 2, "mlp_steps": 2}
TINY |= {"pasts": 8, "scans": [["quadratic", "linear", [1, 2, 3]], ["linear", "linear", [1, 2, 3, 4]]]}


# The deck -------------------------------------------------------------------------------------------------------------


def test_deck_holds_the_cards_that_it_should_in_an_order_of_its_own():
    dealt = [trials.deal(card) for card in range(sum(trials.CARDS.values()))]
    assert Counter(law.name for law in dealt) == trials.CARDS
    assert trials.CARDS["standing_wave"] >= 10 and min(trials.CARDS.values()) >= 5
    assert [law.name for law in dealt] != sorted((law.name for law in dealt), key=list(trials.CARDS).index)
    assert trials.deal(3) == trials.deal(3) and len({str(law.parameters) for law in dealt}) == len(dealt)
    for law in dealt:
        for name, (low, high) in laws.RANGES[law.name].items():
            assert low <= law.parameters[name] <= high


@pytest.mark.parametrize(("card", "error"), [(67, ValueError), (-1, ValueError), (1.0, TypeError)])
def test_there_is_no_such_card(card, error):
    with pytest.raises(error, match="card must be"):
        trials.deal(card)


@pytest.mark.parametrize("name", laws.PANEL)
def test_every_law_has_an_expected_verdict(name):
    right = trials.expected(laws.PANEL[name]())
    assert right["law"] in ("wave function", "wave with current", "another law", "no law")
    assert right["law"].startswith("wave") == (name in ("standing_wave", "travelling_wave"))
    assert right["variables"] in (None, 1, 2, 3)


# The rule -------------------------------------------------------------------------------------------------------------


def theory(step):
    """Fit what a Taylor cell can hold to a law's exact matrices, (29, d, d)."""
    powers = ((V + 0.65) / 0.2)[:, None] ** np.arange(3)
    fitted = np.linalg.lstsq(powers, step.reshape(len(V), -1), rcond=None)[0]
    return Theory(fitted.reshape(3, *step.shape[1:]), -0.65, 0.2, spacing=0.4)


def square(T):
    (a, b), (c, d) = np.moveaxis(T, (-2, -1), (0, 1))
    S = [[a * a, 2 * a * b, b * b], [a * c, a * d + b * c, b * d], [c * c, 2 * c * d, d * d]]
    return np.moveaxis(np.array(S), (0, 1), (-2, -1))


def of(T):
    return {"quadratic": {2: theory(T)}, "linear": {3: theory(square(T))}}


LOSSES = {
    "quadratic": {"1": [0.8, 0.9], "2": [0.7, 1e-3], "3": [1e-3, 2e-3]},
    "linear": {"1": [0.8], "2": [0.7], "3": [1e-3], "4": [9e-4]},
}
SCHROEDINGER = simulator.transfer_matrix(V, 0.4, 0.3)
KA = 0.4 * np.sqrt(2 * (0.3 - V))
ROTOR = np.moveaxis(np.array([[np.cos(KA), np.sin(KA)], [-np.sin(KA), np.cos(KA)]]), -1, 0)


def changed(scan, **losses):
    return LOSSES | {scan: LOSSES[scan] | {d.removeprefix("d"): [loss] for d, loss in losses.items()}}


@pytest.mark.parametrize(
    ("r2", "losses", "T", "verdict"),
    [
        (0.99, LOSSES, SCHROEDINGER, ("wave function", 3)),
        (0.99, LOSSES, simulator.transfer_matrix(V, 0.4, 0.0), ("wave function", 3)),  # of whatever energy
        (0.94, LOSSES, SCHROEDINGER, ("no law", None)),
        (0.99, changed("quadratic", d2=4e-3, d3=3e-3), SCHROEDINGER, ("wave with current", 3)),  # loses four times more
        (0.99, changed("quadratic", d3=1e-5), SCHROEDINGER, ("wave with current", 3)),  # no elbow at two
        (0.99, changed("linear", d4=1e-5), SCHROEDINGER, ("another law", None)),  # no elbow at three
        (0.99, changed("linear", d2=1e-3), SCHROEDINGER, ("another law", 2)),
        (0.99, changed("linear", d1=1e-3, d2=1e-3), SCHROEDINGER, ("another law", 1)),
        (0.99, LOSSES, ROTOR, ("another law", 3)),  # every single trace is right, but nothing is ever scattered
        (0.99, LOSSES, 1.03 * SCHROEDINGER, ("another law", 3)),  # the determinant is not 1
        (0.99, LOSSES, simulator.transfer_matrix(1.12 * V, 0.4, 0.3), ("another law", 3)),  # the mass is not 1
        (
            0.99,
            LOSSES,
            simulator.transfer_matrix(-((0.25 - V) ** 2) / 2, 0.4),
            ("another law", 3),
        ),  # Dirac's line bends
    ],
)
def test_verdicts_on_cases_that_are_known(r2, losses, T, verdict):
    assert tuple(trials.judge(r2, losses, of(T), V).values()) == verdict


def test_margins_say_how_much_of_a_bound_is_used_up():
    T = of(SCHROEDINGER)
    for scan, latents in (("quadratic", 2), ("linear", 3)):
        used = trials.margins(T[scan][latents], 0.01, V)
        assert used.pop("loss") == pytest.approx(0.5)
        assert max(used.values()) < 0.1
    heavier = trials.margins(of(np.linalg.matrix_power(SCHROEDINGER, 2))["quadratic"][2], 0.01, V)
    assert heavier["mass"] > 10


def test_slack_moves_all_bounds_but_that_on_the_score():
    losses = {
        "quadratic": {"1": [0.7], "2": [0.03], "3": [0.02]},
        "linear": {"1": [0.8], "2": [0.7], "3": [0.03], "4": [0.03]},
    }
    said = [trials.judge(0.99, losses, of(SCHROEDINGER), V, slack)["law"] for slack in (1, 2, 0.01)]
    assert said == ["another law", "wave function", "another law"]
    assert trials.judge(0.94, losses, of(SCHROEDINGER), V, slack=100)["law"] == "no law"


def test_a_perfect_law_that_leaves_much_unexplained_is_no_wave():
    losses = {scan: {d: [20.1 * x for x in of_d] for d, of_d in by.items()} for scan, by in LOSSES.items()}
    losses["quadratic"]["1"], losses["linear"]["2"] = [0.9], [0.9]
    assert trials.judge(0.99, losses, of(SCHROEDINGER), V)["law"] == "another law"


# The investigation ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def row():
    return trials.investigate(TINY | {"draw": 5, "seed": 3})


def test_investigation_is_a_pure_function(row):
    assert json.loads(store.to_json(trials.investigate(TINY | {"draw": 5, "seed": 3}), "row")) == json.loads(
        store.to_json(row, "row")
    )


def test_verdict_can_be_reached_again_from_what_is_stored(row):
    stored = json.loads(store.to_json(row, "row"))
    assert trials.verdict(stored) == stored["verdict"] == {"law": "no law", "variables": None}
    assert trials.verdict(stored, r2=1.0)["law"] != "no law"
    assert set(trials.laws_of(stored)) == {"quadratic", "linear"} and list(trials.laws_of(stored)["linear"]) == [
        1,
        2,
        3,
        4,
    ]


def test_baseline_alone_is_that_of_the_investigation_with_another_noise():
    config = TINY | {"law": {"name": "leaky_integrator"}}
    found = trials.baseline(config)
    assert found["hankel"] == 2 and found["spectral_trace"] is None
    noisy = trials.baseline(config | {"camera": {"additive": 0.1}})
    assert noisy["hankel"] <= 2 and len(noisy["spectral_trace"]) == 29  # noise in the place of a third variable


def test_a_drawn_law_is_not_named_in_the_result(row):
    law = trials.deal(5)
    assert law.name not in store.to_json(row, "row")
    assert set(row) == {
        *("r2", "r2_true", "shift", "scale", "V", "losses", "coefficients"),
        *("hankel", "singular", "spectral_trace", "verdict"),
    }
    assert {scan: list(by) for scan, by in row["losses"].items()} == {"quadratic": [1, 2, 3], "linear": [1, 2, 3, 4]}
    assert all(len(loss) == 2 for by in row["losses"].values() for loss in by.values())


def test_machines_see_neither_law_nor_energy_nor_the_density_before_the_camera(monkeypatch):
    seen = []
    train = trials.translator.train
    monkeypatch.setattr(trials.translator, "train", lambda data, *a, **k: seen.append(data) or train(data, *a, **k))
    wave = {"name": "standing_wave", "energy": 0.25}
    for extra in ({}, {"camera": {"additive": 0.1}}, {"control": "shuffled"}):
        trials.investigate(TINY | {"law": wave, "scans": [["linear", "linear", [1]]]} | extra)
    clear, noisy, mixed = seen
    assert clear.energy == 0 and set(clear.origin) == {"sha256", "slice"} and len(clear) == 60
    assert np.array_equal(clear.potential, noisy.potential) and np.array_equal(clear.potential, mixed.potential)
    assert (noisy.density - clear.density).std() == pytest.approx(0.1, rel=0.1)
    assert not np.array_equal(mixed.density, clear.density)
    assert np.array_equal(np.sort(mixed.density, axis=0), np.sort(clear.density, axis=0))


def test_spectral_baseline_counts_and_reads_the_trace():
    found = trials.investigate(TINY | {"law": {"name": "standing_wave"}, "scans": [["linear", "linear", [1]]]})
    assert found["hankel"] == 3 and "verdict" not in found
    k = np.sqrt(-2 * np.linspace(*found["V"], 29))
    assert found["spectral_trace"] == pytest.approx(1 + 2 * np.cos(0.8 * k), abs=1e-6)


def test_untrained_translator_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(trials.translator, "train", lambda *_, **__: pytest.fail("trained"))
    wave = {"law": {"name": "standing_wave"}, "control": "untrained", "scans": [["mlp", "mlp", [1, 2]]]}
    found = trials.investigate(TINY | wave)
    assert list(found["losses"]) == ["mlp, mlp update"] and found["coefficients"] == {}


@pytest.mark.parametrize(
    ("change", "error", "names"),
    [
        ({"stepz": 3}, ValueError, "unknown entries .*stepz"),
        ({"draw": 3}, ValueError, "a law or a draw, and not both"),
        ({"law": None}, ValueError, "a law or a draw"),
        ({"law": {"name": "ether"}}, ValueError, "law must be one of"),
        ({"law": {"name": "dirac", "charge": 1}}, TypeError, "charge"),
        ({"control": "placebo"}, ValueError, "control"),
        ({"camera": {"flash": 1.0}}, ValueError, "camera must be one of"),
        ({"camera": {"atoms": 1e3, "blur": 1.0}}, ValueError, "camera must be one of"),
        ({"camera": {"atoms": 0}}, ValueError, "atoms"),
        ({"camera": {"additive": -1.0}}, ValueError, "additive"),
        ({"scans": [["cubic", "linear", [1]]]}, ValueError, "readout"),
        ({"scans": [["linear", "free", [1]]]}, ValueError, "update"),
        ({"scans": [["linear", "linear", [0]]]}, ValueError, "latent dimension"),
        ({"cell": "rnn"}, ValueError, "cell"),
        ({"length": 12}, ValueError, "length"),
        ({"pasts": 3}, ValueError, "pasts"),
    ],
)
def test_bad_configurations_are_refused_before_any_training(change, error, names, monkeypatch):
    monkeypatch.setattr(trials.translator, "train", lambda *_, **__: pytest.fail("work has started"))
    with pytest.raises(error, match=names):
        trials.investigate(TINY | {"law": {"name": "standing_wave"}} | change)


# The sweeps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", trials.SWEEPS)
def test_trials_of_a_sweep_are_all_different_and_say_only_what_is_known(name):
    configs = trials.SWEEPS[name]
    assert len({store.key(config) for config in configs}) == len(configs)
    assert all(set(config) <= set(trials.DEFAULTS) for config in configs)


@pytest.mark.parametrize("path", sorted(SWEEPS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_shipped_rows_are_those_of_the_sweep(path):
    rows = sweep.table(path)
    shipped = sorted(store.key(row["config"]) for row in rows)
    assert shipped == sorted(store.key(config) for config in trials.SWEEPS[path.stem])
    assert all(row["trial"] == "rediscover.trials.investigate" and "result" in row for row in rows)
