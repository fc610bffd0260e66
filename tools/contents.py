"""What belongs to the book: its pages by _toc.yml, its files by git. What else lies in book/ is nobody's chapter."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from sphinx_external_toc.parsing import parse_toc_yaml

import environment
from rediscover import store

ROOT = Path(__file__).resolve().parents[1]
# What one needs to read, run and change the book, where no git says it: for one, in the download.
FILES = [".gitattributes", ".gitignore", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "Makefile"]
FILES += ["README.md", "_config.yml", "_toc.yml", "conftest.py", "pyproject.toml", "requirements.txt"]
FOLDERS = [".ci", ".github", "benchmarks", "book", "lib", "tests", "tools"]
APPENDIX = "how_it_was_made"  # shows what the other chapters cost
MADE = ("__pycache__", ".egg-info", ".ipynb_checkpoints", ".DS_Store")


def pages(root: Path = ROOT) -> list[Path]:
    """Every page, in the order of the book."""
    names = [root / page for page in parse_toc_yaml(root / "_toc.yml")]
    return [next((p for p in (Path(f"{n}.ipynb"), Path(f"{n}.md")) if p.exists()), n) for n in names]


def notebooks(root: Path = ROOT) -> list[Path]:
    """The pages that run, in the order of the book, but for the appendix, which has to come last."""
    found = [page for page in pages(root) if page.suffix == ".ipynb"]
    return sorted(found, key=lambda path: path.stem == APPENDIX)


def files(root: Path = ROOT) -> list[Path]:
    """All files of the book: what git tracks, or without it what the lists above name."""
    if (root / ".git").exists() and shutil.which("git"):  # a repository above knows nothing of the book
        git = subprocess.run(["git", "-C", root, "ls-files", "-z"], env=environment.isolated(), capture_output=True)
        if git.returncode == 0:
            return [path for name in git.stdout.split(b"\0") if (path := root / os.fsdecode(name)).is_file()]
        said = git.stderr.decode("utf-8", "replace").strip()
        print(f"git does not tell the files of the book, so they are taken from a list: {said}", file=sys.stderr)
    inside = [path for name in FOLDERS for path in sorted((root / name).rglob("*"))]
    return [path for path in [root / name for name in FILES] + inside if path.is_file() and belongs(path, root)]


def write(path: Path, text: str) -> None:
    """Write a text that appears under its name only when it is complete."""
    with store.atomic_write(path) as file:
        file.write(text.encode("utf-8"))


def belongs(path: Path, root: Path) -> bool:
    """Whether a file is one of the book's rather than left by a run or an editor."""
    at_home = path.parent in (root / "book", root / "book" / "reference")  # where pages are
    stray = at_home and path.suffix in (".ipynb", ".md") and path not in pages(root)
    return not stray and not any(part.endswith(MADE) for part in path.relative_to(root).parts)
