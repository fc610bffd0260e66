"""The library reference: a page for every public module, and docstrings that become good pages."""

import re

import pytest
from test_public_api import ORDER, PUBLIC

import contents
import reference

FOLDER = contents.ROOT / "book" / "reference"
IN_ORDER = [name for name in ORDER if name in PUBLIC or name == "__main__"]
CHAPTERS = {"03": "book/03_distiller", "04": "book/04_two_numbers", "08": "book/08_parsimony", "13": "book/13_own"}


def shown(path):
    return re.findall(r"automodule:: rediscover\.(\w+)", path.read_text(encoding="utf-8"))


def test_every_public_module_has_a_page_in_the_order_of_imports():
    pages = [path for path in contents.pages() if path.parent == FOLDER]
    assert [path.name for path in pages[:1]] == ["index.md"]
    assert [name for path in pages[1:] for name in shown(path)] == IN_ORDER
    assert set(pages) == set(FOLDER.iterdir())


def test_the_list_of_modules_is_in_the_order_of_imports():
    assert re.findall(r"^   (\w+)$", (FOLDER / "index.md").read_text(encoding="utf-8"), re.M) == IN_ORDER


@pytest.mark.parametrize(
    ("said", "becomes"),
    [
        ("Derived in chapter 04.", "Derived in :doc:`chapter 04 </book/04_two_numbers>`."),
        ("at the end of chapter\n03", "at the end of :doc:`chapter\n03 </book/03_distiller>`"),
        ("Chapters 03, 08", ":doc:`Chapters 03 </book/03_distiller>`, :doc:`08 </book/08_parsimony>`"),
        ("chapters 02 and 03", "chapters 02 and :doc:`03 </book/03_distiller>`"),
        ("*Banach Spaces* 1 (2001), chapter 8", "*Banach Spaces* 1 (2001), chapter 8"),
        ("*The Bootstrap* (1993), chapter 13", "*The Bootstrap* (1993), chapter 13"),
    ],
)
def test_a_chapter_that_is_mentioned_is_a_link_if_the_book_has_it(said, becomes):
    assert reference.prose(said, CHAPTERS) == becomes


def test_bars_are_no_markup_but_in_code_they_stay():
    assert reference.prose("|ψ|², ``a | b``", {}) == r"\|ψ\|², ``a | b``"


def test_a_parameter_is_not_taken_for_the_module_of_that_name():
    assert reference.prose("of `law`, see `law.Law`", {}, ["law"]) == "of ``law``, see `law.Law`"


def test_attributes_that_share_a_line_are_listed_one_by_one_by_their_whole_names():
    field = ":ivar law_, shift: Of the best\n    that was found."
    found = reference.FIELDS.sub(reference.separate, f"{field}\n:ivar b: x")
    one = "Of the best\n    that was found."
    assert found == f":ivar law\\_: {one}\n:ivar shift: {one}\n:ivar b: x"
