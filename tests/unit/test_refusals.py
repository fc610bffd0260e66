"""What bad input gets: an error that names the argument, what came and what was expected.

One table of (argument, bad value, error, what is said) for each public function, where what is said follows the name of
the argument. `test_check` has what every kind of bad value gets.
"""

import numpy as np
import pytest

from rediscover.dataset import Dataset, simulate
from rediscover.measurement import blur, shot_noise
from rediscover.potentials import barrier, double_well, harmonic, kronig_penney, random, square_well
from rediscover.simulator import ground_state, leapfrog, propagate, transfer_matrix

V, ONES, PROFILE = np.full((3, 4), -0.5), np.ones((2, 3)), np.array([0.5, 2.0, 0.0, 1.5])
DATA = simulate(20, sites=6, seed=3)


def split(counts):
    return DATA.split(*counts) if isinstance(counts, tuple) else DATA.split(counts)


def standardisation(potential, density):
    return Dataset(potential, density, 0.4).standardisation()


CHAIN = {"V": V, "spacing": 0.4, "energy": 0.0}
GOOD = {  # a call that is answered; a test changes one argument
    propagate: CHAIN | {"start": (1.0, 0.0)},
    leapfrog: CHAIN | {"start": (1.0, 0.0)},
    transfer_matrix: CHAIN,
    ground_state: {"V": [0.0, 1.0], "spacing": 0.4},
    random: {"n": 2, "sites": 4, "low": -1.0, "high": -0.3, "correlation": 1.0, "seed": 0},
    square_well: {"sites": 4, "width": 2, "depth": 1.0, "top": 0.0},
    barrier: {"sites": 4, "width": 1, "height": 1.0, "floor": 0.0},
    harmonic: {"sites": 4, "frequency": 1.0, "spacing": 1.0, "floor": 0.0},
    double_well: {"sites": 4, "separation": 1.0, "height": 1.0, "spacing": 1.0, "floor": 0.0},
    kronig_penney: {"sites": 4, "period": 2, "width": 1, "height": 1.0, "floor": 0.0},
    shot_noise: {"density": PROFILE, "atoms": 10, "seed": 0},
    blur: {"density": PROFILE, "width": 1.0},
    Dataset: {
        "potential": ONES,
        "density": ONES,
        "spacing": 0.4,
        "energy": 0.0,
        "origin": {},
        "initial": np.ones((2, 3)),
    },
    split: {"counts": (12, 5)},
    standardisation: {"potential": [[0.0, 1.0, 2.0]] * 2, "density": [[0.0, 1.0, 2.0]] * 2},
    simulate: {"n": 3, "sites": 4, "spacing": 0.4, "energy": 0.0, "low": -1.0, "high": -0.3}
    | {"correlation": 1.0, "seed": 0, "propagator": "exact", "current": 0.1},
}

