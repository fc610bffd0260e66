"""The committed notebooks: executed, complete, readable on Colab, and with a text for every figure."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import contents

pytestmark = pytest.mark.notebooks

ROOT = Path(__file__).resolve().parents[2]
PATHS = contents.notebooks()
CHAPTERS = [path for path in PATHS if path.name[0].isdigit()]
each_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def code(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code" and c.source.strip()]


def text(path):
    return "\n\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown")


def images(cell):
    return [o for o in cell.outputs if any(mime.startswith("image/") for mime in o.get("data", {}))]


def bootstrap():
    return code(PATHS[0])[0].source


def test_there_are_chapters():
    assert len(CHAPTERS) >= 4


@each_notebook
def test_is_a_valid_notebook(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


@each_notebook
def test_begins_with_the_same_bootstrap_cell(path):
    assert "REPOSITORY" in bootstrap()
    assert code(path)[0].source == bootstrap()


@each_chapter
def test_sizes_stand_in_one_parameters_cell(path):
    tagged = [i for i, cell in enumerate(code(path)) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert tagged[0] <= 2, "the sizes belong right after the bootstrap cell"
    assert "SMOKE" in code(path)[tagged[0]].source


@each_chapter
def test_opens_and_closes_like_every_chapter(path):
    for phrase in ("What you will be able to do", "What you need", "Time to read", "Summary", "References"):
        assert phrase.lower() in text(path).lower(), f"no '{phrase}'"


@each_notebook
def test_was_executed_in_order(path):
    assert [cell.execution_count for cell in code(path)] == list(range(1, len(code(path)) + 1))


@each_notebook
def test_has_no_error_and_no_noise(path):
    for cell in code(path):
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", output.text


@each_notebook
def test_every_figure_has_a_text_and_a_caption(path):
    names = []
    for cell in code(path):
        if images(cell):
            about = cell.metadata.get("mystnb", {})
            assert len(images(cell)) == 1, f"one figure a cell, so that its text is its own:\n{cell.source}"
            assert len(about.get("image", {}).get("alt", "")) >= 20, f"no alt text:\n{cell.source}"
            assert about.get("figure", {}).get("caption"), f"no caption:\n{cell.source}"
            names.append(about["figure"].get("name"))
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"fig-[a-z0-9-]+", name or "") for name in names), names


@each_notebook
def test_metadata_holds_nothing_of_the_run(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.keys() <= {"kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}
    for cell in notebook.cells:
        assert cell.metadata.keys() <= {"mystnb", "tags"}, cell.metadata


@each_notebook
def test_text_is_plain_enough_for_colab(path):
    found = re.search(r"^\s*(`{3,}|:{3,})\s*\{.*|\{[\w:-]+\}`[^`]+`", text(path), re.MULTILINE)
    assert not found, found.group()


@each_notebook
def test_code_cells_are_short(path):
    for cell in code(path):
        assert len(cell.source.splitlines()) <= 30, cell.source


@each_chapter
def test_some_output_is_compared_at_both_sizes(path):
    compared = [cell for cell in code(path) if "nbval-check-output" in cell.metadata.get("tags", [])]
    assert compared
    for cell in compared:  # without a count nbval compares nothing
        assert cell.execution_count and cell.outputs, cell.source


# --- the bootstrap cell


def python(source, folder):
    """Run code in a Python that sees neither this environment's variables nor the folder that it starts in."""
    return subprocess.run(
        [sys.executable, "-I", "-c", source], cwd=folder, capture_output=True, timeout=120, encoding="utf-8"
    )


SHOW = "\nimport rediscover; print(rediscover.__file__); print(os.getcwd())"


@pytest.mark.parametrize("folder", ["book", ".", "tests/notebooks"])
def test_bootstrap_finds_the_book_from_inside(folder):
    done = python(bootstrap() + SHOW, ROOT / folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(ROOT / "lib" / "rediscover" / "__init__.py"), str(ROOT / "book")]


def test_bootstrap_elsewhere_says_what_to_do(tmp_path):
    done = python(bootstrap(), tmp_path)
    assert done.returncode == 1
    assert f"no lib/rediscover in {tmp_path} or above it: open this notebook inside" in done.stderr.splitlines()[-1]


def test_bootstrap_fetches_the_book_on_colab(tmp_path):
    origin, content = tmp_path / "origin", tmp_path / "content"
    for file in ("lib/rediscover/__init__.py", "book/cards.py"):
        (origin / file).parent.mkdir(parents=True)
        (origin / file).touch()
    (content / "rediscovering-quantum-mechanics" / ".git").mkdir(parents=True)  # of a clone that was interrupted
    git = ["git", "-C", str(origin), "-c", "user.name=reader", "-c", "user.email=reader@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "book"]):
        subprocess.run(git + command, check=True)
    cell, stamped = re.subn(
        r'REPOSITORY, REVISION = ".*", ".*"', f'REPOSITORY, REVISION = "{origin.as_uri()}", "main"', bootstrap()
    )
    assert stamped == 1
    for _ in range(2):  # the second time the clone is there, as after a restart of the runtime
        done = python("import sys; sys.modules['google.colab'] = sys\n" + cell + SHOW + "; import cards", content)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[1] == str(content / "rediscovering-quantum-mechanics" / "book")
        assert [path.name for path in content.iterdir()] == ["rediscovering-quantum-mechanics"]


def test_bootstrap_without_a_network_says_so_in_one_sentence(tmp_path):
    nowhere = f'REPOSITORY, REVISION = "{tmp_path.as_uri()}/none", "main"'
    cell = re.sub(r'REPOSITORY, REVISION = ".*", ".*"', nowhere, bootstrap())
    done = python("import sys; sys.modules['google.colab'] = sys\n" + cell, tmp_path)
    assert done.returncode == 1
    assert "ConnectionError: the book was not fetched, try this cell again when online: " in done.stderr
    assert not (tmp_path / "rediscovering-quantum-mechanics").exists()


@pytest.mark.parametrize("name", ["trap.js", "trap.css"])
def test_the_page_with_the_trap_holds_its_present_code(name):
    """What the browser runs is inside the notebook's output, where no comparison of outputs looks."""
    html = "".join(
        o.get("data", {}).get("text/html", "") for c in code(ROOT / "book" / "trap.ipynb") for o in c.outputs
    )
    assert (ROOT / "book" / "web" / name).read_text(encoding="utf-8") in html, "run the chapters again"


class Shape(ast.NodeTransformer):
    """Forget names and numbers: what remains of two helpers is the same if one was copied."""

    def visit_Name(self, node):
        return ast.Name("_")

    def visit_arg(self, node):
        return ast.arg("_")

    def visit_Constant(self, node):
        return ast.Constant(0)


def test_no_helper_is_written_in_two_chapters():
    places = {}
    for path in CHAPTERS:
        for node in (node for cell in code(path) for node in ast.walk(ast.parse(cell.source))):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1 if ast.get_docstring(node) else 0 :]
                shape = ast.dump(Shape().visit(ast.Module(body, [])))
                places.setdefault(shape, set()).add((path.stem, node.name))
    twice = [found for found in places.values() if len({stem for stem, _ in found}) > 1]
    assert len(places) > 30 and not twice, f"what two chapters need belongs in book/kit.py or the library: {twice}"
