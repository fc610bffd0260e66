"""The other hidden laws: as many variables as their docstrings derive, closed forms, invariants, causality, repeats."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import logm
from scipy.special import ellipj

from panel import RANGES
from rediscover import potentials, simulator, worlds
from rediscover.dataset import Dataset
from rediscover.evidence import hankel, hankel_rank
from rediscover.worlds import WORLDS

A = 0.4
V = potentials.random(6, 40, seed=11)
X = A * np.arange(1, 41)
LINEAR = [name for name, make in WORLDS.items() if make().rank is not None]


def block(law, n=24, sites=20, seed=0):
    words = potentials.random(2 * n, sites, seed=seed)
    return hankel(law.measure, words[:n], words[n:])


def parameters(name):
    """Strategy for what a card of the blind panel may say of a world; one without a card is taken as it is."""
    return st.fixed_dictionaries(
        {
            k: st.integers(low, high) if isinstance(low, int) else st.floats(low, high)
            for k, (low, high) in RANGES.get(name, {}).items()
        }
    )


# The number of variables ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LINEAR)
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_rank_is_the_number_derived(name, data):
    law = WORLDS[name](**data.draw(parameters(name)))
    found = hankel_rank(block(law, seed=data.draw(st.integers(0, 1000))))
    assert found.rank == law.rank
    assert found.singular_values[law.rank - 1] > 1e3 * found.floor, "a near miss is no proof"
    assert found.singular_values[law.rank] < 0.1 * found.floor


def test_the_numbers_themselves():
    ranks = {name: make().rank for name, make in WORLDS.items()}
    assert ranks == {
        "standing_wave": 3,
        "travelling_wave": 3,
        "classical": 1,
        "boltzmann": 1,
        "leaky_integrator": 2,
        "dirac": 3,
        "two_orbitals": 6,
        "coupled_channels": 6,
        "half_driven_channels": 10,
        "beam": 10,
        "gross_pitaevskii": None,
        "noise": None,
    }


@pytest.mark.parametrize(
    ("law", "rank"),
    [
        (worlds.dirac(mass=0.0), 1),
        (worlds.two_orbitals(gap=0.0), 3),
        (worlds.coupled_channels(coupling=0.0), 3),
        (worlds.half_driven_channels(coupling=0.0), 3),
        (worlds.gross_pitaevskii(interaction=0.0), 3),
        (worlds.travelling_wave(current=0.0), 3),
    ],
)
def test_degenerate_parameters_change_the_rank_and_say_so(law, rank):
    assert law.rank == hankel_rank(block(law)).rank == rank


def test_classical_needs_two_with_the_empty_suffix():
    law, words = worlds.classical(), potentials.random(80, 20, seed=0)
    full = np.column_stack([law.measure(words[:40])[:, -1], hankel(law.measure, words[:40], words[40:])])
    assert hankel_rank(full).rank == 2


@pytest.mark.parametrize("name", sorted(set(LINEAR) - {"classical"}))
def test_the_others_do_not_mind_the_empty_suffix(name):
    law, words = WORLDS[name](), potentials.random(80, 20, seed=0)
    full = np.column_stack([law.measure(words[:40])[:, -1], hankel(law.measure, words[:40], words[40:])])
    assert hankel_rank(full).rank == law.rank


@pytest.mark.parametrize("interaction", [-0.6, -0.2])
def test_interaction_has_no_finite_rank(interaction):
    law = worlds.gross_pitaevskii(interaction)
    ranks = [hankel_rank(block(law, n, 12)).rank for n in (5, 10, 20, 30)]
    assert ranks == [5, 10, 20, 30]


def test_noise_fills_every_block():
    for n in (5, 20, 60):
        found = hankel_rank(block(worlds.noise(3), n))
        assert found.rank == n and found.singular_values[-1] > 0.05 * found.singular_values[0]


def test_one_of_two_channels_holds_the_cross_products_too():
    def first(V):
        step = worlds._channels_step(V, V, A, 0.2, 0.2)
        return worlds._march(step, (1.0, 0.0, 0.0, 0.0))[..., 0] ** 2

    words = potentials.random(80, 20, seed=0)
    assert hankel_rank(hankel(first, words[:40], words[40:])).rank == 10


# Closed forms ---------------------------------------------------------------------------------------------------------


def k(energy, v):
    return np.sqrt(2 * (energy - v))


def constant(v):
    return np.full((1, 40), v)


@pytest.mark.parametrize("v", [-0.9, -0.4])
def test_constant_potential(v):
    def seen(law):
        return law.measure(constant(v))[0]

    cos = np.cos
    q = k(0.1, v)
    close = {"rtol": 0, "atol": 1e-12}
    assert np.allclose(seen(worlds.standing_wave(0.1)), cos(q * X) ** 2, **close)
    assert np.allclose(
        seen(worlds.travelling_wave(0.1, 0.7)), cos(q * X) ** 2 + (0.7 / q) ** 2 * np.sin(q * X) ** 2, **close
    )
    assert np.allclose(seen(worlds.travelling_wave(0.1, q)), 1, **close)
    assert np.allclose(seen(worlds.classical(0.1)), 1 / q, **close)
    assert np.allclose(seen(worlds.boltzmann(0.3, -0.5)), np.exp(-0.3 * (v + 0.5) * np.arange(1, 41)), **close)
    relaxed = 1 - 0.92 ** np.arange(1, 41)
    assert np.allclose(seen(worlds.leaky_integrator(0.92, 2.0, -0.5)), 1 + 2 * (v + 0.5) * relaxed, **close)
    assert np.allclose(seen(worlds.two_orbitals(0.1, 0.4)), cos(q * X) ** 2 + cos(k(0.5, v) * X) ** 2, **close)
    modes = cos(k(-0.1, v) * X) ** 2 / 2 + cos(k(0.3, v) * X) ** 2 / 2
    assert np.allclose(seen(worlds.coupled_channels(0.1, 0.2)), modes, **close)
    assert np.allclose(seen(worlds.half_driven_channels(0.1, 0.2, floor=v)), modes, **close)
    e, m = 0.1 - v, 0.2
    p = np.sqrt(e**2 - m**2)
    assert np.allclose(seen(worlds.dirac(m, 0.1)), cos(p * X) ** 2 + ((m - e) / p) ** 2 * np.sin(p * X) ** 2, **close)


def test_dirac_inside_a_step_and_at_its_edge():
    # where |E − V| < m the pair decays or grows: u = cosh κx, v = √((m − e)/(m + e)) sinh κx; at |e| = m linearly
    x, (m, e) = X[:5], (0.9, 0.3)
    kappa = np.sqrt(m**2 - e**2)
    grown = np.cosh(kappa * x) ** 2 + (m - e) / (m + e) * np.sinh(kappa * x) ** 2
    assert np.allclose(worlds.dirac(m, e).measure(np.zeros((1, 5)))[0], grown, rtol=1e-13)
    assert np.allclose(worlds.dirac(0.5, -0.5).measure(np.zeros((1, 5)))[0], 1 + x**2, rtol=1e-13)


def test_dirac_slow_is_schrodinger():
    # u'' = (m² − (E − V)²)u → 2m(V − E + m)u for energies near m, with 2m = 2 in our units, and v is small
    slow = 1e-4
    rho = worlds.dirac(1.0, 1.0).measure(slow * V, spacing=A / np.sqrt(slow))
    assert np.allclose(rho, worlds.standing_wave().measure(V), atol=2e-3)


def test_beam_of_constant_stiffness():
    q = 0.002**0.25
    found = worlds.beam(0.002, -1.5).measure(constant(-0.5))[0]  # ψ'''' = q⁴ψ
    assert np.allclose(found, ((np.cos(q * X) + np.cosh(q * X)) / 2) ** 2, rtol=1e-12)
    r = (0.002 / 4) ** 0.25
    found = worlds.beam(0.002, 0.5).measure(constant(-0.5))[0]  # ψ'''' = −4r⁴ψ
    assert np.allclose(found, (np.cos(r * X) * np.cosh(r * X)) ** 2, rtol=0, atol=1e-12 * found.max())


@pytest.mark.parametrize("g", [-0.6, -0.2])
def test_condensate_in_a_constant_potential_is_an_elliptic_cosine(g):
    # ψ'' = −αψ − βψ³ from (1, 0): ψ = cn(√(α + β) x) with parameter β/2(α + β)
    alpha, beta = 2 * 0.5, -2 * g
    cn = ellipj(np.sqrt(alpha + beta) * X, beta / (2 * (alpha + beta)))[1]
    assert np.allclose(worlds.gross_pitaevskii(g).measure(constant(-0.5))[0], cn**2, rtol=0, atol=1e-9)


# SciPy as the judge ---------------------------------------------------------------------------------------------------


def judge(slope, start, v):
    """Integrate y' = slope(v, y) site by site, for the integrator must not step across a jump of V."""
    y, seen = np.array(start, float), []
    for u in v:
        y = solve_ivp(lambda x, y, u=u: slope(u, y), (0, A), y, "DOP853", rtol=1e-13, atol=1e-15).y[:, -1]
        seen.append(y)
    return np.array(seen).T


