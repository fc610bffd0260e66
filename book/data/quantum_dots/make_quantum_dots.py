"""Electrons in gate-defined quantum dots, from qdflow: writes potentials.csv and two files of charges beside this file.

    pip install qdflow==1.0.2
    python make_quantum_dots.py

Gates are drawn as qdflow draws them; what enters its law (mu, beta, g_0, K_0, sigma) is the same for every device.
"""

from pathlib import Path

import numpy as np
from qdflow import generate
from qdflow.physics.simulation import NumericsParameters, ThomasFermi

DEVICES = 600
COULOMB = {"charges.csv": 5.0, "charges_strong.csv": 200.0}  # K_0 in meV nm: qdflow's default, and forty times that
LEAST = 1.0  # electrons under the default interaction; emptier devices are left out
POINTS, SHOWN = 301, slice(2, None, 5)  # solved every 2 nm from -300 nm to 300 nm, written every 10 nm from -296 nm

generate.set_rng_seed(2509)
default = generate.default_physics(n_dots=2)
drawn = generate.PhysicsRandomization.default()
drawn.num_x_points = POINTS
for name in "mu", "beta", "g_0", "sigma":
    setattr(drawn, name, getattr(default, name))
precise = NumericsParameters(calc_n_rel_tol=1e-8, calc_n_abs_tol=1e-10, calc_n_max_iterations_no_guess=20_000)


def solve(device, coulomb):
    """Potential energy (meV) and charge density (electrons per µm) at every grid point."""
    device.K_0 = coulomb
    model = ThomasFermi(device, precise)
    found = model.run_calculations()
    if not found.converged:
        raise RuntimeError(f"no self-consistent charge density at K_0 = {coulomb} meV nm")
    return device.q * model.V, 1000 * found.n


potentials, charges = [], {name: [] for name in COULOMB}
while len(potentials) < DEVICES:
    device = generate.random_physics(drawn)
    solved = [solve(device, coulomb) for coulomb in COULOMB.values()]
    if solved[0][1].sum() * (device.x[1] - device.x[0]) / 1000 < LEAST:
        continue
    potentials.append(solved[0][0][SHOWN])
    for rows, (_, density) in zip(charges.values(), solved, strict=True):
        rows.append(density[SHOWN])

for name, rows in {"potentials.csv": potentials, **charges}.items():
    rounded = np.round(rows, 3) + 0.0  # no -0,000
    lines = [";".join(f"{value:.3f}" for value in row).replace(".", ",") for row in rounded]
    (Path(__file__).parent / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
