"""Run the sweeps of chapters 09 and 13 and pack their rows into book/sweeps: the machinery behind `make sweeps`.

Rows are kept below _build/sweeps as they arrive, so that an interrupted run goes on where it stopped. It begins with
the rows that are shipped, as far as their recipes are today's; with --retrain it begins with none. Several names run
one after the other; nothing is packed before all trials of a sweep are there. The name `growth` times how cost
grows with trials and workers: small trials, each time from nothing, on a machine that should have nothing else to do.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import panel
import users
from rediscover import store, sweep

ROOT = Path(__file__).resolve().parents[1]
FRESH = 6  # trials of a worker before it is replaced: compiled training steps stay in the memory of a process
SMALL = {"law": panel.WAVE, "chains": [2000, 200], "epochs": 4, "scans": [["quadratic", "linear", [2]]], "steps": 400}


def module(name: str):
    """Where a sweep belongs: its module has `SWEEPS`, what is done with a configuration, and its `RECIPES`."""
    return next(module for module in (panel, users) if name in module.SWEEPS)


def run(name: str, workers: int | None, retrain: bool = False, home: Path = ROOT) -> Path:
    of = module(name)
    configs, folder = of.SWEEPS[name], home / "_build" / "sweeps" / name
    packed = home / "book" / "sweeps" / f"{name}.jsonl"
    if not retrain and packed.exists():
        print(f"{name}: {sweep.unpack(packed, folder)} shipped rows to go on from", flush=True)
    size, stays = FRESH * (workers or 1), {"name": of.TRIAL, "recipe": of.RECIPES}
    for last in range(size, len(configs) + size, size):
        rows = sweep.run(of.investigate, configs[:last], folder, workers, **stays)
    failed, hours = sum("error" in row for row in rows), sum(row["seconds"] for row in rows) / 3600
    print(f"{name}: {len(rows)} trials, {failed} failed, {hours:.2f} core-hours")
    return sweep.pack(rows, packed)


def growth(counts: tuple[int, ...] = (2, 4, 8), workers: tuple[int, ...] = (1, 2), home: Path = ROOT) -> Path:
    timed = []
    for several in workers:
        for n in counts:
            with tempfile.TemporaryDirectory() as folder:
                begin = time.perf_counter()
                rows = sweep.run(panel.investigate, [SMALL | {"seed": seed} for seed in range(n)], folder, several)
                seconds = time.perf_counter() - begin
            busy = sum(row["seconds"] for row in rows)
            timed.append({"workers": several, "trials": n, "seconds": round(seconds, 1), "in_trials": round(busy, 1)})
            print(timed[-1], flush=True)
    path = home / "book" / "sweeps" / "growth.json"
    about = {"trial": SMALL, "cores": os.cpu_count(), "versions": store.library_versions(), "timed": timed}
    with store.atomic_write(path) as file:
        file.write(f"{json.dumps(about, indent=1)}\n".encode())
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    known = [*panel.SWEEPS, *users.SWEEPS, "growth"]
    parser.add_argument("names", nargs="*", help=f"which ones of {', '.join(known)}; all if none is named")
    parser.add_argument("--workers", type=int, default=None, help="processes; without, one after the other in this one")
    parser.add_argument("--retrain", action="store_true", help="do not go on from the rows that are shipped")
    options = parser.parse_args()
    if unknown := set(options.names) - set(known):
        parser.error(f"there is no sweep {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    for name in options.names or known:
        packed = growth() if name == "growth" else run(name, options.workers, options.retrain)
        print(f"packed in {packed}", flush=True)


if __name__ == "__main__":
    main()