def channels(v, w, y):
    return [y[1], 2 * (v - 0.3) * y[0] + 0.4 * y[2], y[3], 0.4 * y[0] + 2 * (w - 0.3) * y[2]]


@pytest.mark.parametrize(
    ("law", "slope", "start", "density"),
    [
        (
            worlds.dirac(0.2, 0.1),
            lambda v, y: [(0.3 - v) * y[1], (0.1 + v) * y[0]],
            (1, 0),
            lambda y: y[0] ** 2 + y[1] ** 2,
        ),
        (
            worlds.coupled_channels(0.3, 0.2),
            lambda v, y: channels(v, v, y),
            (1, 0, 0, 0),
            lambda y: y[0] ** 2 + y[2] ** 2,
        ),
        (
            worlds.half_driven_channels(0.3, 0.2, -0.5),
            lambda v, y: channels(v, -0.5, y),
            (1, 0, 0, 0),
            lambda y: y[0] ** 2 + y[2] ** 2,
        ),
        (worlds.beam(0.01, -0.6), lambda v, y: [*y[1:], 0.01 * (v + 0.6) * y[0]], (1, 0, 0, 0), lambda y: y[0] ** 2),
        (
            worlds.gross_pitaevskii(-0.6, 0.5),
            lambda v, y: [y[1], 2 * (v - 0.5 - 0.6 * y[0] ** 2) * y[0]],
            (1, 0),
            lambda y: y[0] ** 2,
        ),
        (
            worlds.gross_pitaevskii(0.02),
            lambda v, y: [y[1], 2 * (v + 0.02 * y[0] ** 2) * y[0]],
            (1, 0),
            lambda y: y[0] ** 2,
        ),
    ],
    ids=lambda value: value.name if isinstance(value, worlds.World) else "",
)
def test_agrees_with_solve_ivp(law, slope, start, density):
    for v, found in zip(V[:2], law.measure(V[:2]), strict=True):
        expected = density(judge(slope, start, v))
        tolerance = 1e-9 if law.name == "gross_pitaevskii" else 1e-11
        assert np.allclose(found, expected, rtol=0, atol=tolerance * expected.max())


