"""A theory must read known laws right, in any basis, and must not see a law where there is none."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rediscover import simulator
from rediscover.theory import Theory, align

A, SHIFT, SCALE = 0.4, -0.65, 0.2
V = np.linspace(-1.0, -0.3, 29)
KA = A * np.sqrt(-2 * V)


def in_basis(law, degree, M, energy=0.0):
    """Theory whose matrix is ``M law(V) M⁻¹``, by a polynomial in v so high that it is exact to rounding."""
    v = np.linspace(-4, 4, 201)
    matrices = np.einsum("ij,vjk,kl->vil", M, law(SHIFT + SCALE * v), np.linalg.inv(M))
    fitted = np.polynomial.polynomial.polyfit(v, matrices.reshape(len(v), -1), degree)
    return Theory(fitted.reshape(degree + 1, *M.shape), SHIFT, SCALE, A, energy)


def schrodinger(V):
    return simulator.transfer_matrix(V, A)


def leapfrog(V):
    U, zero, one = 2 * V, np.zeros_like(V), np.ones_like(V)
    return np.moveaxis(np.array([[1 + A**2 * U, A * one], [A * U, one + zero]]), (0, 1), (-2, -1))


def density_form(V):
    """Symmetric square of ψ's law: what (ψ², ψψ', ψ'²) obey."""
    (a, b), (c, d) = np.moveaxis(schrodinger(V), (-2, -1), (0, 1))
    rows = [[a * a, 2 * a * b, b * b], [a * c, a * d + b * c, b * d], [c * c, 2 * c * d, d * d]]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def basis(d, seed):
    return np.random.default_rng(seed).normal(size=(d, d)) + 2 * np.eye(d)


# Theory ---------------------------------------------------------------------------------------------------------------


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
    theory, v = Theory(coefficients, SHIFT, SCALE, A), (V - SHIFT) / SCALE
    for i in range(len(V)):
        expected = coefficients[0] + v[i] * coefficients[1] + v[i] ** 2 * coefficients[2]
        assert theory.transfer_matrix(V)[i] == pytest.approx(expected)
    for shape in ((), (29,), (1, 29), (29, 1)):
        one = V[0] if shape == () else V.reshape(shape)
        assert theory.transfer_matrix(one).shape == (*shape, 2, 2)
        assert theory.trace(one).shape == theory.determinant(one).shape == shape
    series = np.polynomial.Polynomial(theory.trace_series())
    assert series(2 * V) == pytest.approx(theory.trace(V))


def test_theory_of_a_member():
    model = SimpleNamespace(coefficients=lambda: np.arange(24.0).reshape(2, 3, 2, 2))
    translator, data = SimpleNamespace(shift=SHIFT, scale=SCALE), SimpleNamespace(spacing=A, energy=0.1)
    theory = Theory.of(model, 1, translator, data)
    assert np.array_equal(theory.coefficients, np.arange(12.0, 24).reshape(3, 2, 2))
    assert (theory.shift, theory.scale, theory.spacing, theory.energy) == (SHIFT, SCALE, A, 0.1)
    for bad, error in ((2, ValueError), (-1, ValueError), (0.0, TypeError)):
        with pytest.raises(error, match="member"):
            Theory.of(model, bad, translator, data)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"coefficients": np.eye(2)}, ValueError),
        ({"coefficients": np.zeros((3, 2, 3))}, ValueError),
        ({"coefficients": np.full((3, 2, 2), np.nan)}, ValueError),
        ({"coefficients": np.zeros((0, 2, 2))}, ValueError),
        ({"coefficients": np.full((3, 2, 2), 1j)}, TypeError),
        ({"scale": 0.0}, ValueError),
        ({"spacing": -0.4}, ValueError),
        ({"shift": np.inf}, ValueError),
        ({"energy": np.nan}, ValueError),
    ],
)
def test_bad_theory(change, error):
    good = {"coefficients": np.zeros((3, 2, 2)), "shift": 0.0, "scale": 1.0, "spacing": A}
    with pytest.raises(error, match=next(iter(change))):
        Theory(**(good | change))


@pytest.mark.parametrize("method", ["transfer_matrix", "trace", "determinant", "curvature_ratio"])
@pytest.mark.parametrize("bad", [[], [np.nan], ["high"]])
def test_bad_potential(method, bad):
    with pytest.raises((ValueError, TypeError), match="V"):
        getattr(in_basis(leapfrog, 1, np.eye(2)), method)(bad)


def test_curvature_needs_a_potential_that_differs_from_the_energy():
    with pytest.raises(ValueError, match="V must differ from the energy"):
        in_basis(leapfrog, 1, np.eye(2)).curvature_ratio(np.zeros(5))


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
    found = align(np.array(signs)[:, None, None] * KNOWN @ M, PSI, DPSI)
    assert np.all(found.r2 > 1 - 1e-9)
    assert found.aligned == pytest.approx(KNOWN, abs=1e-6)
    assert np.abs(np.abs(found.matrix @ M) - np.eye(2)).max() < 1e-6
    assert abs(np.sum(found.signs * signs)) == 20, "signs agree up to the one that the basis may take"


def test_spare_latents_do_no_harm():
    spare = np.random.default_rng(0).normal(size=(*PSI.shape, 1))
    latents = np.concatenate([KNOWN, spare], -1) @ basis(3, 1)
    latents[::3] *= -1
    found = align(latents, PSI, DPSI)
    assert np.all(found.r2 > 1 - 1e-9) and found.matrix.shape == (3, 2)


@pytest.mark.parametrize("seed", range(5))
def test_unrelated_latents_score_low(seed):
    latents = np.random.default_rng(seed).normal(size=(*PSI.shape, 2))
    assert np.all(align(latents, PSI, DPSI).r2 < 0.2)


def test_density_is_not_taken_for_the_wave_function():
    latents = np.stack([PSI**2, PSI * DPSI], -1)
    assert align(latents, PSI, DPSI).r2.min() < 0.6


def test_score_tells_how_much_is_noise():
    rng = np.random.default_rng(0)
    latents = KNOWN + 0.1 * KNOWN.std((0, 1)) * rng.normal(size=KNOWN.shape)
    latents[rng.random(20) < 0.5] *= -1
    assert align(latents, PSI, DPSI).r2 == pytest.approx(0.99, abs=0.005)


def test_map_is_fitted_on_one_half_and_scored_on_the_other():
    spoilt = KNOWN.copy()
    spoilt[1::2] = np.random.default_rng(0).normal(size=spoilt[1::2].shape)
    found = align(spoilt, PSI, DPSI)
    assert found.matrix == pytest.approx(np.eye(2), abs=1e-9), "the half that is scored took part in the fit"
    assert np.all(found.r2 < 0.2)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"latents": KNOWN[:, :-1]}, "psi must have the shape"),
        ({"latents": PSI}, "latents"),
        ({"latents": np.where(KNOWN > 0.9, np.nan, KNOWN)}, "latents"),
        ({"latents": KNOWN[:0]}, "latents"),
        ({"psi": np.full_like(PSI, np.inf)}, "psi"),
        ({"psi": PSI[:, :-1]}, "psi"),
        ({"dpsi": DPSI[:-1]}, "dpsi"),
        ({"latents": KNOWN[:1], "psi": PSI[:1], "dpsi": DPSI[:1]}, "two windows"),
    ],
)
def test_bad_alignment(change, names):
    with pytest.raises(ValueError, match=names):
        align(**({"latents": KNOWN, "psi": PSI, "dpsi": DPSI} | change))
