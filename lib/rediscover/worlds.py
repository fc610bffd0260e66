"""Hidden laws behind one interface, with known numbers of variables: what a machine that found two must be tried on.

Each maps potentials, constant on a site, to a density at the right edge of every site; it is causal, and exact up to
rounding save for `gross_pitaevskii`. Units ħ = m = 1, for Dirac c = 1. With the parameters
that they have if nothing is said the densities on `potentials.random(n, 40)` at spacing 0.4 are of order one.

How the variables are counted. A law moves amplitudes z ← T(V)z and the density is quadratic in them. The products zᵢzⱼ
of d amplitudes move linearly, so d(d + 1)/2 variables suffice for a *linear* readout: 3 for d = 2, 10 for d = 4. Fewer
do only if some subspace of the products is mapped to itself by every T(V). There is none if the T(V) generate SL(2) or,
for four amplitudes, Sp(4): the products are then the adjoint representation, which is irreducible (Fulton & Harris,
*Representation Theory* (1991), lectures 11 and 16), so that every start reaches all of it and every readout sees all
of it. That number is what `evidence.hankel_rank` finds without noise. Laws side by side add their numbers unless a
change of basis makes them equal. Parameters at which the number changes change `World.rank`.

Imports `simulator` for the waves, `potentials` and `dataset` for `simulate`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import expm
from scipy.signal import lfilter

from . import _check, potentials, simulator
from .dataset import Dataset, origin_of


@dataclass(frozen=True)
class World:
    """A world that can be measured in any potential: what the machine is set before, and never shown.

    Attributes
    ----------
    name : str
        Its key in `WORLDS`.
    rank : int or None
        Variables that a linear readout needs; None if no finite number will do.
    parameters : dict
        What its constructor was given, JSON-able.
    density : callable
        Maps checked potentials and spacing to densities; called by `measure`.

    Examples
    --------
    >>> standing_wave(energy=0.1)
    World(name='standing_wave', rank=3, parameters={'energy': 0.1})
    """

    name: str
    rank: int | None
    parameters: dict
    density: Callable[[np.ndarray, float], np.ndarray] = field(repr=False, compare=False)

    def measure(self, V: np.ndarray, spacing: float = 0.4) -> np.ndarray:
        """Density at the right edge of every site of potentials V, both of shape (n, sites).

        Raises
        ------
        ValueError, TypeError
            If V is not a finite array of two axes, the spacing is not positive, or the density overflows.
        """
        V, a = _check.array("V", V, 2), _check.positive("spacing", spacing)
        with np.errstate(over="ignore", invalid="ignore"):  # overflow is caught and explained below
            density = self.density(V, a)
        if not np.isfinite(density).all():
            sample, site = map(int, np.argwhere(~np.isfinite(density))[0])
            raise ValueError(f"V: the density of sample {sample} overflows at site {site} under {self!r}")
        return density


def standing_wave(energy: float = 0.0) -> World:
    """Schrödinger's ψ'' = 2(V − E)ψ from (ψ, ψ') = (1, 0), density ψ²; 3 variables.

    (ψ, ψ') moves by T(V) in SL(2), and (ψ², ψψ', ψ'²) by its symmetric square.

    Examples
    --------
    >>> standing_wave().measure([[-0.5, -0.5]], spacing=np.pi / 2).round(12).tolist()  # cos² x
    [[0.0, 1.0]]
    """
    E = _check.number("energy", energy)
    return World("standing_wave", 3, {"energy": E}, lambda V, a: simulator.propagate(V, a, E).density)


def travelling_wave(energy: float = 0.0, current: float = 0.6) -> World:
    """Schrödinger's law from (ψ, ψ') = (1, ij), density |ψ|²; 3 variables at any current j.

    Real and imaginary part move by the same real T(V), so (|ψ|², Re ψ*ψ', |ψ'|²) moves as for a standing wave, but
    starts at (1, 0, j²). The fourth product, Im ψ*ψ' = j, stays what it is, and the density does not need it.

    Examples
    --------
    >>> travelling_wave(current=1.0).measure([[-0.5, -0.5]]).round(12).tolist()  # exp(ix)
    [[1.0, 1.0]]
    """
    E, j = _check.number("energy", energy), _check.number("current", current)
    name, parameters = "travelling_wave", {"energy": E, "current": j}
    return World(name, 3, parameters, lambda V, a: simulator.propagate(V, a, E, (1.0, 1j * j)).density)


def classical(energy: float = 0.0) -> World:
    """Time that a classical particle spends in a place, 1/p with p = √(2(E − V)); 1 variable.

    The flow ρp is 1 everywhere. The past leaves nothing behind: all rows of the Hankel block are equal. (2 with the
    empty suffix, when the density at the end of the past is recorded too: that column varies from row to row. A model
    that first updates and then reads out, like a distiller, needs these 2.) V must lie below E where it is measured.

    Examples
    --------
    >>> classical().measure([[-0.5, -2.0]]).tolist()
    [[1.0, 0.5]]
    """
    E = _check.number("energy", energy)

    def density(V, a):
        if V.max() >= E:
            raise ValueError(f"V must lie below the energy {E} of the classical law; got {V.max()}")
        return 1 / np.sqrt(2 * (E - V))

    return World("classical", 1, {"energy": E}, density)


def boltzmann(beta: float = 0.2, centre: float = -0.65) -> World:
    """Density exp(−β Σ(V − centre)), summed over the sites so far; 1 variable.

    ρ ← exp(−β(V − centre))ρ is linear in ρ alone. `centre` keeps ρ of order one; the rank is 1 with any.

    Examples
    --------
    >>> boltzmann(beta=1.0, centre=0.0).measure([[0.0, -np.log(2), -np.log(2)]]).round(12).tolist()
    [[1.0, 2.0, 4.0]]
    """
    beta, centre = _check.positive("beta", beta), _check.number("centre", centre)
    parameters = {"beta": beta, "centre": centre}
    return World("boltzmann", 1, parameters, lambda V, a: np.exp(-beta * np.cumsum(V - centre, axis=1)))


def leaky_integrator(decay: float = 0.9, gain: float = 2.5, centre: float = -0.65) -> World:
    """Density 1 + gain · h with a running average h ← decay · h + (1 − decay)(V − centre), site by site; 2 variables.

    The update is linear in (h, 1) and the readout needs both. That holds for every decay between 0 and 1, but those
    below 0.9 are refused: a shorter memory is hard to tell from the last few potentials themselves.

    Examples
    --------
    >>> leaky_integrator(decay=0.9, gain=1.0, centre=0.0).measure([[1.0, 0.0]]).round(12).tolist()
    [[1.1, 1.09]]
    """
    decay, gain = _check.at_least("decay", decay, 0.9), _check.positive("gain", gain)
    centre = _check.number("centre", centre)
    if decay >= 1:
        raise ValueError(f"decay must be less than 1; got {decay}")
    parameters = {"decay": decay, "gain": gain, "centre": centre}
    return World(
        "leaky_integrator", 2, parameters, lambda V, a: 1 + gain * lfilter([1 - decay], [1, -decay], V - centre, axis=1)
    )


def dirac(mass: float = 0.2, energy: float = 0.0) -> World:
    """Dirac's pair in one dimension, u' = (m + E − V)v, v' = (m − E + V)u from (1, 0), density u² + v²; 3 variables.

    (u, v) moves by T(V) in SL(2), with k² = (E − V)² − m², and (u², uv, v²) as for Schrödinger. Without mass T is a
    rotation, and u² + v² never changes: 1.

    Examples
    --------
    >>> dirac().rank, dirac(mass=0.0).rank, dirac(mass=0.0).measure([[-1.0, -0.3]]).round(12).tolist()
    (3, 1, [[1.0, 1.0]])
    """
    m, E = _check.at_least("mass", mass, 0), _check.number("energy", energy)

    def density(V, a):
        return (_march(_dirac_step(V, a, m, E), (1.0, 0.0)) ** 2).sum(-1)

    return World("dirac", 3 if m else 1, {"mass": m, "energy": E}, density)


def two_orbitals(energy: float = 0.0, gap: float = 0.5) -> World:
    """Two standing waves, of energies E and E + gap, in one potential; their densities add. 6 variables.

    Each brings 3. A step has the trace 1 + 2 cos 2ka, which differs between the two, so no change of basis makes them
    equal, and nothing can be shared: 3 + 3. Without a gap they are one and the same: 3.

    Examples
    --------
    >>> two_orbitals().rank, two_orbitals(gap=0.0).rank
    (6, 3)
    """
    E, gap = _check.number("energy", energy), _check.at_least("gap", gap, 0)

    def density(V, a):
        return simulator.propagate(V, a, E).density + simulator.propagate(V, a, E + gap).density

    return World("two_orbitals", 6 if gap else 3, {"energy": E, "gap": gap}, density)


def coupled_channels(energy: float = 0.2, coupling: float = 0.2) -> World:
    """Two channels in the same potential, ψ₁'' = 2(V − E)ψ₁ + 2cψ₂ and 1 ↔ 2, total density ψ₁² + ψ₂²; 6 variables.

    Whatever V, (ψ₁ ± ψ₂)/√2 are standing waves of energies E ∓ c, and the total density is the sum of theirs: two
    orbitals again, 3 + 3. (The density of one channel has their four cross products too: 10.) All starts in channel 1,
    (1, 0), which excites both. Uncoupled, channel 2 stays empty: 3.

    Examples
    --------
    >>> coupled_channels().rank, coupled_channels(coupling=0.0).rank
    (6, 3)
    """
    E, c = _check.number("energy", energy), _check.at_least("coupling", coupling, 0)

    def density(V, a):
        return (simulator.propagate(V, a, E - c).density + simulator.propagate(V, a, E + c).density) / 2

    return World("coupled_channels", 6 if c else 3, {"energy": E, "coupling": c}, density)


def half_driven_channels(energy: float = 0.2, coupling: float = 0.2, floor: float = -0.65) -> World:
    """Two coupled channels of which only the first feels V, the second a constant `floor`; 10 variables.

    ψ₁'' = 2(V − E)ψ₁ + 2cψ₂, ψ₂'' = 2cψ₁ + 2(floor − E)ψ₂, density ψ₁² + ψ₂². The normal modes now turn with V, no
    basis splits them, and (ψ₁, ψ₁', ψ₂, ψ₂') moves by Sp(4): all ten products. Start as for `coupled_channels`, and
    uncoupled 3 again.

    Examples
    --------
    >>> half_driven_channels().rank, half_driven_channels(coupling=0.0).rank
    (10, 3)
    """
    E, c = _check.number("energy", energy), _check.at_least("coupling", coupling, 0)
    floor = _check.number("floor", floor)

    def density(V, a):
        psi = _march(_channels_step(V, np.full_like(V, floor), a, E, c), (1.0, 0.0, 0.0, 0.0))
        return psi[..., 0] ** 2 + psi[..., 2] ** 2

    parameters = {"energy": E, "coupling": c, "floor": floor}
    return World("half_driven_channels", 10 if c else 3, parameters, density)


def beam(stiffness: float = 0.001, energy: float = 0.0) -> World:
    """Fourth-order law ψ'''' = Uψ with U = stiffness · (V − E) from (1, 0, 0, 0), density ψ²; 10 variables.

    An elastic beam on a foundation of varying stiffness. ψφ''' − ψ'φ'' + ψ''φ' − ψ'''φ is the same everywhere for any
    two solutions, so (ψ, ψ', ψ'', ψ''') moves by Sp(4): ten products. The tenth singular value of a block is
    1e-9 to 1e-8 of the first, so all ten are seen without noise only. Solutions grow like exp(|U|^¼ x):
    `stiffness` is small to keep the density of order one, not for the rank's sake.

    Examples
    --------
    >>> beam(stiffness=24.0).measure([[-1.0]], spacing=0.1).round(6).tolist()  # ψ = 1 − x⁴ + …
    [[0.9998]]
    """
    s, E = _check.positive("stiffness", stiffness), _check.number("energy", energy)

    def density(V, a):
        return _march(_beam_step(s * (V - E), a), (1.0, 0.0, 0.0, 0.0))[..., 0] ** 2

    return World("beam", 10, {"stiffness": s, "energy": E}, density)


def gross_pitaevskii(interaction: float = -0.4, energy: float = 0.0) -> World:
    """A condensate, ψ'' = 2(V − E + gψ²)ψ from (1, 0), density ψ²; no finite number of variables.

    How (ψ, ψ') goes on depends on its size, and in no polynomial way, so no finite set of functions of it moves
    linearly: the Hankel rank grows with the block until rounding ends it. (With a *nonlinear* update two will do.)
    Without interaction it is Schrödinger's: 3. g < 0 attracts; a wave with g > 0 runs away where gψ² exceeds E − V.

    Notes
    -----
    Exact steps without interaction alternate with exact kicks ψ' ← ψ' + 2gψ³h in the sixth-order composition of Suzuki,
    Phys. Lett. A 146 (1990) 319, eight times a site. g = 0 is exact; down to g = −0.6, with 40 sites and spacing 0.4, ψ
    is right to 1e-9, judged by `scipy.integrate.solve_ivp`.

    Examples
    --------
    >>> gross_pitaevskii().rank is None, gross_pitaevskii(interaction=0.0).rank
    (True, 3)
    """
    g, E = _check.number("interaction", interaction), _check.number("energy", energy)
    rank, parameters = None if g else 3, {"interaction": g, "energy": E}
    return World("gross_pitaevskii", rank, parameters, lambda V, a: _condensate(V, a, g, E) ** 2)


def noise(seed: int = 0) -> World:
    """No law: exponentially distributed numbers of mean 1 that know nothing of V. Every block has full rank.

    They depend on `seed` and the shape of V alone, so a measurement can be repeated; data sets that are to be
    independent need different seeds.

    Examples
    --------
    >>> bool(np.all(noise(1).measure(np.zeros((2, 3))) == noise(1).measure(np.ones((2, 3)))))
    True
    """
    seed = _check.integer("seed", seed, least=0)
    return World("noise", None, {"seed": seed}, lambda V, a: np.random.default_rng(seed).exponential(size=V.shape))


#: Every world by its name: the functions above that make one.
WORLDS: dict[str, Callable[..., World]] = {
    name: make for name, make in vars().items() if getattr(make, "__annotations__", {}).get("return") == "World"
}


def simulate(
    world: World,
    n: int,
    *,
    sites: int = 40,
    spacing: float = 0.4,
    low: float = -1.0,
    high: float = -0.3,
    correlation: float = 1.0,
    seed: int | np.random.Generator = 0,
) -> Dataset:
    """Run the experiment `n` times in this `world`; otherwise as `dataset.simulate`.

    Returns
    -------
    Dataset
        Its origin lists the world, its parameters and the arguments, or is a digest of the arrays if `seed` is a
        generator; its energy is the world's, or 0. A blind judge must look at the arrays only.

    Raises
    ------
    ValueError, TypeError
        If `world` is not a `World`, and from `potentials.random` and `World.measure`.

    Examples
    --------
    >>> data = simulate(dirac(mass=0.1), 100)
    >>> data.density.shape, data.origin["law"], data.origin["parameters"]
    ((100, 40), 'dirac', {'mass': 0.1, 'energy': 0.0})
    """
    if not isinstance(world, World):
        raise TypeError(f"world must be a World, such as worlds.dirac(); got {world!r}")
    spacing = _check.positive("spacing", spacing)
    V = potentials.random(n, sites, low=low, high=high, correlation=correlation, seed=seed)
    origin = origin_of(V, seed, spacing, low, high, correlation)
    origin |= {"kind": "law", "law": world.name, "parameters": dict(world.parameters)} if origin else {}
    return Dataset(V, world.measure(V, spacing), spacing, world.parameters.get("energy", 0.0), origin)


def _march(T: np.ndarray, start: tuple) -> np.ndarray:
    """Amplitudes at the right edge of every site, shape (n, sites, d), from matrices (n, sites, d, d)."""
    z, seen = np.tile(start, (len(T), 1))[..., None], np.empty(T.shape[:-1])
    for i in range(T.shape[1]):
        z = T[:, i] @ z
        seen[:, i] = z[..., 0]
    return seen


def _dirac_step(V: np.ndarray, a: float, mass: float, energy: float) -> np.ndarray:
    """exp(aA) = C + SA, for A = [[0, m + E − V], [m − E + V, 0]] squares to the number m² − (E − V)²."""
    e = energy - V
    T = simulator.transfer_matrix((mass**2 - e**2) / 2, a)  # the same C and S as for Schrödinger's U = A²
    T[..., 0, 1], T[..., 1, 0] = T[..., 0, 1] * (mass + e), T[..., 0, 1] * (mass - e)
    return T


def _channels_step(V: np.ndarray, W: np.ndarray, a: float, energy: float, coupling: float) -> np.ndarray:
    """Carry (ψ₁, ψ₁', ψ₂, ψ₂') over a site where channel 1 lies at V and channel 2 at W."""
    A = np.zeros((*V.shape, 4, 4))
    A[..., 0, 1] = A[..., 2, 3] = 1
    A[..., 1, 0], A[..., 3, 2] = 2 * (V - energy), 2 * (W - energy)
    A[..., 1, 2] = A[..., 3, 0] = 2 * coupling
    return expm(a * A)


def _beam_step(U: np.ndarray, a: float) -> np.ndarray:
    A = np.zeros((*U.shape, 4, 4))
    A[..., 0, 1] = A[..., 1, 2] = A[..., 2, 3] = 1
    A[..., 3, 0] = U
    return expm(a * A)


def _condensate(V: np.ndarray, a: float, g: float, energy: float, substeps: int = 8) -> np.ndarray:
    """ψ at the right edge of every site; see `gross_pitaevskii`."""
    h = np.array([a / substeps])
    for order in (3, 5):  # five steps, the middle one backwards, cancel the error of this order
        p = 1 / (4 - 4 ** (1 / order))
        h = np.outer([p, p, 1 - 4 * p, p, p], h).ravel()
    drifts = np.tile(h, substeps).tolist()
    kicks = 2 * g * np.convolve(drifts, [0.5, 0.5])  # half before and half after each drift
    psi, dpsi, seen = np.ones(len(V)), np.zeros(len(V)), np.empty_like(V)
    for i, v in enumerate(V.T):
        T = {h: np.moveaxis(simulator.transfer_matrix(v, abs(h), energy), 0, -1).copy() for h in set(drifts)}
        for h, kick in zip(drifts, kicks, strict=False):
            dpsi = dpsi + kick * psi * psi * psi
            (t00, t01), (t10, t11) = T[h]
            t01, t10 = (t01, t10) if h > 0 else (-t01, -t10)  # the inverse step
            psi, dpsi = t00 * psi + t01 * dpsi, t10 * psi + t11 * dpsi
        dpsi = dpsi + kicks[-1] * psi * psi * psi
        seen[:, i] = psi
    return seen
