"""The ledger of claims (tools/claims.py): up to date, and deaf to a claim without a cell or a result."""

import json
import re
from pathlib import Path

import pytest
import yaml

import claims
import contents

pytestmark = pytest.mark.notebooks

BOOK = Path(__file__).resolve().parents[2] / "book"


def test_committed_page_is_what_the_committed_results_say():
    claims.main(["--check"])


def test_all_seven_claims_of_the_original_are_there():
    ledger = yaml.safe_load((BOOK / "claims.yml").read_text(encoding="utf-8"))
    assert list(ledger["original"]) == [1, 2, 3, 4, 5, 6, 7]


def test_every_chapter_claims_something():
    ledger = yaml.safe_load((BOOK / "claims.yml").read_text(encoding="utf-8"))
    places = [entry["cell"] for claim in ledger["claims"] for entry in claim.get("evidence", [])]
    assert {place.split(" / ")[0] for place in places} == {
        path.stem for path in contents.notebooks() if path.stem[0].isdigit()
    }


# --- a book of one chapter

RESULTS = {
    "r2": {"translator 0": [0.99995, 0.9997], "translator 1": [0.9999]},
    "loss": {
        "1": {"translator 0": [0.5, 0.4], "translator 1": [0.6]},
        "2": {"translator 0": [0.02, 0.01], "translator 1": [0.02]},
    },
    "elbow": {"first": 2, "second": None},
    "none": {},
    "note": "not a number",
    "_run": {"tier": "standard", "date": "2026-11-03T10:00:00+00:00"},
}
CELLS = [
    {"cell_type": "markdown", "source": ["# Waves\n", "\n", "## 1. Why, and `how`?"], "metadata": {}},
    {"cell_type": "code", "source": "", "metadata": {}, "outputs": [{"output_type": "stream"}]},
    {"cell_type": "markdown", "source": "### Again", "metadata": {}},
    {
        "cell_type": "code",
        "source": "",
        "metadata": {"mystnb": {"figure": {"name": "fig-wave"}}},
        "outputs": [{"output_type": "display_data"}],
    },
    {"cell_type": "markdown", "source": "### Again\n\nwords only", "metadata": {}},
]
EVIDENCE = {"what": "R²", "every": "01_waves / r2", "band": ">= 0.9", "cell": "01_waves / fig-wave"}


@pytest.fixture
def ledger(tmp_path):
    """Write the page of a list of claims, or of a whole claims.yml."""

    def write(claim, results=RESULTS):
        whole = claim if "claims" in claim else {"claims": [{"id": "waves", "claim": "It waves."} | claim]}
        (tmp_path / "claims.yml").write_text(yaml.safe_dump(whole, allow_unicode=True), encoding="utf-8")
        (tmp_path / "01_waves.ipynb").write_text(json.dumps({"cells": CELLS}), encoding="utf-8")
        (tmp_path / "01_waves.json").write_text(json.dumps(results), encoding="utf-8")
        return claims.page(tmp_path / "claims.yml", tmp_path, tmp_path).replace("\N{NO-BREAK SPACE}", " ")

    return write


def evidence(**changes):
    return {"evidence": [EVIDENCE | changes]}


@pytest.mark.parametrize(
    ("band", "found"),
    [
        (">= 0.99", "| ≥ 0.99 | holds, 3 of 3 |"),
        (">= 0.99993", "| ≥ 0.99993 | partly, 1 of 3 |"),
        ("> 1", "| > 1 | fails, 0 of 3 |"),
        ("0.9 .. 0.9998", "| 0.9 … 0.9998 | partly, 1 of 3 |"),
        ("< 1e-13", "| < 1·10⁻¹³ | fails, 0 of 3 |"),
    ],
)
def test_row_is_judged_by_how_many_numbers_lie_in_the_band(ledger, band, found):
    page = ledger(evidence(band=band))
    assert found in page
    outcome = re.search(r"\| (\w+), ", page)[1]
    assert f"(claim-waves)=\n**{outcome.capitalize()}.** It waves." in page


def test_claim_is_judged_by_its_rows(ledger):
    good, bad = EVIDENCE, EVIDENCE | {"band": "> 1"}
    assert "**Holds.** It waves." in ledger({"evidence": [good, good]})
    assert "**Partly.** It waves." in ledger({"evidence": [good, bad]})
    assert "**Fails.** It waves." in ledger({"evidence": [bad, bad]})


