"""A theory must read known laws right, in any basis, and must not see a law where there is none."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rediscover import simulator
from rediscover.law import Law, align, symmetric_square
from rediscover.verdict import classify

A, SHIFT, SCALE = 0.4, -0.65, 0.2
V = np.linspace(-1.0, -0.3, 29)
KA = A * np.sqrt(-2 * V)


def in_basis(law, degree, M, energy=0.0):
    """Law whose matrix is ``M law(V) M⁻¹``, by a polynomial in v so high that it is exact to rounding."""
    v = np.linspace(-4, 4, 201)
    matrices = np.einsum("ij,vjk,kl->vil", M, law(SHIFT + SCALE * v), np.linalg.inv(M))
    fitted = np.polynomial.polynomial.polyfit(v, matrices.reshape(len(v), -1), degree)
    return Law(fitted.reshape(degree + 1, *M.shape), SHIFT, SCALE, A, energy)


def schrodinger(V):
    return simulator.transfer_matrix(V, A)


def leapfrog(V):
    U, zero, one = 2 * V, np.zeros_like(V), np.ones_like(V)
    return np.moveaxis(np.array([[1 + A**2 * U, A * one], [A * U, one + zero]]), (0, 1), (-2, -1))


def density_form(V):
    return symmetric_square(schrodinger(V))


def basis(d, seed):
    return np.random.default_rng(seed).normal(size=(d, d)) + 2 * np.eye(d)


# Law ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_schrodinger_is_read_in_any_basis(seed):
    theory = in_basis(schrodinger, 8, basis(2, seed))
    assert theory.trace(V) == pytest.approx(2 * np.cos(KA), abs=1e-9)
    assert theory.determinant(V) == pytest.approx(1, abs=1e-9)
    assert theory.trace_series()[:3] == pytest.approx([2, A**2, A**4 / 12], rel=1e-5)
    # 1/12 less the next term of the cosine, a²U/360, at the typical a²U = −0.2
    assert 0.98 / 12 < theory.curvature_ratio(V) < 1 / 12


@pytest.mark.parametrize("seed", range(3))
def test_leapfrog_is_told_from_the_exact_step(seed):
    theory = in_basis(leapfrog, 2, basis(2, seed))
    assert theory.determinant(V) == pytest.approx(1, abs=1e-9)
    assert theory.trace_series() == pytest.approx([2, A**2, 0], abs=1e-9)
    assert theory.curvature_ratio(V) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize(("law", "d"), [(schrodinger, 2), (density_form, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_mass_and_energy_are_read_off_the_trace_in_any_basis(law, d, seed):
    found = in_basis(lambda V: law(V - 0.3), 8, basis(d, seed)).dispersion(V)
    assert (found.mass, found.energy) == pytest.approx((1, 0.3), abs=1e-6)
    assert found.residual < 1e-6 and found.scattering < 1e-6


@given(mass=st.floats(0.2, 2), energy=st.floats(0, 1))
def test_any_mass_and_energy_are_found(mass, energy):
    found = in_basis(lambda V: schrodinger(mass * (V - energy)), 10, np.eye(2)).dispersion(V)
    assert (found.mass, found.energy) == pytest.approx((mass, energy), abs=1e-3)


def test_a_law_that_is_no_wave_leaves_a_residual():
    bent = in_basis(lambda V: schrodinger(-((0.2 - V) ** 2) / 2), 8, np.eye(2)).dispersion(V)
    assert bent.residual > 0.005


@pytest.mark.parametrize("d", [2, 3])
def test_a_wave_that_is_never_scattered_has_the_right_traces_and_is_told_by_pairs(d):
    cos, sin, v = np.cos((d - 1) * KA), np.sin((d - 1) * KA), (V - SHIFT) / SCALE
    rotation = np.tile(np.eye(d), (len(V), 1, 1))
    rotation[:, 0, 0] = rotation[:, 1, 1] = cos
    rotation[:, 0, 1], rotation[:, 1, 0] = sin, -sin
    fitted = np.polynomial.polynomial.polyfit(v, rotation.reshape(len(v), -1), 4)
    found = Law(fitted.reshape(5, d, d), SHIFT, SCALE, A).dispersion(V)
    assert (found.mass, found.energy, found.residual) == pytest.approx((1, 0, 0), abs=2e-3)
    assert found.scattering > 0.05


def test_what_does_not_turn_has_no_mass():
    still = Law(np.eye(2)[None], SHIFT, SCALE, A).dispersion(V)
    assert still.mass == pytest.approx(0) and still.residual == pytest.approx(0, abs=1e-12)


def test_density_form_is_read_in_any_basis():
    theory = in_basis(density_form, 8, basis(3, 0))
    assert theory.trace(V) == pytest.approx(1 + 2 * np.cos(2 * KA), abs=1e-8)
    assert theory.determinant(V) == pytest.approx(1, abs=1e-8)
    eigenvalues = np.linalg.eigvals(theory.transfer_matrix(V))
    assert np.abs(eigenvalues - 1).min(-1) == pytest.approx(0, abs=1e-7)


def test_energy_shifts_the_series_and_nothing_else():
    plain = in_basis(schrodinger, 8, np.eye(2))
    at_energy = in_basis(lambda V: simulator.transfer_matrix(V, A, 0.1), 8, np.eye(2), energy=0.1)
    assert at_energy.trace(V + 0.1) == pytest.approx(plain.trace(V), abs=1e-9)
    assert at_energy.trace_series()[:3] == pytest.approx(plain.trace_series()[:3], rel=1e-4)
    assert at_energy.curvature_ratio(V + 0.1) == pytest.approx(plain.curvature_ratio(V), rel=1e-5)


def test_transfer_matrix_is_the_series_written_out():
    coefficients = np.random.default_rng(0).normal(size=(3, 2, 2))
    theory, v = Law(coefficients, SHIFT, SCALE, A, energy=0.0), (V - SHIFT) / SCALE
    for i in range(len(V)):
        expected = coefficients[0] + v[i] * coefficients[1] + v[i] ** 2 * coefficients[2]
        assert theory.transfer_matrix(V)[i] == pytest.approx(expected)
    for shape in ((), (29,), (1, 29), (29, 1)):
        one = V[0] if shape == () else V.reshape(shape)
        assert theory.transfer_matrix(one).shape == (*shape, 2, 2)
        assert theory.trace(one).shape == theory.determinant(one).shape == shape
    series = np.polynomial.Polynomial(theory.trace_series())
    assert series(2 * V) == pytest.approx(theory.trace(V))


def test_law_of_a_member():
    explicit = {"readout": SimpleNamespace(explicit=True), "forms": lambda: np.arange(4.0).reshape(2, 2)}
    model = SimpleNamespace(coefficients=lambda: np.arange(24.0).reshape(2, 3, 2, 2), **explicit)
    translator = SimpleNamespace(potential=(SHIFT, SCALE))
    data = SimpleNamespace(spacing=A, energy=0.1, potential=V)
    theory = Law.from_distiller(model, 1, translator, data)
    assert np.array_equal(theory.coefficients, np.arange(12.0, 24).reshape(3, 2, 2))
    assert (theory.shift, theory.scale, theory.spacing, theory.energy) == (SHIFT, SCALE, A, 0.1)
    assert theory.readout.tolist() == [2.0, 3.0] and theory.span == (V.min(), V.max())


# Invariant form -------------------------------------------------------------------------------------------------------

CURRENT = np.array([[0, 0, 0.5], [0, -1, 0], [0.5, 0, 0]])  # ρξ − η² in the basis (ρ, η, ξ)


def learned(law, M, degree=2):
    """As `in_basis`, but fitted to the range that a machine is trained on, by a polynomial as low as it uses."""
    matrices = (M @ law(V) @ np.linalg.inv(M)).reshape(len(V), -1)
    fitted = np.polynomial.polynomial.polyfit((V - SHIFT) / SCALE, matrices, degree)
    return Law(fitted.reshape(degree + 1, *M.shape), SHIFT, SCALE, A, energy=0.0)


def up_to_scale(one, two):
    """Cosine of the angle between two matrices, without sign."""
    return abs(np.vdot(one, two)) / np.linalg.norm(one) / np.linalg.norm(two)


def bases(d):
    """Random changes of basis that are not close to singular."""

    def build(seed, stretch, size):
        one, two = (np.linalg.qr(m)[0] for m in np.random.default_rng(seed).normal(size=(2, d, d)))
        return size * one @ np.diag(np.geomspace(1, stretch, d)) @ two

    return st.builds(build, st.integers(0, 2**32 - 1), st.floats(1, 5), st.floats(1e-2, 1e2))


def test_density_conserves_the_square_of_the_current():
    form = learned(density_form, np.eye(3)).invariant_form(V)
    assert form.matrix == pytest.approx(-CURRENT / np.sqrt(1.5), abs=1e-4)
    assert form.signature == (2, 1, 0)
    assert form.residuals.shape == (6,) and np.all(np.diff(form.residuals) > 0)
    assert form.residuals[0] < 1e-3 and form.residuals[1] > 0.2, "conserved, and nothing else is"


def test_value_is_the_squared_current_along_a_chain():
    wave = simulator.propagate(-0.65 + 0.3 * np.sin(np.arange(240.0).reshape(6, 40) ** 2), A, start=(1, 0.3 + 0.5j))
    psi, dpsi = wave.psi[:, 1:], wave.dpsi[:, 1:]
    latents = np.stack([np.abs(psi) ** 2, (psi.conj() * dpsi).real, np.abs(dpsi) ** 2], -1)
    form = in_basis(density_form, 8, np.eye(3)).invariant_form(V)
    assert form.value(latents) == pytest.approx(-(wave.current**2) / np.sqrt(1.5), abs=1e-9)
    assert wave.current == pytest.approx(0.5)


@settings(max_examples=60, deadline=None)
@given(M=bases(3))
def test_form_moves_with_the_basis(M):
    form = in_basis(density_form, 8, M).invariant_form(V)
    back = np.linalg.inv(M)
    assert form.signature == (2, 1, 0)
    assert up_to_scale(form.matrix, back.T @ CURRENT @ back) == pytest.approx(1, abs=1e-9)
    assert np.linalg.norm(form.matrix) == pytest.approx(1)
    assert form.residuals[0] < 1e-7 * form.residuals[1]


@pytest.mark.parametrize("seed", range(5))
def test_signature_survives_what_a_fit_leaves_over(seed):
    form = learned(density_form, basis(3, seed)).invariant_form(V)
    assert form.signature == (2, 1, 0) and form.residuals[0] < 0.01 * form.residuals[1]


@pytest.mark.parametrize("seed", range(5))
def test_wave_function_conserves_no_symmetric_form(seed):
    residuals = in_basis(schrodinger, 8, basis(2, seed)).invariant_form(V).residuals
    assert residuals[0] > 0.02 * residuals[1]


def test_more_than_one_form_is_no_finding():
    still = Law(np.eye(3)[None], SHIFT, SCALE, A).invariant_form(V)
    assert still.residuals == pytest.approx(0) and still.signature == (0, 0, 3)


def test_degenerate_forms_keep_their_zeros():
    def with_a_fading_variable(V):
        law = np.zeros((*np.shape(V), 4, 4))
        law[..., :3, :3], law[..., 3, 3] = density_form(V), 0.6 + 0.1 * V
        return law

    assert in_basis(with_a_fading_variable, 8, basis(4, 0)).invariant_form(V).signature == (2, 1, 1)


def test_one_variable_has_one_form():
    form = Law([[[0.5]]], 0, 1, A).invariant_form(V)
    assert form.matrix.item() == 1 and form.residuals == pytest.approx([0.75]) and form.signature == (1, 0, 0)


def test_potentials_of_any_shape_count_alike():
    theory = learned(density_form, basis(3, 0))
    flat, shaped = theory.invariant_form(V[:28]), theory.invariant_form(V[:28].reshape(4, 7))
    assert np.array_equal(flat.matrix, shaped.matrix) and np.array_equal(flat.residuals, shaped.residuals)


# Which law ------------------------------------------------------------------------------------------------------------


def rotation(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.moveaxis(np.array([[c, s], [-s, c]]), (0, 1), (-2, -1))


def both(*laws):
    """One law beside another, numbers for variables of their own."""

    def law(V):
        blocks = [x(V) if callable(x) else np.broadcast_to(x, (*np.shape(V), 1, 1)) for x in laws]
        out = np.zeros((*np.shape(V), *[sum(block.shape[-1] for block in blocks)] * 2))
        at = 0
        for block in blocks:
            out[..., at : at + block.shape[-1], at : at + block.shape[-1]] = block
            at += block.shape[-1]
        return out

    return law


def ka(V):
    return A * np.sqrt(-2 * V)


def swelling(V):
    """A factor that is 1 to 3 % in the mean, and off by 15 % at the ends of the range."""
    return 1 + 0.15 * ((V[..., None, None] + 0.65) / 0.35) ** 4


LAWS = {
    "Schrödinger": (schrodinger, "wave function"),
    "leapfrog": (leapfrog, "wave function"),
    "wave function and a fading memory": (both(schrodinger, 0.6), "wave function"),
    "wave function and a constant": (both(schrodinger, 1.0), "wave function"),
    "wave function and two spare numbers": (both(schrodinger, 0.6, -0.2), "wave function"),
    "two wave functions": (both(schrodinger, schrodinger), "wave function"),
    "density": (density_form, "density"),
    "density and a fading memory": (both(density_form, 0.6), "density"),
    "twice the angle": (lambda V: rotation(2 * ka(V)), "other"),
    "twice the angle and a fading memory": (both(lambda V: rotation(2 * ka(V)), 0.6), "other"),
    "wave function and twice the angle": (both(schrodinger, lambda V: rotation(2 * ka(V))), "other"),
    "wave function and density": (both(schrodinger, density_form), "other"),
    "mean angle": (lambda V: rotation(np.full_like(V, ka(np.linspace(-1, -0.3, 99)).mean())), "other"),
    "mean angle of a density": (both(lambda V: rotation(0 * V + 2 * KA.mean()), 1.0), "other"),
    "fading wave": (lambda V: 0.85 * schrodinger(V), "other"),
    "fading density": (lambda V: 0.85 * density_form(V), "other"),
    "wave that grows at the ends of the range": (lambda V: swelling(V) * schrodinger(V), "other"),
    "density that grows at the ends of the range": (lambda V: swelling(V) * density_form(V), "other"),
    "growing wave": (lambda V: 1.15 * schrodinger(V), "other"),
    "one and a half times the angle": (both(lambda V: rotation(1.5 * ka(V)), 1.0), "other"),
    "nothing moves": (both(1.0, 1.0, 1.0), "other"),
    "memory": (both(0.9), "other"),
}


@pytest.mark.parametrize("name", LAWS)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_law_is_recognised_in_any_basis(name, data):
    law, expected = LAWS[name]
    M = data.draw(bases(law(V).shape[-1]))
    assert classify(learned(law, M, degree=4), V) == expected


def test_rotation_in_a_fixed_plane_is_told_by_the_form_that_it_conserves():
    """Its eigenvalues are Schrödinger's at every potential; only what it conserves is not."""
    impostor = learned(lambda V: rotation(ka(V)), basis(2, 0), degree=4)
    assert classify(impostor, V) == "wave function"
    assert impostor.determinant(V) == pytest.approx(1, abs=1e-3)
    assert impostor.trace(V) == pytest.approx(2 * np.cos(KA), abs=1e-3)
    form = impostor.invariant_form(V)
    assert form.signature == (2, 0, 0) and form.residuals[0] < 1e-3 * form.residuals[1]


