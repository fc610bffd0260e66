"""Keras layers: the potential-driven linear cell, and the initialiser that keeps members of a population apart."""

import keras
from keras import ops

from . import _check


def single_precision(options):
    """Options of a Keras model that counts in float32, whatever Keras is set to.

    In half precision a roll-out overflows; in double it takes longer, and gives other numbers than are published.

    Parameters
    ----------
    options : dict
        Options of `keras.Model`, which may name its dtype.

    Raises
    ------
    ValueError
        If that is another one.

    Examples
    --------
    >>> single_precision({"name": "translator"})
    {'name': 'translator', 'dtype': 'float32'}
    """
    wanted = keras.dtype_policies.get(options.get("dtype") or "float32").name
    if wanted != "float32":
        raise ValueError(f"dtype must be 'float32'; got {wanted!r}")
    return options | {"dtype": wanted}


@keras.saving.register_keras_serializable("rediscover")
class MemberWise(keras.initializers.Initializer):
    """Draw each member of a stacked kernel ``(members, ...)`` by itself.

    Glorot's rule applied to the stacked array would count the member axis as fan and shrink every kernel
    by the square root of the number of members; it would also make a member's first weights depend on its neighbours.

    Parameters
    ----------
    initializer : str or keras.initializers.Initializer
        What one member is drawn from.
    seed : int
        Member ``m`` is drawn with ``seed + m``, so that it can be trained again alone.

    Examples
    --------
    >>> both = MemberWise("glorot_uniform", seed=0)((2, 3, 4))
    >>> second = MemberWise("glorot_uniform", seed=1)((1, 3, 4))
    >>> bool(keras.ops.all(both[1] == second[0]))
    True
    """

    def __init__(self, initializer="glorot_uniform", seed=0):
        self.initializer = keras.initializers.get(initializer)
        self.seed = seed

    def __call__(self, shape, dtype=None):
        def one(member):
            config = self.initializer.get_config()
            if "seed" in config:  # zeros and ones have none
                config["seed"] = self.seed + member
            return type(self.initializer).from_config(config)(shape[1:], dtype)

        return ops.stack([one(member) for member in range(shape[0])])

    def get_config(self):
        return {"initializer": keras.initializers.serialize(self.initializer), "seed": self.seed}


