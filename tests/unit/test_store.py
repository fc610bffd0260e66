"""Artefacts and results: kept whole, found again, and never mistaken for something else."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

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
    """An empty book in a temporary folder, and a run at the small size in it."""
    use(monkeypatch, tmp_path)
    return tmp_path


def use(monkeypatch, root, tier="smoke", **how):
    run = store.Run(root / "_build" / tier, root / "book", tier, **how)
    monkeypatch.setattr(store, "current", lambda: run)


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


# --- the run


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder that looks like a checkout of the book, and a cache folder beside it."""
    (tmp_path / "checkout" / "book" / "artifacts").mkdir(parents=True)
    monkeypatch.setattr(store.platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path / "checkout"


@pytest.fixture
def locked(monkeypatch):
    """Folders that cannot be written: told and not done, since the user root can write everywhere."""
    folders, access = [], store.os.access
    monkeypatch.setattr(
        store.os,
        "access",
        lambda path, mode: access(path, mode) and not any(Path(path).is_relative_to(f) for f in folders),
    )
    return folders


def test_a_checkout_keeps_its_runs_below_build(checkout):
    run = store.Run.from_environment({}, checkout)
    assert run == store.Run(checkout / "_build" / "standard", checkout / "book")
    run = store.Run.from_environment({"REDISCOVER_TIER": "smoke", "REDISCOVER_RETRAIN": "1"}, checkout)
    assert (run.home, run.retrain, run.quiet) == (checkout / "_build" / "smoke", True, False)
    assert store.Run.from_environment({"REDISCOVER_QUIET": "1"}, checkout).quiet
    assert store.Run.from_environment({"DASK_SCHEDULER_ADDRESS": "tcp://x"}, checkout).scheduler == "tcp://x"
    assert store.Run.from_environment({"REDISCOVER_USED": "used.txt"}, checkout).used == Path("used.txt")
    assert not (checkout / "_build").exists()


def test_an_installed_library_uses_the_cache_folder_and_says_nothing(checkout, recwarn):
    run = store.Run.from_environment({}, checkout.parent / "site-packages")
    assert run == store.Run(checkout.parent / "cache" / "rediscover" / "standard", None) and not recwarn


def test_a_checkout_that_cannot_be_written_says_where_things_are_kept(checkout, locked):
    locked.append(checkout)
    with pytest.warns(UserWarning, match=r"_build/standard cannot be written: .* is kept in .*cache"):
        run = store.Run.from_environment({}, checkout)
    assert run.home == checkout.parent / "cache" / "rediscover" / "standard" and run.shipped == checkout / "book"
    locked.append(checkout.parent)
    with pytest.warns(UserWarning, match="cannot be written"):
        run = store.Run.from_environment({}, checkout)
    assert run.home.is_dir() and not run.home.is_relative_to(checkout.parent)


def test_unknown_tier_names_the_variable(checkout):
    with pytest.raises(ValueError, match="REDISCOVER_TIER is 'huge'; expected one of smoke, standard"):
        store.Run.from_environment({"REDISCOVER_TIER": "huge"}, checkout)
    with pytest.raises(ValueError, match="tier must be one of smoke, standard; got 'huge'"):
        store.Run(checkout, tier="huge")


def test_retraining_passes_over_artefacts_and_not_over_results(tmp_path):
    run = store.Run(tmp_path, tmp_path / "book", retrain=True)
    assert run.places("artifacts") == [tmp_path / "artifacts"]
    assert run.places("results") == [tmp_path / "results", tmp_path / "book" / "results"]


# --- key


def test_key_ignores_order_and_numpy_types():
    same = {"units": np.int32(8), "recipe": 1, "seed": 0, "kind": "demo"}
    assert store.key(CONFIG) == store.key(same)
    assert re.fullmatch("[0-9a-f]{16}", store.key(CONFIG))


@pytest.mark.parametrize("change", [{"seed": 1}, {"recipe": 2}, {"units": 9}, {"extra": None}])
def test_key_depends_on_every_entry(change):
    assert store.key(CONFIG) != store.key({**CONFIG, **change})


# --- load_or_train


def test_trains_once_and_loads_the_same(root):
    first = store.load_or_train(CONFIG, weights)
    second = store.load_or_train(CONFIG, never)
    assert first.fresh and not second.fresh
    assert second.seconds == first.seconds and second.versions == first.versions and second.config == CONFIG
    for name, array in weights().items():
        np.testing.assert_array_equal(second.arrays[name], array)
        assert second.arrays[name].dtype == array.dtype
    assert files(root) == [f"_build/smoke/artifacts/demo-{store.key(CONFIG)}.npz"]


def test_what_is_asked_for_is_noted_if_the_run_says_where(root, monkeypatch):
    use(monkeypatch, root, used=root / "used.txt")
    first = store.load_or_train(CONFIG, weights)
    store.load_or_train(CONFIG, never)
    store.load_or_train(CONFIG, weights, root / "elsewhere")
    name = f"demo-{store.key(CONFIG)}.npz"
    assert (root / "used.txt").read_text(encoding="utf-8") == 2 * f"{name} {first.seconds} 0.000\n"


def test_tiers_do_not_share(root, monkeypatch):
    store.load_or_train(CONFIG, weights)
    use(monkeypatch, root, "standard")
    assert store.load_or_train(CONFIG, weights).fresh


def test_shipped_artefact_is_used_unless_retraining(root, monkeypatch):
    store.load_or_train(CONFIG, weights, root / "book" / "artifacts")
    assert not store.load_or_train(CONFIG, never).fresh
    use(monkeypatch, root, retrain=True)
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


@pytest.mark.parametrize("value", [np.nan, np.inf, 1j * np.nan])
@pytest.mark.parametrize("name", ["weight 00", "loss"])
def test_diverged_training_is_no_artefact(root, name, value):
    diverged = {"weight 00": np.ones(3), "loss": np.ones(3), name: np.array([1.0, value, 1.0])}
    with pytest.raises(FloatingPointError, match=f"diverged: '{name}' holds .*smaller learning rate"):
        store.load_or_train(CONFIG, lambda: diverged)
    assert files(root) == []
    assert store.load_or_train(CONFIG, weights).fresh  # and the next one is trained


def test_a_folder_that_cannot_be_written_is_said_before_training(tmp_path, locked):
    locked.append(tmp_path)
    with pytest.raises(PermissionError, match=r"folder must be one that can be written"):
        store.load_or_train(CONFIG, never, tmp_path)


def test_what_was_trained_is_given_even_if_the_disk_is_full(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.warns(UserWarning, match="trained, but not kept: .*No space left"):
        assert store.load_or_train(CONFIG, weights, tmp_path).fresh
    assert files(tmp_path) == []


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


# --- one trains, the others wait

ASKING = f"""
import sys, time
from pathlib import Path
import numpy as np
from rediscover import store

def train():
    Path("training").touch()
    while not Path("go").exists():
        time.sleep(0.02)
    if sys.argv[1:] == ["fails"]:
        raise RuntimeError("diverged")
    return {{"w": np.ones(1)}}

print(store.load_or_train({CONFIG}, train, "kept").fresh)
"""


@pytest.fixture
def ask(tmp_path):
    """Start processes that ask for one and the same artefact."""
    started = []

    def start(*how):
        variables = os.environ | {"PYTHONPATH": str(Path(store.__file__).parents[1]), "REDISCOVER_QUIET": "0"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
        started.append(subprocess.Popen([sys.executable, "-c", ASKING, *how], cwd=tmp_path, env=variables, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("first_ends", "second_trains"), [("finishes", "False"), ("fails", "True"), ("is killed", "True")]
)
def test_who_asks_for_what_is_being_trained_waits(ask, tmp_path, first_ends, second_trains):
    first = ask(first_ends)
    while not (tmp_path / "training").exists():
        assert first.poll() is None
        time.sleep(0.02)
    second = ask()
    assert "is being trained by another process: waiting for it" in second.stderr.readline()
    if first_ends == "is killed":
        first.kill()
    (tmp_path / "go").touch()
    assert first.communicate(timeout=60)[0] == ("True\n" if first_ends == "finishes" else "")
    assert second.communicate(timeout=60) == (f"{second_trains}\n", "")
    assert files(tmp_path / "kept") == [f"demo-{store.key(CONFIG)}.npz"]


def test_threads_wait_for_each_other_too(tmp_path):
    def train():
        time.sleep(0.3)
        return weights()

    fresh = []
    threads = [
        threading.Thread(target=lambda: fresh.append(store.load_or_train(CONFIG, train, tmp_path).fresh))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fresh) == [False, False, True]


# --- the data that an artefact was trained on

ROWS = np.random.default_rng(0).normal(-0.65, 0.2, (17_500, 40))


def moved(array, share=0.01):
    """One entry off by a share of the spread."""
    array = array.copy()
    array[12_345, 6] += share * array.std()
    return array


def swapped(array):
    array = array.copy()
    array[[7, 9_000]] = array[[9_000, 7]]
    return array


@pytest.mark.parametrize("size", [1.0, 1e-30, 1e100])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (moved, "V holds other numbers"),
        (swapped, "V holds other numbers"),
        (lambda V: V[::-1], "V holds other numbers"),
        (lambda V: V + 1e-3 * np.ptp(V), "V holds other numbers"),
        (lambda V: 1.001 * V, "V holds other numbers"),
        (lambda V: V.reshape(-1, 80), r"V had shape \(17500, 40\), and has \(8750, 80\)"),
        (lambda V: V[:-1], r"V had shape \(17500, 40\), and has \(17499, 40\)"),
    ],
    ids=["one entry", "two rows", "order", "zero", "size", "shape", "length"],
)
def test_artefact_is_given_for_its_own_data_only(tmp_path, change, says, size):
    store.load_or_train(CONFIG, weights, tmp_path, {"V": size * ROWS})
    assert not store.load_or_train(CONFIG, never, tmp_path, {"V": size * ROWS}).fresh
    with pytest.raises(
        ValueError, match=rf"npz: trained on other data of the same name: {says}\. Give these a name of"
    ):
        store.load_or_train(CONFIG, never, tmp_path, {"V": change(size * ROWS)})


@pytest.mark.parametrize("offset", [0.0, 1e7])
def test_last_bits_are_no_other_data(tmp_path, offset):
    """Another machine or NumPy simulates with other ones, and sums in another order."""
    noise = 1 + 1e-14 * np.random.default_rng(1).standard_normal(ROWS.shape)
    store.load_or_train(CONFIG, weights, tmp_path, {"V": ROWS + offset, "w": np.zeros(3)})
    again = {"w": np.zeros(3), "V": np.asfortranarray((ROWS + offset) * noise)}
    assert not store.load_or_train(CONFIG, never, tmp_path, again).fresh


def test_digest_does_not_depend_on_version_or_machine(tmp_path):
    """Kept in shipped files: as it is, whatever draws its projections."""
    digest = store._digest({"x": np.arange(6.0).reshape(3, 2)})["x"]
    assert digest["shape"] == [3, 2]
    assert digest["numbers"][:4] == pytest.approx([6.1237243569, 3.6742346142, 0.1522239143, -0.5024255132], rel=1e-9)


def test_which_data_there_were_counts(tmp_path):
    store.load_or_train(CONFIG, weights, tmp_path, {"V": ROWS})
    for other in ({"V": ROWS, "told": ROWS}, {"density": ROWS}, None):
        with pytest.raises(ValueError, match=r"it knew V, and is given (V and told|density|none)"):
            store.load_or_train(CONFIG, never, tmp_path, other)


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


def test_record_writes_plain_json(root):
    assert json.loads(store.record("02_demo", {"x": 1}).read_text(encoding="utf-8"))["x"] == 1


# --- complete or not at all


def test_many_writers_of_one_file_leave_one_whole_file(tmp_path, monkeypatch):
    """Containers have the same process ids, and threads of one process do: neither may meet in a temporary file."""
    monkeypatch.setattr(store.os, "getpid", lambda: 1)
    path, together = tmp_path / "shared.txt", threading.Barrier(8)

    def write(letter):
        with store.atomic_write(path) as file:
            together.wait()
            for _ in range(100):
                file.write(letter * 100)
                file.flush()

    threads = [
        threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = path.read_bytes()
    assert len(content) == 10_000 and len(set(content)) == 1
    assert files(tmp_path) == ["shared.txt"]


def test_what_is_written_can_be_read_by_others_as_before(tmp_path):
    path = tmp_path / "note.txt"
    for mode in (0o644, 0o600):
        with store.atomic_write(path) as file:
            file.write(b"x")
        assert path.stat().st_mode & 0o777 == mode
        path.chmod(0o600)
