"""Milliseconds of a training step: our translator beside a bare keras.layers.GRU, and eight distillers beside one."""

import time

import keras
import numpy as np

from rediscover import dataset
from rediscover.distiller import Curriculum, Distiller, PopulationError, Schedule, Windows
from rediscover.translator import Translator

UNITS, BATCH, STEPS = 64, 128, 40


def bare_gru():
    """Build what a Keras user would write down for the same task."""
    layers = [keras.layers.GRU(UNITS, return_sequences=True), keras.layers.Dense(1)]
    return keras.Sequential([keras.layers.Reshape((-1, 1)), *layers, keras.layers.Reshape((-1,))])


def step_of_fit(model, x, y, jit_compile="auto"):
    """Milliseconds of a step in Keras's own fit, after one epoch that compiles."""
    model.compile("adam", "mse", jit_compile=jit_compile)
    model.fit(x, y, batch_size=BATCH, verbose=0)
    start = time.perf_counter()
    model.fit(x, y, batch_size=BATCH, verbose=0)
    return 1e3 * (time.perf_counter() - start) / STEPS


def step_of_population(windows, members, readout):
    """Milliseconds of a step of a population."""
    model = Distiller(2, members, readout, UNITS)
    model.compile("adam", PopulationError(windows.variance), jit_compile=True)
    model.fit(Curriculum(windows, Schedule(steps=5)), shuffle=False, verbose=0)
    start = time.perf_counter()
    model.fit(Curriculum(windows, Schedule(steps=STEPS)), shuffle=False, verbose=0)
    return 1e3 * (time.perf_counter() - start) / STEPS


def main():
    """Print the table."""
    data = dataset.simulate(BATCH * STEPS)
    x, y = data.potential.astype("float32"), data.density.astype("float32")
    bare = step_of_fit(bare_gru(), x, y)
    ours = step_of_fit(Translator(units=UNITS), x, y, jit_compile=True)  # as translator.train does
    print(f"a step of {BATCH} chains of {data.potential.shape[1]} sites, {UNITS} units")
    print(f"  keras.layers.GRU      {bare:7.1f} ms")
    print(f"  Translator            {ours:7.1f} ms   {ours / bare:5.2f} × keras.layers.GRU")
    hidden = np.random.default_rng(0).normal(size=(500, 40, UNITS))
    print(f"a step of the distiller, {Schedule().batch} windows of 32 steps, two latents")
    for readout in ("mlp", "quadratic"):
        windows = Windows(hidden, x[:500], hidden if readout == "mlp" else y[:500])
        one, eight = (step_of_population(windows, members, readout) for members in (1, 8))
        print(f"  {readout:9s} 1 member  {one:7.1f} ms   {one / bare:5.2f} × keras.layers.GRU")
        print(f"  {readout:9s} 8 members {eight:7.1f} ms   {eight / bare:5.2f} ×")
        print(f"            eight one by one would cost {8 * one / eight:.1f} times as much as side by side")


if __name__ == "__main__":
    main()
