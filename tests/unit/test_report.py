"""The report: one page that holds everything, loads nothing, and lets no name in the data become markup."""

import re
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from bs4 import BeautifulSoup

from rediscover import _report
from rediscover.dataset import simulate
from rediscover.discovery import Discovery
from rediscover.law import Dispersion, Law, symmetric_square
from rediscover.verdict import Limit, Verdict

LEAPFROG = np.array([[[1, 0.4], [0, 1]], [[0.32, 0], [0.8, 0]]])
TURN = np.random.default_rng(3).normal(size=(2, 4, 4))
SETTING = {"shift": 0, "scale": 1, "spacing": 0.4, "span": (-1.0, -0.3)}
WAVE = Law(LEAPFROG, **SETTING, readout=[[1, 0], [0, 0]], energy=0.2)
LAWS = {
    "one wave": WAVE,
    "density": Law(symmetric_square(LEAPFROG), **SETTING, readout=[1, 0, 0]),
    "local, no memory": None,
    "a law of 4 variables": Law(TURN, **SETTING, readout=[1, 0, 0, 0]),
    "no law": None,
}


def fake(kind="one wave", **changes):
    """What a `Discovery` leaves, without the fits: chains of unequal length, one gap, a search that went astray."""
    rng = np.random.default_rng(0)
    density = [1 + rng.normal(size=n) for n in (16, 20, 18, 20)]
    density[1][9] = np.nan
    wave = Dispersion(0.9985, 0.2011, 1e-4, 2e-4, 0.001, 0.0009) if kind in ("one wave", "density") else None
    limits = Limit("unexplained", 0.01, 0.05), Limit("residual", 0.4, 0.03), Limit("determinant", np.inf, 0.1)
    by = {"losses": {1: [0.9, 1e9], 2: [0.01, np.inf], 3: [0.01, np.nan]}, "held_out": {1: 0.9, 2: 0.02, 3: 1e9}}
    found = {
        "method": "direct",
        "prompt": 6,
        "verdict_": Verdict(kind, 3, "so it came out.", limits, "Other data.", wave),
        "beside_": None,
        "law_": LAWS[kind],
        "n_variables_": {"quadratic": by | {"elbow": 2}, "linear": by | {"elbow": None}},
        "given_": [("pictures", "4, of 16 to 20 sites")],
        "history_": {"translator": [1.0, 0.1, 0.02], "quadratic, 2": [0.5, 0.1], "linear, 3": [0.5]},
        "held_out_": {
            "density": density,
            "predicted": [row + 0.1 * rng.normal(size=len(row)) for row in density],
            "loss": np.array([0.01, 0.3, 0.02, 0.04]),
        },
    }
    return SimpleNamespace(**found | changes)


@pytest.fixture
def no_figures(monkeypatch):
    """Words alone, which are quick to write."""
    monkeypatch.setattr(_report, "_figure", lambda *_: "")


def page(found, tmp_path):
    path = _report.write(found, tmp_path / "report.html")
    return path.read_text(encoding="utf-8")


def text(html):
    return " ".join(BeautifulSoup(html, "html.parser").get_text(" ").split())


def check(html):
    """What every page keeps to, whatever was found."""
    soup = BeautifulSoup(html, "html.parser")
    assert len(html.encode()) < 600_000
    assert soup.html["lang"] == "en" and len(soup.find_all("h1")) == 1
    assert "default-src 'none'" in soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    assert not soup.find_all(["script", "link", "img", "iframe", "object", "metadata", "image"])
    assert not re.search(r"https?:|@import|//\w+\.\w", html)
    for tag in soup.find_all(True):
        assert not [name for name in tag.attrs if name.startswith("on") or name == "src"]
        assert tag.get("href", "#").startswith("#")
    return soup


def check_figures(html):
    soup = check(html)
    names = [tag["id"] for tag in soup.find_all(id=True)]
    used = re.findall(r'(?:href="|url\()#([^")]+)', html)
    assert len(names) == len(set(names)) and used and set(used) <= set(names)
    figures = soup.find_all("svg")
    assert figures and len({figure["aria-label"] for figure in figures}) == len(figures)
    assert all(figure["role"] == "img" and figure["aria-label"] for figure in figures)
    return soup


