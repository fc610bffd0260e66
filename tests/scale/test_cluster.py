"""Sweeps over processes: real schedulers and workers on this machine, and real kills.

Trials wait for a file, so that every kill comes in the middle of one; what ran how often stands in their log.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import cluster_trials as trials
import pytest

from rediscover import sweep

pytest.importorskip("distributed")
import psutil  # comes with it

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:no worker has registered")]

ROOT = Path(__file__).resolve().parents[2]
PATH = os.pathsep.join([str(ROOT / "lib"), str(ROOT / "tests" / "scale"), *sys.path])


def start(*command, **environment):
    """Start Python in a process group of its own, which `kill` ends as a machine ends that loses power."""
    environment = {**os.environ, "PYTHONPATH": PATH, **environment}
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # jobs of a script are deaf to Ctrl-C
    )


def kill(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def log(folder, event):
    lines = (folder / "log").read_text(encoding="utf-8").split("\n")[:-1] if (folder / "log").exists() else []
    return {(int(x), int(pid)) for what, x, pid in map(str.split, lines) if what == event}


def runs(folder, event):
    lines = (folder / "log").read_text(encoding="utf-8").split("\n")[:-1]
    return Counter(int(line.split()[1]) for line in lines if line.startswith(event))


def rows(folder):
    return list((folder / "rows").glob("*.json"))


@pytest.fixture
def hold(tmp_path, monkeypatch):
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    (tmp_path / "hold").touch()
    return tmp_path / "hold"


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler with its address, and what is started with it ends with it."""
    started = [start("-m", "dask", "scheduler", "--host=127.0.0.1", "--port=0", "--no-dashboard", *at(tmp_path))]
    wait(
        lambda: (
            (tmp_path / "scheduler.json").exists()
            and (tmp_path / "scheduler.json").read_text(encoding="utf-8").endswith("}")
        )
    )
    started[0].address = json.loads((tmp_path / "scheduler.json").read_text(encoding="utf-8"))["address"]
    started[0].started = started
    yield started[0]
    for process in reversed(started):
        if process.poll() is None:
            kill(process)


def at(folder):
    return ("--scheduler-file", folder / "scheduler.json")


def worker(scheduler, *options, **environment):
    command = ("-m", "dask", "worker", scheduler.address, "--no-dashboard", *(options or ("--nthreads", 1)))
    scheduler.started.append(start(*command, **environment))
    return scheduler.started[-1]


def drive(folder, count, workers=0, **environment):
    return start(ROOT / "tests" / "scale" / "cluster_trials.py", folder, count, workers, **environment)


# --- the driver


@pytest.mark.parametrize(
    ("how", "workers"), [(signal.SIGINT, 2), (signal.SIGKILL, 2), (signal.SIGKILL, 0)], ids=["ctrl-c", "kill", "alone"]
)
def test_a_stopped_driver_goes_on_where_it_was(tmp_path, hold, how, workers):
    driver = drive(tmp_path, 6, workers)
    wait(lambda: len(rows(tmp_path)) == 2 and len(log(tmp_path, "start")) == 2 + max(workers, 1))
    driver.send_signal(how)
    assert driver.wait(60) != 0
    pids = {pid for _, pid in log(tmp_path, "start")}
    wait(lambda: not any(psutil.pid_exists(p) and psutil.Process(p).status() != "zombie" for p in pids))
    begun = {x for x, _ in log(tmp_path, "start")}
    hold.unlink()
    assert drive(tmp_path, 6, workers).wait(60) == 0
    assert [row["result"]["square"] for row in sweep.table(tmp_path / "rows")] == [0, 1, 4, 9, 16, 25]
    assert runs(tmp_path, "finish") == dict.fromkeys(range(6), 1)
    assert runs(tmp_path, "start") == {x: 2 if x in begun - {0, 1} else 1 for x in range(6)}


# --- scheduler and workers


def test_a_killed_worker_costs_its_trial_one_more_run_and_nothing_else(tmp_path, hold, scheduler):
    nodes = [worker(scheduler), worker(scheduler)]
    driver = drive(tmp_path, 8, DASK_SCHEDULER_ADDRESS=scheduler.address)
    wait(lambda: len(rows(tmp_path)) == 2 and len(log(tmp_path, "start")) == 4)
    victim = max(log(tmp_path, "start"))
    (node,) = (n for n in nodes if psutil.Process(victim[1]).ppid() == n.pid)
    kill(node)
    hold.unlink()
    assert driver.wait(60) == 0
    assert [row["result"]["square"] for row in sweep.table(tmp_path / "rows")] == [x**2 for x in range(8)]
    assert runs(tmp_path, "finish") == dict.fromkeys(range(8), 1)
    assert runs(tmp_path, "start") == {x: 2 if x == victim[0] else 1 for x in range(8)}
    assert {pid for x, pid in log(tmp_path, "finish") if x > 1} == {
        pid for x, pid in log(tmp_path, "start") if x > 1 and pid != victim[1]
    }


