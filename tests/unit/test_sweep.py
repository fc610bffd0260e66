"""Sweeps in one process: every trial once, kept as it finishes, and nothing started on bad input."""

import itertools
import json
import re
import sys

import numpy as np
import pytest

from rediscover import sweep

GRID = sweep.grid(seed=range(4), noise=[0.0, 0.5])
RAN = []


def draw(config):
    RAN.append((config["seed"], config["noise"]))
    rng = np.random.default_rng(config["seed"])
    return {"mean": np.float64(config["noise"]) * rng.normal(size=3).mean(), "size": np.int64(3)}


def picky(config):
    RAN.append(config["x"])
    if config["x"] == 1:
        raise RuntimeError("diverged at step 7")
    if config["x"] == 2:
        sys.exit("gave up")
    return {0: {"pair": (1, 2)}, 3: {"loss": float("nan")}}.get(config["x"], config["x"])


def interrupted(config):
    RAN.append(config["x"])
    if config["x"] == 2 and RAN.count(2) == 1:
        raise KeyboardInterrupt
    return {"x": config["x"]}


@pytest.fixture(autouse=True)
def alone():
    RAN.clear()


def files(folder):
    return sorted(path.name for path in folder.rglob("*"))


# --- grid


def test_grid_is_the_product_in_order():
    configs = sweep.grid(law=["a", "b"], seed=range(3))
    expected = [(law, seed) for law, seed in itertools.product("ab", range(3))]
    assert [(c["law"], c["seed"]) for c in configs] == expected
    assert sweep.grid(seed=(s for s in [1, 2])) == [{"seed": 1}, {"seed": 2}]


# --- what runs, and what is kept


def test_every_trial_runs_once_and_gives_the_same_rows_again(tmp_path):
    first = sweep.run(draw, GRID, tmp_path)
    assert len(RAN) == len(GRID) == len(files(tmp_path))
    assert [row["config"] for row in first] == GRID
    assert sweep.run(draw, iter(GRID), str(tmp_path)) == first and len(RAN) == len(GRID)
    rng = np.random.default_rng(3)
    assert first[-1]["result"] == {"mean": 0.5 * rng.normal(size=3).mean(), "size": 3}
    assert first[-1]["versions"]["numpy"] == np.__version__ and first[-1]["seconds"] >= 0


def test_a_larger_sweep_runs_only_what_is_new(tmp_path):
    sweep.run(draw, GRID[:3], tmp_path)
    rows = sweep.run(draw, GRID[::-1], tmp_path)
    assert len(RAN) == len(GRID) and [row["config"] for row in rows] == GRID[::-1]


@pytest.mark.parametrize("change", [{"recipe": 2}, {"recipe": {"translator": 2}}, {"name": "another"}, {}])
def test_recipe_and_name_tell_rows_apart(tmp_path, monkeypatch, change):
    sweep.run(draw, GRID[:1], tmp_path)
    if not change:
        monkeypatch.setattr(draw, "__qualname__", "renamed")
    sweep.run(draw, GRID[:1], tmp_path, **change)
    assert len(RAN) == len(files(tmp_path)) == 2
    assert len(sweep.table(tmp_path)) == 2


def test_a_trial_with_a_name_of_its_own_may_move(tmp_path, monkeypatch):
    stays = {"name": "book.draw", "recipe": {"translator": 2, "distiller": 3}}
    first = sweep.run(draw, GRID, tmp_path, **stays)
    monkeypatch.setattr(draw, "__module__", "elsewhere")
    again = sweep.run(draw, GRID, tmp_path, name="book.draw", recipe={"distiller": 3, "translator": 2})
    assert again == first and len(RAN) == len(GRID) and first[0]["trial"] == "book.draw"


def test_a_row_holds_what_the_trial_saw(tmp_path):
    """A tuple, an array and NumPy's numbers arrive as JSON gives them back, so the row repeats the trial."""

    def seen(config):
        RAN.append(config)
        return {}

    seen.__qualname__ = "seen"
    (row,) = sweep.run(seen, [{"a": (1, 2), "b": np.eye(1), "c": np.float32(0.5)}], tmp_path)
    assert RAN == [{"a": [1, 2], "b": [[1.0]], "c": 0.5}] == [row["config"]]


def test_ctrl_c_keeps_what_is_finished_and_the_next_call_goes_on(tmp_path):
    configs = sweep.grid(x=range(5))
    with pytest.raises(KeyboardInterrupt):
        sweep.run(interrupted, configs, tmp_path)
    assert len(files(tmp_path)) == 2
    assert [row["result"]["x"] for row in sweep.run(interrupted, configs, tmp_path)] == [0, 1, 2, 3, 4]
    assert RAN == [0, 1, 2, 2, 3, 4]


def test_failures_are_recorded_and_stop_nothing(tmp_path):
    rows = sweep.run(picky, sweep.grid(x=range(5)), tmp_path)
    assert rows[0]["result"] == {"pair": [1, 2]}
    errors = [(row["error"]["type"], row["error"]["message"]) for row in rows[1:]]
    assert errors[:2] == [("RuntimeError", "diverged at step 7"), ("SystemExit", "gave up")]
    assert errors[2][0] == "ValueError" and "result cannot be written as JSON" in errors[2][1]
    assert errors[3] == ("TypeError", "trial returned a int; expected a mapping")
    assert "in picky" in rows[1]["error"]["traceback"] and "_attempt" not in rows[1]["error"]["traceback"]
    assert not any("result" in row for row in rows[1:])


