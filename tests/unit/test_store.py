"""Artefacts and results: kept whole, found again, and never mistaken for something else."""

import json
import re

import numpy as np
import pytest

from rediscover import store

NPY = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }".ljust(127) + b"\n" + bytes(8)
CONFIG = {"kind": "demo", "seed": 0, "recipe": 1, "units": 8}


def weights():
    return {"w": np.arange(6.0).reshape(2, 3), "names": np.array(["a", "b"])}


def never():
    raise AssertionError("trained although there was an artefact")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty book in a temporary folder."""
    monkeypatch.setattr(store, "ROOT", tmp_path)
    monkeypatch.setenv("REDISCOVER_TIER", "smoke")
    monkeypatch.delenv("REDISCOVER_RETRAIN", raising=False)
    return tmp_path


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


# --- tier and key


@pytest.mark.parametrize("value", ["smoke", "standard"])
def test_tier_comes_from_the_environment(monkeypatch, value):
    monkeypatch.setenv("REDISCOVER_TIER", value)
    assert store.tier() == value


def test_tier_is_standard_by_default(monkeypatch):
    monkeypatch.delenv("REDISCOVER_TIER", raising=False)
    assert store.tier() == "standard"


def test_unknown_tier_names_the_variable(monkeypatch):
    monkeypatch.setenv("REDISCOVER_TIER", "huge")
    with pytest.raises(ValueError, match="REDISCOVER_TIER is 'huge'; expected one of smoke, standard"):
        store.tier()


def test_key_ignores_order_and_numpy_types():
    same = {"units": np.int32(8), "recipe": 1, "seed": 0, "kind": "demo"}
    assert store.key(CONFIG) == store.key(same)
    assert re.fullmatch("[0-9a-f]{16}", store.key(CONFIG))


@pytest.mark.parametrize("change", [{"seed": 1}, {"recipe": 2}, {"units": 9}, {"extra": None}])
def test_key_depends_on_every_entry(change):
    assert store.key(CONFIG) != store.key({**CONFIG, **change})


def test_key_refuses_what_json_cannot_hold():
    with pytest.raises(ValueError, match="config"):
        store.key({"x": float("nan")})
    with pytest.raises(TypeError, match="config holds a object"):
        store.key({"x": object()})


# --- load_or_train


def test_trains_once_and_loads_the_same(root):
    first = store.load_or_train(CONFIG, weights)
    second = store.load_or_train(CONFIG, never)
    assert first.fresh and not second.fresh
    assert second.seconds == first.seconds and second.versions == first.versions and second.config == CONFIG
    for name, array in weights().items():
        np.testing.assert_array_equal(second.arrays[name], array)
        assert second.arrays[name].dtype == array.dtype
    name = f"demo-{store.key(CONFIG)}.npz"
    assert files(root) == [f"_build/smoke/artifacts/{name}", "_build/smoke/used.txt"]
    assert (root / "_build/smoke/used.txt").read_text(encoding="utf-8") == 2 * f"{name} {first.seconds}\n"


def test_tiers_do_not_share(root, monkeypatch):
    store.load_or_train(CONFIG, weights)
    monkeypatch.setenv("REDISCOVER_TIER", "standard")
    assert store.load_or_train(CONFIG, weights).fresh


def test_shipped_artefact_is_used_unless_retraining(root, monkeypatch):
    store.load_or_train(CONFIG, weights, root / "book" / "artifacts")
    assert not store.load_or_train(CONFIG, never).fresh
    monkeypatch.setenv("REDISCOVER_RETRAIN", "1")
    assert store.load_or_train(CONFIG, weights).fresh
    assert not store.load_or_train(CONFIG, never).fresh  # an interrupted retraining goes on where it was


def test_folder_is_the_only_place(root, tmp_path):
    store.load_or_train(CONFIG, weights)
    assert store.load_or_train(CONFIG, weights, tmp_path / "mine").fresh
    assert len(files(tmp_path / "mine")) == 1


def test_failed_training_leaves_nothing(root):
    def fails():
        raise RuntimeError("diverged")

    with pytest.raises(RuntimeError, match="diverged"):
        store.load_or_train(CONFIG, fails)
    assert files(root) == []


@pytest.mark.parametrize(
    "outcome", [[1, 2], None, {"w": np.array([object()])}, {"_meta": np.zeros(2)}, {"w": {"nested": 1}}]
)
def test_training_must_return_arrays(root, outcome):
    with pytest.raises(TypeError, match="train returned"):
        store.load_or_train(CONFIG, lambda: outcome)
    assert files(root) == []


@pytest.mark.parametrize("name", ["kind", "seed", "recipe"])
@pytest.mark.parametrize("value", [None, 1.5, "../x", True])
def test_incomplete_config_is_refused_before_training(root, name, value):
    with pytest.raises(ValueError, match=re.escape(f"config['{name}'] is {value!r}; expected")):
        store.load_or_train({**CONFIG, name: value}, never)


def artefact(folder):
    store.load_or_train(CONFIG, weights, folder)
    return folder / f"demo-{store.key(CONFIG)}.npz"


def flip(path):
    data = bytearray(path.read_bytes())
    at = data.index(b"w.npy") + 30  # inside the compressed data of the array w
    data[at] ^= 0xFF
    path.write_bytes(data)


def drop(path):
    with np.load(path) as file:
        kept = {name: file[name] for name in file.files if name != "w"}
    np.savez(path, **kept)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda p: p.write_bytes(b""), "corrupt"),
        (lambda p: p.write_bytes(b"not a zip"), "corrupt"),
        (lambda p: p.write_bytes(p.read_bytes()[:-40]), "corrupt"),
        (flip, "corrupt"),
        (drop, "corrupt"),
        (lambda p: p.write_bytes(NPY), "corrupt"),
        (lambda p: np.savez(p, w=np.zeros(3)), "foreign"),
        (lambda p: np.savez(p, _meta=np.zeros(3)), "foreign"),
        (lambda p: np.savez(p, w=np.array([{"runs": "code"}], dtype=object)), "corrupt"),
    ],
    ids=["empty", "text", "truncated", "bit-flip", "missing-member", "npy", "no-config", "bad-config", "pickle"],
)
def test_damaged_artefact_is_refused_with_a_way_out(tmp_path, damage, found):
    path = artefact(tmp_path)
    damage(path)
    with pytest.raises(ValueError, match=re.escape(f"{path}: {found}") + r".*delete the file, or run with RETRAIN=1"):
        store.load_or_train(CONFIG, never, tmp_path)


def test_artefact_of_another_configuration_is_refused(tmp_path):
    other = {**CONFIG, "seed": 7}
    path = artefact(tmp_path)
    path.rename(tmp_path / f"demo-{store.key(other)}.npz")
    with pytest.raises(ValueError, match=r"foreign, it holds the configuration .*'seed': 0.* instead of .*'seed': 7"):
        store.load_or_train(other, never, tmp_path)


# --- atomic_write, record, results


def test_interrupted_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "deep" / "note.txt"
    with store.atomic_write(path) as file:
        file.write(b"old")
    with pytest.raises(KeyboardInterrupt), store.atomic_write(path) as file:
        file.write(b"ne")
        raise KeyboardInterrupt
    assert path.read_text(encoding="utf-8") == "old" and files(tmp_path) == ["deep/note.txt"]


def test_record_and_results_round_trip(root):
    values = {"r2": {"gru": [np.float32(0.5), 1.0]}, "table": np.eye(2), "n": np.int64(3), "ok": np.bool_(True)}
    path = store.record("02_demo", values)
    assert path == root / "_build/smoke/results/02_demo.json"
    found = store.results("02_demo")
    run = found.pop("_run")
    assert found == {"r2": {"gru": [0.5, 1.0]}, "table": [[1.0, 0.0], [0.0, 1.0]], "n": 3, "ok": True}
    assert run["tier"] == "smoke" and run["versions"]["numpy"] == np.__version__ and run["seconds"] >= 0 and run["date"]


def test_results_prefer_this_run_to_the_shipped(root):
    store.record("02_demo", {"x": "shipped"}, root / "book" / "results")
    assert store.results("02_demo")["x"] == "shipped"
    store.record("02_demo", {"x": "run"})
    assert store.results("02_demo")["x"] == "run"


def test_missing_results_say_what_to_run(root):
    with pytest.raises(FileNotFoundError, match="run chapter 09_none first"):
        store.results("09_none")


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"x": float("nan")}, ValueError),
        ({"x": [1.0, float("inf")]}, ValueError),
        ({"x": np.array([np.nan])}, ValueError),
        ({"x": np.float32("nan")}, ValueError),
        ({"x": 1j}, TypeError),
        ({"_run": {}}, ValueError),
    ],
)
def test_record_refuses_what_is_not_a_result(root, values, error):
    with pytest.raises(error, match="values"):
        store.record("02_demo", values)
    assert files(root) == []


def test_record_writes_plain_json(root):
    assert json.loads(store.record("02_demo", {"x": 1}).read_text(encoding="utf-8"))["x"] == 1
