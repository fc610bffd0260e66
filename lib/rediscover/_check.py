"""Checks at the border of the library: an error names the argument, what came and what was expected."""

from __future__ import annotations

import operator
from collections.abc import Iterable

import numpy as np


def array(
    name: str,
    value: object,
    ndim: int | tuple[int, ...] | None = None,
    *,
    allow_complex: bool = False,
    dtype: type = np.float64,
):
    """Return `value` as a non-empty, finite array of `dtype` (or complex128) with one of the given numbers of axes."""
    try:
        out = np.asarray(value)
    except ValueError:  # rows of unequal length
        raise ValueError(f"{name} must be a rectangular array of numbers; got rows of unequal length") from None
    if out.dtype.kind not in ("iufc" if allow_complex else "iuf"):
        raise TypeError(f"{name} must hold {'' if allow_complex else 'real '}numbers; got dtype {out.dtype}")
    if out.size == 0:
        raise ValueError(f"{name} must not be empty; got shape {out.shape}")
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if allowed is not None and out.ndim not in allowed:
        expected = " or ".join(map(str, allowed))
        raise ValueError(f"{name} must have {expected} axes; got shape {out.shape}")
    with np.errstate(over="ignore"):  # what a smaller dtype cannot hold is refused below
        out = out.astype(np.complex128 if out.dtype.kind == "c" else dtype, copy=False)
    if not np.isfinite(out).all():
        where = tuple(map(int, np.argwhere(~np.isfinite(out))[0]))
        raise ValueError(f"{name} must be finite; got {out[where]} at index {where}")
    return out


def frozen(array: np.ndarray) -> np.ndarray:
    """Return a contiguous copy that nobody can write to: what an object keeps does not change behind its back."""
    own = np.array(array, order="C")
    own.flags.writeable = False
    return own


def number(name: str, value: object) -> float:
    """Return `value` as a finite float."""
    if np.ndim(value) != 0:
        raise ValueError(f"{name} must be a single number; got shape {np.shape(value)}")
    return float(array(name, value))


def positive(name: str, value: object) -> float:
    """Return `value` as a finite float greater than zero."""
    if (out := number(name, value)) <= 0:
        raise ValueError(f"{name} must be greater than 0; got {value!r}")
    return out


def at_least(name: str, value: object, least: float) -> float:
    """Return `value` as a finite float not below `least`."""
    if (out := number(name, value)) < least:
        raise ValueError(f"{name} must be at least {least}; got {value!r}")
    return out


def integer(name: str, value: object, least: int = 1) -> int:
    """Return `value` as an int not below `least`; floats and booleans are refused."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        out = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {value!r}") from None
    if out < least:
        raise ValueError(f"{name} must be at least {least}; got {out}")
    return out


def choice(name: str, value: object, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`."""
    if value not in (choices := list(choices)):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}")
    return value


def generator(seed: int | np.random.Generator) -> np.random.Generator:
    """Return a random generator; an unseeded one (None) is refused, so that every run can be repeated."""
    return seed if isinstance(seed, np.random.Generator) else np.random.default_rng(integer("seed", seed, least=0))
