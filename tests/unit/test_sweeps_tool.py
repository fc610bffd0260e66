"""The command behind `make sweeps`: a stopped run goes on, and nothing is packed before all of it is there."""

import json

import pytest

import panel
import sweeps
from rediscover import sweep

RAN = []


def quick(config):
    RAN.append(config["seed"])
    if config["seed"] == 2 and RAN.count(2) == 1:
        raise KeyboardInterrupt
    return {"seed": config["seed"]}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    RAN.clear()
    monkeypatch.setattr(panel, "investigate", quick)
    monkeypatch.setattr(panel, "SWEEPS", {"tiny": [{"seed": seed} for seed in range(sweeps.FRESH + 2)]})


def test_a_stopped_sweep_goes_on_and_is_packed_when_it_is_whole(tmp_path, capsys):
    packed = tmp_path / "book" / "sweeps" / "tiny.jsonl"
    with pytest.raises(KeyboardInterrupt):
        sweeps.run("tiny", None, home=tmp_path)
    assert not packed.exists()
    assert sweeps.run("tiny", None, home=tmp_path) == packed
    assert [row["result"]["seed"] for row in sweep.table(packed)] == list(range(sweeps.FRESH + 2))
    assert sorted(RAN) == sorted([*range(sweeps.FRESH + 2), 2])
    assert "tiny: 8 trials, 0 failed" in capsys.readouterr().out


def test_shipped_rows_are_gone_on_from_unless_all_is_to_be_trained_anew(tmp_path, monkeypatch):
    RAN.append(2)  # as if it had been interrupted before
    packed = sweeps.run("tiny", None, home=tmp_path)
    elsewhere = tmp_path / "clone"
    (elsewhere / "book" / "sweeps").mkdir(parents=True)
    (elsewhere / "book" / "sweeps" / "tiny.jsonl").write_bytes(packed.read_bytes())
    RAN.clear()
    sweeps.run("tiny", None, home=elsewhere)
    assert RAN == []
    monkeypatch.setattr(panel, "RECIPES", panel.RECIPES | {"distiller": 1000})  # rows of other training code
    RAN.append(2)
    sweeps.run("tiny", None, home=elsewhere)
    assert sorted(RAN[1:]) == list(range(sweeps.FRESH + 2))


def test_retraining_passes_over_the_shipped_rows(tmp_path):
    RAN.append(2)
    packed = sweeps.run("tiny", None, home=tmp_path)
    (tmp_path / "clone" / "book" / "sweeps").mkdir(parents=True)
    (tmp_path / "clone" / "book" / "sweeps" / "tiny.jsonl").write_bytes(packed.read_bytes())
    RAN[:] = [2]
    sweeps.run("tiny", None, retrain=True, home=tmp_path / "clone")
    assert sorted(RAN[1:]) == list(range(sweeps.FRESH + 2))


def test_growth_is_timed_from_nothing_every_time(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "run", lambda trial, configs, folder, workers: [{"seconds": 1.0} for _ in configs])
    timed = json.loads(sweeps.growth((1, 2), (1, 2), tmp_path).read_text(encoding="utf-8"))["timed"]
    assert [(row["workers"], row["trials"], row["in_trials"]) for row in timed] == [
        (1, 1, 1.0),
        (1, 2, 2.0),
        (2, 1, 1.0),
        (2, 2, 2.0),
    ]


def test_unknown_sweeps_are_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["sweeps.py", "tiny", "tyni"])
    with pytest.raises(SystemExit):
        sweeps.main()
    assert (
        "there is no sweep tyni; there are tiny, users, forbidden, others, errors, introspecting, growth"
        in capsys.readouterr().err
        and RAN == []
    )
