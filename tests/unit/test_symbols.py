"""The table of symbols names things that the library has."""

import importlib
import inspect
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
NAMES = sorted(set(re.findall(r"`(\w+\.[\w.]+)`", (BOOK / "symbols.md").read_text(encoding="utf-8"))))


def test_there_are_symbols():
    assert len(NAMES) > 15


@pytest.mark.parametrize("name", NAMES)
def test_name_exists(name):
    module, *path = name.split(".")
    thing = importlib.import_module(f"rediscover.{module}")
    for part in path:
        if hasattr(thing, part):
            thing = getattr(thing, part)
            continue
        known = set(inspect.signature(thing).parameters)
        known |= {field.name for field in fields(thing)} if is_dataclass(thing) else set()
        assert part in known, f"{name}: {thing} has no {part}; it has {sorted(known)}"


def test_terms_of_the_glossary_are_linked_to():
    """Every term is defined once, and pages link to terms that exist (the strict build sees to that)."""
    glossary = (BOOK / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^(\w[\w ]*)$", glossary.split("```{glossary}")[1].split("```")[0], re.M)
    assert len(terms) == len(set(terms)) >= 20
    used = "".join(path.read_text(encoding="utf-8") for path in BOOK.glob("*.md") if path.stem != "glossary")
    linked = {re.sub(r".*<(.*)>", r"\1", term) for term in re.findall(r"\{term\}`([^`]+)`", used)}
    assert len(linked) >= 10
    assert linked <= set(terms)
