"""Execute one chapter with papermill, and keep its notebook only if it came to the end.

    python tools/chapter.py book/01_first.ipynb _build/smoke [--bar]

This is what tools/book.py starts, as often as chapters are to run side by side. Papermill changes the working
directory, and what a kernel says to the terminal has to be led elsewhere: both concern a whole process, so each chapter
has its own. That ends, and its kernel too, as soon as its standard input does: also if whoever started it was killed.
"""

import argparse
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat
import papermill
import psutil
from filelock import FileLock

import contents

TIMEOUT = 3600  # seconds a cell
# What TensorFlow says on stderr when it compiles for the first time; no environment variable silences it.
XLA = re.compile(
    r"(WARNING: All log messages before absl.*\n|[IWE]\d{4} .*(XLA|cluster|device_compiler|service\.cc).*\n)+"
)


def execute(chapter: Path, home: Path, bar: bool = False) -> None:
    """Run a notebook into the folder of a run: see tools/book.py for what lies there."""
    unfinished, target = home / "unfinished" / chapter.name, home / "notebooks" / chapter.name
    log = home / "kernels" / f"{chapter.stem}.txt"
    for path in (unfinished, target, log):
        path.parent.mkdir(parents=True, exist_ok=True)
    # Ports are looked for here, and taken by the kernel a second later: two that start at once may find the same ones.
    starting = FileLock(home / "kernels" / "starting.lock")
    with starting, aside(log):
        papermill.execute_notebook(
            str(chapter),
            str(unfinished),
            kernel_name="python3",
            cwd=str(chapter.parent),
            execution_timeout=TIMEOUT,
            progress_bar={"desc": chapter.stem} if bar else False,
            on_cell_start=lambda **_: starting.release(),
        )
    done = clean(nbformat.read(unfinished, as_version=4))
    if lost := without_picture(done):
        raise ValueError(f"{chapter.stem} has a caption but no picture in {', '.join(lost)}")
    contents.write(target, nbformat.writes(done).rstrip("\n") + "\n")
    unfinished.unlink()


@contextmanager
def aside(path: Path) -> Iterator[None]:
    """Give what a kernel says to the terminal a file of its own: TensorFlow repeats there what the notebook shows."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with open(path, "wb") as file, os.fdopen(terminal, "w", encoding="utf-8", buffering=1) as stderr:
        os.dup2(file.fileno(), 2)
        sys.stderr, old = stderr, sys.stderr
        try:
            yield
        finally:
            sys.stderr = old
            os.dup2(terminal, 2)


def without_picture(notebook: nbformat.NotebookNode) -> list[str]:
    """Cells that promise a figure and show none, as if drawn for no screen; each by its name."""
    lost = []
    for number, cell in enumerate(notebook.cells, 1):
        figure = cell.metadata.get("mystnb", {}).get("figure")
        kinds = [kind for output in cell.get("outputs", []) for kind in output.get("data", {})]
        if figure and not any(kind.startswith("image/") for kind in kinds):
            lost.append(f"cell {number} ({figure.get('name', 'without a name')})")
    return lost


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


def end_with_input() -> None:
    """Wait for the end of the standard input, and end this process and its kernel then."""
    while os.read(0, 1024):
        pass
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it was faster
            process.kill()
    os._exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("chapter", type=Path)
    parser.add_argument("home", type=Path, help="the folder of the run")
    parser.add_argument("--bar", action="store_true", help="show a progress bar of cells")
    options = parser.parse_args()
    threading.Thread(target=end_with_input, daemon=True).start()
    try:
        execute(options.chapter, options.home, options.bar)
    except Exception as error:  # the traceback of the cell is in there; that of papermill says nothing more
        sys.exit(str(error))


if __name__ == "__main__":
    main()
