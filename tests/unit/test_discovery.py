"""The front: what it says of worlds that are known, what it takes, and what it refuses."""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from rediscover import dataset, simulator, worlds
from rediscover.discovery import Discovery
from rediscover.law import Law
from rediscover.verdict import LIMITS, Limit, Verdict, give

N, SITES, A = 120, 20, 0.4
DATA = dataset.simulate(N, sites=SITES, energy=0.2)
V = DATA.potential
RHO = DATA.density * (1 + 0.01 * np.random.default_rng(0).normal(size=V.shape))


def discover(potential=V, density=RHO, spacing=A, *, front=None, **given):
    front = Discovery("direct", members=3, random_state=0) if front is None else front
    return front.fit(potential, density, spacing, **given)


@pytest.fixture(scope="module")
def found():
    return discover()


# Verdicts -------------------------------------------------------------------------------------------------------------


def test_one_wave_with_its_mass_and_energy(found):
    assert found.verdict_.kind == "one wave" and found.verdict_.variables == 3
    wave = found.verdict_.wave
    assert abs(wave.mass - 1) < 4 * wave.mass_error < 0.05
    assert abs(wave.energy - 0.2) < 4 * wave.energy_error < 0.05
    assert found.n_variables_["quadratic"]["elbow"] == 2 and found.n_variables_["linear"]["elbow"] == 3
    assert found.law_.latent_dim == 2 and all(limit.passes for limit in found.verdict_.limits)
    assert found.score(V, DATA.density) > 0.999
    assert "one wave" in str(found.verdict_) and "m = " in str(found.verdict_)


@pytest.mark.parametrize(
    ("world", "kind"),
    [
        (worlds.travelling_wave(), "density"),
        (worlds.classical(), "local, no memory"),
        (worlds.boltzmann(), "a law of 1 variable"),
        (worlds.leaky_integrator(), "a law of 2 variables"),
        (worlds.dirac(), "a law of 3 variables"),
        (worlds.noise(), "no law"),
    ],
    ids=lambda x: getattr(x, "name", None),
)
def test_other_worlds_are_not_taken_for_waves(world, kind):
    data = worlds.simulate(world, N, sites=SITES, seed=3)
    noise = 1 + 0.01 * np.random.default_rng(1).normal(size=data.density.shape)
    said = discover(data.potential, data.density * noise)
    assert said.verdict_.kind == kind
    assert (said.law_ is None) == (kind in ("local, no memory", "no law"))
    assert said.predict(data.potential).shape == data.potential.shape
    if kind != "no law":
        assert said.score(data.potential, data.density) > 0.95


def test_pictures_and_potentials_that_do_not_belong_together_have_no_law():
    shuffled = discover(V, np.random.default_rng(0).permutation(RHO))
    assert shuffled.verdict_.kind == "no law" and "not to say that there is none" in shuffled.verdict_.because


def test_starts_of_their_own_are_shown_by_a_prompt():
    phase = np.random.default_rng(0).uniform(0, 6, N)
    rho = simulator.propagate(V, A, 0.2, (np.cos(phase), np.sin(phase))).density
    assert discover(V, rho).verdict_.kind == "no law", "starts differ, and nobody said so"
    said = discover(V, rho, front=Discovery("direct", members=2, prompt=6, random_state=0))
    assert said.verdict_.kind == "one wave"
    assert said.predict(V, prompt=rho[:, :6]) == pytest.approx(rho, abs=0.02)
    assert said.score(V, rho) > 0.999
    with pytest.raises(ValueError, match="prompt must be given"):
        said.predict(V)


def test_starts_that_are_told_and_labels_that_drive():
    r = np.random.default_rng(2)
    energy, slope = r.uniform(0.1, 0.4, N), r.uniform(-1, 1, N)
    rho = simulator.propagate(V, A, energy, (np.ones(N), slope)).density
    said = discover(V, rho, initial=slope, labels=energy)
    assert said.verdict_.kind == "one wave" and said.verdict_.wave.mass == pytest.approx(1, abs=0.01)
    assert said.predict(V, initial=slope, labels=energy) == pytest.approx(rho, abs=0.02)


