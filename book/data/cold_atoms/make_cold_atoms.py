"""Pictures of rubidium atoms in rough traps: writes traps.csv and clouds.csv beside this file.

    python make_cold_atoms.py

Stationary Schrödinger equation ψ'' = 2 M (V − E) ψ / ħ² in SI units, integrated site by site, all pictures at once.
"""

from pathlib import Path

import numpy as np
from scipy import constants
from scipy.integrate import solve_ivp

PICTURES, SITES = 600, 60
SITE = 0.3e-6  # m
MASS = 86.909 * constants.atomic_mass  # kg, rubidium-87
NANOKELVIN = 1e-9 * constants.k  # J
ENERGY = 32.0 * NANOKELVIN  # of every picture
TRAP = 2.0, 24.0  # nK, the least and the greatest
ATOMS = 400  # a site, on average over all pictures

rng = np.random.default_rng(87)
trap = rng.uniform(*TRAP, (PICTURES, SITES)).round(3)  # nK: what is written is what the atoms felt

k_squared = 2 * MASS * (ENERGY - trap * NANOKELVIN) / constants.hbar**2  # 1/m²
k_mean = np.sqrt(2 * MASS * (ENERGY - np.mean(TRAP) * NANOKELVIN)) / constants.hbar  # 1/m

phase = rng.uniform(0, 2 * np.pi, PICTURES)
size = rng.uniform(0.7, 1.3, PICTURES)
state = np.concatenate([size * np.cos(phase), size * np.sin(phase)])  # ψ and ψ' / k_mean at the left end

psi = np.empty((PICTURES, SITES))
for site in range(SITES):

    def slope(x, state, k_squared=k_squared[:, site]):
        psi, derivative = np.split(state, 2)
        return np.concatenate([k_mean * derivative, -k_squared / k_mean * psi])

    state = solve_ivp(slope, (0, SITE), state, method="DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
    psi[:, site] = state[:PICTURES]  # at the right edge of the site

density = psi**2
counts = rng.poisson(ATOMS / density.mean() * density)

here = Path(__file__).parent
np.savetxt(here / "traps.csv", trap, fmt="%.3f", delimiter=",", encoding="utf-8")
np.savetxt(here / "clouds.csv", counts, fmt="%d", delimiter=",", encoding="utf-8")