def test_angles_of_wave_function_and_density():
    for shape in ((29,), (29, 1)):
        x, angle = V.reshape(shape), KA.reshape(shape)
        wave, density = in_basis(schrodinger, 8, basis(2, 0)), in_basis(density_form, 8, basis(3, 0))
        assert wave.angles(x) == pytest.approx(np.stack([angle, angle], -1), abs=1e-8)
        assert density.angles(x) == pytest.approx(np.stack([0 * angle, 2 * angle, 2 * angle], -1), abs=1e-6)
    assert Law([np.diag([-2.0, 3.0])], SHIFT, SCALE, A).angles(0.0).tolist() == [0, np.pi]


def test_energy_shifts_what_is_recognised():
    law = in_basis(lambda V: simulator.transfer_matrix(V, A, 0.4), 8, basis(2, 0), energy=0.4)
    assert classify(law, V + 0.4) == "wave function"
    assert classify(Law(law.coefficients, SHIFT, SCALE, A, energy=0.0), V) == "other", "the energy is wrong"


def test_tolerance_decides():
    slightly_fast = learned(lambda V: rotation(1.05 * ka(V)), np.eye(2), 4)
    assert classify(slightly_fast, V) == "wave function"
    assert classify(slightly_fast, V, tolerance=0.02) == "other"


