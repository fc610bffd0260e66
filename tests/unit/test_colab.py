"""The simulated Colab is one: a notebook alone in an empty folder, which has to fetch the book."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import colab

pytestmark = pytest.mark.notebooks

ROOT = Path(__file__).resolve().parents[2]
COLAB = "import sys, types\nsys.modules['google.colab'] = types.ModuleType('colab')"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A small book behind a clone address."""
    origin = tmp_path_factory.mktemp("origin")
    for name in ("lib/rediscover/__init__.py", "book/note.txt"):
        (origin / name).parent.mkdir(parents=True)
        (origin / name).write_text("", encoding="utf-8")
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], [*who, "commit", "-q", "-m", "a book"]):
        subprocess.run(["git", *words], cwd=origin, check=True)
    return origin.as_uri()


@pytest.fixture
def run(tmp_path, address):
    """Run cells as a notebook of the book, in this very environment."""

    def one(*cells, address=address):
        path = tmp_path / "chapter.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells]), path)
        return colab.run(Path(sys.executable), path, address)

    return one


@pytest.fixture(scope="module")
def bootstrap():
    cells = nbformat.read(ROOT / "book" / "01_experiment.ipynb", as_version=4).cells
    return next(cell.source for cell in cells if cell.cell_type == "code")


def test_a_notebook_fetches_the_book_and_works_in_it(run, bootstrap):
    here = f"assert Path.cwd().joinpath('note.txt').exists() and not Path.cwd().is_relative_to({str(ROOT)!r})"
    assert run(COLAB, bootstrap, here) > 0


def test_a_notebook_that_found_the_book_elsewhere_counts_as_failed(run):
    with pytest.raises(AssertionError, match="did not fetch"):
        run("1")


def test_a_failing_cell_counts_as_failed(run, bootstrap):
    with pytest.raises(subprocess.CalledProcessError):
        run(COLAB, bootstrap, "1 / 0")


def test_an_address_without_a_book_counts_as_failed(run, bootstrap, capfd):
    with pytest.raises(subprocess.CalledProcessError):
        run(COLAB, bootstrap, address="file:///nowhere/at/all")
    assert "the book was not fetched, try this cell again when online" in capfd.readouterr().err