def test_units_do_not_matter(found):
    other = discover(1e3 * V + 5e4, 1e-4 * RHO, 2.5 * A)
    assert other.verdict_.kind == found.verdict_.kind
    assert other.verdict_.wave.mass * 1e3 * 2.5**2 == pytest.approx(found.verdict_.wave.mass, rel=1e-4)
    assert (other.verdict_.wave.energy - 5e4) / 1e3 == pytest.approx(found.verdict_.wave.energy, abs=1e-4)
    sites = discover(spacing=None)
    assert sites.verdict_.wave.mass == pytest.approx(found.verdict_.wave.mass * A**2, rel=1e-6)
    assert any("lengths are in sites" in line for _, line in sites.given_)


def test_known_noise_is_taken_off():
    sigma = 0.3
    seen = DATA.density + sigma * np.random.default_rng(0).normal(size=V.shape)
    assert discover(V, seen).verdict_.kind == "no law"
    assert discover(V, seen, sigma=sigma).verdict_.kind != "no law"


def test_gaps_and_chains_of_other_lengths_lose_nothing(found):
    lengths = 15 + np.arange(N) % 6
    rows = [[row[:n] for row, n in zip(x, lengths, strict=True)] for x in (V, RHO)]
    hole = np.random.default_rng(0).random(V.shape) < 0.05
    short = discover(*rows)
    gaps = discover(V, np.where(hole, np.nan, RHO), mask=hole)
    assert short.verdict_.kind == gaps.verdict_.kind == found.verdict_.kind
    assert [len(row) for row in short.predict(rows[0])] == lengths.tolist()
    assert gaps.score(V, np.where(hole, np.nan, RHO), mask=hole) > 0.99