def test_a_killed_scheduler_ends_the_sweep_with_an_error_and_loses_nothing(tmp_path, hold, scheduler):
    worker(scheduler)
    driver = drive(tmp_path, 4, DASK_SCHEDULER_ADDRESS=scheduler.address)
    wait(lambda: len(rows(tmp_path)) == 2 and len(log(tmp_path, "start")) == 3)
    kill(scheduler)
    assert driver.wait(60) == 1
    hold.unlink()
    found = sweep.run(trials.held, trials.configs(tmp_path, 4), tmp_path / "rows")
    assert [row["result"]["square"] for row in found] == [0, 1, 4, 9]
    assert runs(tmp_path, "start")[0] == runs(tmp_path, "start")[1] == 1


@pytest.mark.parametrize(
    ("options", "path", "error", "message"),
    [
        (("--nthreads", 2), PATH, ValueError, "workers must have one thread each .*: 2"),
        (("--nthreads", 1), "", ImportError, "cannot import cluster_trials.held"),
    ],
    ids=["two-threads", "no-trial"],
)
def test_unfit_workers_are_refused(tmp_path, scheduler, options, path, error, message):
    elsewhere = os.pathsep.join(p for p in sys.path if p and not Path(p).is_relative_to(ROOT / "tests"))
    worker(scheduler, *options, PYTHONPATH=path or elsewhere)
    with pytest.raises(error, match=message):
        sweep.run(trials.held, trials.configs(tmp_path, 2), tmp_path / "rows", scheduler=scheduler.address)
    assert rows(tmp_path) == []


def test_a_scheduler_that_is_not_there_is_named(tmp_path):
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(ConnectionError, match="no scheduler answers at tcp:"),
    ):
        sweep.run(trials.held, trials.configs(tmp_path, 2), tmp_path / "rows", scheduler="tcp://127.0.0.1:9")


# --- what comes out


def test_a_trial_that_kills_its_worker_is_recorded_and_its_neighbours_are_not(tmp_path):
    """Of so small a sweep Dask hands all to one worker, and blames all of it for each of the deaths."""
    found = sweep.run(trials.deadly, trials.configs(tmp_path, 3), tmp_path / "rows", workers=1)
    assert found[0]["error"]["type"] == "KilledWorker"
    assert [row.get("result") for row in found] == [None, {}, {}]
    assert runs(tmp_path, "finish") == {1: 1, 2: 1}
    assert sweep.run(trials.deadly, trials.configs(tmp_path, 3), tmp_path / "rows", workers=1) == found


def test_verdicts_do_not_depend_on_the_workers(tmp_path, monkeypatch, scheduler):
    configs = sweep.grid(size=[2, 60], seed=range(6))
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")  # as the page says; with `workers` it need not
    tables = []
    for workers in (None, 1, 2):
        sweep.run(trials.law, configs, tmp_path / str(workers), workers)
        tables.append(sweep.table(tmp_path / str(workers)))
    worker(scheduler)
    sweep.run(trials.law, configs, tmp_path / "cluster", scheduler=scheduler.address)
    tables.append(sweep.table(tmp_path / "cluster"))
    verdicts = [[{**row, "seconds": 0} for row in table] for table in tables]
    assert verdicts[0] == verdicts[1] == verdicts[2] == verdicts[3]
    assert sum("error" in row for row in verdicts[0]) == 2


# --- the page


def test_the_example_of_the_page_prints_what_the_page_shows(tmp_path):
    page = (ROOT / "book" / "scaling.md").read_text(encoding="utf-8")
    for name, code in re.findall(r"```\{code-block\} python\n:caption: (\S+)\n\n(.*?)```", page, re.DOTALL):
        (tmp_path / name).write_text(code, encoding="utf-8")
    (shown,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    for workers in ([], ["2"]):
        command = [sys.executable, "run_trials.py", *workers]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), PATH])}
        environment.pop("DASK_SCHEDULER_ADDRESS", None)
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True, encoding="utf-8")
        assert done.stdout == shown
        for path in (tmp_path / "rows").iterdir():
            path.unlink()
