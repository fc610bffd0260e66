"""The public address stands in many places, and in all of them alike."""

import json
import re
import shutil
from pathlib import Path

import pytest

import contents
import pages
import stamp

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "https://github.com/someone/quantum-book"


@pytest.fixture
def copy(tmp_path):
    (tmp_path / "book").mkdir()
    for path in [*(ROOT / name for name in (*stamp.BLOCKS, "_toc.yml")), *contents.notebooks()]:
        shutil.copy(path, tmp_path / path.relative_to(ROOT))
    stamp.stamp("", tmp_path)
    return tmp_path


def contents_of(root):
    return {path: path.read_text(encoding="utf-8") for path in sorted(root.rglob("*")) if path.is_file()}


def test_all_places_agree():
    assert len(set(stamp.places().values())) == 1, stamp.places()


def test_without_an_address_nothing_leads_anywhere(copy):
    assert set(stamp.places(copy).values()) == {""}
    config = (copy / "_config.yml").read_text(encoding="utf-8")
    assert not re.search(r"^\s*(use_repository_button|launch_buttons|repository)", config, re.M)
    assert "colab.research" not in config + (copy / "README.md").read_text(encoding="utf-8")
    assert "Report a problem" not in pages.colophon("intro", "standard", {}, "")


@pytest.mark.parametrize("given", [ADDRESS, f"{ADDRESS}.git", f"{ADDRESS}/"])
def test_is_written_everywhere_and_taken_out_again(copy, given):
    before = contents_of(copy)
    stamp.stamp(given, copy)
    assert set(stamp.places(copy).values()) == {ADDRESS} == {stamp.address(copy)}
    assert f"{ADDRESS}/blob/main/" not in (copy / "_config.yml").read_text(
        encoding="utf-8"
    )  # the theme puts that together
    assert "colab.research.google.com/github/someone/quantum-book/blob/main/book/01" in (copy / "README.md").read_text(
        encoding="utf-8"
    )
    for path in (copy / "book").glob("*.ipynb"):
        json.loads(path.read_text(encoding="utf-8"))
    stamp.stamp("", copy)
    assert contents_of(copy) == before


@pytest.mark.parametrize(
    "wrong", ["github.com/a/b", "https://example.org/a/b", "https://github.com/a", ADDRESS + "/tree/x"]
)
def test_other_addresses_are_refused_before_anything_is_written(copy, wrong):
    before = contents_of(copy)
    with pytest.raises(SystemExit, match="REPOSITORY must look like"):
        stamp.stamp(wrong, copy)
    assert contents_of(copy) == before


def test_what_lies_in_the_folder_and_is_no_chapter_is_left_alone(copy):
    for name in ("Untitled.ipynb", "01_experiment-Copy1.ipynb"):
        (copy / "book" / name).write_text('{"cells": []}', encoding="utf-8")
        stamp.stamp(ADDRESS, copy)
        assert (copy / "book" / name).read_text(encoding="utf-8") == '{"cells": []}'


@pytest.mark.parametrize("name", ["CITATION.cff", "book/trap.ipynb"])
def test_a_place_that_is_not_there_is_named_before_anything_is_written(copy, name):
    (copy / name).write_text("{}", encoding="utf-8")
    before = contents_of(copy)
    with pytest.raises(SystemExit, match=f"{name} should have one .*, and has 0; nothing was written"):
        stamp.stamp(ADDRESS, copy)
    assert contents_of(copy) == before


def test_a_report_brings_page_and_edition():
    words = pages.colophon("03_distiller", "standard", {}, ADDRESS)
    link = re.search(r'href="(https://github\.com[^"]*)"', words).group(1)
    assert link.startswith(f"{ADDRESS}/issues/new?title=03_distiller")
    assert "Page%3A+03_distiller" in link
    assert "Edition%3A+0." in link


def test_a_page_says_when_and_with_what_it_was_made():
    run = {
        "date": "2026-11-26T03:00:00+00:00",
        "cores": 2,
        "versions": dict.fromkeys(["python", "tensorflow", "keras", "numpy"], "1.2"),
    }
    run["chapters"] = {"03_distiller": {"seconds": 35.3, "training": 886.0}}
    words = pages.colophon("03_distiller", "standard", run, "")
    assert "Run of 26 November 2026 (standard), with python 1.2" in words
    assert "By itself this page takes 35 s on 2 cores" in words
    assert "15 minutes of training" in words
    assert "keras 1.2" in words
