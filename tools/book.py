"""Run the chapters, build the site, publish a run: the machinery behind `make book`, `make chapters` and `make site`.

A run writes below _build/<tier>/ only:

    notebooks/    the executed chapters, each moved here when it is complete
    unfinished/   the chapters being executed, or those that were stopped, the failed one with its traceback
    results/      what the chapters measured, and costs.json: how long each took
    images/       figures that other pages show
    reports/      pages that stand by themselves
    artifacts/    what was trained in this run
    used/         the artefacts that each chapter asked for, with the seconds of their training and of waiting for it
    state.json    how far the run came
    kernels/      what each kernel said to the terminal, beside what stands in the notebook
"""

import argparse
import hashlib
import json
import math
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from glob import escape
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import nbformat

import claims
import contents
import environment
import pages
from rediscover import store

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
BUILD = ROOT / "_build"
KEPT = ("results", "images", "reports")  # what a run leaves beside its notebooks, and the book keeps
SHIPPED_LIMIT = 25e6  # bytes of artefacts
HEARTBEAT = 30.0  # seconds


# --- run


def run(tier: str, retrain: bool, jobs: int) -> None:
    """Execute every chapter, as many side by side as there are jobs; stop at the first that fails."""
    home, mode = BUILD / tier, "retrain" if retrain and tier == "standard" else tier
    costs, state = read_costs(), start(home, mode)
    todo = [c for c in chapters() if state["finished"].get(c.stem) != fingerprint(c)]
    jobs = min(jobs, len(chapters()))
    known = costs.setdefault(mode, {"chapters": {}})
    announce(mode, todo, known, jobs)

    os.environ.update(REDISCOVER_TIER=tier, REDISCOVER_RETRAIN="0" if mode == "standard" else "1")
    if jobs > 1:  # or every kernel would start threads for all cores
        threads = str(max(1, os.cpu_count() // jobs))
        os.environ.update(TF_NUM_INTRAOP_THREADS=threads, TF_NUM_INTEROP_THREADS=threads)
    costs[mode] = entry = about(known, jobs)
    took, begin, before = {}, time.perf_counter(), state["wall"].get(str(jobs), 0.0)
    appendix = [c for c in todo if c.stem == contents.APPENDIX]
    others = in_order([c for c in todo if c not in appendix], known["chapters"], jobs)

    def keep(whole: bool = False) -> None:
        state["wall"][str(jobs)] = round(before + time.perf_counter() - begin, 1)
        if whole and len(state["wall"]) == 1:  # else other jobs began this run
            entry["wall"] |= state["wall"]
        write_json(home / "results" / "costs.json", costs)
        write_json(home / "state.json", state)

    try:
        for part in (others, appendix):
            with closing(execute(part, home, jobs)) as complete:
                for chapter, seconds in complete:
                    took[chapter.stem] = round(seconds, 1)
                    if jobs == 1:  # beside others it takes longer, and finds trained what it would train by itself
                        cost = {"seconds": took[chapter.stem], "training": training(home, chapter)}
                        entry["chapters"][chapter.stem] = cost | {"cores": os.cpu_count()}
                    state["finished"][chapter.stem] = fingerprint(chapter)
                    keep()
            keep(whole=True)  # before the appendix, which shows it
        state["complete"] = True
    finally:
        keep()
    print(f"\n{mode} run, {jobs} at a time: {state['wall'][str(jobs)] / 60:.1f} minutes")
    for chapter in todo:
        print(f"  {took[chapter.stem]:8.1f} s  {chapter.stem}")


def start(home: Path, mode: str) -> dict:
    """Clear the ground for a run, or pick up an interrupted retraining where it stopped."""
    state = read_json(home / "state.json", {"mode": mode, "complete": True})
    if mode == "retrain" and state["mode"] == mode and not state["complete"]:
        return {"wall": {}} | state
    for path in sorted(home.iterdir()) if home.exists() else []:
        if mode == "standard" and path.name == "artifacts":
            continue  # their keys say whether they still fit
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    state = {"mode": mode, "complete": False, "finished": {}, "wall": {}}
    write_json(home / "state.json", state)
    return state


def announce(mode: str, todo: list[Path], known: dict, jobs: int) -> None:
    """Say what will happen, and how long it took the last time."""
    resumed = len(chapters()) - len(todo)
    print(f"{mode} run of {len(todo)} chapters, {jobs} at a time", end="")
    print(f", after {resumed} that an interrupted run had finished" if resumed else "", end=": ")
    measured = [known["chapters"][c.stem]["seconds"] for c in todo if c.stem in known["chapters"]]
    expected, few = None if resumed else known.get("wall", {}).get(str(jobs)), ""
    if measured and expected is None:
        expected = max(*measured, sum(measured) / jobs)
        few = "" if len(measured) == len(todo) else f" (only {len(measured)} of them were)"
    if expected is None:
        print("not measured yet, so no time can be told", flush=True)
    else:
        print(f"about {expected / 60:.1f} minutes expected, as measured the last time{few}", flush=True)


def about(known: dict, jobs: int) -> dict:
    """What is noted of a run, with the seconds of whole runs by their number of jobs, and those of every chapter.

    A chapter is measured when it runs by itself, with one job; until then stands what is known of it.
    """
    packages = ["numpy", "scipy", "matplotlib", "tensorflow", "keras", "papermill", "jupyter-book"]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "jobs": jobs,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "wall": dict(known.get("wall", {})),
        "chapters": {c.stem: known["chapters"][c.stem] for c in chapters() if c.stem in known["chapters"]},
    }


def in_order(todo: list[Path], known: dict, jobs: int) -> list[Path]:
    """One by one as in the book; side by side first what takes longest, with all that has to wait for it."""
    needs = {chapter: waits_for(chapter) for chapter in todo}

    def ahead(chapter: Path) -> float:
        own = known[chapter.stem]["seconds"] if chapter.stem in known else math.inf
        return own + max((ahead(later) for later in todo if chapter.stem in needs[later]), default=0.0)

    return todo if jobs == 1 else sorted(todo, key=ahead, reverse=True)


def waits_for(chapter: Path) -> set[str]:
    """The earlier chapters that one names in its code: it reads what they recorded, so they have to be complete."""
    cells = nbformat.read(chapter, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    return {c.stem for c in chapters()[: chapters().index(chapter)] if f'"{c.stem}"' in code}


def execute(todo: list[Path], home: Path, jobs: int) -> Iterator[tuple[Path, float]]:
    """Run chapters, in this order if none has to wait; give each that is complete, and its seconds without waiting.

    The first that fails ends the others, and so does an interruption: what was trained by then is kept.
    """
    todo, running = list(todo), {}
    needs, bar = {chapter: waits_for(chapter) for chapter in todo}, jobs == 1 and sys.stderr.isatty()
    again = "; RETRAIN=1 goes on from here" if read_json(home / "state.json")["mode"] == "retrain" else ""

    def at_work() -> str:
        return ", ".join(f"{c.stem} ({time.perf_counter() - began:.0f} s)" for c, (_, began) in running.items())

    said = time.perf_counter()
    try:
        while todo or running:
            missing = {chapter.stem for chapter in [*todo, *running]}
            for chapter in [c for c in todo if not needs[c] & missing][: jobs - len(running)]:
                todo.remove(chapter)
                running[chapter] = launch(chapter, home, bar), time.perf_counter()
                if not bar:
                    print(f"{chapter.stem} ...", flush=True)
            time.sleep(0.05)
            for chapter in [c for c, (process, _) in running.items() if process.poll() is not None]:
                process, began = running.pop(chapter)
                seconds, waited = time.perf_counter() - began, sum(row.waited for row in asked(home, chapter))
                if code := process.returncode:
                    how = "failed" if code > 0 else f"was killed ({signal.Signals(-code).name})"
                    stopped = f"; stopped: {at_work()}" if running else ""
                    what = f"{chapter.stem} {how} after {seconds:.0f} s{stopped}{again}"
                    sys.exit(f"{what}; see {home / 'unfinished' / chapter.name}")
                besides = f", and {waited:.0f} s of waiting for what another one trained" if waited >= 1 else ""
                print(f"{chapter.stem}: {seconds - waited:.0f} s{besides}", flush=True)
                yield chapter, seconds - waited
            if not bar and time.perf_counter() > said + HEARTBEAT:
                said = time.perf_counter()
                print(f"{at_work()} ...", flush=True)
    except KeyboardInterrupt:
        print(f"\ninterrupted: {at_work()}{again}; see {home / 'unfinished'}", file=sys.stderr, flush=True)
        sys.exit(130)
    finally:
        for process, _ in running.values():
            process.stdin.close()  # which ends it, with its kernel
        for process, _ in running.values():
            process.wait()


def launch(chapter: Path, home: Path, bar: bool) -> subprocess.Popen:
    """Start a chapter in a process of its own, which does not hear an interruption at the terminal: see `execute`."""
    used = home / "used" / f"{chapter.stem}.txt"
    used.parent.mkdir(parents=True, exist_ok=True)
    used.unlink(missing_ok=True)  # of a run that was interrupted
    command = [sys.executable, ROOT / "tools" / "chapter.py", chapter, home, *(["--bar"] if bar else [])]
    variables = os.environ | {"REDISCOVER_USED": str(used)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=variables, start_new_session=True)


# --- site


def site(tier: str | None, into: Path) -> Path:
    """Build the site strictly, from a complete run of a tier or from the committed chapters; returns its first page."""
    source = into / "_build" / "site"
    for folder in (source, into / "_build" / "html", into / "_build" / ".doctrees"):
        shutil.rmtree(folder, ignore_errors=True)
    strays = [escape(path.name) for path in BOOK.glob("*.ipynb") if path not in chapters()]
    shutil.copytree(BOOK, source / "book", ignore=shutil.ignore_patterns("artifacts", "sweeps", ".*", *strays))
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, source)
    if tier is not None:
        check_complete(tier)
        for part, target in (("notebooks", "."), *((name, name) for name in KEPT)):
            if (BUILD / tier / part).exists():
                shutil.copytree(BUILD / tier / part, source / "book" / target, dirs_exist_ok=True)
    contents.write(source / "book" / "claims.md", ledger(source / "book", source / "book" / "results"))
    (source / "_static").mkdir()
    shutil.copy(BOOK / "web" / "book.css", source / "_static")
    archive = pages.bundle(source / "book", source)
    mode = "standard" if tier is None else read_json(BUILD / tier / "state.json")["mode"]
    pages.sign(source / "book", mode, read_json(source / "book" / "results" / "costs.json", {}))
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    options = ["-q", "-W", "-n", "--keep-going", "--path-output", into]
    modules = os.environ | {"PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("lib", "tools"))}
    built = subprocess.run([jupyter_book, "build", *options, source], stdout=subprocess.DEVNULL, env=modules)
    if built.returncode:
        sys.exit("the site was not built: see the warnings above, each of which counts as an error")
    pages.finish(into / "_build" / "html")
    shutil.copy(archive, into / "_build" / "html")
    return into / "_build" / "html" / "index.html"


def ledger(notebooks: Path, results: Path) -> str:
    """Judge the claims by the run that is shown, be it the committed one or not."""
    try:
        return claims.page(BOOK / "claims.yml", notebooks, results)
    except ValueError as error:
        sys.exit(f"no ledger of claims: {error}")


# --- publish


def publish() -> None:
    """Write a complete standard run back into book/, with exactly the artefacts that it used."""
    home = BUILD / "standard"
    check_complete("standard")
    shipped = BOOK / "artifacts"
    used = {row.name for chapter in chapters() for row in asked(home, chapter)}
    places = {name: next(p for p in (home / "artifacts", shipped) if (p / name).exists()) for name in used}
    size = sum((place / name).stat().st_size for name, place in places.items())
    if size > SHIPPED_LIMIT:
        sys.exit(f"the run used {size / 1e6:.1f} MB of artefacts; at most {SHIPPED_LIMIT / 1e6:.0f} MB can be shipped")
    page = ledger(home / "notebooks", home / "results")  # may refuse, so before anything is written
    for part, target in (("notebooks", BOOK), *((name, BOOK / name) for name in KEPT)):
        for path in sorted((home / part).glob("*")):
            replace(path, target / path.name)
    contents.write(BOOK / "claims.md", page)
    for name, place in places.items():
        if place != shipped:
            replace(place / name, shipped / name)
    for path in shipped.glob("*.npz"):
        if path.name not in places:
            path.unlink()
    print(f"written to {BOOK}: {len(chapters())} chapters, {len(places)} artefacts of {size / 1e6:.1f} MB in all")


# --- what a run left behind


def chapters() -> list[Path]:
    """The notebooks in the order of the book, but for the appendix: it shows what the others cost, and comes last."""
    return contents.notebooks(ROOT)


def fingerprint(chapter: Path) -> str:
    """Identify what a chapter computes: its cells, without outputs, and what they read: modules, sweeps, web parts."""
    cells = nbformat.read(chapter, as_version=4).cells
    code = [(c.cell_type, c.source, c.metadata.get("tags", []), c.metadata.get("mystnb", {})) for c in cells]
    read = [*sorted((ROOT / "lib" / "rediscover").glob("*.py")), *sorted((BOOK / "sweeps").glob("*.json*"))]
    read += [*sorted(BOOK.glob("*.py")), *sorted((BOOK / "web").glob("trap.*")), *sorted(BOOK.glob("data/*/*.csv"))]
    return hashlib.sha256(
        json.dumps(code, sort_keys=True).encode() + b"".join(p.read_bytes() for p in read)
    ).hexdigest()


def check_complete(tier: str) -> None:
    state = read_json(BUILD / tier / "state.json", {"complete": False, "finished": {}})
    if not state["complete"] or any(state["finished"].get(c.stem) != fingerprint(c) for c in chapters()):
        sys.exit(f"no complete {tier} run of the chapters as they are now: run them first (make book TIER={tier})")


class Asked(NamedTuple):
    """An artefact that a chapter asked for, with the seconds of its training and those that it was waited for."""

    name: str
    seconds: float
    waited: float


def asked(home: Path, chapter: Path) -> list[Asked]:
    path = home / "used" / f"{chapter.stem}.txt"
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    return [Asked(name, float(seconds), float(waited)) for name, seconds, waited in rows]


def training(home: Path, chapter: Path) -> float:
    """Seconds that those artefacts took to train which this chapter is the first in the book to ask for."""
    earlier = {row.name for c in chapters()[: chapters().index(chapter)] for row in asked(home, c)}
    new = {row.name: row.seconds for row in asked(home, chapter) if row.name not in earlier}
    return round(sum(new.values()), 1)


def read_costs() -> dict:
    """Gather the measured costs of each kind of run, chapter by chapter: the shipped ones under those of later runs."""
    costs: dict = {}
    found = [read_json(folder / "results" / "costs.json", {}) for folder in (BOOK, *sorted(BUILD.glob("*")))]
    for entries in found:
        for mode, entry in entries.items():
            old = costs.get(mode, {"date": "", "chapters": {}})
            older, newer = sorted((old, entry), key=lambda e: e["date"])
            joined = {part: older.get(part, {}) | newer.get(part, {}) for part in ("wall", "chapters")}
            costs[mode] = newer | joined
    return costs


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def read_json(path: Path, default: dict | None = None) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() or default is None else default


def write_json(path: Path, values: dict) -> None:
    contents.write(path, json.dumps(values, indent=1) + "\n")


def replace(source: Path, target: Path) -> None:
    """Copy a file so that whoever is stopped half-way leaves the old one."""
    with open(source, "rb") as old, store.atomic_write(target) as new:
        shutil.copyfileobj(old, new)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="execute every chapter")
    running.add_argument("--tier", choices=("smoke", "standard"), default="standard")
    running.add_argument("--retrain", action="store_true", help="without the shipped artefacts; can be interrupted")
    running.add_argument("--jobs", type=int, default=os.cpu_count(), help="chapters side by side; else one a core")
    building = commands.add_parser("site", help="build the site into _build/html")
    building.add_argument(
        "--tier", choices=("smoke", "standard"), help="from this run; else from the committed chapters"
    )
    commands.add_parser("publish", help="write the last standard run back into book/")
    options = parser.parse_args()
    environment.isolate()
    if options.command == "run":
        if options.jobs < 1:
            parser.error(f"--jobs must be at least 1; got {options.jobs}")
        run(options.tier, options.retrain, options.jobs)
    elif options.command == "site":
        print(f"\nopen {site(options.tier, ROOT)}")
    else:
        publish()


if __name__ == "__main__":
    main()
