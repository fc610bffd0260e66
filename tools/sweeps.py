"""Run the sweeps of chapter 07 and pack their rows into book/sweeps: the machinery behind `make sweeps`.

Rows are kept below _build/sweeps as they arrive, so that an interrupted run goes on where it stopped. Several names
run one after the other; nothing is packed before all trials of a sweep are there.
"""

import argparse
from pathlib import Path

from rediscover import sweep, trials

FRESH = 6  # trials of a worker before it is replaced: compiled training steps stay in the memory of a process
ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", default=list(trials.SWEEPS), help="which sweeps; all if none is named")
    parser.add_argument("--workers", type=int, default=None, help="processes; without, one after the other in this one")
    options = parser.parse_args()
    for name in options.names:
        configs, folder = trials.SWEEPS[name], ROOT / "_build" / "sweeps" / name
        size = FRESH * (options.workers or 1)
        for first in range(0, len(configs), size):
            rows = sweep.run(trials.investigate, configs[: first + size], folder, options.workers)
        failed = sum("error" in row for row in rows)
        hours = sum(row["seconds"] for row in rows) / 3600
        packed = sweep.pack(rows, ROOT / "book" / "sweeps" / f"{name}.jsonl")
        print(f"{name}: {len(rows)} trials, {failed} failed, {hours:.2f} core-hours, in {packed.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