@keras.saving.register_keras_serializable("rediscover")
class NearIdentity(keras.initializers.Initializer):
    """A multiple of the identity plus Gaussian noise on every entry.

    Shape ``(units, units)``, or ``(order + 1, units, units)`` for Taylor coefficients, of which the zeroth is near the
    identity and the others near zero: a step that almost leaves the state alone.

    Parameters
    ----------
    noise : float
        Standard deviation of the noise.
    scale : float
        What the identity is multiplied by.
    seed : int
        Seed of the noise.

    Examples
    --------
    >>> coefficients = NearIdentity(noise=0.0)((3, 2, 2))
    >>> keras.ops.convert_to_numpy(coefficients[0]).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    def __init__(self, noise=0.2, scale=1.0, seed=0):
        self.noise, self.scale, self.seed = noise, scale, seed

    def __call__(self, shape, dtype=None):
        dtype = dtype or keras.config.floatx()
        identity = self.scale * ops.eye(shape[-1], dtype=dtype)
        if len(shape) == 3:
            identity = ops.concatenate([identity[None], ops.zeros((shape[0] - 1, shape[-1], shape[-1]), dtype)])
        return identity + keras.random.normal(shape, stddev=self.noise, dtype=dtype, seed=self.seed)

    def get_config(self):
        return {"noise": self.noise, "scale": self.scale, "seed": self.seed}


@keras.saving.register_keras_serializable("rediscover")
class TaylorCell(keras.layers.Layer):
    """Linear recurrent cell whose matrix is a Taylor series in the input: ``g <- (sum_n v**n U_n) g``.

    The state moves linearly; the potential ``v`` decides how. An RNN cell like Keras's own: wrap it in
    ``keras.layers.RNN``. Several independent cells (members) can be stepped side by side; the state is flat,
    ``(batch, members * units)``.

    Parameters
    ----------
    units : int
        Number of latent variables of one member.
    order : int
        Highest power of the potential.
    members : int
        How many independent cells are stepped side by side.
    noise, seed : float, int
        See `NearIdentity` and `MemberWise`.

    Raises
    ------
    ValueError, TypeError
        If a size is not a positive integer.

    Examples
    --------
    >>> layer = keras.layers.RNN(TaylorCell(units=3, members=2), return_sequences=True)
    >>> layer(keras.ops.ones((5, 7, 1))).shape
    TensorShape([5, 7, 6])
    """

    def __init__(self, units, order=2, members=1, noise=0.2, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.units, self.members = _check.integer("units", units), _check.integer("members", members)
        self.order, self.noise, self.seed = _check.integer("order", order, 0), noise, seed
        self.state_size = self.output_size = self.members * self.units

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(self.members, self.order + 1, self.units, self.units),
            initializer=MemberWise(NearIdentity(self.noise), seed=self.seed),
            name="taylor_coefficients",
        )

    def call(self, inputs, states):
        g = ops.reshape(states[0], (-1, self.members, 1, self.units))
        # v**0 is spelt out: its derivative at v = 0 would come out as 0 * inf
        powers = [ops.ones_like(inputs), *(inputs**n for n in range(1, self.order + 1))]
        powers = ops.concatenate(powers, axis=-1)
        step = ops.einsum("bn,mnij->bmij", powers, self.kernel)
        g = ops.reshape(ops.sum(step * g, axis=-1), (-1, self.members * self.units))
        return g, [g]

    def get_initial_state(self, batch_size=None):
        """State before the first site: ones. Any but zero will do, a change of basis turns it into any other."""
        return [ops.ones((batch_size, self.state_size), dtype=self.compute_dtype)]

    def get_config(self):
        names = ("units", "order", "members", "noise", "seed")
        return super().get_config() | {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable("rediscover")
class FreeCell(TaylorCell):
    """A `TaylorCell` and a network beside it, ``g <- (sum_n v**n U_n) g + A tanh(B [g, v] + b)``: any smooth update.

    It can do all that the linear cell can, and whatever else it likes: the control that shows what linearity is good
    for (chapter 09). The network begins small.

    Parameters
    ----------
    units, order, members, noise, seed
        See `TaylorCell`.
    width : int
        Number of tanh units of one member.

    Raises
    ------
    ValueError, TypeError
        If a size is not a positive integer.

    Examples
    --------
    >>> layer = keras.layers.RNN(FreeCell(units=3, members=2), return_sequences=True)
    >>> layer(keras.ops.ones((5, 7, 1))).shape
    TensorShape([5, 7, 6])
    """

    def __init__(self, units, order=2, members=1, noise=0.2, seed=0, width=32, **kwargs):
        super().__init__(units, order, members, noise, seed, **kwargs)
        self.width = _check.integer("width", width)

    def build(self, input_shape):
        super().build(input_shape)

        def kernel(name, rows, columns, number, scale):
            first = MemberWise(keras.initializers.VarianceScaling(scale, "fan_avg", "uniform"), self.seed + number)
            return self.add_weight(shape=(self.members, rows, columns), initializer=first, name=name)

        self.inward = kernel("inward", self.units + 1, self.width, 10_000, 1.0)
        self.bias = self.add_weight(shape=(self.members, self.width), initializer="zeros", name="bias")
        self.outward = kernel("outward", self.width, self.units, 20_000, 0.01)

    def call(self, inputs, states):
        linear, _ = super().call(inputs, states)
        g = ops.reshape(states[0], (-1, self.members, self.units, 1))
        # sums written out take half the time of einsum, which moves the member axis to and fro at every site
        seen = ops.sum(g * self.inward[:, :-1], axis=2) + inputs[:, None] * self.inward[:, -1]
        moved = ops.sum(ops.tanh(seen + self.bias)[..., None] * self.outward, axis=2)
        g = linear + ops.reshape(moved, ops.shape(linear))
        return g, [g]

    def get_config(self):
        return super().get_config() | {"width": self.width}


@keras.saving.register_keras_serializable("rediscover")
class QuadraticForm(keras.layers.Layer):
    """Read one number off a state quadratically, ``g -> gᵀ Q g``, for every member by itself.

    Input ``(batch, members, sites, units)``, output ``(batch, members, sites)``.

    Parameters
    ----------
    members : int
        How many independent forms there are side by side.
    seed : int
        See `MemberWise`.

    Examples
    --------
    >>> QuadraticForm(members=2)(keras.ops.ones((5, 2, 7, 3))).shape
    TensorShape([5, 2, 7])
    """

    def __init__(self, members=1, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.members, self.seed = members, seed

    def build(self, input_shape):
        # A density is positive, so the form starts positive, as half the sum of squares. From random forms, which are
        # as often indefinite, about a third of the members never found the way (chapter 03).
        first = MemberWise(NearIdentity(noise=0.1, scale=0.5), self.seed)
        shape = (self.members, input_shape[-1], input_shape[-1])
        self.kernel = self.add_weight(shape=shape, initializer=first, name="form")

    def call(self, g):
        return ops.einsum("bmsi,mij,bmsj->bms", g, self.kernel, g)

    def get_config(self):
        return super().get_config() | {"members": self.members, "seed": self.seed}
