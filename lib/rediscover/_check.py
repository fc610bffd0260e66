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
    """Return `value` as a non-empty, finite array of `dtype` (or complex128) with one of the given numbers of axes.

    It may be the caller's own array: what is kept goes through `frozen` as well.

    >>> array("V", [1, 2], 1)
    array([1., 2.])
    """
    _refuse_lost_meaning(name, value)
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


class _Own(np.ndarray):
    """Memory that `frozen` made and locked."""


def frozen(value: np.ndarray) -> np.ndarray:
    """Return an own, contiguous, read-only copy; what came from here, or consecutive rows of it, is not copied again.

    >>> mine = np.zeros(3)
    >>> kept = frozen(mine)
    >>> mine[0] = 1.0
    >>> kept.tolist(), kept.flags.writeable, np.shares_memory(kept, frozen(kept[:2]))
    ([0.0, 0.0, 0.0], False, True)
    """
    value = np.asarray(value)
    owners = value.base, getattr(value.base, "base", None)  # of what came from here, and of rows of it
    if any(isinstance(owner, _Own) for owner in owners) and value.flags.c_contiguous:
        return value
    own = _Own(value.shape, value.dtype)
    own[...] = value
    own.flags.writeable = False
    return own.view(np.ndarray)  # NumPy lets nobody unlock a view of what is locked


def number(name: str, value: object) -> float:
    """Return `value` as a finite float."""
    out = array(name, value)
    if out.ndim:
        raise ValueError(f"{name} must be a single number; got shape {out.shape}")
    return float(out)


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
    _refuse_lost_meaning(name, value)
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
    choices = list(choices)
    if not isinstance(value, str | None) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}")
    return value


def generator(seed: int | np.random.Generator) -> np.random.Generator:
    """Return a random generator; an unseeded one (None) is refused, so that every run can be repeated."""
    return seed if isinstance(seed, np.random.Generator) else np.random.default_rng(integer("seed", seed, least=0))


def _refuse_lost_meaning(name: str, value: object) -> None:
    """Refuse masked entries and units, which NumPy drops without a word, also where a list or an object array has them.

    Units are looked for in the type, for a DataFrame may well have a column "unit". The libraries need not be there.
    """
    mask = getattr(value, "mask", None)  # of NumPy and Astropy an array; of pandas a method
    if isinstance(mask, np.ndarray | np.bool_) and mask.dtype == bool and mask.any():
        raise ValueError(
            f"{name} must have no masked entries; got {mask.sum()} of {mask.size} masked. Fill them with .filled(...)"
            " or leave out the rows that have any."
        )
    wraps = not isinstance(value, np.ndarray | np.generic)  # as an xarray does, in .data
    for held in (value, getattr(value, "data", None) if wraps else None):
        kind = type(held)
        unit = next((getattr(held, key) for key in ("units", "unit") if hasattr(kind, key)), None)
        if unit is not None and (hasattr(kind, "magnitude") or hasattr(kind, "value")):
            raise TypeError(
                f"{name} must be plain numbers; got a quantity in {str(unit) or 'no unit'}, which would be lost. Give"
                " the numbers alone, all in the same units: .to(...).magnitude in pint, .to_value(...) in Astropy."
            )
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype == object):
        for entry in value.flat if isinstance(value, np.ndarray) else value:
            if not isinstance(entry, float | int | np.generic):
                _refuse_lost_meaning(name, entry)
