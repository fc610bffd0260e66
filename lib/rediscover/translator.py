"""The translator: a recurrent network that reads a potential site by site and writes the density."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from sklearn.metrics import r2_score

from . import _check
from ._training import descend, fit_or_restore
from .dataset import Dataset
from .layers import TaylorCell

CELLS = ("gru", "lstm", "taylor")
LARGEST_BATCH = 6000 * 40 * 64  # hidden numbers that are computed at once, so that long chains do not fill the memory
RECIPE = 3  # raise whenever a change below changes what training gives


@keras.saving.register_keras_serializable("rediscover")
class Translator(keras.Model):
    """Sequence-to-sequence network, potential in, density out, whose hidden states can be looked at.

    Parameters
    ----------
    cell : {"gru", "lstm", "taylor"}
        The recurrent cell: gated (Cho et al. 2014; Hochreiter & Schmidhuber 1997) or the linear `layers.TaylorCell`.
    units : int
        Size of the hidden state.
    shift, scale : float
        Mean and standard deviation of the potential: the network sees ``(V - shift) / scale``.
    seed : int
        Seed of the first weights.
    told : int
        How many numbers the network is told about the left end of each chain (`Dataset.initial`): a dense layer makes
        its first hidden state of them. With 0 all chains start alike.

    Raises
    ------
    ValueError, TypeError
        If the cell is unknown, a number out of range.

    Examples
    --------
    >>> translator = Translator("gru", units=8, shift=-0.65, scale=0.2)
    >>> translator.translate(np.full((3, 40), -0.5)).shape
    (3, 40)
    """

    def __init__(self, cell="gru", units=64, shift=0.0, scale=1.0, seed=0, told=0, **kwargs):
        self.settings = {
            "cell": _check.choice("cell", cell, CELLS),
            "units": _check.integer("units", units),
            "shift": _check.number("shift", shift),
            "scale": _check.positive("scale", scale),
            "seed": _check.integer("seed", seed, 0),
            "told": _check.integer("told", told, 0),
        }
        super().__init__(**kwargs)
        self.shift, self.scale, self.told = shift, scale, told

        first = keras.initializers.GlorotUniform(seed)
        if cell == "taylor":
            self.hidden = keras.layers.RNN(
                TaylorCell(units, noise=0.1, seed=seed), return_sequences=True, name="hidden"
            )
        else:
            layer = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[cell]
            orthogonal = keras.initializers.Orthogonal(seed=seed + 1)
            self.hidden = layer(
                units, return_sequences=True, kernel_initializer=first, recurrent_initializer=orthogonal, name="hidden"
            )
        self.hidden.build((None, None, 1))
        self.readout = keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(seed + 2))
        self.readout.build((None, None, units))
        self.memories = []  # what the cell remembers at first; an LSTM has two states
        for number in range((2 if cell == "lstm" else 1) if told else 0):
            memory = keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed + 3 + number))
            memory.build((None, told))
            self.memories.append(memory)
        self.built = True
        # one graph each for all chains: from Python, site by site, they take two and a half times as long
        functions = (lambda *inputs: self.read_out(self.run(*inputs)), self.run)
        self._graphs = [tf.function(function, reduce_retracing=True) for function in functions]

    def standardise(self, potential):
        """The potential as the network sees it."""
        return (potential - self.shift) / self.scale

    def call(self, inputs):
        return self.read_out(self.run(*inputs) if self.told else self.run(inputs))

    def run(self, potential, initial=None):
        """Hidden states (n, sites, units) as tensors; see `hidden_states`."""
        first = [memory(initial) for memory in self.memories] or None
        return self.hidden(self.standardise(potential)[..., None], initial_state=first)

    def read_out(self, hidden):
        """Density that belongs to hidden states, (n, sites, units) to (n, sites)."""
        return ops.squeeze(self.readout(hidden), -1)

    def translate(self, potential: np.ndarray, initial: np.ndarray | None = None) -> np.ndarray:
        """Density in the given potentials, (n, sites) to (n, sites); `initial` (n, told) if it is to be told.

        Examples
        --------
        >>> Translator(units=4).translate([[-0.5, -0.6, -0.7]]).shape
        (1, 3)
        """
        return self._in_batches(self._graphs[0], potential, initial)

    def hidden_states(self, potential: np.ndarray, initial: np.ndarray | None = None) -> np.ndarray:
        """Hidden state after every site, (n, sites) to (n, sites, units); `initial` (n, told) if it is to be told.

        Examples
        --------
        >>> Translator(units=4).hidden_states([[-0.5, -0.6, -0.7]]).shape
        (1, 3, 4)
        """
        return self._in_batches(self._graphs[1], potential, initial)

    def score(self, potential: np.ndarray, density: np.ndarray, initial: np.ndarray | None = None) -> float:
        """Coefficient of determination R² of the density (n, sites), all chains and sites pooled.

        Examples
        --------
        >>> Translator(units=4).score([[-0.5, -0.6]], [[0.9, 0.7]]) < 1
        True
        """
        density, shape = _check.array("density", density, 2), np.shape(potential)
        if density.shape != shape:
            raise ValueError(f"density must have the shape of potential, {shape}; got {density.shape}")
        return float(r2_score(density.ravel(), self.translate(potential, initial).ravel()))

    def get_config(self):
        return super().get_config() | self.settings

    def _in_batches(self, function, potential, initial):
        inputs = [_check.array("potential", potential, 2, dtype=np.float32)]
        if (initial is None) != (self.told == 0):
            raise ValueError(f"initial must {'' if self.told else 'not '}be given: told is {self.told}")
        if initial is not None:
            inputs.append(_check.array("initial", initial, 2, dtype=np.float32))
            if inputs[1].shape != (len(inputs[0]), self.told):
                raise ValueError(f"initial must have shape {(len(inputs[0]), self.told)}; got {inputs[1].shape}")
        n, sites = inputs[0].shape
        size = min(6000, max(1, LARGEST_BATCH // (sites * self.settings["units"])))
        rows = [slice(first, first + size) for first in range(0, n, size)]
        parts = (function(*(ops.convert_to_tensor(x[row]) for x in inputs)) for row in rows)
        return np.concatenate([ops.convert_to_numpy(part) for part in parts])


def train(
    data: Dataset,
    cell: str = "gru",
    units: int = 64,
    epochs: int = 60,
    batch: int = 256,
    rate: float = 6e-3,
    seed: int = 0,
    folder: str | None = None,
) -> Translator:
    """Train a translator, or load it if this very training has been done before.

    Mean squared error, Adam with cosine decay and gradients clipped to norm 1: chapter 02 writes it out.

    Parameters
    ----------
    data : Dataset
        Pairs to learn from; their standardisation becomes the translator's. If they have an `initial`, it is told.
    cell, units
        See `Translator`.
    epochs, batch : int
        Passes over the data, and pairs in a gradient step.
    rate : float
        First learning rate.
    seed : int
        Seed of first weights and of the order of the data.
    folder : str, optional
        Where trained artefacts are kept; see `store.load_or_train`.

    Returns
    -------
    Translator
        Its `artifact` tells configuration, cost and the loss of every epoch (``artifact.arrays["loss"]``).

    Raises
    ------
    ValueError, TypeError
        If a number is out of range, the cell unknown or the potential constant.

    Examples
    --------
    >>> import tempfile
    >>> from rediscover.dataset import simulate
    >>> translator = train(simulate(8, sites=5), units=4, epochs=1, folder=tempfile.mkdtemp())
    >>> translator.artifact.arrays["loss"].shape
    (1,)
    """
    shift, scale = data.standardisation()
    told = 0 if data.initial is None else data.initial.shape[1]
    model = Translator(cell, units, shift, scale, seed, told)
    epochs, batch = _check.integer("epochs", epochs), _check.integer("batch", batch)
    rate = _check.positive("rate", rate)

    def fit():
        rng, size = np.random.default_rng(seed), min(batch, len(data))
        rows = np.concatenate([rng.permutation(len(data)) for _ in range(epochs)]).astype("int32")
        rows = rows[: len(rows) // size * size].reshape(-1, size)  # a batch may end one epoch and begin the next
        inputs = [data.potential, *([data.initial] if told else [])]
        *inputs, target = (ops.convert_to_tensor(x, "float32") for x in (*inputs, data.density))

        def pick(rows):
            x = [ops.take(array, rows, axis=0) for array in inputs]
            return x if told else x[0], ops.take(target, rows, axis=0)

        adam = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, len(rows)), clipnorm=1.0)
        return descend(model, keras.losses.MeanSquaredError(), adam, pick, [rows], epochs)

    config = {"kind": "translator", "data": data.origin, "cell": cell, "units": units, "epochs": epochs}
    config |= {"batch": batch, "rate": rate, "seed": seed, "recipe": RECIPE}  # what it is told is in "data"
    return fit_or_restore(model, config, fit, folder)
