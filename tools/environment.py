"""The environment in which everything here runs: nothing of the caller's settings that could change what comes out.

Programs keep what was set for others in variables and below HOME: a backend of Matplotlib, a profile of IPython, a
kernel called python3, the precision of Keras. Here HOME is a folder of this book, and the variables are dropped. What
belongs to the machine stays: paths, proxies, processors and their libraries.

    python tools/environment.py [NAME=value ...] command [argument ...]

runs a command like this, with the variables that are named.
"""

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lib"))  # the tools work with the library of the same copy of the book
# How the names of variables begin that speak to the programs used here, and not to the machine.
FOREIGN = ("COLUMNS", "DASK_", "GIT_", "IPYTHON", "JUPYTER_", "KERAS_", "LANG", "LC_", "LINES", "MATPLOTLIB", "MPL")
FOREIGN += ("PAPERMILL_", "PIP_", "PYTHON", "RUFF_", "SPHINX", "TF_", "XDG_")
MACHINE = ("TF_FORCE_GPU_ALLOW_GROWTH", "TF_GPU_ALLOCATOR")
SETTINGS = {
    "LC_ALL": "C.UTF-8",
    "PYTHONUTF8": "1",
    "REDISCOVER_QUIET": "1",  # no progress bars inside notebooks that are kept
    # TensorFlow's start-up lines hold process ids; its oneDNN kernels change the order of summation, so the digits.
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    # Threads cost the small matrices of this book a hundred times their own time.
    "OPENBLAS_NUM_THREADS": "1",
    # Keep freed memory instead of asking for it anew at every training step: a third of its time on Linux.
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
}
# Whoever runs the tools of a copy of the book trusts it, also if it belongs to somebody else, as in a container.
GIT = "[safe]\n\tdirectory = *\n"


def isolated(root: Path = ROOT) -> dict[str, str]:
    """The environment of this process without what was set for others, and with a HOME below _build."""
    home = root / "_build" / "home"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / ".gitconfig").exists():  # several processes may be here at once
        with tempfile.NamedTemporaryFile("w", dir=home, delete=False, encoding="utf-8") as file:
            file.write(GIT)
        os.replace(file.name, home / ".gitconfig")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN) or k in MACHINE}
    return kept | SETTINGS | {"HOME": str(home)}


def isolate() -> None:
    """Change the environment of this process, and so that of all that it starts."""
    new = isolated()
    os.environ.clear()
    os.environ.update(new)


if __name__ == "__main__":
    os.execvpe("env", ["env", *sys.argv[1:]], isolated())