# Alignment ------------------------------------------------------------------------------------------------------------

WAVE = simulator.propagate(-0.65 + 0.2 * np.random.default_rng(1).uniform(-1.7, 1.7, (20, 24)), A)
PSI, DPSI = WAVE.psi, WAVE.dpsi
KNOWN = np.stack([PSI, DPSI], -1)


@settings(max_examples=60)
@given(
    angles=st.tuples(*[st.floats(0, 2 * np.pi)] * 2),
    stretch=st.floats(0.02, 50),
    size=st.floats(1e-3, 1e3),
    mirror=st.booleans(),
    signs=st.lists(st.sampled_from([-1.0, 1.0]), min_size=20, max_size=20),
)
def test_any_basis_and_any_signs_are_undone(angles, stretch, size, mirror, signs):
    one, two = (np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]) for t in angles)
    M = size * one @ np.diag([1.0, (-1.0) ** mirror * stretch]) @ two
    found = align(np.array(signs)[:, None, None] * KNOWN @ M, KNOWN)
    assert np.all(found.r2 > 1 - 1e-9)
    assert found.aligned == pytest.approx(KNOWN, abs=1e-6)
    assert np.abs(np.abs(found.matrix @ M) - np.eye(2)).max() < 1e-6
    assert abs(np.sum(found.signs * signs)) == 20, "signs agree up to the one that the basis may take"


