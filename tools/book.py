"""Run the chapters, build the site, publish a run: the machinery behind `make book`, `make chapters` and `make site`.

A run writes below _build/<tier>/ only:

    notebooks/    the executed chapters, each moved here when it is complete
    unfinished/   the chapter being executed, or the one that failed, with its traceback
    results/      what the chapters measured, and costs.json: how long each took
    images/       figures that other pages show
    artifacts/    what was trained in this run
    used.txt      the artefacts that the chapters asked for, with their training time in seconds
    state.json    how far the run came
    kernels.txt   what the kernels said to the terminal, beside what stands in the notebooks
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import contextmanager
from datetime import UTC, datetime
from glob import escape
from importlib import metadata
from pathlib import Path

import nbformat
import papermill

import claims
import contents
import environment
import pages
from rediscover import store

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
BUILD = ROOT / "_build"
SHIPPED_LIMIT = 20e6  # bytes of artefacts
TIMEOUT = 3600  # seconds a cell
# What TensorFlow says on stderr when it compiles for the first time; no environment variable silences it.
XLA = re.compile(
    r"(WARNING: All log messages before absl.*\n|[IWE]\d{4} .*(XLA|cluster|device_compiler|service\.cc).*\n)+"
)


# --- run


def run(tier: str, retrain: bool) -> None:
    """Execute every chapter; stop at the first that fails."""
    home, mode = BUILD / tier, "retrain" if retrain and tier == "standard" else tier
    costs = read_costs()
    state = start(home, mode)
    todo = [c for c in chapters() if state["finished"].get(c.stem) != fingerprint(c)]
    announce(mode, todo, costs.get(mode, {}).get("chapters", {}), resumed=len(chapters()) - len(todo))

    os.environ.update(REDISCOVER_TIER=tier, REDISCOVER_RETRAIN="0" if mode == "standard" else "1")
    packages = ["numpy", "scipy", "matplotlib", "tensorflow", "keras", "papermill", "jupyter-book"]
    costs[mode] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "chapters": {c.stem: costs[mode]["chapters"][c.stem] for c in chapters() if c not in todo},
    }
    for chapter in todo:
        write_json(home / "results" / "costs.json", costs)
        before, begin = used(home), time.perf_counter()
        execute(chapter, home)
        seconds, asked = time.perf_counter() - begin, used(home)
        training = sum(asked[name] for name in asked.keys() - before.keys())
        costs[mode]["chapters"][chapter.stem] = {"seconds": round(seconds, 1), "training": round(training, 1)}
        state["finished"][chapter.stem] = fingerprint(chapter)
        write_json(home / "state.json", state)
        print(f"{chapter.stem}: {seconds:.0f} s", flush=True)
    write_json(home / "results" / "costs.json", costs)
    write_json(home / "state.json", state | {"complete": True})
    total = sum(entry["seconds"] for entry in costs[mode]["chapters"].values())
    print(f"\n{mode} run of {len(chapters())} chapters: {total / 60:.1f} minutes")
    for name, entry in costs[mode]["chapters"].items():
        print(f"  {entry['seconds']:8.1f} s  {name}")


def start(home: Path, mode: str) -> dict:
    """Clear the ground for a run, or pick up an interrupted retraining where it stopped."""
    state = read_json(home / "state.json", {"mode": mode, "complete": False, "finished": {}})
    if mode == "retrain" and state["mode"] == mode and not state["complete"]:
        return state
    for path in sorted(home.iterdir()) if home.exists() else []:
        if mode == "standard" and path.name == "artifacts":
            continue  # their keys say whether they still fit
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    state = {"mode": mode, "complete": False, "finished": {}}
    write_json(home / "state.json", state)
    return state


def announce(mode: str, todo: list[Path], known: dict, resumed: int) -> None:
    """Say what will happen, and how long it took the last time."""
    print(f"{mode} run of {len(todo)} chapters", end="")
    print(f", after {resumed} that an interrupted run had finished" if resumed else "", end=": ")
    measured = [known[c.stem]["seconds"] for c in todo if c.stem in known]
    if not measured:
        print("not measured yet, so no time can be told", flush=True)
        return
    print(f"about {sum(measured) / 60:.1f} minutes expected, as measured the last time", end="")
    print("" if len(measured) == len(todo) else f" (only {len(measured)} of them were)", flush=True)


def execute(chapter: Path, home: Path) -> None:
    """Run one chapter with papermill, and keep its notebook only if it came to the end."""
    unfinished, target = home / "unfinished" / chapter.name, home / "notebooks" / chapter.name
    for folder in (unfinished.parent, target.parent):
        folder.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    try:
        with heartbeat(chapter.stem), aside(home / "kernels.txt"):
            papermill.execute_notebook(
                str(chapter),
                str(unfinished),
                kernel_name="python3",
                cwd=str(BOOK),
                execution_timeout=TIMEOUT,
                progress_bar={"desc": chapter.stem} if sys.stderr.isatty() else False,
            )
    except (Exception, KeyboardInterrupt) as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        what = (
            f"{chapter.stem} {'was interrupted' if interrupted else 'failed'} after {time.perf_counter() - begin:.0f} s"
        )
        again = "; RETRAIN=1 goes on from here" if read_json(home / "state.json")["mode"] == "retrain" else ""
        print(f"{error}\n{what}{again}; see {unfinished}", file=sys.stderr, flush=True)
        if interrupted:
            os._exit(130)  # at once: what asyncio says of the tasks left behind would bury the line above
        sys.exit(1)
    done = clean(nbformat.read(unfinished, as_version=4))
    if lost := without_picture(done):
        sys.exit(f"{chapter.stem} has a caption but no picture in {', '.join(lost)}; see {unfinished}")
    contents.write(target, nbformat.writes(done).rstrip("\n") + "\n")
    unfinished.unlink()


def without_picture(notebook: nbformat.NotebookNode) -> list[str]:
    """Cells that promise a figure and show none, as if drawn for no screen; each by its name."""
    lost = []
    for number, cell in enumerate(notebook.cells, 1):
        figure = cell.metadata.get("mystnb", {}).get("figure")
        kinds = [kind for output in cell.get("outputs", []) for kind in output.get("data", {})]
        if figure and not any(kind.startswith("image/") for kind in kinds):
            lost.append(f"cell {number} ({figure.get('name', 'without a name')})")
    return lost


@contextmanager
def heartbeat(name: str, every: float = 30.0):
    """Where no progress bar can be drawn, show a sign of life now and then."""
    done, begin = threading.Event(), time.perf_counter()

    def beat() -> None:
        while not done.wait(every):
            print(f"{name}: {time.perf_counter() - begin:.0f} s ...", flush=True)

    if not sys.stderr.isatty():
        print(f"{name} ...", flush=True)
        threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        done.set()


@contextmanager
def aside(path: Path):
    """Give what a kernel says to the terminal a file of its own: TensorFlow repeats there what the notebook shows."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with open(path, "ab") as file, os.fdopen(terminal, "w", encoding="utf-8", buffering=1) as stderr:
        os.dup2(file.fileno(), 2)
        sys.stderr, old = stderr, sys.stderr
        try:
            yield
        finally:
            sys.stderr = old
            os.dup2(terminal, 2)


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop what differs from run to run or machine to machine: times, versions, the runner's own notes."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {k: cell.metadata[k] for k in ("mystnb", "tags") if cell.metadata.get(k)}
        if cell.cell_type == "code":
            cell.outputs = joined(o for o in cell.outputs if not (o.get("name") == "stderr" and XLA.fullmatch(o.text)))
    return notebook


