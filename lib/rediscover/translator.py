"""The translator: a recurrent network that reads a potential site by site and writes the density."""

from __future__ import annotations

from functools import cached_property

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from sklearn.metrics import r2_score

from . import _check
from ._training import descend, fit_or_restore, graph
from .dataset import Dataset, Scaling
from .layers import TaylorCell, single_precision

CELLS = ("gru", "lstm", "taylor")
LARGEST_BATCH = 6000 * 40 * 64  # hidden numbers that are computed at once, so that long chains do not fill the memory
RECIPE = 3  # raise whenever a change below changes what training gives


@keras.saving.register_keras_serializable("rediscover")
class Translator(keras.Model):
    """Sequence-to-sequence network, potential in, density out, whose hidden states can be looked at.

    Its own methods, `translate`, `hidden_states` and `score`, take and give numbers in the caller's units, which are
    standardised in float64 before anything is cast to float32. As a Keras model it is called with and fitted to
    standardised numbers: ``model.fit(model.seen(V), model.density.to(rho))``. Arrays as they are it refuses.

    Parameters
    ----------
    cell : {"gru", "lstm", "taylor"}
        The recurrent cell: gated (Cho et al. 2014; Hochreiter & Schmidhuber 1997) or the linear `layers.TaylorCell`.
    units : int
        Size of the hidden state.
    potential, density : (float, float)
        Shift and scale of each, such as its mean and standard deviation (`Dataset.standardisation`): the network sees
        ``(V - shift) / scale``.
    initial : (list of float, list of float), optional
        Shifts and scales of the numbers that the network is told about the left end of each chain (`Dataset.initial`):
        a dense layer makes its first hidden state of them. Without, it is told nothing, and all chains start alike.
    seed : int
        Seed of the first weights.

    Raises
    ------
    ValueError, TypeError
        If the cell is unknown, a number out of range.

    Examples
    --------
    >>> translator = Translator("gru", units=8, potential=(-0.65, 0.2))
    >>> translator.translate(np.full((3, 40), -0.5)).shape
    (3, 40)
    """

    def __init__(self, cell="gru", units=64, potential=(0.0, 1.0), density=(0.0, 1.0), initial=None, seed=0, **kwargs):
        self.potential, self.density = _scaling("potential", potential, 0), _scaling("density", density, 0)
        self.initial = None if initial is None else _scaling("initial", initial, 1)
        self.told = 0 if initial is None else len(self.initial.shift)
        self.settings = {
            "cell": _check.choice("cell", cell, CELLS),
            "units": _check.integer("units", units),
            "potential": self.potential,
            "density": self.density,
            "initial": self.initial,
            "seed": _check.integer("seed", seed, 0),
        }
        super().__init__(**single_precision(kwargs))

        first = keras.initializers.GlorotUniform(seed)
        if cell == "taylor":
            taylor = TaylorCell(units, noise=0.1, seed=seed, dtype="float32")
            self.hidden = keras.layers.RNN(taylor, return_sequences=True, name="hidden", dtype="float32")
        else:
            layer = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[cell]
            orthogonal = keras.initializers.Orthogonal(seed=seed + 1)
            options = {"kernel_initializer": first, "recurrent_initializer": orthogonal}
            options |= {"use_cudnn": False}  # on a GPU Keras would take cuDNN's cells, which XLA cannot compile
            self.hidden = layer(units, return_sequences=True, name="hidden", dtype="float32", **options)
        self.hidden.build((None, None, 1))
        last = keras.initializers.GlorotUniform(seed + 2)
        self.readout = keras.layers.Dense(1, kernel_initializer=last, dtype="float32")
        self.readout.build((None, None, units))
        self.memories = []  # what the cell remembers at first; an LSTM has two states
        for number in range((2 if cell == "lstm" else 1) if self.told else 0):
            glorot = keras.initializers.GlorotUniform(seed + 3 + number)
            memory = keras.layers.Dense(units, kernel_initializer=glorot, dtype="float32")
            memory.build((None, self.told))
            self.memories.append(memory)
        self.built = True

    # One graph each for all chains: from Python, site by site, they take two and a half times as long.
    @cached_property
    def _translate(self):
        return graph(self.call, self._spec)

    @cached_property
    def _watch(self):
        return graph(lambda inputs: self.run(**inputs), self._spec)

    @property
    def _spec(self):
        spec = {"potential": tf.TensorSpec((None, None))}
        return spec | ({"initial": tf.TensorSpec((None, self.told))} if self.told else {})

    def standardise(self, potential: np.ndarray) -> np.ndarray:
        """The potential as the network sees it."""
        return self.potential.to(potential)

    def seen(self, potential: np.ndarray, initial: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """What the network is given for potentials (n, sites), and for `initial` (n, told) if it is to be told.

        Examples
        --------
        >>> Translator(units=4, potential=(1e7, 0.5)).seen([[1e7 - 1.0, 1e7]])["potential"].tolist()
        [[-2.0, 0.0]]
        """
        arrays = {"potential": _check.array("potential", potential, 2)}
        if (initial is None) != (self.told == 0):
            raise ValueError(f"initial must {'' if self.told else 'not '}be given: told is {self.told}")
        if initial is not None:
            arrays["initial"] = _check.array("initial", initial, 2)
            if arrays["initial"].shape != (expected := (len(arrays["potential"]), self.told)):
                raise ValueError(f"initial must have shape {expected}; got {arrays['initial'].shape}")
        return {
            name: _check.array(name, getattr(self, name).to(values), dtype=np.float32)
            for name, values in arrays.items()
        }

    def call(self, inputs):
        if not isinstance(inputs, dict):  # else arrays in somebody's units would pass for standardised ones
            raise TypeError(f"inputs must be what Translator.seen makes of arrays; got a {type(inputs).__name__}")
        return self.read_out(self.run(**inputs))

    def run(self, potential, initial=None):
        """Hidden states (n, sites, units) as tensors, from what is `seen`; see `hidden_states`."""
        first = [memory(initial) for memory in self.memories] or None
        return self.hidden(potential[..., None], initial_state=first)

    def read_out(self, hidden):
        """Standardised density that belongs to hidden states, as tensors: (n, sites, units) to (n, sites)."""
        return ops.squeeze(self.readout(hidden), -1)

    def translate(self, potential: np.ndarray, initial: np.ndarray | None = None) -> np.ndarray:
        """Density in the given potentials, (n, sites) to (n, sites); `initial` (n, told) if it is to be told.

        Examples
        --------
        >>> Translator(units=4).translate([[-0.5, -0.6, -0.7]]).shape
        (1, 3)
        """
        return self.density.back(self._in_batches(self._translate, potential, initial))

    def hidden_states(self, potential: np.ndarray, initial: np.ndarray | None = None) -> np.ndarray:
        """Hidden state after every site, (n, sites) to (n, sites, units); `initial` (n, told) if it is to be told.

        Examples
        --------
        >>> Translator(units=4).hidden_states([[-0.5, -0.6, -0.7]]).shape
        (1, 3, 4)
        """
        return self._in_batches(self._watch, potential, initial)

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
        # standardised: the squares of any density fit a float
        found = self._in_batches(self._translate, potential, initial)
        return float(r2_score(self.density.to(density).ravel(), found.ravel()))

    def get_config(self):
        return super().get_config() | self.settings

    def _in_batches(self, function, potential, initial):
        inputs = self.seen(potential, initial)
        n, sites = inputs["potential"].shape
        size = min(6000, max(1, LARGEST_BATCH // (sites * self.settings["units"])))
        rows = [slice(first, first + size) for first in range(0, n, size)]
        parts = (function({name: ops.convert_to_tensor(x[row]) for name, x in inputs.items()}) for row in rows)
        return np.concatenate([ops.convert_to_numpy(part) for part in parts])


def _scaling(name, pair, axes):
    both = _check.array(name, pair, 1 + axes)
    if len(both) != 2 or both[1].min() <= 0:
        raise ValueError(f"{name} must be a shift and a scale greater than 0; got {pair!r}")
    return Scaling(*both.tolist())


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
        Pairs to learn from, in any units; their standardisation becomes the translator's. If they have an `initial`, it
        is told.
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
        Its `artifact` tells configuration, cost and the loss of every epoch (``artifact.arrays["loss"]``), which is the
        share of the variance of the density that is not explained.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range, the cell unknown, or potential or density constant; or if another training of this
        name, on other data, is kept already.

    Examples
    --------
    >>> import tempfile
    >>> from rediscover.dataset import simulate
    >>> translator = train(simulate(8, sites=5), units=4, epochs=1, folder=tempfile.mkdtemp())
    >>> translator.artifact.arrays["loss"].shape
    (1,)
    """
    model = Translator(cell, units, **data.standardisation(), seed=seed)
    epochs, batch = _check.integer("epochs", epochs), _check.integer("batch", batch)
    rate = _check.positive("rate", rate)

    def fit():
        rng, size = np.random.default_rng(seed), min(batch, len(data))
        rows = np.concatenate([rng.permutation(len(data)) for _ in range(epochs)]).astype("int32")
        rows = rows[: len(rows) // size * size].reshape(-1, size)  # a batch may end one epoch and begin the next
        whole = model.seen(data.potential, data.initial)
        inputs = {name: ops.convert_to_tensor(array) for name, array in whole.items()}
        target = ops.convert_to_tensor(model.density.to(data.density), "float32")

        def pick(rows):
            seen = {name: ops.take(array, rows, axis=0) for name, array in inputs.items()}
            return seen, ops.take(target, rows, axis=0)

        adam = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, len(rows)), clipnorm=1.0)
        return descend(model, keras.losses.MeanSquaredError(dtype="float32"), adam, pick, [rows], epochs)

    config = {"kind": "translator", "data": data.origin, "cell": cell, "units": units, "epochs": epochs}
    config |= {"backend": keras.backend.backend(), "precision": model.compute_dtype}
    config |= {"batch": batch, "rate": rate, "seed": seed, "recipe": RECIPE}  # what it is told is in "data"
    return fit_or_restore(model, config, fit, folder, data.arrays)