def test_condensate_converges_with_order_six_and_is_exact_without_interaction():
    fine = worlds._condensate(V, A, -0.6, 0.5, substeps=32)
    errors = [np.abs(worlds._condensate(V, A, -0.6, 0.5, substeps=n) - fine).max() for n in (4, 8)]
    assert 2**5.5 < errors[0] / errors[1] < 2**6.5 and errors[1] < 1e-9
    free = worlds._condensate(V, A, 0.0, 0.2)
    assert np.allclose(free, simulator.propagate(V, A, 0.2).psi[:, 1:], rtol=0, atol=1e-12)


# Invariants -----------------------------------------------------------------------------------------------------------

VALUES = np.linspace(-3.0, 3.0, 61)


def test_current_is_conserved():
    wave = simulator.propagate(V, A, 0.1, (1.0, 0.7j))
    assert np.allclose(wave.current, 0.7, rtol=1e-12)
    assert np.array_equal(worlds.travelling_wave(0.1, 0.7).measure(V), wave.density)


def test_dirac_steps_have_determinant_one_and_the_massless_one_turns():
    T = worlds._dirac_step(VALUES, A, 0.7, 0.2)
    assert np.allclose(np.linalg.det(T), 1, rtol=1e-13)  # so u₁v₂ − v₁u₂ is conserved, and the current with it
    k2 = (0.2 - VALUES) ** 2 - 0.7**2
    assert np.allclose(np.trace(T, axis1=1, axis2=2), 2 * np.cos(A * np.emath.sqrt(k2)).real, rtol=1e-13)
    R = worlds._dirac_step(VALUES, A, 0.0, 0.2)
    assert np.allclose(R @ R.swapaxes(1, 2), np.eye(2), atol=1e-14)
    assert np.allclose(worlds.dirac(0.0, 0.3).measure(V), 1, rtol=1e-12)


