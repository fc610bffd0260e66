"""Where the answer is known the distiller must find it: it is fed the exact state in place of a translator's."""

import numpy as np
import pytest

from rediscover import distiller
from rediscover.dataset import simulate
from rediscover.distiller import Schedule, Windows
from rediscover.law import Law, align
from rediscover.simulator import propagate

LENGTH = 8
DATA = simulate(1000, sites=LENGTH + 4, seed=11)
WAVE = propagate(DATA.potential, DATA.spacing)
PSI, DPSI = WAVE.psi[:, 1:], WAVE.dpsi[:, 1:]
SHIFT, SCALE = DATA.standardisation()["potential"]
# the range of the potentials that were seen
V = np.linspace(-1.0, -0.3, 29)
KA = DATA.spacing * np.sqrt(-2 * V)


def best_member(state, readout, steps, rate, folder):
    """Distil as many latents as the state has numbers; pick by loss, never by physics."""
    potential = (DATA.potential - SHIFT) / SCALE
    windows = Windows(np.stack(state, -1), potential, DATA.density, length=LENGTH)
    schedule = Schedule(steps=steps, batch=128, rate=rate, growth=0.5)
    model = distiller.train(windows, {}, len(state), 6, readout, schedule, seed=1, folder=folder)
    losses = model.member_losses(windows)
    best = int(losses.argmin())
    law = Law(model.coefficients()[best], SHIFT, SCALE, DATA.spacing)
    return law, losses[best], model.latents(windows)[best], windows


@pytest.mark.slow
def test_wave_function_is_distilled_from_itself(tmp_path):
    law, loss, latents, windows = best_member([PSI, DPSI], "quadratic", 1200, 5e-3, tmp_path)
    assert loss < 0.002
    assert law.trace(V) == pytest.approx(2 * np.cos(KA), abs=0.005)
    assert law.determinant(V) == pytest.approx(1, abs=0.005)
    assert align(latents, windows.along(np.stack([PSI, DPSI], -1))).r2.min() > 0.999


@pytest.mark.slow
def test_density_form_is_distilled_from_itself(tmp_path):
    law, loss, _, _ = best_member([PSI**2, PSI * DPSI, DPSI**2], "linear", 1200, 5e-3, tmp_path)
    assert loss < 0.002
    assert law.trace(V) == pytest.approx(1 + 2 * np.cos(2 * KA), abs=0.01)
    assert law.determinant(V) == pytest.approx(1, abs=0.01)
