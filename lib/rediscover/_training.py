"""What every training here shares: keep a Keras model as plain arrays, and show how far it has come."""

from __future__ import annotations

import builtins
import sys

import numpy as np

from . import store

WORTH_COMPILING = 200  # training steps; XLA takes seconds to compile one, which only a longer training wins back


def fit_or_restore(model, config: dict, fit, folder=None):
    """Train `model` by ``fit()`` (a Keras History), or fill it with the weights of an earlier such training.

    Plain arrays load in every version of Keras; `.keras` files do not. The model gets the artefact as an attribute.
    """

    def train():
        # Made here and not inside the first step, the optimizer's variables do not have every step traced twice.
        model.optimizer.build(model.trainable_variables)
        loss = np.array(fit().history["loss"])
        return {f"weight {i:02d}": w for i, w in enumerate(model.get_weights())} | {"loss": loss}

    artifact = store.load_or_train(config, train, folder)
    if not artifact.fresh:
        weights = [artifact.arrays[name] for name in sorted(artifact.arrays) if name.startswith("weight ")]
        model.set_weights(weights)
    model.artifact = artifact
    return model


def watched() -> bool:
    """Whether somebody looks on: a terminal or a live notebook.

    Not where the output is kept (papermill, nbval: the run is quiet) or nobody looks (tests).
    """
    # not "ipykernel" in sys.modules: that also holds for pytest with its notebook plugin
    live = hasattr(builtins, "__IPYTHON__") and not store.current().quiet
    return live or sys.stderr.isatty()


def progress_bar(steps: bool = False) -> list:
    """A progress bar of epochs, or of steps too, if it is watched."""
    if not watched():
        return []
    from tqdm.keras import TqdmCallback  # not above: in a notebook without widgets the import warns on stderr

    return [TqdmCallback(verbose=int(steps))]
