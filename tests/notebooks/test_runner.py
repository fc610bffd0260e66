"""The runner (tools/book.py) on a book of two tiny chapters: what a run writes, keeps, resumes, publishes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
from filelock import FileLock

import book as tool
from rediscover import store

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
# Leaves the number of its kernel's process as a sign, and goes on when two other signs are there.
MEETING = """import os, time
from pathlib import Path
home = Path("../_build/signs")
home.mkdir(parents=True, exist_ok=True)
(home / "{me}.part").write_text(str(os.getpid()), encoding="utf-8")
(home / "{me}.part").rename(home / "{me}")
for name in ("{other}", "{then}"):
    end = time.monotonic() + 60
    while not (home / name).exists():
        assert time.monotonic() < end, f"{{name}} did not come"
        time.sleep(0.02)
"""


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


def command(root, *arguments, jobs=1):
    counted = ["--jobs", str(jobs)] if arguments[0] == "run" else []
    return [sys.executable, str(root / "tools" / "book.py"), *arguments, *counted]


def runner(root, *arguments, jobs=1, **variables):
    words = command(root, *arguments, jobs=jobs)
    return subprocess.run(words, env=os.environ | variables, capture_output=True, timeout=300, encoding="utf-8")


def meet(root, then="a", last=""):
    """Two chapters of which each needs the other to be there; the first needs another sign, the second ends with code.

    The signs are `a` and `b`: a chapter that names another one comes after it.
    """
    write(root, "01_first", MEETING.format(me="a", other="b", then=then))
    write(root, "02_second", MEETING.format(me="b", other="a", then="a") + last)


def kernel(root, name):
    """The process of a kernel, as soon as it has left its sign."""
    sign, end = root / "_build" / "signs" / name, time.monotonic() + 60
    while not sign.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    return psutil.Process(int(sign.read_text(encoding="utf-8")))


def ended(process):
    """Whether a process is over, at the latest in ten seconds."""
    end = time.monotonic() + 10
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def costs(root, tier, mode=None):
    path = root / "_build" / tier / "results" / "costs.json"
    return json.loads(path.read_text(encoding="utf-8"))[mode or tier]


def names(folder):
    return sorted(path.name for path in folder.glob("*"))


def fresh(root, tier):
    return json.loads((root / "_build" / tier / "results" / "01_first.json").read_text(encoding="utf-8"))["fresh"]


def test_smoke_run_and_site_touch_nothing_outside_build(book):
    write(book, "Untitled", BROKEN)  # as an editor may leave it: no chapter
    run = {}
    for jobs, expected in ((1, "not measured yet"), (2, "minutes expected, as measured the last time")):
        done = runner(book, "run", "--tier", "smoke", jobs=jobs)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout
        one_by_one = done.stdout.index("01_first: ") < done.stdout.index("02_second ...")
        assert one_by_one == (jobs == 1)
        assert fresh(book, "smoke"), "a smoke run trains for real, every time"
        run[jobs] = costs(book, "smoke")
        assert run[jobs]["jobs"] == jobs and run[jobs]["versions"]["numpy"] == np.__version__
    cost = run[1]["chapters"]["02_second"]
    both = run[1]["chapters"]["01_first"]["seconds"] + cost["seconds"]
    assert run[1]["wall"]["1"] > both - 0.2  # they are rounded
    assert cost["training"] == 0
    assert run[2]["chapters"] == run[1]["chapters"], "a chapter is measured by itself"
    assert run[2]["wall"] == run[1]["wall"] | {"2": run[2]["wall"]["2"]}
    done = runner(book, "site", "--tier", "smoke")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"open {book / '_build' / 'html' / 'index.html'}"
    page = (book / "_build" / "html" / "book" / "02_second.html").read_text(encoding="utf-8")
    assert "42" in page and f"By itself this page takes {cost['seconds']:.0f} s on {os.cpu_count()} cores." in page
    ledger = (book / "_build" / "html" / "book" / "claims.html").read_text(encoding="utf-8")
    assert "fails" in ledger and "come from a smoke run" in ledger, "the ledger belongs to the run that is shown"
    with zipfile.ZipFile(*(book / "_build" / "html").glob("*.zip")) as archive:
        packed = archive.namelist()
    shown = [path.relative_to(book).as_posix() for path in (book / "_build" / "html").rglob("*")]
    assert any("02_second" in name for name in packed) and not any("Untitled" in name for name in packed + shown)
    assert git(book, "status", "--porcelain") == "?? book/Untitled.ipynb\n"


def test_failed_chapter_is_named_and_a_retraining_goes_on_behind_the_last_whole_one(book):
    write(book, "02_second", BROKEN)
    done = runner(book, "run", "--retrain")
    home = book / "_build" / "standard"
    assert done.returncode == 1
    assert "the second chapter broke" in done.stderr and "02_second failed after" in done.stderr
    assert f"; RETRAIN=1 goes on from here; see {home / 'unfinished' / '02_second.ipynb'}\n" in done.stderr
    so_far = json.loads((home / "state.json").read_text(encoding="utf-8"))["wall"]["1"]
    assert names(home / "notebooks") == ["01_first.ipynb"] and names(home / "unfinished") == ["02_second.ipynb"]
    for words in (["publish"], ["site", "--tier", "standard"]):
        done = runner(book, *words)
        assert done.returncode == 1 and "no complete standard run" in done.stderr
    before = (home / "notebooks" / "01_first.ipynb").stat().st_mtime_ns

    write(book, "02_second", SECOND)
    done = runner(book, "run", "--retrain")
    assert done.returncode == 0, done.stderr
    assert "after 1 that an interrupted run had finished" in done.stdout
    assert (home / "notebooks" / "01_first.ipynb").stat().st_mtime_ns == before
    cost = costs(book, "standard", "retrain")
    assert sorted(cost["chapters"]) == ["01_first", "02_second"]
    assert cost["wall"]["1"] > so_far + cost["chapters"]["02_second"]["seconds"] - 0.2  # they are rounded

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
    from chapter import joined

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
    assert "02_second has a caption but no picture in cell 2 (fig-one)\n02_second failed after" in done.stderr
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


# --- side by side


def test_two_jobs_run_two_chapters_at_once_and_share_the_cores(book):
    meet(book, last="print(os.environ['TF_NUM_INTRAOP_THREADS'])")
    done = runner(book, "run", "--tier", "smoke", jobs=2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("02_second ...") < done.stdout.index("01_first: ")
    made = nbformat.read(book / "_build" / "smoke" / "notebooks" / "02_second.ipynb", as_version=4)
    assert made.cells[1].outputs[0].text == f"{max(1, os.cpu_count() // 2)}\n"
    assert costs(book, "smoke")["jobs"] == 2 and costs(book, "smoke")["chapters"] == {}


def test_the_appendix_comes_last_and_reads_what_the_others_took(book):
    (book / "_toc.yml").write_text(
        "format: jb-book\nroot: book/how_it_was_made\nchapters: [{file: book/01_first}, {file: book/02_second}]\n",
        encoding="utf-8",
    )
    shows = """print(sorted(path.stem for path in Path("../_build/smoke/notebooks").iterdir()))
