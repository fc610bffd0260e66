"""Run the sweeps of chapter 07 and pack their rows into book/sweeps: the machinery behind `make sweeps`.

Rows are kept below _build/sweeps as they arrive, so that an interrupted run goes on where it stopped. Several names
run one after the other; nothing is packed before all trials of a sweep are there.
"""

import argparse
from pathlib import Path

from rediscover import sweep, trials

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", default=list(trials.SWEEPS), help="which sweeps; all if none is named")
    parser.add_argument("--workers", type=int, default=None, help="processes; without, one after the other in this one")
    options = parser.parse_args()
    for name in options.names:
        rows = sweep.run(trials.investigate, trials.SWEEPS[name], ROOT / "_build" / "sweeps" / name, options.workers)
        failed = sum("error" in row for row in rows)
        hours = sum(row["seconds"] for row in rows) / 3600
        print(f"{name}: {len(rows)} trials, {failed} failed, {hours:.2f} hours")


if __name__ == "__main__":
    main()