MARCH = [
    ("V", np.zeros((2, 2, 2)), ValueError, r"must have 1 or 2 axes; got shape \(2, 2, 2\)"),
    ("V", 0.5, ValueError, r"must have 1 or 2 axes; got shape \(\)"),
    ("V", np.zeros((0, 4)), ValueError, r"must not be empty; got shape \(0, 4\)"),
    ("V", [], ValueError, "must not be empty"),
    ("V", [[1.0, 2.0], [1.0]], ValueError, "must be a rectangular array"),
    ("V", [[0.0, np.nan]], ValueError, r"must be finite; got nan at index \(0, 1\)"),
    ("V", [0.0, 1.0, np.inf], ValueError, r"must be finite; got inf at index \(2,\)"),
    ("V", ["a", "b"], TypeError, "must hold real numbers"),
    ("V", V + 0j, TypeError, "must hold real numbers; got dtype complex128"),
    ("spacing", 0.0, ValueError, "must be greater than 0; got 0.0"),
    ("spacing", -0.4, ValueError, "must be greater than 0; got -0.4"),
    ("spacing", np.nan, ValueError, "must be finite"),
    ("spacing", [0.4, 0.4], ValueError, "must be a single number"),
    ("spacing", None, TypeError, "must hold real numbers"),
    ("energy", [0.0, 1.0], ValueError, r"must be one number or have shape \(3,\).*got \(2,\)"),
    ("energy", np.inf, ValueError, "must be finite"),
    ("start", (1.0, [0.0, 1.0]), ValueError, r"\[1\] must be one number or have shape \(3,\)"),
    ("start", (np.nan, 0.0), ValueError, r"\[0\] must be finite"),
    ("start", (1.0,), ValueError, "must be a pair"),
    ("start", 1.0, ValueError, "must be a pair"),
    ("start", ("up", 0.0), TypeError, r"\[0\] must hold numbers"),
]
REFUSALS = {
    propagate: MARCH,
    leapfrog: MARCH,
    transfer_matrix: [
        ("V", [], ValueError, "must not be empty"),
        ("spacing", 0, ValueError, "must be greater than 0"),
        ("energy", [0.0, 0.0], ValueError, "must be one number or have shape"),
    ],
    ground_state: [
        ("V", V, ValueError, "must have 1 axes"),
        ("V", [0.0, np.nan], ValueError, "must be finite"),
        ("spacing", -1, ValueError, "must be greater than 0"),
    ],
    random: [
        ("n", 0, ValueError, "must be at least 1; got 0"),
        ("n", 2.0, TypeError, "must be an integer; got 2.0"),
        ("n", True, TypeError, "must be an integer; got True"),
        ("sites", 0, ValueError, "must be at least 1"),
        ("high", -1.0, ValueError, "must be greater than low; got low = -1.0, high = -1.0"),
        ("low", np.nan, ValueError, "must be finite"),
        ("correlation", -1.0, ValueError, "must be at least 0.0"),
        ("seed", None, TypeError, "must be an integer; got None"),
        ("seed", -1, ValueError, "must be at least 0"),
    ],
    square_well: [
        ("width", 5, ValueError, "must not exceed sites = 4; got 5"),
        ("depth", 0.0, ValueError, "must be greater than 0"),
    ],
    barrier: [
        ("width", 0, ValueError, "must be at least 1"),
        ("height", "1", TypeError, "must hold real numbers"),
    ],
    harmonic: [
        ("spacing", 0.0, ValueError, "must be greater than 0"),
        ("sites", 0, ValueError, "must be at least 1"),
    ],
    double_well: [("separation", -1.0, ValueError, "must be greater than 0")],
    kronig_penney: [("width", 2, ValueError, "must be less than period = 2; got 2")],
    shot_noise: [
        ("density", [1.0, -0.1], ValueError, "must not be negative; got -0.1"),
        ("density", [[1.0], [0.0]], ValueError, "must be positive somewhere in every sample"),
        ("density", [], ValueError, "must not be empty"),
        ("density", [1.0, np.nan], ValueError, "must be finite"),
        ("atoms", 0, ValueError, "must be greater than 0; got 0"),
        ("seed", None, TypeError, "must be an integer; got None"),
    ],
    blur: [
        ("width", -1, ValueError, "must be at least 0.0; got -1"),
        ("density", PROFILE + 0j, TypeError, "must hold real numbers"),
        ("density", np.ones((1, 1, 1)), ValueError, "must have 1 or 2 axes"),
    ],
    Dataset: [
        ("potential", np.ones(3), ValueError, r"must have 2 axes; got shape \(3,\)"),
        ("density", ONES[:1], ValueError, r"must have the shape of potential, \(2, 3\); got"),
        ("potential", ONES[:0], ValueError, "must not be empty"),
        ("potential", ONES * np.nan, ValueError, "must be finite; got nan"),
        ("density", ONES * np.inf, ValueError, "must be finite; got inf"),
        ("spacing", 0.0, ValueError, "must be greater than 0"),
        ("energy", [0.0], ValueError, "must be a single number"),
        ("origin", {"rows": np.ones(2)}, TypeError, "must hold only what JSON can"),
        ("origin", None, TypeError, "must be a dict; got None"),
        ("initial", np.ones((2, 0)), ValueError, "must not be empty"),
        ("initial", np.ones((1, 3)), ValueError, r"must have a row for each of 2 chains; got \(1, 3\)"),
        ("initial", np.ones(3), ValueError, "must have 2 axes"),
        ("initial", ONES * np.nan, ValueError, "must be finite"),
    ],
    split: [
        ("counts", (), ValueError, "must name parts of 20 samples"),
        ("counts", (15, 6), ValueError, r"must name parts of 20 samples; got \[15, 6\]"),
        ("counts", 0, ValueError, "must be at least 1"),
        ("counts", 0.5, TypeError, "must be an integer"),
    ],
    standardisation: [
        ("potential", ONES, ValueError, "cannot be standardised: it varies by 0 about 1, less than a part in 10¹⁰"),
        ("potential", 0 * ONES, ValueError, "cannot be standardised: it varies by 0 about 0"),
        (
            "potential",
            1e9 + 1e-3 * np.eye(2, 3),
            ValueError,
            r"cannot be standardised: it varies by 0.001 about 1e\+09",
        ),
        ("density", ONES, ValueError, "cannot be standardised: it varies by 0 about 1"),
    ],
    simulate: [
        ("propagator", "magic", ValueError, "must be one of 'exact', 'leapfrog'; got 'magic'"),
        ("spacing", -1.0, ValueError, "must be greater than 0"),
        ("energy", [0.0, 1.0], ValueError, "must be a single number"),
        ("seed", None, TypeError, "must be an integer"),
        ("current", np.nan, ValueError, "must be finite"),
        ("current", [], ValueError, "must not be empty"),
        ("current", [[0.1]], ValueError, "must have 0 or 1 axes"),
        ("current", "0.5", TypeError, "must hold real numbers"),
    ],
}


class Quantity(np.ndarray):
    """As much of an Astropy quantity as matters."""

    unit = "um"
    value = property(lambda self: self.view(np.ndarray))


NEVER = {  # what no argument of any function may take
    "masked": np.ma.array(1, mask=True),
    "in µm": np.array(1).view(Quantity),
    "text": "one",
    "object": object(),
    "not a number": np.nan,
}


def name(value):
    return getattr(value, "__name__", None) or (value if isinstance(value, str) else "")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("function", "argument", "bad", "error", "said"),
    [(function, *row) for function, rows in REFUSALS.items() for row in rows],
    ids=name,
)
def test_bad_input_is_named(function, argument, bad, error, said):
    with pytest.raises(error, match=f"^{argument} ?{said}"):
        function(**(GOOD[function] | {argument: bad}))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bad", NEVER)
@pytest.mark.parametrize("function", GOOD, ids=name)
def test_no_argument_takes_what_is_not_a_number(function, bad):
    function(**GOOD[function])
    for argument in GOOD[function]:
        with pytest.raises((TypeError, ValueError), match=rf"^{argument}\b"):
            function(**(GOOD[function] | {argument: NEVER[bad]}))
