"""Helpers for the book *Rediscovering Quantum Mechanics*: one module per idea, each derived in a chapter first.

The package itself imports nothing: ``from rediscover import simulator`` is cheap, and only the modules that train
(`layers`, `translator`, `distiller`) bring in TensorFlow, only `plots` brings in Matplotlib.
"""

__version__ = "0.1.0"
