"""The border: each checker lets good values through unharmed, and says of each kind of bad one what it is."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from rediscover import _check


class Pint:
    """As much of pint.Quantity as matters: NumPy takes the numbers and drops the unit."""

    units = property(lambda self: "micrometer")
    magnitude = property(lambda self: self.numbers)

    def __init__(self, numbers):
        self.numbers = numbers

    def __array__(self, dtype=None, copy=None):
        return np.array(self.numbers, dtype)


class Astropy(np.ndarray):
    """As much of astropy.units.Quantity as matters, and of a Column, whose unit may be None."""

    unit = "um"
    value = property(lambda self: self.view(np.ndarray))


class Column(Astropy):
    unit = None


class Frame:
    """A table, of pandas say, with columns "unit" and "value": attributes of the object, not of its type."""

    def __init__(self, numbers):
        self.numbers = self.unit = self.value = self.data = np.asarray(numbers)

    def mask(self):
        """Of pandas; it does not tell what is masked."""

    def __array__(self, dtype=None, copy=None):
        return np.array(self.numbers, dtype)


def holding(quantity):
    """Give what xarray makes of a quantity: an object with attributes that wraps it in `data`."""
    wrapped = Frame(1.0)
    wrapped.data = quantity
    return wrapped


def astropy(numbers, kind=Astropy):
    return np.asarray(numbers).view(kind)


MASKED = np.ma.array([0.5, -9999.0], mask=[False, True])
UNITS = "must be plain numbers; got a quantity in {}, which would be lost.*magnitude in pint.*to_value.* in Astropy"
MICRONS, UM = UNITS.format("micrometer"), UNITS.format("um")
LOST = [
    (MASKED, ValueError, r"must have no masked entries; got 1 of 2 masked. Fill them with .filled\(...\) or leave out"),
    ([[0.5, 0.6], MASKED], ValueError, "must have no masked entries"),
    ([0.5, np.ma.masked], ValueError, "must have no masked entries; got 1 of 1"),
    (np.ma.masked, ValueError, "must have no masked entries"),
    (Pint([0.4]), TypeError, MICRONS),
    (Pint(0.4), TypeError, MICRONS),
    ([Pint(0.4), Pint(0.5)], TypeError, MICRONS),
    (([0.4], [Pint(0.4)]), TypeError, MICRONS),
    (np.array([Pint(0.4), None])[:1], TypeError, MICRONS),
    (holding(Pint([0.4])), TypeError, MICRONS),
    (astropy([0.4]), TypeError, UM),
    (astropy(0.4), TypeError, UM),
    ([astropy(0.4)], TypeError, UM),
]
ANY = [  # bad for every checker of numbers
    (True, TypeError, "must hold real numbers; got dtype bool"),
    ("0.4", TypeError, "must hold real numbers; got dtype <U3"),
    (None, TypeError, "must hold real numbers; got dtype object"),
    (Fraction(1, 2), TypeError, "must hold real numbers; got dtype object"),
    (1j, TypeError, "must hold real numbers; got dtype complex128"),
    (np.datetime64("2026-01-01"), TypeError, r"must hold real numbers; got dtype datetime64\[D\]"),
    (np.nan, ValueError, r"must be finite; got nan at index \(\)"),
    (-np.inf, ValueError, "must be finite; got -inf"),
    *LOST,
]
SINGLE = [
    ([0.4, 0.4], ValueError, r"must be a single number; got shape \(2,\)"),
    ([], ValueError, r"must not be empty; got shape \(0,\)"),
    *ANY,
]


def refusals(cases):
    return pytest.mark.parametrize(("value", "error", "said"), cases, ids=lambda x: x if isinstance(x, str) else "")


@refusals(
    [
        ([], ValueError, r"must not be empty; got shape \(0,\)"),
        (np.zeros((2, 0)), ValueError, r"must not be empty; got shape \(2, 0\)"),
        ([[1.0, 2.0], [1.0]], ValueError, "must be a rectangular array of numbers; got rows of unequal length"),
        ([[0.0, 1.0], [np.nan, np.nan]], ValueError, r"must be finite; got nan at index \(1, 0\)"),
        (np.array(["2026-01-01"], "M8[D]"), TypeError, r"must hold real numbers; got dtype datetime64\[D\]"),
        (np.zeros(2, [("a", float)]), TypeError, "must hold real numbers"),
        (np.ma.zeros(2, [("a", float)]), TypeError, "must hold real numbers"),
        ([None], TypeError, "must hold real numbers; got dtype object"),
        *ANY,
    ],
)
def test_array_refuses(value, error, said):
    with warnings.catch_warnings(), pytest.raises(error, match=f"^V {said}"):
        warnings.simplefilter("error")
        _check.array("V", value)


def test_array_counts_axes_and_keeps_to_its_dtype():
    for ndim, expected in ((2, "2"), ((1, 2), "1 or 2")):
        with pytest.raises(ValueError, match=rf"V must have {expected} axes; got shape \(1, 1, 3\)"):
            _check.array("V", np.zeros((1, 1, 3)), ndim)
    with pytest.raises(ValueError, match=r"V must be finite; got inf at index \(1,\)"):
        _check.array("V", [1.0, 1e39], dtype=np.float32)
    assert _check.array("V", [1j, 2], allow_complex=True).dtype == np.complex128
    with pytest.raises(TypeError, match="V must hold numbers; got dtype bool"):
        _check.array("V", [True], allow_complex=True)


@pytest.mark.parametrize(
    "value",
    [
        [1, 2],
        (1.0, np.float32(2)),
        np.array([1, 2], ">i2"),
        np.ma.array([1.0, 2.0]),
        np.ma.array([1.0, 2.0], mask=[False, False]),
        [np.ma.array(1.0), 2.0],
        astropy([1.0, 2.0], Column),
        Frame([1.0, 2.0]),
        range(1, 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_plain_numbers_pass_whatever_holds_them(value):
    found = _check.array("V", value, 1)
    assert type(found) is np.ndarray and found.dtype == np.float64 and found.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("package", ["pint", "astropy.units"])
def test_real_units_are_refused(package):
    module = pytest.importorskip(package)
    quantity = module.UnitRegistry().Quantity if package == "pint" else module.Quantity
    for value in (quantity([0.4], "um"), quantity(0.4, "um"), [quantity(0.4, "um")] * 2):
        with pytest.raises(TypeError, match=r"V must be plain numbers; got a quantity in (um|micrometer)"):
            _check.array("V", value)


def test_real_tables_go_on_working():
    pandas, xarray = pytest.importorskip("pandas"), pytest.importorskip("xarray")
    assert _check.array("V", pandas.DataFrame({"unit": [1], "value": [2]})).tolist() == [[1.0, 2.0]]
    assert _check.array("V", xarray.DataArray([1, 2], attrs={"units": "um"})).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("check", [_check.number, _check.positive, lambda n, v: _check.at_least(n, v, 0.0)])
@refusals(SINGLE)
def test_a_single_number_is_one(check, value, error, said):
    with pytest.raises(error, match=f"^a {said}"):
        check("a", value)


def test_limits():
    for value in (0, -0.4):
        with pytest.raises(ValueError, match=f"a must be greater than 0; got {value}"):
            _check.positive("a", value)
    with pytest.raises(ValueError, match=r"a must be at least 0.5; got 0.4"):
        _check.at_least("a", 0.4, 0.5)
    for good in (
        _check.number("a", np.float32(0.5)),
        _check.positive("a", 0.5),
        _check.at_least("a", 0.5, 0.5),
    ):
        assert type(good) is float and good == 0.5


@refusals(
    [
        *(
            (bad, TypeError, "must be an integer; got")
            for bad in (2.0, True, np.True_, "2", None, [2], np.array([2, 3]))
        ),
        (0, ValueError, "must be at least 1; got 0"),
        (np.ma.array(5, mask=True), ValueError, "must have no masked entries"),
        (Pint(5), TypeError, MICRONS),
    ]
)
def test_integer_refuses(value, error, said):
    with pytest.raises(error, match=f"^n {said}"):
        _check.integer("n", value)


def test_integer_takes_any_and_gives_a_plain_one():
    assert type(_check.integer("n", np.int8(3))) is int and _check.integer("n", -2, least=-2) == -2


@pytest.mark.parametrize("value", ["c", None, 1, ["a"], np.array(["a", "b"])])
def test_choice_refuses(value):
    with pytest.raises(ValueError, match=r"cell must be one of 'a', 'b'; got"):
        _check.choice("cell", value, (letter for letter in "ab"))
    assert _check.choice("cell", "b", "ab") == "b"


def test_generator_is_seeded():
    rng = np.random.default_rng(1)
    assert _check.generator(rng) is rng and _check.generator(1).random() == rng.random()
    for seed, error, said in ((None, TypeError, "an integer; got None"), (-1, ValueError, "at least 0; got -1")):
        with pytest.raises(error, match=f"seed must be {said}"):
            _check.generator(seed)


@given(
    arrays(
        st.sampled_from([np.float64, np.float32, np.complex128]),
        array_shapes(max_dims=3),
        elements={"allow_nan": False},
    )
)
def test_frozen_is_equal_but_nobody_s(value):
    for given_ in (value, value.T, value[::-1]):
        kept = _check.frozen(given_)
        assert type(kept) is np.ndarray and kept.dtype == value.dtype and np.array_equal(kept, given_)
        assert kept.flags.c_contiguous and not kept.flags.writeable and not np.shares_memory(kept, value)
        with pytest.raises(ValueError, match="WRITEABLE"):
            kept.flags.writeable = True
        for part in (kept, kept[:1], kept[:1][:1]):
            assert _check.frozen(part) is part
        if kept.shape[-1] > 1 and kept.size > kept.shape[-1]:  # a part that is not contiguous is copied
            assert _check.frozen(kept[..., :1]).flags.c_contiguous