def test_failed_trials_run_again_only_on_request(tmp_path):
    configs = sweep.grid(x=range(5))
    sweep.run(picky, configs, tmp_path)
    RAN.clear()
    rows = sweep.run(picky, configs, tmp_path)
    assert RAN == [] and "error" in rows[1]
    sweep.run(picky, configs, tmp_path, retry_failed=True)
    assert RAN == [1, 2, 3, 4]


def test_a_bar_counts_trials_and_failures_where_somebody_looks(tmp_path, monkeypatch, capsys):
    sweep.run(picky, sweep.grid(x=[0]), tmp_path)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("rediscover._training.watched", lambda: True)
    sweep.run(picky, sweep.grid(x=[0, 1]), tmp_path)
    assert re.search(r"2/2 .*failed=1", capsys.readouterr().err)


# --- the table


def test_table_is_sorted_by_value_whatever_the_order_of_the_sweep(tmp_path):
    configs = sweep.grid(seed=[10, 9], law=["b", "a"], extra=[None, [1]])
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, order in ((one, configs), (other, configs[::-1])):
        sweep.run(picky, [{"x": 0, **config} for config in order], folder, recipe=2)
        sweep.run(picky, [{"x": 0, **config} for config in order], folder)
    found = [{**row, "seconds": 0} for row in sweep.table(one)]
    assert found == [{**row, "seconds": 0} for row in sweep.table(other)]
    assert [row["recipe"] for row in found] == [1] * 8 + [2] * 8
    last = [(c["extra"], c["law"], c["seed"]) for c in (row["config"] for row in found[:8])]
    assert last[:5] == [([1], "a", 9), ([1], "a", 10), ([1], "b", 9), ([1], "b", 10), (None, "a", 9)]


def test_no_table_without_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="none: run the sweep first"):
        sweep.table(tmp_path / "none")


def rewrite(**change):
    def damage(path):
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-20]),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text("[1]", encoding="utf-8"),
        lambda path: path.write_text("{}", encoding="utf-8"),
        rewrite(config={"seed": 7, "noise": 0.0}),
        rewrite(recipe=3),
        rewrite(error={}),
    ],
    ids=["empty", "truncated", "binary", "list", "no-config", "other-config", "other-recipe", "result-and-error"],
)
def test_a_damaged_row_is_refused_with_a_way_out(tmp_path, damage):
    """Rows are written in one piece, so damage came from elsewhere, and nobody but the reader knows what else is."""
    sweep.run(draw, GRID, tmp_path)
    path = sorted(tmp_path.iterdir())[3]
    damage(path)
    RAN.clear()
    for again in (lambda: sweep.run(draw, GRID, tmp_path), lambda: sweep.table(tmp_path)):
        with pytest.raises(ValueError, match=re.escape(str(path)) + ": corrupt or foreign .* delete the file to run"):
            again()
    assert RAN == []
    path.unlink()
    assert len(sweep.run(draw, GRID, tmp_path)) == len(GRID) and len(RAN) == 1


# --- bad input: an error with a name, before anything runs


def nested(config):
    raise AssertionError("ran although the input is bad")


@pytest.mark.parametrize("where", ["__main__", "json"])
@pytest.mark.parametrize("address", [None, "tcp://127.0.0.1:9"])
def test_workers_need_a_trial_that_they_can_import(tmp_path, monkeypatch, where, address):
    monkeypatch.setattr(nested, "__module__", where)
    with pytest.raises(ValueError, match=f"trial must be defined in a module that workers can import; .* of {where}"):
        sweep.run(nested, GRID, tmp_path / "rows", workers=None if address else 2, scheduler=address)


def test_without_dask_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install 'dask\[distributed\]>=.*\[scale\]"):
        sweep.run(nested, GRID, tmp_path, workers=2)
    assert files(tmp_path) == []


# --- pack


def test_packed_rows_are_the_table_of_the_folder(tmp_path):
    rows = sweep.run(draw, GRID, tmp_path / "rows") + sweep.run(picky, [{"x": 1}], tmp_path / "rows")
    path = sweep.pack(rows[::-1], tmp_path / "packed" / "rows.jsonl")
    assert sweep.table(path) == sweep.table(tmp_path / "rows")
    assert len(path.read_text(encoding="utf-8").splitlines()) == len(rows)


@pytest.mark.parametrize(
    "row", [{"config": {}}, {"trial": "t", "recipe": 1, "config": {}}, {"x": float("nan")}, {"x": {1}}]
)
def test_what_is_no_row_is_not_packed(row, tmp_path):
    good = sweep.run(draw, GRID[:1], tmp_path / "rows")
    with pytest.raises((ValueError, TypeError), match=r"rows\[1\]"):
        sweep.pack([*good, row], tmp_path / "rows.jsonl")
    assert not (tmp_path / "rows.jsonl").exists()


def test_a_damaged_line_is_named(tmp_path):
    path = sweep.pack(sweep.run(draw, GRID, tmp_path / "rows"), tmp_path / "rows.jsonl")
    path.write_text(path.read_text(encoding="utf-8").replace('"result"', '"resold"', 1), encoding="utf-8")
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 1: corrupt or foreign"):
        sweep.table(path)
    with pytest.raises(FileNotFoundError, match="no folder or file"):
        sweep.table(tmp_path / "nowhere")