def test_spare_latents_do_no_harm():
    spare = np.random.default_rng(0).normal(size=(*PSI.shape, 1))
    latents = np.concatenate([KNOWN, spare], -1) @ basis(3, 1)
    latents[::3] *= -1
    found = align(latents, KNOWN)
    assert np.all(found.r2 > 1 - 1e-9) and found.matrix.shape == (3, 2)


def test_density_is_aligned_without_signs_and_refuses_them():
    density = np.stack([PSI**2, PSI * DPSI, DPSI**2], -1)
    M = basis(3, 2)
    found = align(density @ M, density, signs=False)
    assert np.all(found.r2 > 1 - 1e-9) and np.abs(found.matrix @ M - np.eye(3)).max() < 1e-6
    assert np.array_equal(found.signs, np.ones(len(PSI)))
    turned = density @ M * np.where(np.arange(len(PSI)) % 3, 1.0, -1.0)[:, None, None]
    assert align(turned, density, signs=False).r2.min() < 0.9 < align(turned, density).r2.min()


@pytest.mark.parametrize("seed", range(5))
def test_unrelated_latents_score_low(seed):
    latents = np.random.default_rng(seed).normal(size=(*PSI.shape, 2))
    assert np.all(align(latents, KNOWN).r2 < 0.2)


def test_density_is_not_taken_for_the_wave_function():
    latents = np.stack([PSI**2, PSI * DPSI], -1)
    assert align(latents, KNOWN).r2.min() < 0.6


def test_score_tells_how_much_is_noise():
    rng = np.random.default_rng(0)
    latents = KNOWN + 0.1 * KNOWN.std((0, 1)) * rng.normal(size=KNOWN.shape)
    latents[rng.random(20) < 0.5] *= -1
    assert align(latents, KNOWN).r2 == pytest.approx(0.99, abs=0.005)


def test_map_is_fitted_on_one_half_and_scored_on_the_other():
    spoilt = KNOWN.copy()
    spoilt[1::2] = np.random.default_rng(0).normal(size=spoilt[1::2].shape)
    found = align(spoilt, KNOWN)
    assert found.matrix == pytest.approx(np.eye(2), abs=1e-9), "the half that is scored took part in the fit"
    assert np.all(found.r2 < 0.2)
