"""How times are taken here: alternately, the best of a few, and compared within one run."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass


def seconds(*functions: Callable, repeat: int = 3) -> list[float]:
    """Give the best of a few runs of each, by turns: it is the one least disturbed by the rest of the machine."""
    best = [float("inf")] * len(functions)
    for _ in range(repeat):
        for i, function in enumerate(functions):
            start = time.perf_counter()
            function()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def fresh(train: Callable, *args, **kwargs):
    """Train where nothing is kept."""
    with tempfile.TemporaryDirectory() as folder:
        return train(*args, **kwargs, folder=folder)


def each(train: Callable, few: int, many: int, repeat: int = 1) -> float:
    """Milliseconds that one more of something costs: what is done once in every training falls out, such as compiling.

    Both must be long enough to be compiled, see `_training.WORTH_COMPILING`. The first training of a process takes
    longer, by seconds: where it may be one of these, repeat them.
    """
    short, long = seconds(lambda: train(few), lambda: train(many), repeat=repeat)
    return 1e3 * (long - short) / (many - few)


@dataclass(frozen=True)
class Comparison:
    """One thing beside its peer: how long both take in ms, and how many times as long as ours the peer is to take."""

    what: str
    ours: float
    peer: str
    theirs: float
    wanted: float

    @property
    def ratio(self) -> float:
        """How many times as long the peer takes."""
        return self.theirs / self.ours

    @property
    def met(self) -> bool:
        """Whether that is as many as wanted."""
        return self.ratio >= self.wanted

    def __str__(self) -> str:
        verdict = "met" if self.met else "MISSED"
        line = f"{self.what:44} {self.ours:10.3g} ms   {self.peer:40} {self.theirs:10.3g} ms"
        return f"{line} {self.ratio:9,.3g} ×   wanted {self.wanted:7,.3g} × {verdict}"
