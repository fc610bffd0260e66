"""An explicit law: what does not depend on its basis, its files, and the fit of second order that finds it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rediscover import _fitting, dataset, measurement, simulator
from rediscover._problem import Given, Problem
from rediscover.law import Law, Told, with_error

DATA = dataset.simulate(80, sites=24, energy=0.2)
V, RHO = DATA.potential, DATA.density
rng = np.random.default_rng(5)
NOISY = RHO + 0.02 * rng.normal(size=RHO.shape)
GRID = np.linspace(-1, -0.3, 9)
basis = arrays(float, (2, 2), elements=st.floats(-2, 2)).filter(lambda M: np.linalg.cond(M) < 20)


@pytest.fixture(scope="module")
def law():
    return Law.fit(V, NOISY, spacing=0.4, starts=3, seed=1)[0]


# What does not depend on the basis ------------------------------------------------------------------------------------


@given(M=basis)
@settings(max_examples=20)
def test_a_change_of_basis_changes_nothing_that_can_be_measured(law, M):
    other = law.change_basis(M)
    assert other.predict(V[:5]) == pytest.approx(law.predict(V[:5]), rel=1e-6, abs=1e-9)
    assert other.trace(GRID) == pytest.approx(law.trace(GRID), rel=1e-8)
    assert other.determinant(GRID) == pytest.approx(law.determinant(GRID), rel=1e-8)
    ours, theirs = law.dispersion(), other.dispersion()
    assert [theirs.mass, theirs.energy] == pytest.approx([ours.mass, ours.energy], rel=1e-6)
    assert [theirs.mass_error, theirs.energy_error] == pytest.approx([ours.mass_error, ours.energy_error], rel=1e-3)
    flip = np.abs(other.canonical().coefficients), np.abs(law.canonical().coefficients)
    assert flip[0] == pytest.approx(flip[1], rel=1e-6, abs=1e-9)
    assert other.equations() == law.equations()


def test_canonical_latents_are_what_is_read_off_and_its_difference(law):
    canonical = law.canonical()
    assert canonical.readout == pytest.approx(np.diag([1.0, 0.0]), abs=0.02)
    here = canonical.transfer_matrix(law.shift)
    assert here[0] == pytest.approx([1, 1])
    linear = Law.fit(V, RHO, spacing=0.4, latent_dim=3, readout="linear", order=3, starts=2)[0].canonical()
    assert linear.readout == pytest.approx([1, 0, 0])
    assert linear.transfer_matrix(linear.shift)[:2] == pytest.approx(np.array([[1, 1, 0], [0, 1, 1]]), abs=1e-9)


def test_a_law_whose_readout_sees_only_a_part_has_no_canonical_form():
    blind = Law([np.diag([0.5, 0.9])], 0, 1, 0.4, readout=[1.0, 0.0])
    with pytest.raises(ValueError, match="moves in fewer"):
        blind.canonical()


def test_the_twin_that_changes_sign_at_every_site_is_turned_upright(law):
    twin = replace(law, coefficients=-law.coefficients)
    assert twin.predict(V[:3]) == pytest.approx(law.predict(V[:3]))
    assert np.array_equal(twin.upright().coefficients, law.coefficients)
    assert np.array_equal(law.upright().coefficients, law.coefficients)


def test_equations_carry_the_errors_of_the_fit(law):
    text = law.equations()
    assert "ψ  ←  ψ + δ" in text and "ρ  =  ψ²" in text and text.count("±") > 8
    assert str(law) == text


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.0, 0.0123, "1.000 ± 0.012"),
        (-3e5, 2000.0, "-300000 ± 2000"),
        (1.0, None, "1"),
        (1.0, np.inf, "1"),
        (0.5, 0, "0.5"),
    ],
)
def test_numbers_have_the_digits_of_their_errors(value, error, text):
    assert with_error(value, error) == text


# Files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["law.npz", "law.json"])
def test_a_saved_law_is_the_same_law(law, tmp_path, name):
    told = Law.fit(V, RHO, initial=np.c_[V[:, 0], V[:, 1]], readout="linear", starts=1, constants=V[:, 2])[0]
    for ours in (law, told, replace(law, start=None, covariance=None, energy=0.5)):
        theirs = Law.load(ours.save(tmp_path / name))
        assert theirs.as_dict() == ours.as_dict()
        told = {"start": np.c_[V[:, 0], V[:, 1]], "constants": V[:, 2]} if isinstance(ours.start, Told) else {}
        told |= {"start": np.ones((len(V), 2))} if ours.start is None else {}
        assert np.array_equal(theirs.predict(V, **told), ours.predict(V, **told))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": "another"}', '{"format": "rediscover.law", "version": 2}']
)
def test_what_is_no_law_is_not_loaded(tmp_path, content):
    path = tmp_path / "law.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"law\.json is damaged or not a saved Law"):
        Law.load(path)


def test_json_holds_numbers_and_names_only(law, tmp_path):
    values = json.loads(law.save(tmp_path / "law.json").read_text(encoding="utf-8"))
    assert values["format"] == "rediscover.law" and np.shape(values["coefficients"]) == (3, 2, 2)


# The machinery of the fit ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quadratic", [True, False])
@pytest.mark.parametrize(
    ("start", "options"),
    [("fixed", {}), ("fixed", {"copies": 2}), ("told", {}), ("own", {"pure": False}), ("own", {"pure": True})],
)
def test_derivatives_are_those_of_the_loss(quadratic, start, options):
    """Without noise the gradient of the profile is exact, too: residuals are small, and starts are at rest."""
    given = Given.of(V[:6, :12], NOISY[:6, :12], initial=V[:6, :1] if start == "told" else None)
    problem = Problem.of(given, readout="quadratic" if quadratic else "linear", own=start == "own", **options)
    chains, shape = problem.chains(given), problem.shape
    fit = _fitting.Fit(shape, shape.first(np.random.default_rng(3)), np.inf)
    x = _fitting.descend(fit, chains, 4).x if start == "own" else fit.x
    _, by_chain = _fitting.normal_equations(shape, x, chains)
    step = 1e-6
    for k in np.random.default_rng(0).choice(len(x), 8, replace=False):
        ends = [_fitting.cost(shape, x + sign * step * np.eye(len(x))[k], chains) for sign in (1, -1)]
        assert 2 * by_chain.sum(0)[k] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=2e-3, abs=1e-4)


def test_a_state_moves_by_the_symmetric_square():
    shape = _fitting.Shape(3, 1, True)
    T, g = rng.normal(size=(3, 3, 7)), rng.normal(size=(2, 3, 7))
    moved = np.einsum("ijn,cjn->cin", T, g)
    there = _fitting.times(shape.lift(T), shape.products(g)[:, None])[:, 0]
    assert there == pytest.approx(shape.products(moved))


def test_chains_of_other_lengths_and_gaps_are_what_is_measured_of_them():
    lengths = 12 + np.arange(len(V)) % 13
    short = [row[:n] for row, n in zip(V, lengths, strict=True)], [row[:n] for row, n in zip(RHO, lengths, strict=True)]
    mask = np.arange(V.shape[1]) >= lengths[:, None]
    holes = np.where(mask, np.nan, RHO)
    one, _ = Law.fit(*short, spacing=0.4, starts=1)
    two, _ = Law.fit(V, holes, mask=mask, spacing=0.4, starts=1)
    assert one.dispersion().mass == pytest.approx(two.dispersion().mass, abs=1e-5)
    found = one.predict(short[0])
    assert [len(row) for row in found] == lengths.tolist()
    assert found[5] == pytest.approx(RHO[5, : lengths[5]], abs=1e-3)


def test_noisy_pictures_weigh_less():
    sigma = np.where(np.arange(len(V))[:, None] % 2, 0.2, 0.002) * np.ones_like(V)
    seen = RHO + sigma * np.random.default_rng(0).normal(size=V.shape)
    fits = (Law.fit(V, seen, spacing=0.4, starts=6, sigma=s)[0].dispersion() for s in (None, sigma))
    off = [abs(wave.mass - 1) for wave in fits]
    assert off[1] < 0.2 * off[0]


# What is found --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("readout", "latents", "order"), [("quadratic", 2, 2), ("linear", 3, 3)])
def test_four_of_five_starts_find_the_law(readout, latents, order):
    data = dataset.simulate(150)
    found, losses = Law.fit(
        data.potential, data.density, spacing=0.4, latent_dim=latents, readout=readout, order=order, starts=10
    )
    assert np.mean(losses < 1e-8) >= 0.8
    exact = simulator.transfer_matrix(GRID, 0.4)
    trace = np.trace(exact, axis1=1, axis2=2)
    assert found.trace(GRID) == pytest.approx(trace if latents == 2 else trace**2 - 1, abs=1e-5)
    assert found.determinant(GRID) == pytest.approx(1, abs=2e-5)


@pytest.mark.parametrize(("readout", "latents"), [("quadratic", 1), ("linear", 2)])
def test_too_few_numbers_say_so_by_their_loss(readout, latents):
    losses = Law.fit(V, RHO, latent_dim=latents, readout=readout, starts=4)[1]
    assert losses.min() > 0.5


def test_starts_of_single_chains_need_not_be_known():
    phase = np.random.default_rng(0).uniform(0, 6, len(V))
    rho = simulator.propagate(V, 0.4, 0.2, (np.cos(phase), np.sin(phase))).density
    found, losses = Law.fit(V, rho, spacing=0.4, start="own", starts=3)
    wave = found.dispersion()
    assert (
        losses.max() < 1e-6 and wave.mass == pytest.approx(1, abs=1e-3) and wave.energy == pytest.approx(0.2, abs=1e-3)
    )
    start = found.start_from(V[:, :6], rho[:, :6])
    assert found.predict(V, start) == pytest.approx(rho, abs=5e-3)
    with pytest.raises(ValueError, match="every chain of this law has its own"):
        found.predict(V)


def test_a_complex_wave_is_two_copies_of_one_law():
    rho = simulator.propagate(V, 0.4, 0.0, (1.0, 0.5j)).density
    one, two = (Law.fit(V, rho, spacing=0.4, copies=copies, starts=6)[0] for copies in (1, 2))
    assert two.loss(V, rho) < 1e-6 < 1e-3 < one.loss(V, rho)
    assert two.dispersion().mass == pytest.approx(1, abs=1e-3)
    assert two.start.shape == (2, 2)


def test_starts_that_are_told_and_constants_that_drive():
    r = np.random.default_rng(2)
    energy, slope = r.uniform(0, 0.3, len(V)), r.uniform(-1, 1, len(V))
    rho = simulator.propagate(V, 0.4, energy, (np.ones(len(V)), slope)).density
    found, losses = Law.fit(V, rho, spacing=0.4, initial=slope, constants=energy, order=3, starts=3)
    assert losses.min() < 1e-6
    assert found.predict(V, slope, energy) == pytest.approx(rho, abs=3e-3)
    with pytest.raises(ValueError, match="constants"):
        found.predict(V, slope)
    changed = found.transfer_matrix(-0.6, np.array([0.25])), found.transfer_matrix(-0.65, np.array([0.2]))
    assert np.trace(changed[0]) == pytest.approx(np.trace(changed[1]), abs=1e-4), "only E − V counts"


def test_errors_are_those_of_pictures_drawn_again():
    picks = np.random.default_rng(0)
    found, _ = Law.fit(V, NOISY, spacing=0.4, starts=2, seed=1)
    wave = found.dispersion()
    again = []
    for _ in range(40):
        rows = picks.integers(0, len(V), len(V))
        again.append(found.refit(V[rows], NOISY[rows]).dispersion(errors=False).mass)
    assert wave.mass_error == pytest.approx(np.std(again), rel=0.3)


def test_what_the_order_leaves_out_is_part_of_an_error():
    coarse = dataset.simulate(80, sites=24, spacing=0.7, energy=0.2)
    wave = Law.fit(coarse.potential, coarse.density, spacing=0.7, starts=3)[0].dispersion()
    assert abs(wave.mass - 1) < 3 * wave.mass_error < 0.1


def test_a_rough_law_comes_to_rest(law):
    rough = replace(law, coefficients=law.coefficients + 0.003, start=None)
    fixed = rough.refit(V, NOISY, start="fixed")
    assert fixed.loss(V, NOISY) == pytest.approx(law.loss(V, NOISY), rel=1e-3)
    assert rough.refit(V, NOISY).start is None


def test_a_law_that_is_driven_by_its_own_density_predicts():
    g = -0.4
    U = [[[1, 0.4], [-0.16, 0.936]], [[0, 0], [0.8, 0.32]], [[0, 0], [0.8 * g, 0.32 * g]]]
    law = Law(
        *(U, 0.0, 1.0, 0.4), readout=[[1, 0], [0, 0]], start=[[1, 0]], powers=[[0, 0], [1, 0], [0, 1]], feedback=1.0
    )
    psi, slope, seen = 1.0, 0.0, []
    for v in V[0]:
        T = np.array(U[0]) + v * np.array(U[1]) + psi**2 * np.array(U[2])
        psi, slope = T @ [psi, slope]
        seen.append(psi**2)
    assert law.predict(V[:1])[0] == pytest.approx(seen)
    assert Law.from_dict(law.as_dict()).predict(V[:1])[0] == pytest.approx(seen)
    with pytest.raises(ValueError, match="own density"):
        law.refit(V, RHO)


# Bad input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"density": RHO[:, :5]}, "density must have as many sites as potential"),
        ({"density": np.where(RHO > 1, np.nan, RHO)}, "density must be finite"),
        ({"density": np.ma.masked_greater(RHO, 0.5)}, "density must have no masked entries"),
        ({"density": np.ones_like(RHO)}, "density must vary"),
        ({"potential": np.ones_like(V)}, "potential must vary"),
        ({"sigma": -1.0}, "sigma must be greater than 0"),
        ({"sigma": np.zeros_like(V)}, "sigma must be greater than 0"),
        ({"mask": np.zeros((2, 2), bool)}, "mask must have a row for each"),
        ({"mask": np.zeros(V.shape)}, "mask must be true or false"),
        ({"mask": np.ones(V.shape, bool)}, "density must be measured somewhere"),
        ({"initial": np.ones(3)}, r"initial must have shape \(80, 1\)"),
        ({"constants": np.ones((3, 2))}, r"constants must have shape \(80, 2\)"),
        ({"readout": "cubic"}, "readout must be one of"),
        ({"start": "anywhere"}, "start must be one of"),
        ({"start": "own", "initial": V[:, 0]}, 'start must be "fixed"'),
        ({"starts": 0}, "starts must be at least 1"),
        ({"order": 0}, "order must be at least 1"),
        ({"latent_dim": 0}, "latent_dim must be at least 1"),
    ],
)
def test_bad_input_of_a_fit_is_named(change, message):
    arguments = {"potential": V, "density": RHO, "starts": 1} | change
    with pytest.raises((ValueError, TypeError), match=message):
        Law.fit(**arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"readout": np.ones(3)}, "readout must have shape"),
        ({"start": np.ones((2, 2))}, r"start must have shape \(1, 2\)"),
        ({"powers": [[0], [1]]}, "powers must be whole numbers"),
        ({"powers": [[0.0], [1.0], [2.0]]}, "powers must be whole numbers"),
        ({"feedback": 0.0}, "feedback must be greater than 0"),
        ({"copies": 0}, "copies must be at least 1"),
    ],
)
def test_bad_parts_of_a_law_are_named(change, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Law(np.zeros((3, 2, 2)), 0.0, 1.0, 0.4, **change)


def test_a_law_without_readout_or_with_another_start_says_so(law):
    bare = replace(law, readout=None, covariance=None)
    with pytest.raises(ValueError, match="must have a readout"):
        bare.predict(V)
    with pytest.raises(ValueError, match=r"start must have shape"):
        law.predict(V, np.ones((2, 2)))
    with pytest.raises(ValueError, match="at least 2 sites of every chain; got 1"):
        law.start_from(V[:, :1], RHO[:, :1])
    with pytest.raises(ValueError, match="must come from a fit"):
        bare.errors(lambda law: law.trace(0.0))
    with pytest.raises(ValueError, match="energy of the law must be known"):
        law.trace_series()


def test_counted_atoms_are_found_in(law):
    counts = measurement.shot_noise(RHO, 5e4, 0)
    assert Law.fit(V, counts, spacing=0.4, starts=3)[0].dispersion().mass == pytest.approx(1, abs=0.05)


def test_a_law_that_changes_nothing_has_no_canonical_form():
    with pytest.raises(ValueError, match="moves in fewer"):
        Law(np.eye(2)[None], 0, 1, 0.4, readout=[[1, 0], [0, 0]]).canonical()
