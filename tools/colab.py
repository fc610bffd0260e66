"""Run every chapter as Google Colab would: its versions, the notebook alone in an empty folder, the book from a clone.

Writes _build/colab/report.json: seconds a chapter, versions, and whether the limit of ten minutes was kept.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

import pages
import stamp

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "_build" / "colab"
LIMIT = 600  # seconds a chapter
# What Colab had in November 2026 of the packages that the chapters import; the rest follows from these.
VERSIONS = {
    "tensorflow": "2.20.0", "keras": "3.13.2", "numpy": "2.1.3", "scipy": "1.16.3", "matplotlib": "3.10.7",
    "ipython": "7.34.0", "ipykernel": "6.17.1", "scikit-learn": "1.6.1", "tqdm": "4.67.1",
}  # fmt: skip
RUNNER = ["nbclient==0.10.2", "nbformat==5.10.4"]  # Colab's own front end in real life


def prepare(python: str) -> Path:
    """A fresh environment that looks like Colab's to a notebook; returns its interpreter."""
    shutil.rmtree(HOME, ignore_errors=True)
    subprocess.run([python, "-m", "venv", HOME / "venv"], check=True)
    inside = HOME / "venv" / "bin" / "python"
    pins = [f"{name}=={version}" for name, version in VERSIONS.items()]
    subprocess.run([inside, "-m", "pip", "install", "--disable-pip-version-check", "-q", *pins, *RUNNER], check=True)
    where = subprocess.check_output([inside, "-c", "import site; print(site.getsitepackages()[0])"], text=True)
    packages = Path(where.strip())
    (packages / "google" / "colab").mkdir(parents=True)
    (packages / "google" / "colab" / "__init__.py").touch()
    (packages / "colab_at_start.pth").write_text("import google.colab\n")  # Colab's kernel has it loaded
    return inside


def run(inside: Path, chapter: Path, address: str) -> float:
    """Run one notebook alone in an empty folder; returns the seconds that it took, or raises what failed."""
    folder = Path(tempfile.mkdtemp())  # not below the book, or the notebook would find it without a clone
    notebook, line = nbformat.read(chapter, as_version=4), f'REPOSITORY, REVISION = "{address}", "main"'
    for cell in notebook.cells:
        cell.source = stamp.CELL.sub(line, cell.source)
    nbformat.write(notebook, folder / chapter.name)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("REDISCOVER", "TF_", "PYTHON"))}
    begin = time.perf_counter()
    command = [inside.with_name("jupyter-execute"), "--inplace", f"--timeout={LIMIT}", chapter.name]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    seconds, done = time.perf_counter() - begin, nbformat.read(folder / chapter.name, as_version=4)
    code = [cell for cell in done.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), f"{chapter.stem} did not run"
    assert (folder / pages.NAME / "lib").is_dir(), f"{chapter.stem} did not fetch the book"
    shutil.rmtree(folder)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", default="python3")
    parser.add_argument("names", nargs="*", help="chapters, by the beginning of their names; all if none is named")
    options = parser.parse_args()
    inside = prepare(options.python)
    origin = HOME / "origin.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", ROOT, origin], check=True)
    # its main is what is checked out here, on whatever branch
    subprocess.run(["git", "-C", origin, "update-ref", "refs/heads/main", "HEAD"], check=True)
    report = {
        "python": subprocess.check_output([inside, "-V"], text=True).split()[1],
        "versions": VERSIONS,
        "seconds": {},
    }
    chapters = [p for p in sorted((ROOT / "book").glob("*.ipynb")) if p.stem != "how_it_was_made"]
    for chapter in chapters:
        if not options.names or chapter.stem.startswith(tuple(options.names)):
            report["seconds"][chapter.stem] = round(run(inside, chapter, origin.as_uri()), 1)
            print(f"{chapter.stem}: {report['seconds'][chapter.stem]:.0f} s", flush=True)
    (HOME / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    slow = [name for name, seconds in report["seconds"].items() if seconds > LIMIT]
    sys.exit(f"slower than {LIMIT} s: {', '.join(slow)}" if slow else 0)


if __name__ == "__main__":
    main()
