"""The hidden law must be Schrödinger's: invariants, closed forms, and SciPy's integrator as an independent judge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from rediscover import potentials
from rediscover.simulator import ground_state, leapfrog, propagate, transfer_matrix

SPACING = 0.4
properties = settings(max_examples=150)
energies = st.floats(-8.0, 8.0)
spacings = st.floats(1e-3, 2.0)
# chains that stay mostly allowed: no round-off is amplified beyond what the tolerances grant
chains = arrays(np.float64, st.integers(1, 30), elements=st.floats(-3.0, 0.2))
amplitudes = st.tuples(*[st.complex_numbers(max_magnitude=2.0)] * 2).filter(lambda s: abs(s[0]) + abs(s[1]) > 0.1)


def close(found, expected, scale, tolerance=1e-13):
    """|found − expected| measured against the size of the terms that were added up to get there."""
    return np.all(np.abs(found - expected) <= tolerance * scale)


# One site ------------------------------------------------------------------------------------------------------------


@properties
@given(V=energies, energy=energies, spacing=spacings)
def test_determinant_is_one_and_trace_is_2_cos_ka(V, energy, spacing):
    T = transfer_matrix(V, spacing, energy)
    product = np.abs(T[0, 0] * T[1, 1])
    assert close(T[0, 0] * T[1, 1] - T[0, 1] * T[1, 0], 1, 1 + 2 * product)
    k = np.emath.sqrt(2 * (energy - V))  # complex where V > E: cos of an imaginary number is cosh
    assert close(np.trace(T), 2 * np.cos(k * spacing).real, 1 + product)


@properties
@given(V=energies, energy=energies, spacing=spacings)
def test_two_half_sites_make_a_whole_one(V, energy, spacing):
    half, whole = transfer_matrix(V, spacing, energy), transfer_matrix(V, 2 * spacing, energy)
    assert close(half @ half, whole, np.abs(half) @ np.abs(half))


@properties
@given(V=energies, spacing=spacings, shift=st.floats(1e-12, 1e-3))
def test_nothing_happens_when_the_energy_crosses_the_potential(V, spacing, shift):
    at, below, above = (transfer_matrix(V, spacing, V + s) for s in (0, -shift, shift))
    assert np.array_equal(at, [[1, spacing], [0, 1]])
    # the entries are analytic in E: one-sided differences agree up to the second order, a⁴ U² / 12 at most here
    size = shift * np.array([[spacing**2, spacing**3], [2 * spacing, spacing**2]])
    assert close(above - at, at - below, (shift * spacing**2) * size + 1e-14, tolerance=1.0)
    assert np.all(np.abs(above - at) <= 1.1 * size + 1e-14)


def test_tiny_and_huge_arguments_stay_accurate():
    T = transfer_matrix([1e-300, -1e-300, 1e-17, -1e-17, 0.0], spacing=0.5)
    assert np.allclose(T, [[1, 0.5], [0, 1]], rtol=0, atol=1e-16)
    T = transfer_matrix(400.0, spacing=10.0)  # κa = 283
    assert T[0, 0] == pytest.approx(np.exp(np.sqrt(800) * 10) / 2, rel=1e-12)


def test_matrices_keep_the_shape_of_the_potential_and_take_one_energy_a_sample():
    V = potentials.random(3, 5, seed=0)
    assert transfer_matrix(V, SPACING).shape == (3, 5, 2, 2)
    assert transfer_matrix(0.5, SPACING).shape == (2, 2)
    E = np.array([-0.2, 0.0, 0.3])
    expected = np.stack([transfer_matrix(v, SPACING, e) for v, e in zip(V, E, strict=True)])
    assert np.array_equal(transfer_matrix(V, SPACING, E), expected)


# Chains --------------------------------------------------------------------------------------------------------------


@properties
@given(V=chains, energy=st.floats(-0.2, 0.5), start=amplitudes)
def test_a_chain_is_the_product_of_its_matrices(V, energy, start):
    wave = propagate(V, SPACING, energy, start)
    state, size = np.array(start), np.abs(start)
    for i, T in enumerate(transfer_matrix(V, SPACING, energy)):
        state, size = T @ state, np.abs(T) @ size
        assert close(np.array([wave.psi[i + 1], wave.dpsi[i + 1]]), state, size)


@properties
@given(V=chains, energy=st.floats(-0.2, 0.5), start=amplitudes)
def test_current_is_conserved(V, energy, start):
    wave = propagate(V, SPACING, energy, start)
    current = (np.conj(start[0]) * start[1]).imag
    terms = np.abs(wave.psi[1:] * wave.dpsi[1:])
    assert close(wave.current, current, np.maximum.accumulate(terms) + 1, 1e-12)


@properties
@given(V=chains, energy=st.floats(-0.2, 0.5), start=amplitudes)
def test_time_reversal(V, energy, start):
    out = propagate(V, SPACING, energy, start)
    back = propagate(V[::-1], SPACING, energy, (out.psi[-1], -out.dpsi[-1]))
    largest = max(np.abs(w).max() for w in (out.psi, out.dpsi, back.psi, back.dpsi))
    assert close(back.psi[::-1], out.psi, largest**2 + 1, 1e-12)
    assert close(-back.dpsi[::-1], out.dpsi, largest**2 + 1, 1e-12)


@properties
@given(V=chains, start=amplitudes)
def test_the_equation_is_linear_and_real(V, start):
    wave = propagate(V, SPACING, start=start)
    real, imaginary = (propagate(V, SPACING, start=[part(s) for s in start]) for part in (np.real, np.imag))
    assert real.psi.dtype == np.float64 and wave.psi.dtype == np.complex128
    assert np.allclose(wave.psi, real.psi + 1j * imaginary.psi, rtol=1e-12, atol=1e-12)
    assert np.allclose(wave.density, real.density + imaginary.density, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("march", [propagate, leapfrog])
def test_wronskian_over_ten_thousand_sites(march):
    V = potentials.random(1, 10_000, seed=3)[0]
    one, two = march(V, SPACING), march(V, SPACING, start=(0.0, 1.0))
    terms = one.psi * two.dpsi, two.psi * one.dpsi
    # both solutions grow (Anderson localisation), so 1 is the difference of two large numbers, to be judged by them ...
    size = np.abs(terms[0]) + np.abs(terms[1])
    error = np.abs(terms[0] - terms[1] - 1)
    assert np.mean(error <= 1e-12 * size) > 0.995 and error[-1] <= 1e-12 * size[-1]
    # ... and where both pass through zero together, by the largest so far, for that is where the round-off was made
    assert np.all(error <= 1e-13 * np.maximum.accumulate(size))
    assert size[0] == 1 and size[-1] > 1e6  # they did grow


def test_wronskian_stays_one_in_an_allowed_band():
    V = potentials.kronig_penney(10_000, period=5, width=2, height=0.6, floor=-1.0)
    one, two = propagate(V, SPACING), propagate(V, SPACING, start=(0.0, 1.0))
    assert np.abs(one.psi).max() < 100  # the Bloch waves of a band do not grow
    assert np.abs(one.psi * two.dpsi - two.psi * one.dpsi - 1).max() < 1e-10


# SciPy as the judge --------------------------------------------------------------------------------------------------

JUDGED = {
    "random": (potentials.random(1, 40, seed=7)[0], 0.0, (1.0, 0.0)),
    "harmonic, both turning points": (potentials.harmonic(40, frequency=0.3, spacing=SPACING), 1.0, (1e-3, 1e-3)),
    "barrier at exactly E": (potentials.barrier(30, width=10, height=1.0, floor=-1.0), 0.0, (1.0, 0.3)),
    "double well, below the hump": (
        potentials.double_well(30, separation=6.0, height=1.0, spacing=SPACING, floor=-1.0)[5:-5],
        -0.4,
        (0.2, 0.5),
    ),
    "complex start": (potentials.random(1, 40, seed=8, high=0.3)[0], 0.0, (1.0, 0.5j)),
}


@pytest.mark.parametrize("name", JUDGED)
def test_agrees_with_solve_ivp(name):
    V, energy, start = JUDGED[name]
    wave = propagate(V, SPACING, energy, start)
    state, found = np.array(start, complex), []
    for v in V:  # site by site, for the integrator must not step across a jump of V
        slope = np.array([[0, 1], [2 * (v - energy), 0]])
        run = solve_ivp(lambda x, y, m=slope: m @ y, (0, SPACING), state, "DOP853", rtol=1e-12, atol=1e-14)
        state = run.y[:, -1]
        found.append(state)
    psi, dpsi = np.array(found).T
    assert close(wave.psi[1:], psi, np.abs(psi).max(), 1e-10)
    assert close(wave.dpsi[1:], dpsi, np.abs(dpsi).max(), 1e-10)


# Closed forms --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("energy", [0.02, 0.5, 3.0])
def test_free_particle(energy):
    k, x = np.sqrt(2 * energy), SPACING * np.arange(201)
    wave = propagate(np.zeros(200), SPACING, energy, (1.0, 1j * k))
    assert np.allclose(wave.psi, np.exp(1j * k * x), rtol=0, atol=1e-12)
    assert np.allclose(wave.density, 1, rtol=0, atol=1e-12)
    assert np.allclose(wave.current, k, rtol=1e-12)


@pytest.mark.parametrize("energy", [1.5, 1.0, 0.4])  # above, at and below the step of height 1
def test_step(energy):
    n, k, q = 25, np.sqrt(2 * energy), np.emath.sqrt(2 * (energy - 1))  # q imaginary below the step
    reflected, transmitted = (k - q) / (k + q), 2 * k / (k + q)
    edge, V = n * SPACING, np.repeat([0.0, 1.0], n)
    left, right = np.exp(-1j * k * edge), np.exp(1j * k * edge)
    start = left + reflected * right, 1j * k * (left - reflected * right)
    wave = propagate(V, SPACING, energy, start)
    beyond = SPACING * np.arange(6)
    assert np.allclose(wave.psi[n : n + 6], transmitted * np.exp(1j * q * beyond), rtol=0, atol=1e-11)


@pytest.mark.parametrize("node", [0, 1])
def test_square_well_bound_states(node):
    depth, width, margin = 1.0, 20, 15  # half-width L/2 = 4: an even and an odd state among others
    half = width * SPACING / 2

    def kappa(k):
        return np.sqrt(2 * depth - k**2)

    even = lambda k: k * np.sin(k * half) - kappa(k) * np.cos(k * half)  # noqa: E731
    odd = lambda k: k * np.cos(k * half) + kappa(k) * np.sin(k * half)  # noqa: E731
    # one root in each quarter turn of k L/2
    k = brentq((even, odd)[node], node * np.pi / 2 / half + 1e-9, (node + 1) * np.pi / 2 / half - 1e-9, xtol=1e-15)
    energy, decay = k**2 / 2 - depth, kappa(k)
    V = potentials.square_well(width + 2 * margin, width=width, depth=depth)
    wave = propagate(V, SPACING, energy, (1.0, decay))
    edges = margin, margin + width
    assert wave.psi[edges[0]] == pytest.approx(np.exp(decay * margin * SPACING), rel=1e-12)
    assert wave.psi[edges[1]] == pytest.approx((-1) ** node * wave.psi[edges[0]], rel=1e-10)
    assert wave.dpsi[edges[1]] / wave.psi[edges[1]] == pytest.approx(-decay, rel=1e-9)  # it decays on the right too
    assert np.sum(np.diff(np.sign(wave.psi[: edges[1]])) != 0) == node


@pytest.mark.parametrize("energy", [0.3, 1.0, 1.7])  # below, at and above the barrier of height 1
def test_barrier_transmission(energy):
    height, width, k = 1.0, 8, np.sqrt(2 * energy)
    length, q = width * SPACING, np.emath.sqrt(2 * (energy - height))
    term = length**2 if q == 0 else (np.sin(q * length) / q).real ** 2
    expected = 1 / (1 + height**2 / k**2 * term)
    # walk from the transmitted wave exp(ikx) back through the (symmetric) barrier to the incoming one
    wave = propagate(potentials.barrier(40, width=width, height=height), SPACING, energy, (1.0, -1j * k))
    incoming = (wave.psi[-1] + 1j * wave.dpsi[-1] / k) / 2
    assert 1 / np.abs(incoming) ** 2 == pytest.approx(expected, rel=1e-11)


# The second-order recurrence -----------------------------------------------------------------------------------------


@properties
@given(V=chains)
def test_leapfrog_is_the_textbook_recurrence(V):
    psi = leapfrog(V, SPACING, start=(1.0, 0.3)).psi
    assert np.allclose(np.diff(psi, 2), SPACING**2 * 2 * V[1:] * psi[1:-1], rtol=0, atol=1e-12 * np.abs(psi).max())


def test_leapfrog_converges_to_the_exact_wave_with_order_two():
    length, errors = 16.0, []
    for sites in (200, 400, 800, 1600):
        a = length / sites
        x = a * np.arange(sites)  # the recurrence takes the potential where it takes psi
        V = -0.6 + 0.3 * np.sin(x)
        # its slope lives half a site earlier: ψ'(−a/2) = ψ'(0) − a/2 ψ''(0)
        rough = leapfrog(V, a, start=(1.0, -a / 2 * 2 * V[0]))
        fine = solve_ivp(
            lambda x, y: [y[1], 2 * (-0.6 + 0.3 * np.sin(x)) * y[0]], (0, length), [1.0, 0.0], "DOP853", rtol=1e-12
        )
        errors.append(abs(rough.psi[-1] - fine.y[0, -1]))
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.allclose(orders, 2, atol=0.1), orders


def test_leapfrog_and_exact_differ_in_the_trace():
    V = np.full(2, -0.5)
    for march, trace in ((propagate, 2 * np.cos(SPACING)), (leapfrog, 2 - SPACING**2)):
        columns = [march(V, SPACING, start=s) for s in ((1.0, 0.0), (0.0, 1.0))]
        assert columns[0].psi[1] + columns[1].dpsi[1] == pytest.approx(trace, rel=1e-14)


# Shapes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("march", [propagate, leapfrog])
def test_a_batch_is_its_samples_one_by_one(march):
    V = potentials.random(6, 12, seed=1, low=-1.0, high=0.5)
    E, psi, dpsi = np.linspace(-0.3, 0.3, 6), np.exp(1j * np.arange(6)), np.linspace(0, 1, 6)
    batch = march(V, SPACING, E, (psi, dpsi))
    assert batch.psi.shape == batch.dpsi.shape == (6, 13)
    assert batch.density.shape == batch.current.shape == (6, 12)
    assert np.array_equal(batch.psi[:, 0], psi) and np.array_equal(batch.dpsi[:, 0], dpsi)
    for i in range(6):
        single = march(V[i], SPACING, E[i], (psi[i], dpsi[i]))
        assert single.psi.shape == (13,) and single.density.shape == (12,)
        assert np.allclose(single.psi, batch.psi[i], rtol=1e-13) and np.allclose(single.current, batch.current[i])
    same = march(V, SPACING, np.full(6, 0.1))
    assert np.array_equal(same.psi, march(V, SPACING, 0.1).psi)


def test_density_is_taken_at_the_right_edges():
    wave = propagate([-0.5, 0.2], SPACING, start=(1.0, 0.5))
    assert np.array_equal(wave.density, wave.psi[1:] ** 2)
    assert np.array_equal(wave.current, [0, 0])


# Ground states -------------------------------------------------------------------------------------------------------


def test_ground_state_of_a_harmonic_trap():
    errors = []
    for spacing in (0.1, 0.05):
        sites = round(24 / spacing) + 1
        energy, psi = ground_state(potentials.harmonic(sites, frequency=0.7, spacing=spacing), spacing)
        errors.append(energy - 0.35)
        assert spacing * np.sum(psi**2) == pytest.approx(1, rel=1e-12)
        assert np.all(psi >= 0)
    assert abs(errors[1]) < 2e-4 and errors[0] / errors[1] == pytest.approx(4, rel=0.01)  # second order
    x = (np.arange(sites) - (sites - 1) / 2) * spacing
    assert np.allclose(psi, (0.7 / np.pi) ** 0.25 * np.exp(-0.35 * x**2), atol=2e-4)


def test_ground_state_of_an_empty_box():
    energy, psi = ground_state(np.zeros(49), spacing=0.02)  # walls at 0 and 1, where psi vanishes
    assert energy == pytest.approx((1 - np.cos(np.pi / 50)) / 0.02**2, rel=1e-10)
    assert np.allclose(psi, np.sqrt(2) * np.sin(np.pi * np.arange(1, 50) / 50), atol=1e-10)
    assert ground_state([2.0], spacing=1.0)[0] == pytest.approx(3.0)


def hamiltonian(V, spacing):
    V, hop = np.asarray(V, float), np.full(len(V) - 1, -0.5 / spacing**2)
    return np.diag(V + 1 / spacing**2) + np.diag(hop, 1) + np.diag(hop, -1)


def state_and_size(V, spacing):
    """Energy, normalised state and ‖H‖, after checking that they solve the equation without a node."""
    energy, psi = ground_state(V, spacing)
    H = hamiltonian(V, spacing)
    size = np.abs(H).sum(1).max()
    psi = psi * np.sqrt(spacing)
    assert np.linalg.norm(psi) == pytest.approx(1, rel=1e-12) and np.all(psi >= 0)
    assert np.linalg.norm(H @ psi - energy * psi) <= 1e-14 * size
    return energy, psi, size


@pytest.mark.parametrize("sites", [240, 241])
@pytest.mark.parametrize("separation", [4.0, 8.0, 10.0, 12.0, 14.0, 18.0])
def test_a_state_fills_both_wells_however_high_the_barrier(separation, sites):
    spacing, middle = 0.1, sites // 2  # 18: the two lowest states lie some 10⁻²² of ‖H‖ apart
    V = potentials.double_well(sites, separation=separation, height=8.0, spacing=spacing).clip(None, 50.0)
    energy, psi, size = state_and_size(V, spacing)
    assert np.sum(psi[:middle] ** 2) == pytest.approx(np.sum(psi[-middle:] ** 2), abs=1e-12)
    lowest = np.linalg.eigvalsh(hamiltonian(V, spacing))[0]
    assert energy == pytest.approx(lowest, abs=1e-14 * size)
    # positions that NumPy rounds differently left and right make the same trap
    x = np.linspace(-1, 1, sites) * (sites - 1) / 2 * spacing
    rounded = (8.0 * (1 - (2 * x / separation) ** 2) ** 2).clip(None, 50.0)
    assert np.allclose(state_and_size(rounded, spacing)[1], psi, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("separation", "tilt"), [(5.0, 1e-4), (6.0, 1e-6), (7.0, 1e-8), (7.5, 2e-8)])
def test_a_tilt_as_small_as_the_splitting_fills_one_well_more(separation, tilt):
    V = potentials.double_well(240, separation=separation, height=8.0, spacing=0.1).clip(None, 50.0)
    step = np.repeat([0.0, tilt], 120)
    splitting = np.diff(np.linalg.eigvalsh(hamiltonian(V, 0.1))[:2])[0]
    # two states, left and right: E = [[0, −s/2], [−s/2, t]] has its lowest vector at the angle tan 2θ = s/t
    expected = np.cos(np.arctan2(splitting, tilt) / 2) ** 2
    assert 0.51 < expected < 0.99
    for potential, side in ((V + step, slice(None, 120)), (V + step[::-1], slice(120, None))):
        psi = state_and_size(potential, 0.1)[1]
        assert np.sum(psi[side] ** 2) == pytest.approx(expected, abs=1e-3)


rough = arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6))


@properties
@given(V=rough, spacing=st.floats(1e-3, 1e3), mirrored=st.booleans())
def test_a_ground_state_solves_the_equation_and_turns_with_its_trap(V, spacing, mirrored):
    V = np.concatenate([V, V[::-1]]) if mirrored else V
    energy, psi, size = state_and_size(V, spacing)
    levels = np.linalg.eigvalsh(hamiltonian(V, spacing))
    assert energy == pytest.approx(levels[0], abs=1e-13 * size)
    back = state_and_size(V[::-1], spacing)[1]
    gap = levels[1] - levels[0] if len(levels) > 1 else size
    if mirrored or gap > 1e-9 * size:
        assert np.allclose(back[::-1], psi, rtol=0, atol=1e-5)


# Overflow ------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
def test_overflow_names_sample_site_and_cause():
    V = np.full((3, 1000), -0.5)
    V[1, 100:] = 5.0  # κa = 1.26 a site: ψ passes 1e150 some 275 sites later
    with pytest.raises(ValueError, match=r"sample 1 overflows at site 37\d.*exceeds the energy.*up to 5") as caught:
        propagate(V, SPACING)
    assert "at 27" in str(caught.value)  # how many forbidden sites led there
    propagate(V[:, :350], SPACING)  # large, but still a number
    propagate(V, SPACING, energy=6.0)  # and allowed everywhere once the energy is above it
    with pytest.raises(ValueError, match="sample 0 overflows at site 0"):
        propagate([1e6, 0.0], 10.0)  # cosh itself overflows
    with pytest.raises(ValueError, match="sample 0 overflows at site 1"):
        propagate([0.0, 1e9, 0.0], 1.0, start=(1.0, -1.0))
    with pytest.raises(ValueError, match="sample 0 overflows at site 0"):
        propagate([1e308, 0.0], 1.0, energy=-1e308)  # V − E itself overflows


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("march", "arguments"),
    [
        (propagate, {"start": (1e200, 0.0)}),
        (propagate, {"start": (1.0, 1.0), "V": [0.0], "spacing": 1e200}),
        (leapfrog, {"spacing": 1e200}),  # a² overflows
        (leapfrog, {"V": np.full(400, -100.0)}),  # unstable where a²(E − V) > 2
        (propagate, {"V": [-1e308], "energy": 1e308}),
    ],
)
def test_overflow_without_a_barrier_is_not_blamed_on_one(march, arguments):
    with pytest.raises(ValueError, match=r"overflows at site .* the start, the spacing or energy − V is too large"):
        march(**({"V": [-0.5, -0.5], "spacing": SPACING} | arguments))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("arguments", "place", "difference"),
    [
        ({"V": [[0.0, 0.0], [0.0, 1e8]]}, r"\(1, 1\)", r"1e\+08"),
        ({"V": 1e6, "spacing": 10.0}, r"\(\)", r"1e\+06"),
        ({"V": [0.0, -1e8], "energy": -1e9}, r"\(0,\)", r"1e\+09"),
        ({"V": 0.5, "spacing": 1e300}, r"\(\)", "0.5"),
        ({"V": [1e308], "energy": -1e308}, r"\(0,\)", "inf"),
    ],
)
def test_a_matrix_that_overflows_says_where_and_why(arguments, place, difference):
    message = f"V, energy, spacing: the transfer matrix overflows at index {place} of V.*V − E = {difference} and"
    with pytest.raises(ValueError, match=message):
        transfer_matrix(**({"spacing": SPACING} | arguments))


@pytest.mark.filterwarnings("error")
def test_what_does_not_overflow_does_not_warn():
    # cosh(10⁶) is not asked for where V < E
    assert np.all(np.abs(transfer_matrix([-1e12, 0.5], 1.0)) < 2e6)
    with pytest.raises(ValueError, match=r"V, spacing: V \+ 1/spacing² overflows.*1e-200"):
        ground_state([0.0, 1.0], 1e-200)
    assert ground_state([3.0, 1.0, 2.0], 1e200)[0] == 1.0  # nothing moves
