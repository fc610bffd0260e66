"""What is asked of the latents, and in which form: the density as a form of them, or all hidden states by a network.

A readout is an object that knows its target, its layers, its form and how many parameters it has; whoever needs one of
these asks it. To add another, write a class here and enter it in `READOUTS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from . import _check


class Readout(ABC):
    """Base of all readouts, and what those have in common that read the density off the latents by an explicit form.

    Attributes
    ----------
    name : str
        What it is called in configurations and keys.
    explicit : bool
        Whether it can be written down, so that its parameters can be counted and a density does not need the
        translator any more.

    Examples
    --------
    >>> [(readout.name, readout.explicit) for readout in READOUTS.values()]
    [('mlp', False), ('quadratic', True), ('linear', True)]
    """

    name = ""
    explicit = True

    def target(self, translator, hidden: np.ndarray) -> np.ndarray:
        """What is to be rebuilt at every site, from a translator's hidden states (n, sites, units), over `scale`.

        A form has no offset, so the density may be scaled, and not shifted.
        """
        (shift, scale), unit = translator.density, self.scale(translator)
        return np.asarray(translator.read_out(hidden), float) * (scale / unit) + shift / unit

    def scale(self, translator) -> float:
        """What the target is divided by, to be a number of size one: the root mean square of the density.

        Not its standard deviation: a density that varies little about its mean would be far from one, and from the
        first weights.
        """
        return float(np.hypot(*translator.density))

    def target_shape(self, units: int) -> tuple[int, ...]:
        """Axes of the target after (n, sites)."""
        return ()

    def input_shape(self, members: int, latent_dim: int, known: int) -> tuple[int | None, ...]:
        """Shape of what the layers are given."""
        return (None, members, None, latent_dim)

    @abstractmethod
    def layers(self, dense, members: int, width: int, units: int, seed: int) -> list:
        """Keras layers of the decoder; ``dense(equation, shape, number)`` makes one with a kernel for each member."""

    def decode(self, model, latents, known, sites):
        """Give the target of every member, (batch, members, sites, ...), from latents (batch, members, sites, d)."""
        return model.decoder(latents)

    def form(self, kernel: np.ndarray) -> np.ndarray:
        """Form by which one member reads the density, from the kernel of its decoder."""
        return kernel

    @abstractmethod
    def parameters(self, latent_dim: int) -> int:
        """Count the real numbers of the form."""


class Linear(Readout):
    """The density as a linear form, ``rho = w · g``, without an offset, which would be one more variable.

    Examples
    --------
    >>> Linear().parameters(3)
    3
    """

    name = "linear"

    def layers(self, dense, members, width, units, seed):
        return [dense("bmsd,md->bms", (members, None), 6)]

    def parameters(self, latent_dim):
        return latent_dim


class Quadratic(Readout):
    """The density as a quadratic form, ``rho = gᵀ Q g``.

    Examples
    --------
    >>> Quadratic().parameters(2), Quadratic().form(np.array([[1.0, 0.5], [0.0, 0.0]])).tolist()
    (3, [[1.0, 0.25], [0.25, 0.0]])
    """

    name = "quadratic"

    def layers(self, dense, members, width, units, seed):
        from .layers import QuadraticForm  # not above: counting parameters should not wait for TensorFlow

        return [QuadraticForm(members, seed + 70_000)]

    def form(self, kernel):
        return (kernel + kernel.T) / 2

    def parameters(self, latent_dim):
        return latent_dim * (latent_dim + 1) // 2


class Network(Readout):
    """The hidden states, by a small network that is shown the last few potentials beside the latents.

    Its weights are no measure of a theory, so it refuses to count them.

    Examples
    --------
    >>> Network().target_shape(units=64)
    (64,)
    """

    name = "mlp"
    explicit = False

    def target(self, translator, hidden):
        return hidden

    def scale(self, translator):
        return 1.0

    def target_shape(self, units):
        return (units,)

    def input_shape(self, members, latent_dim, known):
        # one matrix product a member, over all windows and sites: a quarter less time a step than with axes b, m, s
        return (members, None, latent_dim + known)

    def layers(self, dense, members, width, units, seed):
        return [
            dense("mnd,mdw->mnw", (None, width), 3, bias_axes="mw", activation="gelu"),
            dense("mnd,mdw->mnw", (None, width), 4, bias_axes="mw", activation="gelu"),
            dense("mnd,mdw->mnw", (None, units), 5, bias_axes="mw"),
        ]

    def decode(self, model, latents, known, sites):
        from keras import ops  # see Quadratic.layers

        shown = ops.take(known, sites, axis=1)[..., : model.settings["known"]]
        shown = ops.repeat(shown[None], model.members, axis=0)
        seen = ops.concatenate([ops.transpose(latents, (1, 0, 2, 3)), shown], axis=-1)
        rebuilt = model.decoder(ops.reshape(seen, (model.members, -1, seen.shape[-1])))
        rebuilt = ops.reshape(rebuilt, (model.members, -1, ops.shape(sites)[0], rebuilt.shape[-1]))
        return ops.transpose(rebuilt, (1, 0, 2, 3)) * model.spread + model.centre

    def form(self, kernel):
        raise ValueError("readout must be explicit, 'quadratic' or 'linear', to have a form; got 'mlp'")

    def parameters(self, latent_dim):
        raise ValueError("readout must be explicit, 'quadratic' or 'linear', for its parameters to count; got 'mlp'")


#: Every readout by its name.
READOUTS: dict[str, Readout] = {readout.name: readout for readout in (Network(), Quadratic(), Linear())}


def get(readout: str | Readout) -> Readout:
    """Give a readout by its name; an object is given back as it is.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> get("linear").target_shape(units=64), get(Linear()).name
    ((), 'linear')
    """
    return readout if isinstance(readout, Readout) else READOUTS[_check.choice("readout", readout, READOUTS)]