def test_limits_are_shown_and_may_forbid_a_plain_holds(ledger):
    limits = {"limits": "On Sundays."}
    assert "**Holds.** It waves.\n\n*Limits:* On Sundays." in ledger(evidence() | limits)
    assert "**Partly.** It waves." in ledger(evidence() | limits | {"at_most": "partly"})
    assert "**Fails.** It waves." in ledger(evidence(band="> 1") | limits | {"at_most": "partly"})


def test_best_takes_the_least_of_each_list_and_over_pairs_them(ledger):
    ratio = {"what": "jump", "best": "01_waves / loss / 1", "over": "01_waves / loss / 2"}
    place = {"band": ">= 35", "cell": "01_waves / fig-wave"}
    assert "| 30 … 40 | ≥ 35 | partly, 1 of 2 |" in ledger({"evidence": [ratio | place]})
    less = {"what": "gap", "best": "01_waves / loss / 1", "minus": "01_waves / loss / 2"}
    assert "| 0.39 … 0.58 |" in ledger({"evidence": [less | place]})


def test_a_rule_without_an_answer_is_in_no_band(ledger):
    elbow = "01_waves / elbow"
    assert "| 2 … none | = 2 | partly, 1 of 2 |" in ledger(evidence(every=elbow, band="== 2"))
    assert "| 0 … none | < 1 | partly, 1 of 2 |" in ledger(evidence(every=elbow, minus=elbow, band="< 1"))
    assert "| 1 … none | = 1 | partly, 1 of 2 |" in ledger(evidence(every=elbow, over=elbow, band="== 1"))


def test_digits_show_on_which_side_of_the_band_a_number_lies():
    assert claims.write(0.9997964, [0.9998]) == "0.9997964"
    assert claims.write(0.99995, [0.9998]) == "0.99995"
    assert claims.write(3318.2, [1000]) == "3300"
    assert claims.typeset(claims.write(-2.16e-15, [1e-12])) == "−2.2·10⁻¹⁵"
    assert [claims.write(x, [2]) for x in (2.0, 0, None)] == ["2", "0", "none"]


def test_figures_and_headings_are_linked_and_the_run_is_named(ledger):
    assert "[R²](#fig-wave)" in ledger(evidence())
    assert "[R²](01_waves.ipynb#1-why-and-how)" in ledger(evidence(cell="01_waves / 1. Why, and `how`?"))
    page = ledger(evidence())
    assert "## Chapter 1: Waves\n\n[To the chapter](01_waves.ipynb). Numbers of its standard run of 3 November" in page
    assert "warning" not in page


def test_chapters_stand_in_their_order_and_what_is_no_chapter_is_not_read(tmp_path, ledger):
    names = ["10_tides", "00_calm", "01_waves"]
    for name in names:
        (tmp_path / f"{name}.ipynb").write_text(json.dumps({"cells": CELLS}), encoding="utf-8")
        (tmp_path / f"{name}.json").write_text(json.dumps(RESULTS), encoding="utf-8")
    (tmp_path / "Untitled.ipynb").write_text("", encoding="utf-8")
    heading = "1. Why, and `how`?"
    several = [{"id": n[3:], "claim": "So."} | evidence(cell=f"{n} / {heading}", every=f"{n} / r2") for n in names]
    found = re.findall(r"^## (Chapter \d+)", ledger({"claims": several}), re.MULTILINE)
    assert found == ["Chapter 0", "Chapter 1", "Chapter 10"]


def test_numbers_of_a_smoke_run_come_with_a_warning(ledger):
    page = ledger(evidence(), RESULTS | {"_run": RESULTS["_run"] | {"tier": "smoke"}})
    assert ":::{warning}\nThese numbers come from a smoke run" in page and "its smoke run of" in page


def test_what_was_not_examined_is_neither_hidden_nor_held(ledger):
    later = {"id": "later", "claim": "It sinks.", "original": 2, "status": "not examined yet"}
    now = {"id": "waves", "claim": "It waves.", "original": 1} | evidence()
    page = ledger({"original": {1: "Waves?", 2: "Sinks?"}, "claims": [later, now]})
    assert "**2 claims**: 1 × holds, 1 × not examined yet." in page
    assert "| 1 | Waves? | [holds](#claim-waves) |\n| 2 | Sinks? | [not examined yet](#claim-later) |" in page
    assert page.index("**Holds.**") < page.index("## Not examined yet") < page.index("**Not examined yet.**")


