"""What a training takes on the fastest device that TensorFlow finds: a translator, chapter 3, and ever more members."""

import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import growth

BOOK = Path(__file__).resolve().parents[1] / "book"
MEMBERS = (1, 4, 16, 64, 256, 1024)
STEPS = 1000  # a step of a GPU is short, and compiling for it takes long and not always the same
FREE = 2  # members are as good as free while a step takes at most so many times that of one


def device() -> str:
    """Name of the device: the first GPU, or the processor."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0])["device_name"] if gpus else "processor"


def apart(function, *arguments):
    """Call a function in a process of its own, which gives the device's memory back when it ends."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def chapter() -> dict[str, float]:
    """Seconds of chapter 3 from nothing, and of the first of its translators."""
    from IPython.core.interactiveshell import InteractiveShell

    os.chdir(BOOK)
    sys.path.insert(0, str(BOOK))
    os.environ.update(REDISCOVER_RETRAIN="1", MPLBACKEND="agg")
    shell, start = InteractiveShell.instance(), time.perf_counter()
    notebook = json.loads((BOOK / "03_distiller.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            shell.run_cell("".join(cell["source"])).raise_error()
    took = time.perf_counter() - start
    return {"chapter 3": round(took, 1), "translator": round(shell.user_ns["gru"][0].artifact.seconds, 1)}


def members(readouts=growth.READOUTS, counts=MEMBERS):
    """Yield one row per readout and number of members: milliseconds of a step."""
    usual = {name: values[0] for name, values in growth.AXES.items()}
    for readout in readouts:
        for count in counts:
            took, _ = apart(growth.population, readout, usual | {"members": count}, STEPS)
            yield {"what": readout, "members": count, "ms": round(took, 3)}


def free(rows: list[dict]) -> dict[str, int]:
    """Most members of each readout that a step carries in at most `FREE` times the time of one."""
    by = {what: [row for row in rows if row["what"] == what] for what in growth.READOUTS}
    return {
        what: max(row["members"] for row in those if row["ms"] <= FREE * those[0]["ms"]) for what, those in by.items()
    }