print(*store.results("costs")["smoke"]["wall"])"""
    write(book, "how_it_was_made", FIRST.rpartition("steps = ")[0] + "from pathlib import Path\n" + shows)
    done = runner(book, "run", "--tier", "smoke", jobs=3)
    assert done.returncode == 0, done.stderr
    made = nbformat.read(book / "_build" / "smoke" / "notebooks" / "how_it_was_made.ipynb", as_version=4)
    assert made.cells[1].outputs[0].text == "['01_first', '02_second']\n3\n"


def test_who_reads_what_another_recorded_comes_after_it(book):
    store.record("01_first", {"steps": "of an older run"}, book / "book" / "results")
    read = FIRST.rpartition("steps = ")[0] + 'print(store.results("01_first")["steps"])'
    write(book, "02_second", read)
    write(book, "01_first", "import time\ntime.sleep(1)\n" + FIRST)
    done = runner(book, "run", "--tier", "smoke", jobs=2)
    assert done.returncode == 0, done.stderr
    made = nbformat.read(book / "_build" / "smoke" / "notebooks" / "02_second.ipynb", as_version=4)
    assert made.cells[1].outputs[0].text == "1\n"


def test_what_the_chapters_of_the_book_read_of_each_other():
    needs = {chapter.stem: tool.waits_for(chapter) for chapter in tool.chapters()}
    assert needs["05_law"] >= {"03_distiller"} and needs["08_parsimony"] >= {"03_distiller", "06_density_functional"}
    assert not needs["09_sceptic"]


def test_what_takes_longest_with_all_that_waits_for_it_comes_first():
    todo = [c for c in tool.chapters() if c.stem in ("01_experiment", "03_distiller", "08_parsimony", "09_sceptic")]
    known = {c.stem: {"seconds": seconds} for c, seconds in zip(todo, (1.0, 20.0, 90.0, 100.0), strict=True)}
    assert [c.stem[:2] for c in tool.in_order(todo, known, 2)] == ["03", "09", "08", "01"]
    assert tool.in_order(todo, known, 1) == todo
    assert [c.stem[:2] for c in tool.in_order(todo, {"09_sceptic": {"seconds": 5.0}}, 2)] == ["01", "03", "08", "09"]


@pytest.mark.parametrize(
    ("jobs", "wall", "expected"),
    [(1, {}, "5.0 minutes"), (2, {}, "4.0 minutes"), (5, {"5": 150}, "2.5 minutes"), (2, {"5": 150}, "4.0 minutes")],
)
def test_expected_is_what_such_a_run_took_or_what_its_chapters_add_up_to(capsys, jobs, wall, expected):
    first, second, *rest = tool.chapters()
    known = {"wall": wall, "chapters": {first.stem: {"seconds": 60.0}, second.stem: {"seconds": 240.0}}}
    tool.announce("smoke", [first, second, *rest], known, jobs)
    said = capsys.readouterr().out
    assert f"about {expected} expected" in said and ("(only 2 of them were)" in said) == (str(jobs) not in wall)


def test_the_first_that_fails_stops_the_others(book):
    meet(book, then="never", last=BROKEN)
    done = runner(book, "run", "--tier", "smoke", jobs=2)
    assert done.returncode == 1
    assert "the second chapter broke" in done.stderr and "; stopped: 01_first (" in done.stderr
    assert f"; see {book / '_build' / 'smoke' / 'unfinished' / '02_second.ipynb'}\n" in done.stderr
    assert ended(kernel(book, "a"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_kernel_outlives_the_run(book, how):
    meet(book, then="never", last="time.sleep(60)")
    words = command(book, "run", "--retrain", jobs=2)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    kernels = [kernel(book, name) for name in "ab"]
    process.send_signal(how)
    said = process.communicate(timeout=30)[1]
    assert [ended(one) for one in kernels] == [True, True]
    if how == signal.SIGINT:
        assert process.returncode == 130 and said.startswith("\ninterrupted: 01_first (") and ", 02_second (" in said
        assert said.endswith(f"; RETRAIN=1 goes on from here; see {book / '_build' / 'standard' / 'unfinished'}\n")


def test_waiting_for_what_another_process_trains_is_no_cost_of_a_chapter(book):
    name = f"demo-{store.key({'kind': 'demo', 'seed': 0, 'recipe': 1, 'steps': 2})}.npz"
    home, sign = book / "_build" / "standard", "open('../_build/sign', 'w').close()"
    write(book, "01_first", FIRST.replace("found =", f"{sign}\nfound ="))
    (home / "artifacts").mkdir(parents=True)
    with FileLock(home / "artifacts" / f".{name}.lock"):
        process = subprocess.Popen(command(book, "run"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while not (book / "_build" / "sign").exists():
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(2)
    said, complaints = process.communicate(timeout=60)
    assert process.returncode == 0 and complaints == b"", "nothing is said in a notebook that is kept"
    asked, _, waited = (home / "used" / "01_first.txt").read_text(encoding="utf-8").split()
    cost = costs(book, "standard")
    assert asked == name and float(waited) > 1.5
    assert f"and {float(waited):.0f} s of waiting for what another one trained".encode() in said
    assert sum(one["seconds"] for one in cost["chapters"].values()) <= cost["wall"]["1"] - float(waited) + 0.1
    assert json.loads((home / "results" / "01_first.json").read_text(encoding="utf-8"))["_run"]["seconds"] < 1
    assert names(home / "artifacts") == [name]


def test_a_number_of_jobs_that_is_none_is_refused(book):
    done = runner(book, "run", jobs=0)
    assert done.returncode == 2 and "--jobs must be at least 1; got 0" in done.stderr


@pytest.mark.parametrize(("setting", "found"), [("TIER=huge", "TIER is 'huge'"), ("RETRAIN=yes", "RETRAIN is 'yes'")])
def test_make_refuses_unknown_settings(setting, found):
    done = subprocess.run(["make", "-C", str(ROOT), "book", setting], capture_output=True, encoding="utf-8")
    assert done.returncode != 0 and f"{found}; expected" in done.stderr