def test_predictions_without_a_band_are_linked_and_not_judged(ledger):
    entry = {"prediction": "it may sink", "cell": "01_waves / fig-wave"}
    claim = {"id": "waves", "claim": "It waves."} | evidence()
    assert "- [it may sink](#fig-wave)" in ledger({"claims": [claim], "without_a_band": [entry]})
    with pytest.raises(ValueError, match="'it may sink': no cell 'fig-gone'"):
        ledger({"claims": [claim], "without_a_band": [entry | {"cell": "01_waves / fig-gone"}]})


@pytest.mark.parametrize(
    ("claim", "problem"),
    [
        (evidence(cell="01_waves / fig-gone"), r"no cell 'fig-gone' in 01_waves.ipynb; .*fig-wave"),
        (evidence(cell="01_waves / Waves"), "no cell 'Waves'"),  # no output before the next heading
        (evidence(cell="01_waves / Again"), "no cell 'Again'"),  # two headings are called so
        (evidence(cell="02_gone / fig-wave"), r"02_gone.ipynb; .*no such notebook"),
        (evidence(cell="fig-wave"), "expected the chapter and the place in it"),
        (evidence(every="01_waves / gone"), r"no result '01_waves / gone': instead of 'gone' there is r2, loss"),
        (evidence(every="01_waves / loss / 3"), r"instead of '3' there is 1, 2"),
        (evidence(every="02_gone / r2"), "no result '02_gone / r2': there is no 02_gone.json"),
        (evidence(every="01_waves / none"), "no result '01_waves / none': it holds no number"),
        (evidence(every="01_waves / note"), "'not a number' stands among the results"),
        (evidence(over="01_waves / elbow"), "do not pair up"),
        (evidence(minus="01_waves / r2", over="01_waves / r2"), "at most one of 'over', 'minus'"),
        (evidence(best="01_waves / r2"), "needs one of 'every' and 'best'"),
        (evidence(mean="01_waves / r2"), "its evidence has unknown words: mean"),
        (evidence(band="about 1"), "band 'about 1'; expected one like '>= 0.9'"),
        (evidence(band="2 .. 1"), "band '2 .. 1'"),
        (evidence(band="1 .."), r"band '1 \.\.'"),
        (evidence(band=">= nan"), "band '>= nan'"),
        ({"evidence": [{"what": "R²"}]}, "its evidence lacks: band, cell"),
        ({"evidence": []}, "needs either evidence or 'status: not examined yet'"),
        ({"status": "proven"}, "needs either evidence or"),
        (evidence() | {"status": "not examined yet"}, "needs either evidence or"),
        (evidence() | {"at_most": "partly"}, "limits must say why"),
        (evidence() | {"outcome": "holds"}, "it has unknown words: outcome"),
        (evidence() | {"original": 8}, "original is 8"),
    ],
)
def test_claim_that_cannot_be_shown_is_refused_by_name(ledger, claim, problem):
    with pytest.raises(ValueError, match=f"claims.yml, claim waves: .*{problem}"):
        ledger(claim)


def test_claims_that_collide_or_forget_the_original_are_refused(ledger):
    claim = {"id": "waves", "claim": "It waves."} | evidence()
    with pytest.raises(ValueError, match="another one with this id"):
        ledger({"claims": [claim, claim]})
    with pytest.raises(ValueError, match="no claim bears on claim 2 of the original"):
        ledger({"original": {1: "Waves?", 2: "Sinks?"}, "claims": [claim | {"original": 1}]})


def test_results_of_another_run_are_judged_and_printed(tmp_path, monkeypatch, capsys, ledger):
    ledger(evidence())
    monkeypatch.setattr(claims, "BOOK", tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in (str(tmp_path), "~"):
        claims.main(["--results", folder])
        assert "**Holds.** It waves." in capsys.readouterr().out
    assert not (tmp_path / "claims.md").exists()


def test_stale_page_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "BOOK", tmp_path)
    (tmp_path / "claims.yml").write_text("claims: []\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="run make claims"):
        claims.main(["--check"])
    claims.main([])
    claims.main(["--check"])
    (tmp_path / "claims.md").write_text("All is well.\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="run make claims"):
        claims.main(["--check"])
