"""What every training here shares: many steps in one compiled call, a model kept as plain arrays, a sign of life."""

from __future__ import annotations

import builtins
import sys
from importlib import import_module
from itertools import pairwise

import numpy as np

from . import store

# From how many training steps on it wins time to trace one first, and to have XLA compile it, too.
WORTH_TRACING, WORTH_COMPILING = 5, 200


def descend(model, loss, optimizer, batch, draws, packs: int) -> np.ndarray:
    """Take a gradient step on every batch that was drawn; give the mean loss of every pack of steps, shape (packs,).

    A pack is one call of one compiled function, whose steps pick their batches out of data that stay where they are
    computed with. A step of Keras's ``fit`` is a call from Python with data made there, which costs more than the
    arithmetic of the small networks here: the appendix measures it.

    ``batch(*draw)`` gives inputs and target as tensors, from one entry of each array of `draws` (steps, ...).
    """
    import tensorflow as tf  # not above: whoever only shows progress does without

    weights = model.trainable_variables
    optimizer.build(weights)  # inside the function variables can be changed, but not made
    draws = [tf.convert_to_tensor(drawn) for drawn in draws]

    def run(first, last):
        def step(i, total):
            inputs, target = batch(*(drawn[i] for drawn in draws))
            with tf.GradientTape() as tape:
                error = loss(target, model(inputs))
            optimizer.apply(tape.gradient(error, weights), weights)
            return i + 1, total + error

        _, total = tf.while_loop(lambda i, _: i < last, step, (first, 0.0))
        return total / tf.cast(last - first, total.dtype)

    steps = len(draws[0])
    if steps >= WORTH_TRACING:
        run = graph(run, tf.TensorSpec((), tf.int32), tf.TensorSpec((), tf.int32), jit_compile=steps >= WORTH_COMPILING)
    edges = pairwise(np.linspace(0, steps, packs + 1).astype("int32"))
    return np.array([run(*map(tf.constant, pack)) for pack in progress(edges, total=packs, leave=False)])


def graph(function, *specs, **options):
    """Trace a function of tensors of the given kinds once, so that Python has no part in its calls any more.

    By hand, as TensorFlow warns of a function that is traced often, and each network traces its own.
    """
    import tensorflow as tf  # see descend

    return tf.function(function, **options).get_concrete_function(*specs)


def fit_or_restore(model, config: dict, fit, folder, data: dict):
    """Train `model` by ``fit()``, which gives losses; or fill it with the weights of an earlier training on `data`.

    Plain arrays load in every version of Keras; `.keras` files do not. The model gets the artefact as an attribute.
    """

    def train():
        loss = fit()
        return {f"weight {i:02d}": w for i, w in enumerate(model.get_weights())} | {"loss": loss}

    artifact = store.load_or_train(config, train, folder, data)
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


def progress(steps=None, **options):
    """Give tqdm's progress bar, which is drawn only if it is watched: to go through `steps`, or to be updated."""
    seen = watched()
    # in a notebook without widgets tqdm.auto warns on stderr
    tqdm = import_module("tqdm.auto" if seen else "tqdm").tqdm
    return tqdm(steps, disable=not seen, **options)
