"""What a camera sees: counted atoms and finite resolution. Chapter 01 photographs one density with both."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from . import _check


def shot_noise(density: np.ndarray, atoms: float, seed: int | np.random.Generator) -> np.ndarray:
    """Estimate each density from a cloud of `atoms` atoms on average, counted site by site.

    The counts are independent Poisson variables whose mean follows the profile. They are scaled back to the units of
    the density, so the expectation is the density itself and its standard deviation √(density · total / atoms).

    Parameters
    ----------
    density : array_like
        Non-negative, shape (sites,) or (n, sites).
    atoms : float
        Mean number of atoms in the picture of one sample.
    seed : int or numpy.random.Generator

    Returns
    -------
    numpy.ndarray
        Same shape as `density`.

    Raises
    ------
    ValueError, TypeError
        If a density is negative or zero everywhere, or `atoms` is not positive.

    Examples
    --------
    >>> picture = shot_noise(np.ones((1000, 40)), atoms=4000, seed=0)  # about 100 atoms a site, good to 10 %
    >>> round(float(picture.mean()), 2), round(float(picture.std()), 2)
    (1.0, 0.1)
    """
    density, atoms = _profile(density), _check.positive("atoms", atoms)
    worth = density.sum(-1, keepdims=True) / atoms
    if np.any(worth == 0):
        raise ValueError("density must be positive somewhere in every sample; got a sample of zeros")
    return _check.generator(seed).poisson(density / worth) * worth


def blur(density: np.ndarray, width: float) -> np.ndarray:
    """See each density through a camera whose point-spread function is a Gaussian of standard deviation `width` sites.

    Light from beyond the ends is taken as the mirror image, so that no atom is lost.

    Parameters
    ----------
    density : array_like
        Non-negative, shape (sites,) or (n, sites).
    width : float
        In sites; 0 changes nothing.

    Returns
    -------
    numpy.ndarray
        Same shape as `density`.

    Raises
    ------
    ValueError, TypeError
        If a density or the width is negative.

    Examples
    --------
    >>> blur([0.0, 0.0, 1.0, 0.0, 0.0], width=0.5).round(2).tolist()
    [0.0, 0.11, 0.79, 0.11, 0.0]
    """
    density, width = _profile(density), _check.at_least("width", width, 0.0)
    if width < 1 / 8:  # SciPy cuts the kernel off at 4 widths: here it is one site, and its own formula may divide by 0
        return density.copy()
    return gaussian_filter1d(density, width, axis=-1, mode="reflect")


def _profile(density: object) -> np.ndarray:
    out = _check.array("density", density, (1, 2))
    if np.any(out < 0):
        raise ValueError(f"density must not be negative; got {out.min()}")
    return out
