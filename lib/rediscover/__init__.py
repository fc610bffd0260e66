"""Helpers for the book *Rediscovering Quantum Mechanics*: one module per idea, each derived in a chapter first.

The package itself imports nothing: ``from rediscover import simulator`` is cheap, and only the modules that train
(`layers`, `translator`, `distiller`, `introspection`) bring in TensorFlow, only `plots` brings in Matplotlib.
"""

import importlib.abc
import sys

__version__ = "0.2.0"

#: What has another name since 0.2.0, and where it is now.
MOVED = {
    "laws": "worlds, and Law there is World",
    "theory": "law, and Theory there is Law; classify is in verdict",
    "trials": "introspection and verdict; the panel, its cards and sweeps are in book/panel.py",
    "exercises": "book/exercises.py: write `from exercises import check` in a chapter",
}


class _Moved(importlib.abc.MetaPathFinder):
    """Asked last of all: whoever imports a module by its old name is told the new one."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        package, _, module = name.partition(".")
        if package == __name__ and module in MOVED:
            raise ImportError(f"rediscover.{module} has moved: it is now {MOVED[module]}", name=name)


sys.meta_path.append(_Moved())
