"""The runner (tools/book.py) on a book of two tiny chapters: what a run writes, keeps, resumes and publishes."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import pytest

pytestmark = pytest.mark.notebooks

ROOT = Path(__file__).resolve().parents[2]
FIRST = """import os, sys
sys.path.insert(0, "../lib")
import numpy as np
from rediscover import store
steps = 1 if store.current().tier == "smoke" else 2
found = store.load_or_train({"kind": "demo", "seed": 0, "recipe": 1, "steps": steps}, lambda: {"w": np.ones(steps)})
store.record("01_first", {"fresh": found.fresh, "steps": steps})"""
SECOND = "print(6 * 7)"
CLAIMS = """
claims:
- id: steps
  claim: Two steps are taken.
  evidence: [{what: steps, every: 01_first / steps, band: "== 2", cell: 01_first / Chapter 01_first}]
"""
FIGURE = {"mystnb": {"figure": {"name": "fig-one", "caption": "A line."}}}
DRAWN = """import os, matplotlib.pyplot as plt
os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n")
plt.plot([0, 1])
plt.show()"""
# What a reader may have set for other work: two outputs of the cell more, formulas by a LaTeX that may be absent.
HABITS = {
    ".ipython/profile_default/ipython_config.py": "get_config().InteractiveShell.ast_node_interactivity = 'all'\n",
    ".config/matplotlib/matplotlibrc": "text.usetex: True\n",
}
BROKEN = "raise RuntimeError('the second chapter broke')"


@pytest.fixture
def book(tmp_path):
    """A committed book with two chapters, as small as it can be."""
    (tmp_path / "lib").mkdir()
    shutil.copytree(
        ROOT / "lib" / "rediscover", tmp_path / "lib" / "rediscover", ignore=shutil.ignore_patterns("__py*")
    )
    for name in ("tools", "book/web"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__py*"))
    for name in (".gitignore", "_config.yml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/01_first\nchapters: [{file: book/02_second}, {file: book/claims}]\n",
        encoding="utf-8",
    )
    write(tmp_path, "01_first", FIRST)
    write(tmp_path, "02_second", SECOND)
    (tmp_path / "book" / "references.bib").touch()
    (tmp_path / "book" / "artifacts").mkdir()  # by which the library knows the book
    (tmp_path / "book" / "claims.yml").write_text(CLAIMS, encoding="utf-8")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "-c", "user.name=reader", "-c", "user.email=reader@example.org", "commit", "-q", "-m", "book")
    return tmp_path


def write(root, name, source, **metadata):
    (root / "book").mkdir(exist_ok=True)
    code = nbformat.v4.new_code_cell(source, metadata=metadata)
    cells = [nbformat.v4.new_markdown_cell(f"# Chapter {name}"), code]
    for number, cell in enumerate(cells):
        cell.id = str(number)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "book" / f"{name}.ipynb")


def git(root, *arguments):
    done = subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True, encoding="utf-8")
    return done.stdout


def runner(root, *arguments, **variables):
    command = [sys.executable, str(root / "tools" / "book.py"), *arguments]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, timeout=300, encoding="utf-8")


def names(folder):
    return sorted(path.name for path in folder.glob("*"))


def fresh(root, tier):
    return json.loads((root / "_build" / tier / "results" / "01_first.json").read_text(encoding="utf-8"))["fresh"]


def test_smoke_run_and_site_touch_nothing_outside_build(book):
    write(book, "Untitled", BROKEN)  # as an editor may leave it: no chapter
    for expected in ("not measured yet", "minutes expected, as measured the last time"):
        done = runner(book, "run", "--tier", "smoke")
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout and "02_second" in done.stdout
        assert fresh(book, "smoke"), "a smoke run trains for real, every time"
    done = runner(book, "site", "--tier", "smoke")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"open {book / '_build' / 'html' / 'index.html'}"
    assert "42" in (book / "_build" / "html" / "book" / "02_second.html").read_text(encoding="utf-8")
    ledger = (book / "_build" / "html" / "book" / "claims.html").read_text(encoding="utf-8")
    assert "fails" in ledger and "come from a smoke run" in ledger, "the ledger belongs to the run that is shown"
    with zipfile.ZipFile(*(book / "_build" / "html").glob("*.zip")) as archive:
        packed = archive.namelist()
    shown = [path.relative_to(book).as_posix() for path in (book / "_build" / "html").rglob("*")]
    assert any("02_second" in name for name in packed) and not any("Untitled" in name for name in packed + shown)
    assert git(book, "status", "--porcelain") == "?? book/Untitled.ipynb\n"
    costs = json.loads((book / "_build" / "smoke" / "results" / "costs.json").read_text(encoding="utf-8"))["smoke"]
    assert costs["versions"]["numpy"] == np.__version__ and costs["chapters"]["02_second"]["seconds"] > 0


def test_failed_chapter_is_named_and_a_retraining_goes_on_behind_the_last_whole_one(book):
    write(book, "02_second", BROKEN)
    done = runner(book, "run", "--retrain")
    home = book / "_build" / "standard"
    assert done.returncode == 1
    assert "the second chapter broke" in done.stderr and "02_second failed" in done.stderr
    assert names(home / "notebooks") == ["01_first.ipynb"] and names(home / "unfinished") == ["02_second.ipynb"]
    for command in (["publish"], ["site", "--tier", "standard"]):
        done = runner(book, *command)
        assert done.returncode == 1 and "no complete standard run" in done.stderr
    before = (home / "notebooks" / "01_first.ipynb").stat().st_mtime_ns

    write(book, "02_second", SECOND)
    done = runner(book, "run", "--retrain")
    assert done.returncode == 0, done.stderr
    assert "after 1 that an interrupted run had finished" in done.stdout
    assert (home / "notebooks" / "01_first.ipynb").stat().st_mtime_ns == before
    costs = json.loads((home / "results" / "costs.json").read_text(encoding="utf-8"))["retrain"]
    assert sorted(costs["chapters"]) == ["01_first", "02_second"]

    done = runner(book, "run", "--retrain")  # a whole run is behind us: this one begins anew
    assert done.returncode == 0 and fresh(book, "standard")
    done = runner(book, "run")
    assert done.returncode == 0 and not fresh(book, "standard")


def test_nothing_of_the_reader_s_habits_gets_into_a_run(book):
    for name, text in HABITS.items():
        (book / "home" / name).parent.mkdir(parents=True)
        (book / "home" / name).write_text(text, encoding="utf-8")
    write(book, "02_second", DRAWN, **FIGURE)
    write(book, "Untitled", BROKEN)
    variables = {"HOME": str(book / "home"), "MPLBACKEND": "Agg", "GIT_DIR": "/nowhere", "LC_ALL": "C"}
    done = runner(book, "run", "--tier", "smoke", **variables)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" and "Untitled" not in done.stdout
    assert names(book / "_build" / "smoke" / "notebooks") == ["01_first.ipynb", "02_second.ipynb"]
    cell = nbformat.read(book / "_build" / "smoke" / "notebooks" / "02_second.ipynb", as_version=4).cells[1]
    assert [sorted(output.data) for output in cell.outputs] == [["image/png", "text/plain"]]


def test_what_a_cell_printed_in_pieces_is_put_together():
    from book import joined

    def said(name, words):
        return nbformat.from_dict({"output_type": "stream", "name": name, "text": words})

    pieces = [said("stdout", words) for words in ("Ri", "ght\n")]
    other = [said("stderr", "!"), nbformat.from_dict({"output_type": "display_data", "data": {}})]
    found = joined([*pieces, *other, said("stdout", "end")])
    assert [o.get("text") for o in found] == ["Right\n", "!", None, "end"]


def test_a_caption_without_its_picture_fails_the_run(book):
    write(book, "02_second", SECOND, **FIGURE)
    done = runner(book, "run", "--tier", "smoke")
    assert done.returncode == 1
    assert "02_second has a caption but no picture in cell 2 (fig-one); see " in done.stderr
    assert names(book / "_build" / "smoke" / "notebooks") == ["01_first.ipynb"]


def test_publish_writes_back_exactly_what_the_run_used(book):
    shipped = book / "book" / "artifacts"
    (shipped / "old-0123456789abcdef.npz").touch()
    assert runner(book, "run").returncode == 0
    done = runner(book, "publish")
    assert done.returncode == 0, done.stderr
    assert names(shipped) == names(book / "_build" / "standard" / "artifacts") and len(names(shipped)) == 1
    assert names(book / "book" / "results") == ["01_first.json", "costs.json"]
    notebook = nbformat.read(book / "book" / "02_second.ipynb", as_version=4)
    assert notebook.cells[1].execution_count == 1 and notebook.cells[1].outputs[0].text == "42\n"
    assert notebook.metadata.keys() == {"kernelspec", "language_info"} and notebook.cells[1].metadata == {}
    assert notebook.cells[1].id == "1"
    assert "**Holds.** Two steps are taken." in (book / "book" / "claims.md").read_text(encoding="utf-8")

    shutil.rmtree(book / "_build")  # a fresh clone: the shipped artefact is found, and published again
    assert runner(book, "run").returncode == 0
    assert not fresh(book, "standard")
    assert runner(book, "publish").returncode == 0
    assert len(names(shipped)) == 1


def test_publish_refuses_a_claim_without_a_result_before_anything_is_written(book):
    assert runner(book, "run").returncode == 0
    (book / "book" / "claims.yml").write_text(CLAIMS.replace("01_first / steps", "01_first / leaps"), encoding="utf-8")
    git(book, "add", "-A")
    done = runner(book, "publish")
    assert done.returncode == 1
    assert "claims.yml, claim steps: no result '01_first / leaps'" in done.stderr
    assert git(book, "diff") == "" and not (book / "book" / "results").exists()


@pytest.mark.parametrize(("setting", "found"), [("TIER=huge", "TIER is 'huge'"), ("RETRAIN=yes", "RETRAIN is 'yes'")])
def test_make_refuses_unknown_settings(setting, found):
    done = subprocess.run(["make", "-C", str(ROOT), "book", setting], capture_output=True, encoding="utf-8")
    assert done.returncode != 0 and f"{found}; expected" in done.stderr
