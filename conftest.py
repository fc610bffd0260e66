"""Settings of the tests that have to reach book/ as well as tests/."""

import os

from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads cost small matrices a hundred times their own time

# The same examples every time, and no limit on the time of one: a shared machine may stall for seconds.
settings.register_profile("book", derandomize=True, deadline=None, database=None)
settings.load_profile("book")


def pytest_collectstart(collector):
    if hasattr(collector, "skip_compare"):  # a notebook: compare what it says, not how it is drawn
        collector.skip_compare += ("image/svg+xml", "text/html", "stderr")