def test_groups_are_held_out_together():
    groups = np.arange(N) // 12
    said = discover(groups=groups)
    held = [int(np.flatnonzero((V == row).all(1))[0]) // 12 for row in said.held_out_["potential"]]
    assert len(held) == 12 * len(set(held))


def test_the_same_seed_gives_the_same_and_a_refit_starts_anew(found):
    again = discover()
    assert np.array_equal(again.law_.coefficients, found.law_.coefficients)
    assert np.array_equal(again.fit(V, RHO, A).law_.coefficients, found.law_.coefficients)


def test_what_is_saved_is_all_that_is_needed(found, tmp_path):
    other = Discovery.load(found.save(tmp_path / "found.npz"))
    assert other.verdict_ == found.verdict_ and other.n_variables_ == found.n_variables_
    assert np.array_equal(other.predict(V), found.predict(V))
    thawed = pickle.loads(pickle.dumps(found))
    assert np.array_equal(thawed.predict(V), found.predict(V))
    law = Law.load(found.law_.save(tmp_path / "law.json"))
    assert np.array_equal(law.predict(V), found.predict(V))
    (tmp_path / "no.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"no\.npz is damaged or not a saved Discovery"):
        Discovery.load(tmp_path / "no.npz")


def test_nothing_of_an_earlier_fit_is_left_when_one_fails(monkeypatch):
    front = discover()
    monkeypatch.setattr("rediscover._direct.discover", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        front.fit(V, RHO, A)
    with pytest.raises(NotFittedError):
        front.predict(V)


# The rules by themselves ----------------------------------------------------------------------------------------------

LOSSES = {"quadratic": {1: 0.9, 2: 1e-3, 3: 1e-3}, "linear": {1: 0.9, 2: 0.8, 3: 1e-3, 4: 1e-3}}


def test_each_limit_of_a_wave_can_be_missed(found):
    wave = found.law_
    assert give(LOSSES, lambda *_: wave, local=0.9).kind == "one wave"
    worse = {**LOSSES, "quadratic": {1: 0.9, 2: 0.01, 3: 1e-3}}
    three = Law.fit(V, RHO, spacing=A, latent_dim=3, readout="linear", order=3, starts=3)[0]
    assert give(worse, lambda readout, d: wave if d == 2 else three, local=0.9).kind == "density"
    fading = replace(wave, coefficients=0.97 * wave.coefficients, covariance=None)
    said = give(LOSSES, lambda *_: fading, local=0.9)
    assert said.kind == "a law of 3 variables" and "determinant" in {limit.name for limit in said.limits}
    upside = replace(wave, shift=-wave.shift, scale=wave.scale, span=(0.3, 1.0), covariance=None)
    upside = replace(upside, coefficients=wave.coefficients * np.array([1, -1, 1])[:, None, None])
    assert give(LOSSES, lambda *_: upside, local=0.9).kind == "a law of 3 variables", "a negative mass"


def test_one_variable_that_does_is_not_called_a_wave():
    losses = {"quadratic": {1: 1e-3, 2: 1e-3, 3: 1e-3}, "linear": {1: 1e-3, 2: 1e-3, 3: 1e-3, 4: 1e-3}}
    law = Law.fit(V, RHO, spacing=A, starts=3)[0]
    assert give(losses, lambda *_: law, local=0.9).kind == "a law of 1 variable"


def test_a_verdict_names_the_limit_that_it_is_nearest_to():
    limits = Limit("near", 0.9, 1.0), Limit("far", 0.1, 1.0)
    assert "nearest to its limit: near 0.9" in str(Verdict("no law", None, "so.", limits, "Else."))
    assert not Limit("x", np.nan, 1.0).passes and set(LIMITS) >= {"unexplained", "residual"}


# Bad input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"potential": V[:40], "density": RHO[:40]}, "at least 50 pictures"),
        ({"potential": V[:, :8], "density": RHO[:, :8]}, "at least 12 sites"),
        ({"spacing": 0.0}, "spacing must be greater than 0"),
        ({"energy": "low"}, "energy must hold real numbers"),
        ({"density": np.where(RHO > 1, np.nan, RHO)}, "density must be finite"),
        ({"labels": np.ones(3)}, "constants must have shape|labels"),
        ({"groups": np.ones(3)}, "groups must have one entry"),
        ({"groups": np.ones(N)}, "groups must be at least two"),
        ({"potential": np.full(V.shape, 2.0)}, "potential must vary"),
        ({"density": np.ones(V.shape)}, "density must vary"),
        ({"front": Discovery("guess")}, "method must be one of"),
        ({"front": Discovery("direct", prompt=3)}, "prompt must be 0, or at least 6"),
        ({"front": Discovery("direct", prompt=20)}, "at least 32 sites in a picture beside its prompt"),
        ({"front": Discovery("direct", prompt=6), "initial": V[:, 0]}, "initial must not be given"),
        ({"front": Discovery("direct", members=0)}, "members must be at least 1"),
        ({"front": Discovery("direct", held_out=1.0)}, "held_out must lie between 0 and 1"),
        ({"front": Discovery("introspect"), "labels": V[:, 0]}, 'method must be "direct"'),
        ({"front": Discovery("direct", random_state=-1)}, "random_state must be at least 0"),
    ],
)
def test_bad_input_is_named_before_anything_is_fitted(change, message, monkeypatch):
    monkeypatch.setattr("rediscover._direct.search", lambda *_: 1 / 0)
    with pytest.raises((ValueError, TypeError), match=message):
        discover(**change)


def test_doubtful_data_are_pointed_out(monkeypatch):
    monkeypatch.setattr("rediscover._direct.search", lambda *_: 1 / 0)
    smooth = dataset.simulate(N, sites=SITES, correlation=8)
    grows = np.exp(0.4 * np.arange(SITES)) * RHO
    for change, message in (
        ({"potential": smooth.potential, "density": smooth.density}, "hardly differ from one site to the next"),
        ({"density": grows}, "the density grows"),
    ):
        with pytest.warns(UserWarning, match=message), pytest.raises(ZeroDivisionError):
            discover(**change)
    with warnings.catch_warnings(), pytest.raises(ZeroDivisionError):
        warnings.simplefilter("error")
        discover()


# Through networks -----------------------------------------------------------------------------------------------------


@pytest.mark.trains
@pytest.mark.parametrize("prompt", [0, 6])
def test_introspection_goes_all_the_way(prompt):
    front = Discovery("introspect", members=2, prompt=prompt, training=6, random_state=0)
    said = discover(front=front)
    assert said.beside_.kind == "one wave"
    assert next(iter(said.history_)) == "translator" and len(said.n_variables_["linear"]["losses"][4]) == 2
    assert len(said.held_out_["predicted"]) == 24


def test_a_law_that_ran_away_can_be_kept(tmp_path):
    data = worlds.simulate(worlds.boltzmann(), N, sites=SITES, seed=3)
    said = discover(data.potential, data.density)
    assert said.verdict_.kind == "a law of 1 variable" and all(np.isfinite(x.value) for x in said.verdict_.limits)
    assert Discovery.load(said.save(tmp_path / "kept.npz")).verdict_ == said.verdict_
