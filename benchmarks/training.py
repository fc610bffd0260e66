"""Networks beside their peers: Keras's and PyTorch's GRU, members one by one, bare matrix products; and the law."""

import time
from itertools import pairwise

import keras
import numpy as np
from sklearn.metrics import r2_score
from timing import Comparison, each, fresh, seconds

from rediscover import dataset, distiller, translator
from rediscover.distiller import Distiller, PopulationError, Schedule, Windows
from rediscover.law import Law

CHAINS, UNITS, BATCH, EPOCHS, RATE = 6000, 64, 128, 12, 6e-3
STEPS, MEMBERS = 200, 8


# The translator -------------------------------------------------------------------------------------------------------


def of_ours(train, test):
    """Milliseconds of an epoch, and R² after all."""
    found = {}

    def run(epochs):
        found["model"] = fresh(translator.train, train, "gru", UNITS, epochs, BATCH, RATE)

    took = each(run, EPOCHS // 2, EPOCHS, repeat=2)
    return took, found["model"].score(test.potential, test.density)


def of_keras(train, test):
    """The same in Keras's own fit, as a Keras user would write it down."""
    layers = [keras.layers.GRU(UNITS, return_sequences=True), keras.layers.Dense(1)]
    model = keras.Sequential([keras.layers.Reshape((-1, 1)), *layers, keras.layers.Reshape((-1,))])
    (x, y), (v, rho) = standardised(train, train), standardised(test, train)
    decay = keras.optimizers.schedules.CosineDecay(RATE, EPOCHS * len(x) // BATCH)
    model.compile(keras.optimizers.Adam(decay, clipnorm=1.0), "mse")
    times = []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        model.fit(x, y, batch_size=BATCH, verbose=0)
        times.append(time.perf_counter() - start)
    return 1e3 * np.mean(times[2:]), r2_score(rho.ravel(), model.predict(v, verbose=0).ravel())


def of_torch(train, test):
    """The same in PyTorch, with as many threads as it likes; nothing where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.manual_seed(0)
    (x, y), (v, rho) = (map(torch.from_numpy, standardised(data, train)) for data in (train, test))
    gru, dense = torch.nn.GRU(1, UNITS, batch_first=True), torch.nn.Linear(UNITS, 1)
    weights = [*gru.parameters(), *dense.parameters()]
    adam = torch.optim.Adam(weights, RATE)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, EPOCHS * len(x) // BATCH)
    times = []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        for rows in torch.randperm(len(x))[: len(x) // BATCH * BATCH].reshape(-1, BATCH):
            adam.zero_grad()
            torch.mean((dense(gru(x[rows][..., None])[0])[..., 0] - y[rows]) ** 2).backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            adam.step()
            decay.step()
        times.append(time.perf_counter() - start)
    with torch.no_grad():
        return 1e3 * np.mean(times[2:]), r2_score(rho.ravel(), dense(gru(v[..., None])[0])[..., 0].ravel())


def standardised(data, by):
    """Potentials and densities as float32 of about unit size."""
    x, y = (data.potential - by.potential.mean()) / by.potential.std(), data.density / by.density.std()
    return x.astype("float32"), y.astype("float32")


# Populations ----------------------------------------------------------------------------------------------------------


def of_population(windows, readout, members):
    """Milliseconds of a step of a population, as the library trains it: of one member more steps, as they are quick."""
    few, many = (3 * STEPS, 30 * STEPS) if members == 1 else (STEPS, 7 * STEPS)

    def run(steps):
        fresh(distiller.train, windows, {}, 2, members, readout, Schedule(steps=steps))

    return each(run, few, many, repeat=2)


class Batches(keras.utils.PyDataset):
    """The same windows, one batch at a time from Python."""

    def __init__(self, windows, steps):
        super().__init__()
        self.windows, self.draws = windows, Schedule(steps=steps).draw(windows)

    def __len__(self):
        return len(self.draws[0])

    def __getitem__(self, step):
        return self.windows.cut(*(drawn[step] for drawn in self.draws))


def of_fit(windows, readout):
    """Milliseconds of a step of a single member in Keras's own fit, compiled."""
    model = Distiller(2, 1, readout, UNITS)
    model.compile(keras.optimizers.Adam(1e-2, clipvalue=0.1), PopulationError(windows.variance), jit_compile=True)
    model.fit(Batches(windows, 1), shuffle=False, verbose=0)  # which compiles, once for all
    return each(lambda steps: model.fit(Batches(windows, steps), shuffle=False, verbose=0), STEPS, 2 * STEPS)


def of_products(width=48, known=6):
    """Milliseconds of the matrix products in a step of an `mlp` population: each once forward and twice back."""
    rng, rows, sizes = np.random.default_rng(0), BATCH * Schedule().sites, (2 + known, width, width, UNITS)
    pairs = [
        (rng.random((MEMBERS, rows, a), "float32"), rng.random((MEMBERS, a, b), "float32")) for a, b in pairwise(sizes)
    ]
    outs = [x @ w for x, w in pairs]

    def products():
        for (x, w), out in zip(pairs, outs, strict=True):
            np.matmul(x, w)
            np.matmul(out, w.swapaxes(1, 2))
            np.matmul(x.swapaxes(1, 2), out)

    return 1e3 * seconds(products, repeat=20)[0]


# All ------------------------------------------------------------------------------------------------------------------


def compare():
    """Give the comparisons."""
    train, test = dataset.simulate(CHAINS + 2000, seed=0).split(CHAINS, 2000)
    (ours, score), (keras_, keras_score), torch_ = (f(train, test) for f in (of_ours, of_keras, of_torch))
    name = f"Translator, an epoch (R² {score:.3f})"
    yield Comparison(name, ours, f"keras.layers.GRU (R² {keras_score:.3f})", keras_, 2)
    if torch_ is None:
        print("torch is not installed: pip install torch, to see its GRU beside ours")
    else:
        yield Comparison(name, ours, f"torch.nn.GRU (R² {torch_[1]:.3f})", torch_[0], 2)

    model = translator.Translator("gru", UNITS, **train.standardisation())
    hidden, density = model.hidden_states(train.potential), train.density
    for readout in ("mlp", "quadratic"):
        windows = Windows(hidden, model.standardise(train.potential), hidden if readout == "mlp" else density)
        one, eight, alone = (*(of_population(windows, readout, m) for m in (1, MEMBERS)), of_fit(windows, readout))
        name = f"eight members, {readout}, a step"
        yield Comparison(name, eight, "eight one by one, compiled as ours", MEMBERS * one, 5)
        yield Comparison(name, eight, "eight one by one in Keras's fit", MEMBERS * alone, 5)
        if readout == "mlp":
            yield Comparison(name, eight, "its matrix products, NumPy's", of_products(), 1 / 3)

    coefficients = np.random.default_rng(0).normal(0, 0.1, (3, 2, 2)) + np.eye(2)
    law, form = Law(coefficients, *model.potential, train.spacing), np.eye(2)
    start, V = np.ones((len(train), 2)), train.potential

    def by_law():
        latents = law.roll_out(start, V)
        return np.einsum("nsi,ij,nsj->ns", latents, form, latents)

    times = [1e3 * s for s in seconds(by_law, lambda: model.translate(V), repeat=7)]
    yield Comparison(f"the law in {CHAINS:,} potentials", times[0], "Translator.translate", times[1], 100)