def joined(outputs: Iterable[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Put together what a cell printed at once: on a busy machine one line may arrive in two pieces."""
    whole: list = []
    for output in outputs:
        if whole and output.output_type == "stream" == whole[-1].output_type and output.name == whole[-1].name:
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


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
        for part, target in (("notebooks", "."), ("results", "results"), ("images", "images")):
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
    if subprocess.run([jupyter_book, "build", *options, source], stdout=subprocess.DEVNULL).returncode:
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
    places = {name: next(p for p in (home / "artifacts", shipped) if (p / name).exists()) for name in used(home)}
    size = sum((place / name).stat().st_size for name, place in places.items())
    if size > SHIPPED_LIMIT:
        sys.exit(f"the run used {size / 1e6:.1f} MB of artefacts; at most {SHIPPED_LIMIT / 1e6:.0f} MB can be shipped")
    page = ledger(home / "notebooks", home / "results")  # may refuse, so before anything is written
    for part, target in (("notebooks", BOOK), ("results", BOOK / "results"), ("images", BOOK / "images")):
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
    """The notebooks, in the order in which they run: the appendix, which shows what the others cost, comes last."""
    return contents.notebooks(ROOT)


def fingerprint(chapter: Path) -> str:
    """Identify what a chapter computes: its cells, without outputs, and what they read: modules, sweeps, web parts."""
    cells = nbformat.read(chapter, as_version=4).cells
    code = [(c.cell_type, c.source, c.metadata.get("tags", []), c.metadata.get("mystnb", {})) for c in cells]
    read = [*sorted((ROOT / "lib" / "rediscover").glob("*.py")), *sorted((BOOK / "sweeps").glob("*.json*"))]
    read += [*sorted(BOOK.glob("*.py")), *sorted((BOOK / "web").glob("trap.*"))]
    return hashlib.sha256(
        json.dumps(code, sort_keys=True).encode() + b"".join(p.read_bytes() for p in read)
    ).hexdigest()


def check_complete(tier: str) -> None:
    state = read_json(BUILD / tier / "state.json", {"complete": False, "finished": {}})
    if not state["complete"] or any(state["finished"].get(c.stem) != fingerprint(c) for c in chapters()):
        sys.exit(f"no complete {tier} run of the chapters as they are now: run them first (make book TIER={tier})")


def used(home: Path) -> dict[str, float]:
    path = home / "used.txt"
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    return {name: float(seconds) for name, seconds in rows}


def read_costs() -> dict:
    """Gather the measured costs of each kind of run, chapter by chapter: the shipped ones under those of later runs."""
    costs: dict = {}
    found = [read_json(folder / "results" / "costs.json", {}) for folder in (BOOK, *sorted(BUILD.glob("*")))]
    for entries in found:
        for mode, entry in entries.items():
            old = costs.get(mode, {"date": "", "chapters": {}})
            older, newer = sorted((old, entry), key=lambda e: e["date"])
            costs[mode] = {**newer, "chapters": {**older["chapters"], **newer["chapters"]}}
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
    building = commands.add_parser("site", help="build the site into _build/html")
    building.add_argument(
        "--tier", choices=("smoke", "standard"), help="from this run; else from the committed chapters"
    )
    commands.add_parser("publish", help="write the last standard run back into book/")
    options = parser.parse_args()
    environment.isolate()
    if options.command == "run":
        run(options.tier, options.retrain)
    elif options.command == "site":
        print(f"\nopen {site(options.tier, ROOT)}")
    else:
        publish()


if __name__ == "__main__":
    main()
