"""The simulator beside SciPy's general-purpose integrator, and beside a mere copy of what it gives."""

import numpy as np
from scipy.integrate import solve_ivp
from timing import Comparison, seconds

from rediscover import potentials, simulator

CHAINS, SITES, SPACING, JUDGED = 100_000, 64, 0.4, 5


def integrate(V):
    """Carry (1, 0) along each chain by solve_ivp at 1e-12, site by site, for it must not step across a jump of V."""
    ends = []
    for chain in V:
        state = [1.0, 0.0]
        for u in 2 * chain:
            run = solve_ivp(lambda x, y, u=u: [y[1], u * y[0]], (0, SPACING), state, "DOP853", rtol=1e-12, atol=1e-14)
            state = run.y[:, -1]
        ends.append(state[0])
    return np.array(ends)


def compare():
    """Give the comparisons."""
    V = potentials.random(CHAINS, SITES, seed=0)
    forbidden = potentials.random(CHAINS, SITES, high=0.1, seed=0)
    wave = simulator.propagate(V, SPACING)
    difference = np.abs(integrate(V[:JUDGED]) - wave.psi[:JUDGED, -1]).max()
    print(f"largest difference of ψ at the end of {JUDGED} chains from SciPy's: {difference:.0e}")
    (scipy,) = seconds(lambda: integrate(V[:JUDGED]))
    scipy *= 1e3 * CHAINS / JUDGED
    runs = {
        "allowed": lambda: simulator.propagate(V, SPACING),
        "complex start": lambda: simulator.propagate(V, SPACING, start=(1.0, 1.0j)),
        "partly forbidden": lambda: simulator.propagate(forbidden, SPACING),
        "leapfrog": lambda: simulator.leapfrog(V, SPACING),
    }
    copy, *times = (1e3 * s for s in seconds(lambda: (wave.psi.copy(), wave.dpsi.copy()), *runs.values()))
    for name, ours in zip(runs, times, strict=True):
        yield Comparison(f"{CHAINS:,} chains of {SITES}, {name}", ours, "solve_ivp (from five)", scipy, 8000)
    yield Comparison(f"{CHAINS:,} chains of {SITES}, allowed", times[0], "a copy of ψ and ψ'", copy, 0.1)