@pytest.mark.parametrize(
    ("step", "form"),
    [
        (worlds._channels_step(VALUES, np.full(61, -0.5), A, 0.1, 0.3), [(0, 1, 1), (2, 3, 1)]),  # ψ₁φ₁' + ψ₂φ₂' − …
        (worlds._channels_step(VALUES, VALUES, A, 0.1, 0.3), [(0, 1, 1), (2, 3, 1)]),
        (worlds._beam_step(VALUES, A), [(0, 3, 1), (1, 2, -1)]),  # ψφ''' − ψ'φ'' + …
    ],
)
def test_four_amplitudes_move_by_the_symplectic_group(step, form):
    J = np.zeros((4, 4))
    for i, j, sign in form:
        J[i, j], J[j, i] = sign, -sign
    assert np.allclose(step.swapaxes(1, 2) @ J @ step, J, atol=1e-12)


@pytest.mark.parametrize(
    ("step", "dimension"),
    [
        (lambda v: simulator.transfer_matrix(v, A), 3),
        (lambda v: worlds._dirac_step(v, A, 0.2, 0.0), 3),
        (lambda v: worlds._dirac_step(v, A, 0.0, 0.0), 1),
        (lambda v: worlds._channels_step(v, np.full_like(v, -0.65), A, 0.2, 0.2), 10),
        (lambda v: worlds._channels_step(v, np.full_like(v, -0.65), A, 0.2, 0.0), 4),  # three, and one fixed rotation
        (lambda v: worlds._channels_step(v, v, A, 0.2, 0.2), 6),
        (lambda v: worlds._beam_step(v, A), 10),
    ],
)
def test_steps_generate_the_group_that_the_count_rests_on(step, dimension):
    algebra = [logm(T).real / A for T in step(np.array([-1.0, -0.3]))]
    for _ in range(6):  # close it under commutators
        both = [x @ y - y @ x for x in algebra for y in algebra]
        _, s, basis = np.linalg.svd(np.reshape([*algebra, *both], (-1, algebra[0].size)), full_matrices=False)
        algebra = list(basis[s > 1e-9 * s[0]].reshape(-1, *algebra[0].shape))
    assert len(algebra) == dimension


def test_condensate_turns_where_its_first_integral_says():
    # ψ'² + 2(E − V)ψ² − gψ⁴ is constant where V is, and ψ' = 0 at ψ² = 1: there it must turn, however long the chain
    rho = worlds.gross_pitaevskii(-0.6).measure(np.full((1, 400), -0.5), spacing=0.1)[0]
    assert rho.max() < 1 + 1e-9 and rho[-50:].max() > 0.99


