"""`Discovery` is an estimator as scikit-learn wants one; where it is not, that is meant, and said here."""

import inspect
import pickle

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GroupKFold, cross_val_score, cross_validate
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from rediscover import _direct, dataset, discovery
from rediscover._problem import Given
from rediscover.discovery import Discovery
from rediscover.verdict import Verdict

N, SITES = 100, 14  # the least that two folds can be made of, and short chains: a search takes seconds
DATA = dataset.simulate(N, sites=SITES)
V, RHO = DATA.potential, DATA.density
CHANGED = {"method": "direct", "members": 1, "prompt": 7, "held_out": 0.3, "training": 40, "random_state": 5}


@pytest.fixture(scope="module")
def folds():
    """Two that have truly searched, and their scores; pictures are in no order, so that rows have to stay together."""
    rows = np.random.default_rng(0).permutation(N)
    given = {"groups": rows // 10, "cv": GroupKFold(2), "return_estimator": True, "error_score": "raise"}
    return cross_validate(front(), V[rows], RHO[rows], **given)


@pytest.fixture
def found(folds):
    return folds["estimator"][0]


@pytest.fixture
def unsearched(monkeypatch):
    """Fits in no time, by what the potential at a site says of the density there; all around the search is real."""
    said = Verdict("local, no memory", 0, "it was not searched", (), "a search")

    def local(train, test, *_):
        return _direct.Way(said, None, None, {}, _direct.local(train, test))

    monkeypatch.setattr(_direct, "discover", local)


@pytest.fixture
def any_table(unsearched, monkeypatch):
    """Takes tables of a few rows, with one number each to be predicted, for a density that is the same everywhere."""
    of = Given.of.__func__

    def pictures(cls, potential, density, **known):
        rows, *columns = np.shape(potential)
        if columns and np.shape(density) in ((rows,), (rows, 1)):
            density = np.repeat(np.reshape(density, (-1, 1)), columns[0], axis=1)
        return of(cls, potential, density, **known)

    monkeypatch.setattr(Given, "of", classmethod(pictures))
    monkeypatch.setattr(discovery, "LEAST", {"pictures": 2, "sites": 2, "prompt": 6})
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # or the check of that would be skipped


def front(**changed):
    return Discovery(**({"method": "direct", "members": 1, "random_state": 0} | changed))


def state(fitted):
    """Everything that an estimator holds, in a form that can be compared."""
    return {name: pickle.dumps(value) for name, value in vars(fitted).items()}


# By name --------------------------------------------------------------------------------------------------------------


def test_a_clone_has_the_parameters_and_nothing_of_a_fit(found):
    assert clone(Discovery(**CHANGED)).get_params() == CHANGED
    assert vars(clone(found)) == found.get_params()


def test_init_keeps_what_it_is_given_and_does_nothing():
    odd = {name: object() for name in inspect.signature(Discovery).parameters}
    made = vars(Discovery(**odd))  # what is wrong with these, fit says
    assert made.keys() == odd.keys() and all(made[name] is value for name, value in odd.items())
    with pytest.raises(ValueError, match="method must be one of"):
        Discovery(**odd).fit(V, RHO)


def test_parameters_are_told_and_set_and_the_next_fit_goes_by_them(unsearched):
    set_ = Discovery().set_params(**CHANGED)
    assert set_.get_params() == CHANGED == vars(set_)
    said = front(held_out=0.2).fit(V, RHO)
    before = state(said)
    assert state(said.set_params(held_out=0.5)) == before | {"held_out": pickle.dumps(0.5)}
    assert len(said.held_out_["loss"]) == 0.2 * N and len(said.fit(V, RHO).held_out_["loss"]) == 0.5 * N
    with pytest.raises(ValueError, match="Invalid parameter 'speed'"):
        said.set_params(speed=2)


@pytest.mark.parametrize("call", [("predict", V), ("score", V, RHO), ("report", "page.html"), ("save", "found.npz")])
def test_what_needs_a_fit_says_so(call, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for unfitted in (front(), clone(found)):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(unfitted, call[0])(*call[1:])
    assert not list(tmp_path.iterdir())


def test_a_pickle_is_the_same_estimator(found):
    assert pickle.loads(pickle.dumps(Discovery(**CHANGED))).get_params() == CHANGED
    thawed = pickle.loads(pickle.dumps(found))
    assert thawed.get_params() == found.get_params() and thawed.verdict_ == found.verdict_
    assert vars(thawed).keys() == vars(found).keys()
    assert np.array_equal(thawed.predict(V), found.predict(V))


def test_a_fit_begins_from_scratch(unsearched):
    once = front().fit(V, RHO, 0.4)
    other = front().fit(V[::-1] ** 2, RHO, 2.0, labels=np.arange(N), energy=0.1, sigma=0.1)
    assert state(other) != state(once) and other.fit(V, RHO, 0.4) is other
    assert state(other) == state(once)


def test_it_is_cross_validated_by_groups_of_pictures(folds):
    assert len(folds["test_score"]) == 2 and min(folds["test_score"]) > 0.99


def test_groups_reach_the_fit_within_a_fold(unsearched, monkeypatch):
    seen, split = [], Discovery._split
    monkeypatch.setattr(
        Discovery, "_split", lambda self, given, groups, seed: seen.append(groups) or split(self, given, groups, seed)
    )
    with sklearn.config_context(enable_metadata_routing=True):
        asked = front().set_fit_request(groups=True)
        cross_val_score(asked, V, RHO, params={"groups": np.arange(N) // 10}, cv=GroupKFold(2), error_score="raise")
    assert sorted(set(seen[0]) | set(seen[1])) == list(range(10)) and not set(seen[0]) & set(seen[1])


def test_a_prediction_depends_on_its_row_and_not_on_the_rest(found):
    all_ = found.predict(V)
    assert found.predict(V[::-7]) == pytest.approx(all_[::-7], rel=1e-12)
    assert found.predict(V[3:4]) == pytest.approx(all_[3:4], rel=1e-12)


def test_tags_say_what_it_takes():
    tags, unseeded = get_tags(front()), get_tags(front(random_state=None))
    assert tags.target_tags.required and tags.target_tags.two_d_labels
    assert not (tags.input_tags.sparse or tags.input_tags.allow_nan or tags.input_tags.categorical)
    assert unseeded.non_deterministic and not tags.non_deterministic


# The rest -------------------------------------------------------------------------------------------------------------

WIDTH = "a law goes on along chains of any length, so no number of features is kept, and none is asked for"
OWN = "refused in words of our own, which name the argument; see test_what_the_checks_want_refused_is_refused"
SPARSE = "a picture has a potential at every site; a sparse one is refused for holding no numbers, as any object is"
EXPECTED = {
    "check_fit_score_takes_y": "X and y are called potential and density; scikit-learn hands them on by position",
    "check_n_features_in": WIDTH,
    "check_n_features_in_after_fitting": WIDTH,
    "check_complex_data": f"a TypeError, not a ValueError: {OWN}",
    "check_dtype_object": "arrays of objects are refused even if all of them are numbers, for units get lost in them",
    "check_estimators_empty_data_messages": OWN,
    "check_estimators_nan_inf": OWN,
    "check_estimator_sparse_tag": SPARSE,
    "check_estimator_sparse_array": SPARSE,
    "check_estimator_sparse_matrix": SPARSE,
    "check_fit2d_1sample": f"pictures, not samples: {OWN}",
    "check_fit2d_1feature": f"sites, not features: {OWN}",
    "check_fit2d_predict1d": OWN,
    "check_requires_y_none": f"a TypeError, not a ValueError: {OWN}",
}


@parametrize_with_checks([front()], expected_failed_checks=lambda _: EXPECTED, xfail_strict=True)
def test_scikit_learn(estimator, check, any_table):
    check(estimator)


def test_every_expected_failure_is_one_of_a_check_that_there_is():
    there = {check.func.__name__ for _, check in estimator_checks_generator(front())}
    assert EXPECTED.keys() <= there


def test_a_law_goes_on_along_chains_of_any_length(found):
    all_ = found.predict(V)
    assert found.predict(V[:, :9]) == pytest.approx(all_[:, :9], rel=1e-12)
    assert found.predict(np.hstack([V, V]))[:, :SITES] == pytest.approx(all_, rel=1e-12)


@pytest.mark.parametrize(
    ("potential", "density", "kind", "words"),
    [
        (V + 0j, RHO, TypeError, "potential must hold real numbers; got dtype complex"),
        (V.astype(object), RHO, TypeError, "potential must hold real numbers; got dtype object"),
        (sparse.csr_array(V), RHO, TypeError, "potential must hold real numbers"),
        (sparse.csr_matrix(V), RHO, TypeError, "potential must hold real numbers"),
        (V, None, TypeError, "density must hold real numbers"),
        (V[:, :0], RHO, ValueError, "potential must not be empty"),
        (V[:0], RHO[:0], ValueError, "potential must not be empty"),
        (np.where(V == V[2, 3], np.nan, V), RHO, ValueError, r"potential must be finite; got nan at index \(2, 3\)"),
        (np.where(V == V[2, 3], np.inf, V), RHO, ValueError, r"potential must be finite; got inf at index \(2, 3\)"),
        (V[:1], RHO[:1], ValueError, "potential must hold at least 50 pictures to find a law; got 1"),
        (V[:, :1], RHO[:, :1], ValueError, "potential must have at least 12 sites in a picture.*got 1"),
        (V[:, 0], RHO, ValueError, "potential must have 2 axes"),
        (V, RHO[:, 0], ValueError, "density must have 2 axes"),
    ],
)
def test_what_the_checks_want_refused_is_refused(potential, density, kind, words, found, monkeypatch):
    monkeypatch.setattr(_direct, "discover", lambda *_: pytest.fail("it searched"))
    with pytest.raises(kind, match=words):
        front().fit(potential, density)
    if "at least" not in words and not words.startswith("density"):
        with pytest.raises(kind, match=words):
            found.predict(potential)