@pytest.mark.parametrize("kind", LAWS)
def test_every_verdict_has_its_page(kind, tmp_path, no_figures):
    soup = check(page(fake(kind), tmp_path))
    assert soup.h1.get_text() == kind
    assert (soup.pre is None) == (LAWS[kind] is None)
    assert ("E = 0.20110 ± 0.00090" in soup.get_text()) == (kind in ("one wave", "density"))


def test_the_whole_law_stands_there():
    shown = BeautifulSoup(_report._law(fake()), "html.parser").pre
    assert [line.get_text() for line in shown.find_all("span")] == str(WAVE).splitlines()


@pytest.mark.parametrize("value, words", [(0.05, "within its limit"), (0.051, "beyond its limit"), (np.nan, "beyond")])
def test_how_far_a_limit_is_stands_there_in_words(value, words):
    verdict = Verdict("no law", None, "so it is.", (Limit("unexplained", value, 0.05),), "Other data.")
    assert f"unexplained : {words}" in text(_report._limits(fake(verdict_=verdict)))


def test_names_that_are_markup_stay_text(tmp_path, no_figures):
    evil = "</title></style><script>alert(1)</script><svg onload=alert(1)>&amp;\"'{x}url(#a)"
    verdict = Verdict(evil, None, evil, (Limit(evil, 0.1, 0.2),), evil)
    found = fake(verdict_=verdict, beside_=verdict, given_=[(evil, evil)])
    html = page(found, tmp_path)
    soup = BeautifulSoup(html, "html.parser")
    assert soup.h1.get_text() == soup.dt.get_text() == soup.dd.get_text() == evil
    assert not soup.find_all("script") and "<svg onload" not in html


def test_the_same_discovery_gives_the_same_bytes_in_any_session(tmp_path):
    check_figures(first := page(fake(), tmp_path))
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.grid": True}):
        assert page(fake(), tmp_path) == first
        assert mpl.rcParams["font.size"] == 30


def test_a_figure_that_fails_leaves_what_was_there(tmp_path, monkeypatch, no_figures):
    before = page(fake(), tmp_path)

    def fail(*_):
        raise RuntimeError("no ink")

    monkeypatch.setattr(_report, "_figure", fail)
    with pytest.raises(RuntimeError, match="no ink"):
        page(fake("no law"), tmp_path)
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == [before]


def test_predictions_that_explode_are_drawn_all_the_same(tmp_path):
    found = fake("no law")
    found.held_out_["predicted"] = [np.full_like(row, 10.0**300) for row in found.held_out_["density"]]
    found.held_out_["predicted"][0][:] = np.nan
    found.held_out_["loss"] = np.array([np.nan, np.inf, np.inf, 1e300])
    check_figures(page(found, tmp_path))


def test_long_chains_and_trainings_keep_the_page_small(tmp_path):
    rows = [np.random.default_rng(n).normal(size=20_000) for n in range(3)]
    history = {f"{readout}, {d}": rows[0] ** 2 for readout in ("quadratic", "linear") for d in (1, 2, 3, 4)}
    held = {"density": rows, "predicted": rows, "loss": np.zeros(3)}
    check_figures(page(fake(held_out_=held, history_=history, prompt=0), tmp_path))


def test_what_a_direct_fit_says_beside_it_stands_there():
    said = text(_report._verdict(fake(method="introspect", beside_=fake("no law").verdict_)))
    assert "A direct fit, without networks, says something else: no law" in said
    said = text(_report._verdict(fake(method="introspect", beside_=fake().verdict_)))
    assert "A direct fit, without networks, says the same: one wave, m = 0.9985 ± 0.0010" in said


def test_a_real_discovery_reports_and_a_loaded_one_says_what_it_lacks(tmp_path):
    data = simulate(50, sites=12)
    found = Discovery("direct", members=2, random_state=0).fit(data.potential, data.density, spacing=data.spacing)
    soup = check_figures(found.report(tmp_path / "found.html").read_text(encoding="utf-8"))
    assert soup.h1.get_text() == found.verdict_.kind
    assert "Worst:" in soup.get_text()
    loaded = Discovery.load(found.save(tmp_path / "found.npz"))
    soup = check_figures(loaded.report(str(tmp_path / "loaded.html")).read_text(encoding="utf-8"))
    assert "does not keep the pictures held out" in soup.get_text() and "Worst:" not in soup.get_text()
    assert soup.pre.get_text() == BeautifulSoup((tmp_path / "found.html").read_bytes(), "html.parser").pre.get_text()