# What every law promises ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(WORLDS) - {"noise"}))
def test_cause_precedes_effect_and_samples_do_not_meet(name):
    law = WORLDS[name]()
    rho, changed = law.measure(V), V.copy()
    changed[:, 20:] = potentials.random(6, 20, seed=99)
    other = law.measure(changed)
    assert np.allclose(other[:, :20], rho[:, :20], rtol=1e-13, atol=1e-14)
    assert np.all(np.any(np.abs(other - rho)[:, 20:] > 1e-6, axis=1))
    assert np.allclose(law.measure(V[2:3]), rho[2:3], rtol=1e-13, atol=1e-14)


def test_noise_has_no_cause():
    assert np.array_equal(worlds.noise(4).measure(V), worlds.noise(4).measure(V + 1))
    assert not np.any(worlds.noise(4).measure(V) == worlds.noise(5).measure(V))


@pytest.mark.parametrize("name", WORLDS)
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_densities_are_of_order_one_and_repeat(name, data):
    law = WORLDS[name](**data.draw(parameters(name)))
    chains = potentials.random(60, 40, seed=data.draw(st.integers(0, 1000)))
    rho = law.measure(chains)
    assert rho.shape == chains.shape and rho.dtype == np.float64
    assert np.all(rho >= 0) and 0.3 < rho.mean() < 2 and 1e-3 < rho.var() < 3
    assert np.array_equal(rho, law.measure(chains))
    again = WORLDS[law.name](**law.parameters)  # name and parameters are all there is to a law
    assert again == law and np.array_equal(again.measure(chains), rho)


def test_simulate():
    law = worlds.dirac(0.15, 0.1)
    data = worlds.simulate(law, 5, sites=8, spacing=0.3, low=-0.9, high=-0.5, correlation=2.0, seed=7)
    assert isinstance(data, Dataset) and (data.spacing, data.energy) == (0.3, 0.1)
    assert np.array_equal(data.potential, potentials.random(5, 8, low=-0.9, high=-0.5, correlation=2.0, seed=7))
    assert np.array_equal(data.density, law.measure(data.potential, 0.3))
    assert worlds.simulate(worlds.noise(), 2).energy == 0.0


def test_origin_identifies_law_and_data():
    base = {"n": 5, "sites": 8, "seed": 3}
    data = worlds.simulate(worlds.dirac(0.15), **base)
    assert data.origin == worlds.simulate(worlds.dirac(0.15), **base).origin == json.loads(json.dumps(data.origin))
    others = [
        worlds.simulate(law, **base).origin
        for law in (worlds.dirac(0.16), worlds.dirac(0.15, 0.1), worlds.noise(), worlds.beam())
    ]
    changes = (
        {"n": 6},
        {"sites": 9},
        {"seed": 4},
        {"spacing": 0.3},
        {"low": -0.9},
        {"high": -0.2},
        {"correlation": 0.0},
    )
    others += [worlds.simulate(worlds.dirac(0.15), **(base | change)).origin for change in changes]
    keys = [json.dumps(origin, sort_keys=True) for origin in [data.origin, *others]]
    assert len(set(keys)) == len(keys)
    by_generator = worlds.simulate(worlds.dirac(0.15), 5, sites=8, seed=np.random.default_rng(3))
    assert np.array_equal(by_generator.density, data.density) and list(by_generator.origin) == ["sha256"]
    data.origin["parameters"]["mass"] = 9.0
    assert worlds.simulate(worlds.dirac(0.15), **base).origin["parameters"]["mass"] == 0.15


# Overflow -------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "name", ["boltzmann", "dirac", "half_driven_channels", "beam", "gross_pitaevskii", "standing_wave"]
)
def test_overflow_is_explained(name):
    strong = {
        "boltzmann": {"beta": 1000.0},
        "dirac": {"mass": 30.0},
        "beam": {"stiffness": 1e6},
        "gross_pitaevskii": {"interaction": 5.0},
    }
    V = np.full((2, 400), -0.65)
    V[1] = -1.0 if name == "boltzmann" else 30.0
    with pytest.raises(ValueError, match=r"V.*density of sample \d overflows at site \d+"):
        WORLDS[name](**strong.get(name, {})).measure(V)
