"""The knowledge distiller: a recurrent auto-encoder over a translator's run, asked to make do with few numbers.

One encoder looks at a single hidden state. From there on only the potential drives the latents, by a linear cell
(`layers.TaylorCell`), and one decoder, shared by all sites, rebuilds what the translator does next. The loss is summed
over the whole roll-out, so that latents must obey a law of motion, not merely store. Chapter 03 builds it from scratch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache, cached_property, partial

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from . import _check, readouts
from ._training import descend, fit_or_restore, graph
from .dataset import Dataset
from .layers import FreeCell, MemberWise, TaylorCell, single_precision
from .readouts import Readout
from .translator import Translator

UPDATES = ("linear", "mlp")
PACK = 100  # training steps of which one loss is kept
RECIPE = 5  # raise whenever a change below changes what training gives


class Windows:
    """Stretches of chains, cut so that a distiller can be trained and judged on them.

    A window begins at one of the first `starts` sites and follows the chain for `length` steps. Of the translator's
    run it shows the hidden state at the first site only. The potentials are inputs: the last `known` ones at every
    site.

    Parameters
    ----------
    hidden : array_like
        Hidden states, shape (n, sites, units).
    potential : array_like
        Standardised potentials, shape (n, sites).
    target : array_like
        What the decoder is to rebuild, shape (n, sites) or (n, sites, units), in units of `scale`: of size one, or
        float32 may not hold it.
    length : int
        Steps of a window; it has length + 1 sites.
    starts : int
        Number of sites at which windows may begin.
    known : int
        Number of potentials shown to the decoder at each site, the site's own first; before the chain the standardised
        potential is taken as 0. With ``known=0`` the decoder sees the latents only.
    scale : float
        One unit of the target in those of the caller.

    Raises
    ------
    ValueError, TypeError
        If shapes disagree, a value is not finite, or the chain is shorter than a window.

    Examples
    --------
    >>> windows = Windows(np.ones((5, 10, 3)), np.ones((5, 10)), np.ones((5, 10)), length=6, starts=2)
    >>> inputs, target = windows.cut(rows=[0, 1], starts=[0, 1], sites=[0, 6])
    >>> inputs["hidden"].shape, inputs["known"].shape, target.shape
    ((2, 3), (2, 7, 6), (2, 2))
    """

    def __init__(
        self, hidden, potential, target, *, length: int = 32, starts: int = 4, known: int = 6, scale: float = 1.0
    ):
        self.scale = _check.positive("scale", scale)
        self.length, self.starts = _check.integer("length", length), _check.integer("starts", starts)
        self.known = _check.integer("known", known, 0)
        self.hidden = _check.frozen(_check.array("hidden", hidden, 3, dtype=np.float32))
        potential = _check.array("potential", potential, 2, dtype=np.float32)
        self.target = _check.frozen(_check.array("target", target, (2, 3), dtype=np.float32))
        n, sites = potential.shape
        for name, array in (("hidden", self.hidden), ("target", self.target)):
            if array.shape[:2] != (n, sites):
                raise ValueError(f"{name} must begin with the shape of potential, {(n, sites)}; got {array.shape}")
        if sites < starts + length:
            raise ValueError(f"length + starts must not exceed the {sites} sites of the chain; got {length} + {starts}")
        self.lags = max(known, 1)  # the latent update needs a site's own potential even if the decoder does not see it
        self.padded = _check.frozen(np.pad(potential, ((0, 0), (self.lags - 1, 0))))
        self.variance = float(self.target.var((0, 1), dtype="float64").mean())
        #: What these windows are made of, by name: who learns from others under the same identity is refused.
        self.sources = {"hidden": self.hidden, "potential": self.padded, "target": self.target}

    @classmethod
    def of(
        cls,
        translator: Translator,
        potential: np.ndarray,
        readout: str | Readout = "mlp",
        *,
        initial: np.ndarray | None = None,
        **shape: int,
    ) -> Windows:
        """Windows of a translator's own run, with the target of a readout: its hidden states, or its density.

        `initial` is what the translator is told about the left ends, if it is told anything. Potentials and `initial`
        are in the caller's units; the windows are not, so that distilling does not depend on units.

        Examples
        --------
        >>> from rediscover.translator import Translator
        >>> Windows.of(Translator(units=5), np.zeros((3, 40)), "mlp").target.shape
        (3, 40, 5)
        """
        readout = readouts.get(readout)
        potential = _check.array("potential", potential, 2)

        def watch(V: np.ndarray, initial: np.ndarray | None) -> Windows:
            hidden = _check.frozen(translator.hidden_states(V, initial))
            target, scale = readout.target(translator, hidden), readout.scale(translator)
            return cls(hidden, translator.standardise(V), target, scale=scale, **shape)

        # a window that does not fit fails here, before the long run
        watch(potential[:1], None if initial is None else initial[:1])
        windows = watch(potential, initial)
        windows.sources = _sources(translator, potential, initial)
        return windows

    def __len__(self) -> int:
        return len(self.hidden)

    def cut(self, rows, starts, sites) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Inputs of a distiller and its target at the given `sites` (0 … length) of the windows ``(row, start)``."""
        picks = (np.asarray(pick, "int32") for pick in (rows, starts, sites))
        return self._cut(np, self.hidden, self.padded, self.target, *picks)

    def _cut(self, xp, hidden, padded, target, rows, starts, sites):
        """Do it with NumPy or with tensors, whose functions `xp` has."""

        def pick(array, columns):
            flat = xp.reshape(array, (-1, *array.shape[2:]))
            return xp.take(flat, xp.expand_dims(rows, 1) * array.shape[1] + columns, axis=0)

        first = xp.expand_dims(starts, 1)
        chain = first + np.arange(self.length + 1, dtype="int32")
        lags = [pick(padded, chain + (self.lags - 1 - lag)) for lag in range(self.lags)]
        inputs = {"hidden": pick(hidden, first)[:, 0], "known": xp.stack(lags, -1), "sites": sites}
        return inputs, pick(target, first + sites)

    @property
    def start(self) -> np.ndarray:
        """Where each chain's window begins when every chain is used once: the starts by turns, shape (n,)."""
        return np.arange(len(self)) % self.starts

    def along(self, chains: np.ndarray) -> np.ndarray:
        """What is known about every site of the chains, (n, sites, ...), at the sites of each chain's window.

        Shape (n, length + 1, ...): the sites to which `Distiller.latents` belong.

        Examples
        --------
        >>> windows = Windows(np.ones((2, 10, 3)), np.ones((2, 10)), np.ones((2, 10)), length=3, starts=2)
        >>> windows.along([range(10), range(10)]).tolist()
        [[0, 1, 2, 3], [1, 2, 3, 4]]
        """
        chains = np.asarray(chains)
        if chains.shape[:2] != self.target.shape[:2]:
            raise ValueError(f"chains must begin with the shape {self.target.shape[:2]}; got {chains.shape}")
        return chains[np.arange(len(self))[:, None], self.start[:, None] + np.arange(self.length + 1)]

    def batches(self, size: int = 500) -> Iterable[tuple[dict[str, np.ndarray], np.ndarray]]:
        """Every chain once, all sites of its window, in batches; for judging, not for training."""
        for first in range(0, len(self), size):
            rows = np.arange(first, min(first + size, len(self)))
            yield self.cut(rows, self.start[rows], np.arange(self.length + 1))


