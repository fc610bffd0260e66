"""Settings of the tests that have to reach book/ as well as tests/."""

from hypothesis import settings

import contents
import environment

# Whoever calls pytest, also from a git hook: the tests and the notebooks that they run see the same settings, and
# no repository but their own.
environment.isolate()

# The same examples every time, and no limit on the time of one: a shared machine may stall for seconds.
settings.register_profile("book", derandomize=True, deadline=None, database=None)
settings.load_profile("book")


def pytest_ignore_collect(collection_path):
    """Run no notebook that is none of the book's, and no script that made data: it may need somebody else's program."""
    if "data" in collection_path.relative_to(contents.ROOT).parts[:2]:
        return True
    if collection_path.suffix == ".ipynb" and collection_path not in contents.notebooks():
        return True
    return None


def pytest_collectstart(collector):
    if hasattr(collector, "skip_compare"):  # a notebook: compare what it says, not how it is drawn
        collector.skip_compare += ("image/svg+xml", "text/html", "stderr")
