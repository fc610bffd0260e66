"""The simulated users of chapter 13: what they may be like, that their truth is true, and the shipped rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import panel
import users
from rediscover import store, sweep
from rediscover.verdict import LIMITS

SWEEPS = Path(__file__).resolve().parents[2] / "book" / "sweeps"
SHIPPED = [path for name in users.SWEEPS if (path := SWEEPS / f"{name}.jsonl").exists()]


@pytest.mark.parametrize("kind", users.KINDS)
def test_users_are_what_the_chapter_says_of_them(kind):
    drawn = [users.draw(n, kind) for n in range(200)]
    assert len({str(user) for user in drawn}) == len(drawn)
    for user in drawn:
        assert 500 <= user.chains <= 20_000 and 24 <= user.sites <= 80 and user.prompt in (0, 6, 8)
        assert 0 <= user.noise <= 0.05 and all(1e-3 <= unit <= 1e3 for unit in user.units)
        turn = user.spacing * np.sqrt(2 * (user.energy - user.low))
        if kind == "other":
            assert user.world != "standing_wave" and user.world in panel.CARDS
            continue
        assert 0.2 <= user.spacing <= 0.6 and turn <= 1.2 + 1e-9
        if kind == "wave":
            assert user.energy - user.high >= 0.1 - 1e-12
        else:
            growth = 16 * user.spacing * np.sqrt(2 * (user.high - user.energy))
            assert 0 < growth <= 3 + 1e-9


def test_the_exact_law_leaves_the_noise_and_nothing_else():
    user = replace(users.draw(0), chains=300, noise=0.0)
    data = users.pictures(user, 0)
    assert users.exact_loss(user, data)["best start"] < 1e-9
    noisy = users.pictures(replace(user, noise=0.02, relative=False), 0)
    share = np.var(noisy["density"] - noisy["exact"]) / np.var(noisy["exact"])
    assert users.exact_loss(user, noisy)["best start"] == pytest.approx(share, rel=0.2)


def test_units_are_those_of_the_user():
    user = replace(users.draw(3), chains=60)
    plain = users.pictures(replace(user, units=(1.0, 1.0, 1.0)), 3)
    hers = users.pictures(user, 3)
    of_V, of_rho, of_length = user.units
    assert hers["potential"] == pytest.approx(of_V * plain["potential"])
    assert hers["density"] == pytest.approx(of_rho * plain["density"])
    assert plain["mass"] == 1 and hers["mass"] * of_V * of_length**2 == pytest.approx(1)


def test_an_unknown_entry_is_refused():
    with pytest.raises(ValueError, match=r"config must have entries of .*; got world"):
        users.investigate({"world": "wave"})
    with pytest.raises(ValueError, match="kind must be one of"):
        users.draw(0, "particle")


@pytest.mark.parametrize("name", users.SWEEPS)
def test_trials_of_a_sweep_are_all_different_and_say_only_what_is_known(name):
    configs = users.SWEEPS[name]
    assert len({store.key(config) for config in configs}) == len(configs)
    assert all(set(config) <= set(users.DEFAULTS) for config in configs)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_rows_are_those_of_the_sweep_and_of_today(path):
    rows = sweep.table(path)
    shipped = {store.key(row["config"]) for row in rows}
    assert shipped <= {store.key(config) for config in users.SWEEPS[path.stem]}
    assert all(row["trial"] == users.TRIAL and row["recipe"] == users.RECIPES and "result" in row for row in rows)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_waves_keep_the_limits_of_today(path):
    for row in sweep.table(path):
        found = row["result"]
        if found["verdict"]["kind"] == "one wave":
            assert all(value <= limit for value, limit in found["limits"].values())
            assert found["limits"]["residual"][1] == LIMITS["residual"] and np.isfinite(users.pulls(row)).all()
