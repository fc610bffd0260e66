"""Seconds for 100 000 chains of 64 sites, beside SciPy's general-purpose integrator on a few of the same chains."""

import time

import numpy as np
from scipy.integrate import solve_ivp

from rediscover import potentials, simulator

CHAINS, SITES, SPACING, JUDGED = 100_000, 64, 0.4, 5


def seconds(function, *arguments, repeat=3):
    """Give the best of a few runs, which is the one least disturbed by the rest of the machine."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - start)
    return min(times)


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


def main():
    """Print the table."""
    V = potentials.random(CHAINS, SITES, seed=0)
    forbidden = potentials.random(CHAINS, SITES, high=0.1, seed=0)
    difference = np.abs(integrate(V[:JUDGED]) - simulator.propagate(V[:JUDGED], SPACING).psi[:, -1]).max()
    scipy = seconds(integrate, V[:JUDGED], repeat=2) / JUDGED
    print(f"{CHAINS:,} chains of {SITES} sites{'':14}   seconds    µs a chain    solve_ivp takes")
    for name, run in {
        "propagate, allowed": lambda: simulator.propagate(V, SPACING),
        "propagate, complex start": lambda: simulator.propagate(V, SPACING, start=(1.0, 1.0j)),
        "propagate, partly forbidden": lambda: simulator.propagate(forbidden, SPACING),
        "leapfrog": lambda: simulator.leapfrog(V, SPACING),
    }.items():
        ours = seconds(run)
        print(f"{name:36} {ours:10.2f} {ours / CHAINS * 1e6:13.2f} {scipy / (ours / CHAINS):12,.0f} × longer")
    print(f"{'solve_ivp, ' + str(JUDGED) + ' chains':36} {scipy * JUDGED:10.2f} {scipy * 1e6:13.0f}")
    print(f"largest difference of ψ at the end of the chains: {difference:.0e}")


if __name__ == "__main__":
    main()