def _sources(translator: Translator, potential: np.ndarray, initial: np.ndarray | None) -> dict[str, np.ndarray]:
    """What the windows of a translator's run are made of.

    Not the hidden states: another machine computes them from these with other last digits, of seven or of three.
    """
    weights = np.concatenate([np.ravel(w) for w in translator.get_weights()])
    offset = translator.density.shift / translator.density.scale
    return {**translator.seen(potential, initial), "weights": weights, "offset": np.array([offset])}


@dataclass(frozen=True)
class Schedule:
    """How a population is trained: a budget, and a horizon that grows.

    The furthest site that counts grows from `first` to the whole window over the share `growth` of the training, slowly
    at first: the law of one step is learned before its consequences far down the chain are. Chapter 03 tries others.

    Attributes
    ----------
    steps, batch : int
        Number of gradient steps and windows in each.
    rate : float
        First learning rate of Adam; it decays as a cosine.
    sites : int
        Sites drawn at random at each step, out of those within the horizon.
    first : int
        First horizon, in steps.
    growth : float
        Share of training over which the horizon grows; 0 for the whole window from the start.
    power : float
        The horizon grows as this power of the time.
    clip : float
        Largest entry of a gradient. Entries, not norms, are clipped: members stay independent of each other.
    noise : float
        Standard deviation of the first Taylor coefficients about a step that changes nothing.

    Raises
    ------
    ValueError, TypeError
        If a value is not a positive number, or growth or noise negative.

    Examples
    --------
    >>> Schedule(steps=100, first=2).horizon(0, length=32), Schedule(steps=100).horizon(99, length=32)
    (2, 32)
    """

    steps: int = 3000
    batch: int = 128
    rate: float = 1e-2
    sites: int = 8
    first: int = 1
    growth: float = 0.7
    power: float = 2.0
    clip: float = 0.1
    noise: float = 0.1

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "sites", "first"):
            _check.integer(name, getattr(self, name))
        for name in ("rate", "power", "clip"):
            _check.positive(name, getattr(self, name))
        for name in ("growth", "noise"):
            _check.at_least(name, getattr(self, name), 0)

    def horizon(self, step: int, length: int) -> int:
        """Furthest site that may be drawn at a training step."""
        grown = min(1.0, step / (self.growth * self.steps)) if self.growth else 1.0
        return int(min(length, self.first + (length - self.first) * grown**self.power))

    def draw(self, windows: Windows, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw the batches of a training: rows and starts (steps, batch), and sites (steps, sites), for `Windows.cut`.

        Examples
        --------
        >>> windows = Windows(np.ones((5, 40, 3)), np.ones((5, 40)), np.ones((5, 40)))
        >>> rows, starts, sites = Schedule(steps=10, batch=2).draw(windows)
        >>> rows.shape, starts.shape, sites.shape, int(sites[0].max()) <= 1
        ((10, 2), (10, 2), (10, 8), True)
        """
        rng = np.random.default_rng(_check.integer("seed", seed, 0))
        rows = rng.integers(0, len(windows), (self.steps, self.batch), "int32")
        starts = rng.integers(0, windows.starts, (self.steps, self.batch), "int32")
        horizons = np.array([[self.horizon(step, windows.length)] for step in range(self.steps)])
        return rows, starts, rng.integers(0, horizons + 1, (self.steps, self.sites), "int32")


@keras.saving.register_keras_serializable("rediscover")
class PopulationError(keras.losses.Loss):
    """Mean squared error of every member, summed over members: their gradients do not mix.

    ``y_true`` (batch, sites, ...) is compared with ``y_pred`` (batch, members, sites, ...).

    Parameters
    ----------
    variance : float
        Of the target; the error is given as a fraction of it.

    Examples
    --------
    >>> error = PopulationError()(keras.ops.zeros((4, 3)), keras.ops.ones((4, 2, 3)))
    >>> float(error)  # two members, each wrong by one everywhere
    2.0
    """

    def __init__(self, variance: float = 1.0, name: str = "population_error", **kwargs):
        super().__init__(name=name, **kwargs)
        self.variance = _check.positive("variance", variance)

    def call(self, y_true, y_pred):
        return ops.sum(_squared_error(y_true, y_pred), axis=-1) / self.variance

    def get_config(self):
        return super().get_config() | {"variance": self.variance}


def _squared_error(y_true, y_pred):
    """Shape (batch, members)."""
    squares = ops.square(y_pred - ops.expand_dims(y_true, 1))
    return ops.mean(squares, axis=tuple(range(2, len(y_pred.shape))))


@keras.saving.register_keras_serializable("rediscover")
class Distiller(keras.Model):
    """A population of recurrent auto-encoders, trained side by side in one compiled step.

    Every weight has a leading member axis and members share only the data, so each one trains as it would alone.

    Parameters
    ----------
    latent_dim : int
        Number of latent variables.
    members : int
        Number of independent trainings; member m is initialised with ``seed + m``. Populations that are to have no
        member in common need seeds at least that far apart.
    readout : {"mlp", "quadratic", "linear"} or readouts.Readout
        `mlp` rebuilds the hidden states from latents and known potentials; the others read the density off the latents.
    units : int
        Number of hidden units of the translator.
    known : int
        Number of known potentials that the `mlp` decoder is shown.
    width : int
        Units of each dense layer of encoder and decoder.
    order : int
        Highest power of the potential in the latent update.
    noise, seed : float, int
        Spread of the first update about the identity, and the seed of all first weights.
    update : {"linear", "mlp"}
        How the latents move: by `layers.TaylorCell`, the theories of this book, or by `layers.FreeCell`, which has a
        network beside it and may do anything smooth: the control of chapter 09.
    scale : float
        Unit of the target (`Windows`), in which all of the above is; `forms` and `rebuild` are in the caller's.

    Raises
    ------
    ValueError, TypeError
        If a size is not a positive integer or the readout is unknown.

    Notes
    -----
    Inputs are ``{"hidden": (batch, units), "known": (batch, length + 1, known), "sites": (k,)}``; the output is
    (batch, members, k, units) for `mlp` and (batch, members, k) else. The architecture is that of Wang, Zhai & You,
    Science Bulletin 64 (2019) 1228.

    Examples
    --------
    >>> distiller = Distiller(latent_dim=2, members=3, readout="mlp", units=5)
    >>> inputs = {"hidden": np.zeros((4, 5)), "known": np.zeros((4, 33, 6)), "sites": np.arange(8)}
    >>> distiller(inputs).shape
    TensorShape([4, 3, 8, 5])
    """

    def __init__(
        self,
        latent_dim,
        members=1,
        readout="mlp",
        units=64,
        known=6,
        width=48,
        order=2,
        noise=0.1,
        seed=0,
        update="linear",
        scale=1.0,
        **kwargs,
    ):
        self.scale = _check.positive("scale", scale)
        sizes = {"latent_dim": latent_dim, "members": members, "units": units, "known": known, "width": width}
        sizes = {name: _check.integer(name, value, int(name != "known")) for name, value in sizes.items()}
        self.settings = sizes | {
            "readout": readouts.get(readout).name,
            "order": _check.integer("order", order),
            "noise": _check.at_least("noise", noise, 0),
            "seed": _check.integer("seed", seed, 0),
            "update": _check.choice("update", update, UPDATES),
        }
        super().__init__(**single_precision(kwargs))
        self.latent_dim, self.members, self.readout = latent_dim, members, readouts.get(readout)

        def dense(equation, shape, number, scale=1.0, **options):
            # one einsum a layer; b batch, m member, s site, n both. Layers are seeded far apart, members one by one.
            glorot = keras.initializers.VarianceScaling(scale, "fan_avg", "uniform")
            first = MemberWise(glorot, seed + 10_000 * number)
            return keras.layers.EinsumDense(equation, shape, kernel_initializer=first, dtype="float32", **options)

        # A density does not know the sign of a state. If all windows start from nearly the same latents, they start
        # with the same sign; else the encoder may choose another here and there, and a seam between them stays.
        alike = {"scale": 0.01, "bias_initializer": "ones"} if self.readout.explicit else {}
        # encoder and decoder work on hidden states of zero mean and unit variance; see adapt
        self.centre = self.add_weight(shape=(units,), initializer="zeros", trainable=False, name="centre")
        self.spread = self.add_weight(shape=(), initializer="ones", trainable=False, name="spread")
        self.encoder = keras.Sequential(
            [
                keras.Input((units,), dtype="float32"),
                dense("bh,mhw->bmw", (members, width), 1, bias_axes="mw", activation="tanh"),
                dense("bmw,mwd->bmd", (members, latent_dim), 2, bias_axes="md", **alike),
            ],
            name="encoder",
        )
        cell = {"linear": TaylorCell, "mlp": FreeCell}[update](latent_dim, order, members, noise, seed, dtype="float32")
        self.update = keras.layers.RNN(cell, return_sequences=True, name="update", dtype="float32")
        self.update.build((None, None, 1))
        seen = keras.Input(batch_shape=self.readout.input_shape(members, latent_dim, known), dtype="float32")
        layers = self.readout.layers(dense, members, width, units, seed)
        for layer in layers:
            layer.dtype_policy = "float32"  # whoever wrote the readout
        self.decoder = keras.Sequential([seen, *layers], name="decoder")
        self.built = True

    def adapt(self, windows: Windows) -> None:
        """Take from the windows to learn from where their hidden states are centred and how far they spread.

        One number for the spread of all units: dividing each by its own would blow up those that hardly move.

        Raises
        ------
        ValueError
            If the hidden states are the same everywhere.
        """
        if np.ptp(windows.hidden) == 0:
            raise ValueError(f"hidden states of the windows must differ; got {windows.hidden.flat[0]} everywhere")
        self.centre.assign(windows.hidden.mean((0, 1), dtype="float64"))
        self.spread.assign(np.sqrt(windows.hidden.var((0, 1), dtype="float64").mean()))

    def encode(self, hidden):
        """First latents from one hidden state: (batch, units) to (batch, members, latent_dim)."""
        return self.encoder((hidden - self.centre) / self.spread)

    def roll_out(self, hidden, potential):
        """Latents along a window, (batch, members, length + 1, latent_dim), from its first hidden state.

        `potential` (batch, length) holds the standardised potentials of the sites after the first.
        """
        start = ops.reshape(self.encode(hidden), (-1, self.members * self.latent_dim))
        rest = self.update(potential[..., None], initial_state=start)
        chain = ops.concatenate([start[:, None], rest], axis=1)
        chain = ops.reshape(chain, (-1, ops.shape(chain)[1], self.members, self.latent_dim))
        return ops.transpose(chain, (0, 2, 1, 3))

    def call(self, inputs):
        known, sites = inputs["known"], inputs["sites"]
        g = ops.take(self.roll_out(inputs["hidden"], known[:, 1:, 0]), sites, axis=2)
        return self.readout.decode(self, g, known, sites)

    def coefficients(self) -> np.ndarray:
        """Taylor coefficients U_n of every member's update, shape (members, order + 1, latent_dim, latent_dim).

        Raises
        ------
        ValueError
            If the update is not linear and has none.

        Examples
        --------
        >>> Distiller(latent_dim=2, members=3).coefficients().shape
        (3, 3, 2, 2)
        """
        if self.settings["update"] != "linear":
            raise ValueError("a distiller with update 'mlp' has no Taylor coefficients")
        return ops.convert_to_numpy(self.update.cell.kernel)

    def forms(self) -> np.ndarray:
        """Form by which every member reads the density off its latents, in the caller's units.

        Shape (members, d, d) or (members, d).

        Raises
        ------
        ValueError
            If the readout is not explicit and has none.

        Examples
        --------
        >>> Distiller(latent_dim=2, members=3, readout="quadratic").forms().shape
        (3, 2, 2)
        """
        kernels = self.scale * self.decoder.get_weights()[0].astype(float)
        return np.stack([self.readout.form(kernel) for kernel in kernels])

    def rebuild(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """What every member rebuilds from inputs that were `Windows.cut`, in the caller's units: (batch, members, k).

        For `mlp` there is an axis of hidden units besides.
        """
        return self.scale * ops.convert_to_numpy(self(inputs)).astype(float)

    # One graph each for all windows, as of a translator.
    @cached_property
    def _roll_out(self):
        return graph(self.roll_out, tf.TensorSpec((None, self.settings["units"])), tf.TensorSpec((None, None)))

    @cached_property
    def _errors(self):
        units, lags = self.settings["units"], max(self.settings["known"], 1)
        shapes = {"hidden": (None, units), "known": (None, None, lags)}
        inputs = {name: tf.TensorSpec(shape) for name, shape in shapes.items()}
        inputs["sites"] = tf.TensorSpec((None,), "int32")
        target = tf.TensorSpec((None, None, *self.readout.target_shape(units)))
        return graph(lambda x, y: _squared_error(y, self(x)), inputs, target)

    def latents(self, windows: Windows) -> np.ndarray:
        """Latents of every member along every window, shape (members, n, length + 1, latent_dim)."""
        parts = [self._roll_out(x["hidden"], x["known"][:, 1:, 0]) for x, _ in windows.batches()]
        return np.concatenate([ops.convert_to_numpy(p) for p in parts]).swapaxes(0, 1)

    def member_losses(self, windows: Windows) -> np.ndarray:
        """Mean squared error of every member over all sites, as a fraction of the target's variance: (members,).

        Infinite for a member that diverged: it is as lost as can be.
        """
        parts = [ops.convert_to_numpy(self._errors(x, y)) for x, y in windows.batches()]
        with np.errstate(over="ignore", invalid="ignore"):
            losses = np.concatenate(parts).mean(0, dtype="float64") / windows.variance
        return np.where(np.isfinite(losses), losses, np.inf)

    def get_config(self):
        return super().get_config() | self.settings | {"scale": self.scale}


def train(
    windows: Windows,
    identity: dict,
    latent_dim: int,
    members: int = 8,
    readout: str | Readout = "mlp",
    schedule: Schedule | None = None,
    seed: int = 0,
    folder: str | None = None,
    update: str = "linear",
) -> Distiller:
    """Train one population, or load it if this very training has been done before.

    Parameters
    ----------
    windows : Windows
        What to learn from.
    identity : dict
        JSON-able; stands for the windows' contents in the key of the artefact. (Other contents of the same identity are
        refused.)
    latent_dim, members, readout, seed
        See `Distiller`; the seed also decides which windows are drawn.
    schedule : Schedule, optional
        Budget and curriculum.
    folder : str, optional
        Where trained artefacts are kept; see `store.load_or_train`.
    update : str
        See `Distiller`.

    Returns
    -------
    Distiller
        Its `artifact` tells configuration and cost.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range, the readout unknown, the windows' target not of the readout's kind, or target or
        hidden states constant; or if another training of this name, on other windows, is kept already.

    Examples
    --------
    >>> import tempfile
    >>> hidden = np.random.default_rng(0).random((5, 8, 3))
    >>> windows = Windows(hidden, np.ones((5, 8)), hidden[..., 0], length=4)
    >>> tiny = Schedule(steps=2, batch=2)
    >>> distiller = train(windows, {}, 2, 3, "linear", tiny, folder=tempfile.mkdtemp())
    >>> distiller.member_losses(windows).shape
    (3,)
    """
    settings = (members, readout, schedule, seed, folder, update)
    return _train(windows, lambda: windows, windows.sources, identity, latent_dim, *settings)


def _train(sample, make, sources, identity, latent_dim, members, readout, schedule, seed, folder, update):
    """Train on the windows that `make` gives, if they are needed at all; a sample tells their shape."""
    schedule = schedule or Schedule()
    units = sample.hidden.shape[-1]
    options = {"noise": schedule.noise, "seed": seed, "update": update, "scale": sample.scale}
    model = Distiller(latent_dim, members, readout, units, sample.known, **options)
    if sample.target.shape[2:] != (axes := model.readout.target_shape(units)):
        wanted = ", ".join(map(str, ("n", "sites", *axes)))
        name, found = model.readout.name, sample.target.shape
        raise ValueError(f"target of the windows must be ({wanted}) for readout {name!r}; got {found}")

    def fit():
        windows = make()
        model.adapt(windows)
        decay = keras.optimizers.schedules.CosineDecay(schedule.rate, schedule.steps)
        adam = keras.optimizers.Adam(decay, clipvalue=schedule.clip)
        arrays = [ops.convert_to_tensor(array) for array in (windows.hidden, windows.padded, windows.target)]
        batch = partial(windows._cut, ops, *arrays)
        draws, packs = schedule.draw(windows, seed), -(-schedule.steps // PACK)
        return descend(model, PopulationError(windows.variance), adam, batch, draws, packs)

    config = {"kind": "distiller", "of": identity, "model": model.settings, "length": sample.length}
    config |= {"backend": keras.backend.backend(), "precision": model.compute_dtype}
    config |= {"starts": sample.starts, "schedule": asdict(schedule), "seed": seed, "recipe": RECIPE}
    return fit_or_restore(model, config, fit, folder, sources)


def identity(translator: Translator, data: Dataset) -> dict:
    """What stands for a translator's run on the potentials of a data set in the keys of what is distilled from it.

    Examples
    --------
    >>> from rediscover.dataset import simulate
    >>> list(identity(Translator(units=4), simulate(2)))
    ['translator', 'weights', 'potential']
    """
    artifact = getattr(translator, "artifact", None)  # an untrained one has none
    # its weights too: trained again on another machine it has the same configuration but other hidden states
    weights = hashlib.sha256(b"".join(w.tobytes() for w in translator.get_weights())).hexdigest()[:16]
    return {"translator": artifact and artifact.config, "weights": weights, "potential": data.origin}


def scan(
    translator: Translator,
    data: Dataset,
    latent_dims: Iterable[int],
    members: int = 8,
    readout: str | Readout = "mlp",
    schedule: Schedule | None = None,
    seed: int = 0,
    folder: str | None = None,
    update: str = "linear",
    **shape: int,
) -> dict[int, Distiller]:
    """Distil a translator with every latent dimension, all with the same budget.

    Parameters
    ----------
    translator : Translator
        A trained one (`translator.train`): its configuration is part of the artefacts' keys.
    data : Dataset
        Potentials on which the translator is watched; the measured densities are not used.
    latent_dims : iterable of int
        Latent dimensions.
    members, readout, schedule, seed, folder, update
        See `train`.
    **shape : int
        `length`, `starts` and `known` of the `Windows`.

    Returns
    -------
    dict of int to Distiller

    Raises
    ------
    ValueError, TypeError
        If a latent dimension is below 1 or there is none, the readout unknown, a window longer than the chain, or the
        translator untrained.

    Examples
    --------
    >>> import tempfile
    >>> from rediscover import dataset, translator
    >>> folder, data = tempfile.mkdtemp(), dataset.simulate(8, sites=8)
    >>> gru = translator.train(data, units=4, epochs=1, folder=folder)
    >>> tiny = Schedule(steps=2, batch=2)
    >>> list(scan(gru, data, [2], members=3, schedule=tiny, folder=folder, length=4))
    [2]
    """
    latent_dims = [_check.integer("latent_dims", d) for d in latent_dims]
    if not latent_dims:
        raise ValueError("latent_dims must name at least one dimension; got none")
    _check.integer("members", members), _check.integer("seed", seed, 0)
    if not hasattr(translator, "artifact"):
        raise ValueError("translator must come from translator.train; got one without a training behind it")

    @cache
    def windows(chains=None):
        told = None if data.initial is None else data.initial[:chains]
        return Windows.of(translator, data.potential[:chains], readout, initial=told, **shape)

    sources = _sources(translator, data.potential, data.initial)
    of, settings = identity(translator, data), (members, readout, schedule, seed, folder, update)
    # of all chains only if one must be trained: to load populations one is enough
    return {d: _train(windows(1), windows, sources, of, d, *settings) for d in latent_dims}
