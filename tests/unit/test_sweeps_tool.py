"""The command behind `make sweeps`: a stopped run goes on, and nothing is packed before all of it is there."""

import json

import pytest

import sweeps
from rediscover import sweep, trials

RAN = []


def quick(config):
    RAN.append(config["seed"])
    if config["seed"] == 2 and RAN.count(2) == 1:
        raise KeyboardInterrupt
    return {"seed": config["seed"]}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    RAN.clear()
    monkeypatch.setattr(trials, "investigate", quick)
    monkeypatch.setattr(trials, "SWEEPS", {"tiny": [{"seed": seed} for seed in range(sweeps.FRESH + 2)]})


def test_a_stopped_sweep_goes_on_and_is_packed_when_it_is_whole(tmp_path, capsys):
    packed = tmp_path / "book" / "sweeps" / "tiny.jsonl"
    with pytest.raises(KeyboardInterrupt):
        sweeps.run("tiny", None, tmp_path)
    assert not packed.exists()
    assert sweeps.run("tiny", None, tmp_path) == packed
    assert [row["result"]["seed"] for row in sweep.table(packed)] == list(range(sweeps.FRESH + 2))
    assert sorted(RAN) == sorted([*range(sweeps.FRESH + 2), 2])
    assert "tiny: 8 trials, 0 failed" in capsys.readouterr().out


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
    assert "there is no sweep tyni; there are tiny, growth" in capsys.readouterr().err and RAN == []
