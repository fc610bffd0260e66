"""What is said of a law: a rule that keeps its word on cases that are known, from measured pairs alone."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from rediscover import dataset, introspection, simulator, store, verdict
from rediscover.law import Law, symmetric_square
from rediscover.translator import Translator
from rediscover.verdict import margins

V = np.linspace(-1, -0.3, 29)
TINY = {"members": 2, "steps": 2, "mlp_steps": 2, "length": 5}


# The rule -------------------------------------------------------------------------------------------------------------


def law(step):
    """Fit what a Taylor cell can hold to a law's exact matrices, (29, d, d)."""
    powers = ((V + 0.65) / 0.2)[:, None] ** np.arange(3)
    fitted = np.linalg.lstsq(powers, step.reshape(len(V), -1), rcond=None)[0]
    return Law(fitted.reshape(3, *step.shape[1:]), -0.65, 0.2, spacing=0.4)


def of(T):
    return {"quadratic": {2: law(T)}, "linear": {3: law(symmetric_square(T))}}


def judge(r2, losses, T, slack=1.0):
    """Judge what an investigation would have left behind, read back from JSON."""
    coefficients = {scan: {str(d): found.coefficients for d, found in by.items()} for scan, by in of(T).items()}
    found = {"r2": r2, "losses": losses, "coefficients": coefficients, "V": [V[0], V[-1]]}
    found |= {"shift": -0.65, "scale": 0.2, "spacing": 0.4}
    return verdict.judge(json.loads(store.to_json(found, "found")), slack=slack)


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
    assert tuple(judge(r2, losses, T).values()) == verdict


def test_margins_say_how_much_of_a_bound_is_used_up():
    T = of(SCHROEDINGER)
    for scan, latents in (("quadratic", 2), ("linear", 3)):
        used = margins(T[scan][latents], 0.01, V)
        assert used.pop("loss") == pytest.approx(0.5)
        assert max(used.values()) < 0.1
    heavier = margins(of(np.linalg.matrix_power(SCHROEDINGER, 2))["quadratic"][2], 0.01, V)
    assert heavier["mass"] > 10


def test_three_variables_are_judged_at_the_double_angle():
    """One law, read off the wave function and off its density: four times as far off there, and as near the bound."""
    stretch = np.exp(0.02 * (V + 0.65)[:, None] * [1, -1])  # neither its dispersion nor its scattering is right
    bent = simulator.transfer_matrix(V - 0.1 * (V + 0.65) ** 2, 0.4) * stretch[:, :, None] / stretch[:, None]
    wave, density = margins(of(bent)["quadratic"][2], 0.01, V), margins(of(bent)["linear"][3], 0.01, V)
    for name in ("residual", "scattering"):
        assert wave[name] > 0.4 and density[name] == pytest.approx(wave[name], rel=0.2)


def test_slack_moves_all_bounds_but_that_on_the_score():
    losses = {
        "quadratic": {"1": [0.7], "2": [0.03], "3": [0.02]},
        "linear": {"1": [0.8], "2": [0.7], "3": [0.03], "4": [0.03]},
    }
    said = [judge(0.99, losses, SCHROEDINGER, slack)["law"] for slack in (1, 2, 0.01)]
    assert said == ["another law", "wave function", "another law"]
    assert judge(0.94, losses, SCHROEDINGER, slack=100)["law"] == "no law"


def test_a_perfect_law_that_leaves_much_unexplained_is_no_wave():
    losses = {scan: {d: [20.1 * x for x in of_d] for d, of_d in by.items()} for scan, by in LOSSES.items()}
    losses["quadratic"]["1"], losses["linear"]["2"] = [0.9], [0.9]
    assert judge(0.99, losses, SCHROEDINGER)["law"] == "another law"


# Measured pairs -------------------------------------------------------------------------------------------------------


def test_measured_pairs_are_investigated_without_a_simulator(monkeypatch, no_training):
    """Arrays alone, with a spacing of their own: the laws come out in its units."""
    rng = np.random.default_rng(0)
    pairs = dataset.Dataset(rng.uniform(-1, -0.3, (30, 12)), rng.random((30, 12)), spacing=0.25)
    for name in ("propagate", "transfer_matrix", "leapfrog"):
        monkeypatch.setattr(simulator, name, lambda *_, **__: pytest.fail("the simulator was asked"))
    found = introspection.investigate(Translator(units=4, potential=(-0.65, 0.2)), *pairs.split(20, 10), **TINY)
    assert found["verdict"] == {"law": "no law", "variables": None}
    assert verdict.laws_of(found)["quadratic"][2].spacing == 0.25
    assert {scan: list(by) for scan, by in found["losses"].items()} == {"quadratic": [1, 2, 3], "linear": [1, 2, 3, 4]}


def test_law_is_that_of_the_member_that_loses_least(monkeypatch):
    """Whatever comes first, last or loses most; members that diverged are as lost as can be."""
    losses = {1: [0.3, 0.1, 0.2], 2: [0.1, 0.2, np.inf], 3: [np.inf, 0.2, 0.1]}

    def population(windows, identity, d, *_):
        members = np.stack([np.full((3, d, d), float(m)) for m in range(3)])
        return SimpleNamespace(member_losses=lambda _: np.array(losses[d]), coefficients=lambda: members)

    monkeypatch.setattr(introspection.distiller, "train", population)
    pairs = dataset.simulate(30, sites=12).split(20, 10)
    found = introspection.investigate(Translator(units=4), *pairs, scans=[["linear", "linear", [1, 2, 3]]], **TINY)
    assert {d: laws[0, 0, 0] for d, laws in found["coefficients"]["linear"].items()} == {1: 1.0, 2: 0.0, 3: 2.0}


def test_without_both_readouts_there_is_no_verdict(no_training):
    train, test = dataset.simulate(30, sites=12).split(20, 10)
    gru = Translator(units=4, potential=(-0.65, 0.2))
    found = introspection.investigate(gru, train, test, scans=[["mlp", "mlp", [1]]], **TINY)
    assert list(found["losses"]) == ["mlp, mlp update"] and found["coefficients"] == {} and "verdict" not in found


def test_populations_that_are_kept_belong_to_their_translator_and_pairs(tmp_path, no_training):
    plan = {"scans": [["linear", "linear", [1]]], "folder": tmp_path, **TINY}
    for seed, world in ((0, 0), (1, 0), (0, 1)):  # another translator, other pairs
        train, test = dataset.simulate(30, sites=12, seed=world).split(20, 10)
        gru = Translator(units=4, seed=seed)
        again = [introspection.investigate(gru, train, test, **plan)["losses"] for _ in range(2)]
        assert np.array_equal(*(losses["linear"][1] for losses in again))
    assert len(list(tmp_path.iterdir())) == 3
