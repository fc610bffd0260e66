"""Trials that write down when they start and finish, can be held half-way, and can take their worker down.

Run as a script it is the driver of a sweep: folder, number of trials, and workers or nothing.
"""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np


def note(config, event):
    line = f"{event} {config['x']} {os.getpid()}\n"
    log = os.open(Path(config["diary"]) / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, line.encode())  # in one piece, whoever else writes
    os.close(log)


def held(config):
    """Take the time until the file `hold` is gone, but for trials 0 and 1."""
    note(config, "start")
    while config["x"] > 1 and (Path(config["diary"]) / "hold").exists():
        time.sleep(0.01)
    note(config, "finish")
    return {"square": config["x"] ** 2}


def deadly(config):
    note(config, "start")
    if config["x"] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    note(config, "finish")
    return {}


def law(config):
    """Something with digits: the growth of a random product of matrices."""
    if config["seed"] == 3:
        raise ArithmeticError("no growth")
    steps = np.random.default_rng(config["seed"]).normal(size=(200, config["size"], config["size"]))
    state, growth = np.ones(config["size"]), 0.0
    for step in steps:
        state = step @ state
        growth += np.log(norm := np.linalg.norm(state))
        state /= norm
    return {"growth": growth / len(steps), "threads": os.environ.get("TF_NUM_INTRAOP_THREADS")}


def configs(diary, count):
    return [{"x": x, "diary": str(diary)} for x in range(count)]


if __name__ == "__main__":
    import cluster_trials  # this module again, under the name by which workers know it

    from rediscover import sweep

    diary, count, workers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) or None
    sweep.run(cluster_trials.held, configs(diary, count), diary / "rows", workers)
