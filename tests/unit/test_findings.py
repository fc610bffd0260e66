"""Who is judged in chapters 4 and 5: by the loss alone, and with the law and the latents that are the member's own."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import kit
from rediscover import dataset, simulator
from rediscover.distiller import Distiller
from rediscover.law import Alignment
from rediscover.translator import Translator

LENGTH = 6


@pytest.fixture(scope="module")
def test():
    return dataset.simulate(6, sites=13)


@pytest.fixture(scope="module")
def findings(test):
    models = [Translator(units=5, potential=(-0.65, 0.2), seed=seed) for seed in (0, 1)]
    populations = [Distiller(2, 3, "quadratic", units=5, seed=seed) for seed in (0, 100)]
    windows = kit.windows(models[0], test, "quadratic", length=LENGTH)
    wave = kit.known(simulator.propagate(test.potential, test.spacing, test.energy), windows)
    losses = [np.array([1.0, 1.1, np.inf]), np.array([3.0, 0.5, 0.6])]
    return populations, kit.examine(models, populations, losses, test, wave, within=1.2)


def test_the_loss_alone_decides_who_is_judged(findings):
    _, found = findings
    judged = [(f.translator, f.member) for f in found if f.judged]
    assert judged == [(0, 0), (0, 1), (1, 1), (1, 2)]
    assert [f.loss for f in found] == [1.0, 1.1, np.inf, 3.0, 0.5, 0.6]


def test_everybody_comes_with_a_law_and_an_alignment_of_their_own(findings, test):
    populations, found = findings
    for f in found:
        own = populations[f.translator]
        assert f.population is own and f.readout == "quadratic"
        assert np.array_equal(f.law.coefficients, own.coefficients()[f.member].astype(float))
        assert f.alignment.aligned.shape == (len(test), LENGTH + 1, 2)
    assert len({f.law.coefficients.tobytes() for f in found}) == len(found)


@pytest.mark.parametrize(("signs", "share"), [([1, 1, 1, 1], 0), ([-1, 1, 1, 1], 0.25), ([-1, -1, -1, 1], 0.25)])
def test_a_seam_shows_in_the_rarer_sign(findings, signs, share):
    first = findings[1][0]
    alignment = Alignment(np.eye(2), np.array(signs, float), np.zeros((4, 1, 2)), np.ones(2))
    shown = kit.Finding(first.readout, 0, 0, 0.1, True, first.law, alignment, first.population)
    assert shown.rarer_sign == share


def test_latents_are_drawn_where_their_sites_end(findings, test):
    model = Translator(units=5, potential=(-0.65, 0.2))
    windows = kit.windows(model, test, "quadratic", length=LENGTH)
    truth = simulator.propagate(test.potential, test.spacing, test.energy)
    _, ax = plt.subplots()
    kit.draw_wave(ax, test, windows, kit.known(truth, windows), 2)
    line, dots = ax.lines[:2]
    assert np.allclose(dots.get_xdata(), test.spacing * np.arange(3, 3 + LENGTH + 1))  # window 2 begins at site 2
    assert np.allclose(np.interp(dots.get_xdata(), line.get_xdata(), line.get_ydata()), dots.get_ydata(), atol=1e-6)
    plt.close()
