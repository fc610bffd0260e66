"""Time the simulator, the networks and the fit of a law beside their peers, and how costs grow: `make bench`.

By name only, for a machine with a GPU: `make bench NAMES=accelerator`.
"""

import argparse
import os
from dataclasses import asdict
from pathlib import Path

import accelerator
import fitting
import growth
import simulator
import training

from rediscover import store

RESULTS = Path(__file__).resolve().parents[1] / "book" / "results"


def main() -> None:
    """Print what is measured; RECORD=1 keeps it for the appendix."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    known = ("simulator", "training", "fitting", "growth")
    parser.add_argument(
        "names", nargs="*", choices=[*known, "accelerator", []], help="which parts; all if none is named"
    )
    names = parser.parse_args().names or known
    if names == ["accelerator"]:
        accelerate()
        return
    kept = {"cores": os.cpu_count(), "versions": store.library_versions(), "compared": [], "growth": []}
    for part in (simulator, training, fitting):
        for found in part.compare() if part.__name__ in names else ():
            print(found, flush=True)
            numbers = {"ratio": round(found.ratio, 3), "met": found.met}
            kept["compared"].append({"part": part.__name__} | asdict(found) | numbers)
    for part in (growth, fitting):
        for row in part.grow() if part.__name__ in names else ():
            print(
                f"{row['what']:10}  {row['axis']:16} {row['value']:6}  {row['ms']:10.2f} ms  {row['MB']:6} MB",
                flush=True,
            )
            kept["growth"].append({"part": part.__name__} | row)
    kept["exponents"] = growth.exponents(kept["growth"])
    for what, slopes in kept["exponents"].items():
        print(what, ", ".join(f"{axis}^{slope}" for axis, slope in slopes.items()))
    if os.environ.get("RECORD") == "1":
        print(store.record("bench", with_others(kept, names), RESULTS))


def with_others(kept: dict, names: list[str]) -> dict:
    """Add what was recorded earlier of the parts that were not measured now."""
    try:
        before = store.results("bench", RESULTS)
    except FileNotFoundError:
        return kept
    both = {}
    for key in ("compared", "growth"):
        # rows of the first records name no part: all growth was that of trainings
        others = [row for row in before.get(key, []) if row.get("part", "growth") not in names]
        # what grows stays in one order, whichever part was measured last: the figure's columns follow it
        both[key] = sorted(others + kept[key], key=lambda row: row.get("part", "growth") == "fitting")
    return kept | both | {"exponents": growth.exponents(both["growth"])}


def accelerate() -> None:
    """Print what `accelerator` measures, and keep it likewise."""
    kept = {"device": accelerator.apart(accelerator.device), "cores": os.cpu_count()}
    kept |= {"seconds": accelerator.apart(accelerator.chapter), "members": []}
    print(kept["device"], kept["seconds"], flush=True)
    for row in accelerator.members():
        print(f"{row['what']:10}  {row['members']:6} members  {row['ms']:10.2f} ms", flush=True)
        kept["members"].append(row)
    kept["free"] = accelerator.free(kept["members"])
    print("free members:", kept["free"])
    if os.environ.get("RECORD") == "1":
        print(store.record("accelerator", kept, RESULTS))


if __name__ == "__main__":
    main()
