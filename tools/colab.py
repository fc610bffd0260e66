"""Run every chapter as Google Colab would: its versions, the notebook alone in an empty folder, the book from a clone.

Measures the seconds that each takes, against a limit of ten minutes; RECORD=1 keeps them in book/results.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

import contents
import environment
import pages
import stamp
from rediscover import store

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "_build" / "colab"
LIMIT = 300  # seconds a chapter
# What Colab had in November 2026 of the packages that the chapters import; the rest follows from these.
VERSIONS = {
    "tensorflow": "2.20.0", "keras": "3.13.2", "numpy": "2.1.3", "scipy": "1.16.3", "matplotlib": "3.10.7",
    "filelock": "3.20.0", "ipython": "7.34.0", "ipykernel": "6.17.1", "scikit-learn": "1.6.1", "tqdm": "4.67.1",
}  # fmt: skip
RUNNER = ["nbclient==0.10.2", "nbformat==5.10.4"]  # Colab's own front end in real life
PYTHONS = ["python3.13", "python3.12", "python3.11", "python3"]  # Colab's own, and the nearest to it


def nearest() -> str:
    """The first of PYTHONS that is on this machine, and starts."""
    there = filter(None, map(shutil.which, PYTHONS))
    return next(path for path in there if not subprocess.run([path, "-V"], capture_output=True).returncode)


def prepare(python: str) -> Path:
    """A fresh environment that looks like Colab's to a notebook; returns its interpreter."""
    shutil.rmtree(HOME, ignore_errors=True)
    subprocess.run([python, "-m", "venv", HOME / "venv"], check=True)
    inside = HOME / "venv" / "bin" / "python"
    pins = [f"{name}=={version}" for name, version in VERSIONS.items()]
    subprocess.run([inside, "-m", "pip", "install", "--disable-pip-version-check", "-q", *pins, *RUNNER], check=True)
    where = subprocess.check_output([inside, "-c", "import site; print(site.getsitepackages()[0])"], encoding="utf-8")
    packages = Path(where.strip())
    (packages / "google" / "colab").mkdir(parents=True)
    (packages / "google" / "colab" / "__init__.py").touch()
    # Colab's kernel has it loaded
    (packages / "colab_at_start.pth").write_text("import google.colab\n", encoding="utf-8")
    return inside


def run(inside: Path, chapter: Path, address: str) -> float:
    """Run one notebook alone in an empty folder; returns the seconds that it took, or raises what failed."""
    notebook, line = nbformat.read(chapter, as_version=4), f'REPOSITORY, REVISION = "{address}", "main"'
    for cell in notebook.cells:
        cell.source = stamp.CELL.sub(line, cell.source)
    ours = ("REDISCOVER", *environment.SETTINGS)
    bare = {k: v for k, v in environment.isolated().items() if not k.startswith(ours)}
    bare["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # or the debugger says at every start that it is there
    with tempfile.TemporaryDirectory() as name:  # not below the book, or it would be found without a clone
        folder = Path(name)
        nbformat.write(notebook, folder / chapter.name)
        begin = time.perf_counter()
        command = [inside.with_name("jupyter-execute"), "--inplace", f"--timeout={LIMIT}", chapter.name]
        subprocess.run(command, cwd=folder, env=bare, check=True)
        seconds, done = time.perf_counter() - begin, nbformat.read(folder / chapter.name, as_version=4)
        code = [cell for cell in done.cells if cell.cell_type == "code"]
        assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), f"{chapter.stem} did not run"
        assert (folder / pages.NAME / "lib").is_dir(), f"{chapter.stem} did not fetch the book"
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--python", type=os.path.expanduser, help="the interpreter to use; else the nearest to Colab's that is here"
    )
    parser.add_argument("names", nargs="*", help="chapters, by the beginning of their names; all if none is named")
    options = parser.parse_args()
    origin, copy = HOME / "origin.git", HOME / "copy"
    chapters = [p for p in contents.notebooks() if p.stem != contents.APPENDIX]
    chosen = [p for p in chapters if not options.names or p.stem.startswith(tuple(options.names))]
    if not chosen:
        parser.error(
            f"no chapter begins with {' or '.join(options.names)}; there are {', '.join(p.stem for p in chapters)}"
        )
    inside = prepare(options.python or nearest())
    for words in (
        ["clone", "--quiet", "--bare", ROOT, origin],
        ["-C", origin, "update-ref", "refs/heads/main", "HEAD"],  # what is checked out here, on whatever branch
        ["clone", "--quiet", "--branch", "main", origin, copy],
    ):
        subprocess.run(["git", *words], env=environment.isolated(), check=True)
    seconds = {}
    for chapter in chosen:
        seconds[chapter.stem] = round(run(inside, copy / "book" / chapter.name, origin.as_uri()), 1)
        print(f"{chapter.stem}: {seconds[chapter.stem]:.0f} s", flush=True)
    slow = [name for name, took in seconds.items() if took > LIMIT]
    python = subprocess.check_output([inside, "-V"], encoding="utf-8").split()[1]
    keep = os.environ.get("RECORD") == "1" and chosen == chapters and not slow
    report = {"python": python, "packages": VERSIONS, "cores": os.cpu_count(), "limit": LIMIT, "seconds": seconds}
    print(store.record("colab", report, ROOT / "book" / "results" if keep else HOME))
    sys.exit(f"slower than {LIMIT} s: {', '.join(slow)}" if slow else 0)


if __name__ == "__main__":
    main()
