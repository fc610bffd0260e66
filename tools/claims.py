"""Write the ledger of claims, book/claims.md, from book/claims.yml, the notebooks and their results.

The head of claims.yml explains its words. With --check nothing is written, and the exit status says whether the page is
up to date. With --results the claims are judged by another run, and the page is printed.
"""

import argparse
import json
import math
import operator
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path

import yaml

import contents

BOOK = Path(__file__).resolve().parents[1] / "book"
COMPARISONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "==": operator.eq}
COMBINATIONS = {"over": operator.truediv, "minus": operator.sub}
SIGNS = {">=": "≥", "<=": "≤", ">": ">", "<": "<", "==": "="}
NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
OPEN = "not examined yet"
HEAD = """<!-- Written by `make claims` from claims.yml and results/*.json. Change those. -->

# The ledger of claims

Every claim of the book and the numbers that decide about it: the least and the greatest, over all trainings that the
chapter judges and all translators. The band in which they should lie was fixed before the run. A row **holds** if all
its numbers lie in the band, **fails** if none does, and holds **partly** otherwise; a claim likewise, over its rows.
(The chapters are stricter: there the worst number decides.) Where a claim has limits that its numbers do not show, they
are stated, and may forbid a plain "holds". Every row links to the cell that shows it.
"""


class Chapters:
    """What the chapters say: their numbers, and the cells that show them."""

    def __init__(self, notebooks: Path, results: Path):
        self.notebooks, self.folder = notebooks, results
        self.read = cache(lambda path: json.loads(path.read_text(encoding="utf-8")) if path.exists() else {})
        self.judged: dict[str, dict] = {}  # results of the chapters that claims speak of

    def cells(self, chapter: str) -> list[dict]:
        return self.read(self.notebooks / f"{chapter}.ipynb").get("cells", [])

    def link(self, place: str) -> str:
        chapter, name = split(place, 2, "cell")
        known = links(chapter, self.cells(chapter))
        if name not in known:
            names = ", ".join(known) or "no such notebook"
            raise ValueError(f"no cell {name!r} in {chapter}.ipynb; cells are found by a figure or heading: {names}")
        return known[name]

    def result(self, place: str):
        chapter, *keys = split(place, None, "result")
        found = self.read(self.folder / f"{chapter}.json")
        if not found:
            raise ValueError(f"no result {place!r}: there is no {chapter}.json")
        self.judged[chapter] = found
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                known = ", ".join(found) if isinstance(found, dict) else "numbers"
                raise ValueError(f"no result {place!r}: instead of {key!r} there is {known}")
            found = found[key]
        return found

    def heading(self, chapter: str) -> str:
        title = next(title for cell in self.cells(chapter) for title in headings(cell))
        run = self.result(f"{chapter} / _run")
        day = date.fromisoformat(run["date"][:10])
        number = re.sub(r"^0*(\d+)_.*", r"Chapter \1: ", chapter)
        to = f"[To the chapter]({chapter}.ipynb). Numbers of its {run['tier']} run of {day.day} {day:%B %Y}."
        return f"{number}{title}\n\n{to}"


def links(chapter: str, cells: list[dict]) -> dict[str, str]:
    """Addresses of all cells that show something: a figure has a name of its own, else the heading above names it."""
    found, heading = {}, None
    titles = Counter(title for cell in cells for title in headings(cell))
    for cell in cells:
        heading = (headings(cell) or [heading])[-1]
        if cell.get("outputs"):
            if titles[heading] == 1:  # a name that is borne twice names nothing
                slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
                found[heading] = f"{chapter}.ipynb#{slug}"
            if figure := cell["metadata"].get("mystnb", {}).get("figure", {}).get("name"):
                found[figure] = f"#{figure}"
    return found


def headings(cell: dict) -> list[str]:
    source = "".join(cell["source"]) if cell["cell_type"] == "markdown" else ""
    return re.findall(r"^#+ +(.+?) *$", source, re.MULTILINE)


def split(place: str, parts: int | None, what: str) -> list[str]:
    found = str(place).split(" / ", -1 if parts is None else parts - 1)
    if len(found) < 2:
        raise ValueError(f"{what} {place!r}; expected the chapter and the place in it, '03_distiller / ...'")
    return found


# --- numbers


def numbers(found, best: bool, at: tuple = ()) -> dict[tuple, float | None]:
    """Give all numbers of a result by where they stand; of each list only the least if the best is asked for."""
    if isinstance(found, dict):
        return {key: x for name, part in found.items() for key, x in numbers(part, best, (*at, name)).items()}
    if isinstance(found, list):
        flat = {key: x for i, part in enumerate(found) for key, x in numbers(part, best, (*at, i)).items()}
        nested = any(isinstance(part, dict | list) for part in found)
        return {at: min(flat.values())} if best and flat and not nested else flat
    if isinstance(found, bool) or not isinstance(found, int | float | None):
        raise ValueError(f"{found!r} stands among the results where a number was expected")
    return {at: found}  # None where a rule came to no answer: in no band


def measure(entry: dict, chapters: Chapters) -> list[float | None]:
    """Form the numbers that a piece of evidence speaks of."""
    first, second = ([word for word in words if word in entry] for words in (("every", "best"), COMBINATIONS))
    if len(first) != 1 or len(second) > 1:
        raise ValueError(
            f"evidence {entry['what']!r} needs one of 'every' and 'best', and at most one of 'over', 'minus'"
        )
    places = [entry[word] for word in first + second]
    values, *others = (numbers(chapters.result(place), first == ["best"]) for place in places)
    if not values:
        raise ValueError(f"no result {places[0]!r}: it holds no number")
    if second:
        if values.keys() != others[0].keys():
            raise ValueError(f"the numbers of {places[0]!r} and of {places[1]!r} do not pair up")
        pairs = {key: (x, others[0][key]) for key, x in values.items()}
        values = {key: None if None in pair else COMBINATIONS[second[0]](*pair) for key, pair in pairs.items()}
    return list(values.values())


def band(words: str) -> tuple[Callable[[float | None], bool], list[float], str]:
    """Read a band: whether a number lies in it, its edges, and how to write it."""
    if found := re.fullmatch(rf"(>=|<=|==|>|<) *({NUMBER})", str(words)):
        edge, compare = float(found[2]), COMPARISONS[found[1]]
        return lambda x: x is not None and compare(x, edge), [edge], f"{SIGNS[found[1]]} {edge:g}"
    if found := re.fullmatch(rf"({NUMBER}) *\.\. *({NUMBER})", str(words)):
        low, high = float(found[1]), float(found[2])
        if low < high:
            return lambda x: x is not None and low <= x <= high, [low, high], f"{low:g} … {high:g}"
    raise ValueError(f"band {words!r}; expected one like '>= 0.9', '> 0', '<= 2', '< 1', '== 2' or '0.1 .. 0.2'")


def write(x: float | None, edges: list[float]) -> str:
    """Write a number with two digits, or more if it takes more to see on which side of an edge it lies."""
    if x is None or (x == int(x) and abs(x) < 1e6):
        return "none" if x is None else str(int(x))
    places = max(1 - exponent(y) for y in (x, *(x - edge for edge in edges)) if y)
    if not 1e-3 <= abs(x) < 1e6:
        return f"{x:.{places + exponent(x)}e}"
    return f"{round(x, places):.{max(places, 0)}f}"


def exponent(x: float) -> int:
    return math.floor(math.log10(abs(x)))


def typeset(words: str) -> str:
    """Write powers of ten as such, and let no line end within."""
    words = re.sub(r"e([+-])0*(\d+)", lambda m: "·10" + f"{m[1]}{m[2]}".lstrip("+").translate(RAISED), words)
    return words.replace("-", "−").replace(" ", "\N{NO-BREAK SPACE}")


# --- outcomes


def outcome(parts: list[bool] | list[str]) -> str:
    """Judge by numbers in or out of their band, or by rows judged before."""
    if all(part in (True, "holds") for part in parts):
        return "holds"
    return "fails" if all(part in (False, "fails") for part in parts) else "partly"


def judge(claim: dict, chapters: Chapters) -> tuple[str, list[str]]:
    """Give the outcome of a claim and the rows of its table."""
    if "status" in claim:
        return OPEN, []
    outcomes, rows = [], []
    for entry in claim["evidence"]:
        values, (inside, edges, limits) = measure(entry, chapters), band(entry["band"])
        good = [inside(x) for x in values]
        known = [x for x in values if x is not None]
        ends = dict.fromkeys(write(x, edges) for x in ([min(known), max(known)] if known else []))
        if len(known) < len(values):
            ends["none"] = None
        outcomes.append(outcome(good))
        found = " … ".join(ends), limits, f"{outcomes[-1]}, {sum(good)} of {len(good)}"
        rows.append(f"| [{entry['what']}]({chapters.link(entry['cell'])}) | {' | '.join(map(typeset, found))} |")
    whole = outcome(outcomes)
    return ("partly" if whole == "holds" and "at_most" in claim else whole), rows


# --- the page


def check(entry: dict, needed: set[str], allowed: set[str], name: str) -> None:
    if not isinstance(entry, dict):
        raise ValueError(f"{name} is {entry!r}; expected words with their values")
    for what, keys in (("lacks", needed - entry.keys()), ("has unknown words", entry.keys() - needed - allowed)):
        if keys:
            raise ValueError(f"{name} {what}: {', '.join(sorted(map(str, keys)))}")


def check_claim(claim: dict, originals: dict) -> None:
    check(claim, {"id", "claim"}, {"original", "evidence", "limits", "at_most", "status"}, "it")
    if not re.fullmatch(r"[a-z0-9-]+", str(claim["id"])):
        raise ValueError("its id may hold small letters, digits and '-' only")
    if "original" in claim and claim["original"] not in originals:
        raise ValueError(f"original is {claim['original']!r}; expected one of {', '.join(map(str, originals))}")
    if ("status" in claim) == bool(claim.get("evidence")) or claim.get("status", OPEN) != OPEN:
        raise ValueError(f"it needs either evidence or 'status: {OPEN}'")
    if "at_most" in claim and (claim["at_most"] != "partly" or "limits" not in claim):
        raise ValueError("at_most can only be 'partly', and limits must say why")
    for entry in claim.get("evidence", []):
        check(entry, {"what", "band", "cell"}, {"every", "best", "over", "minus"}, "its evidence")


def page(claims: Path, notebooks: Path, results: Path) -> str:
    """Write the ledger; a ValueError names the claim that lacks its cell or its result, or that cannot be read."""
    ledger, chapters = yaml.safe_load(claims.read_text(encoding="utf-8")), Chapters(notebooks, results)
    check(ledger, {"claims"}, {"original", "without_a_band"}, claims.name)
    originals = ledger.get("original", {})
    sections: dict[str, list[str]] = {}
    judged: dict[str, str] = {}
    for n, claim in enumerate(ledger["claims"], 1):
        name = claim.get("id", f"number {n}") if isinstance(claim, dict) else f"number {n}"
        try:
            check_claim(claim, originals)
            if name in judged:
                raise ValueError("there is another one with this id")
            judged[name], rows = judge(claim, chapters)
        except (
            ValueError,
            TypeError,
            ZeroDivisionError,
        ) as error:  # the latter two: nothing to compare, or to divide by
            raise ValueError(f"{claims.name}, claim {name}: {error}") from None
        where = claim["evidence"][0]["cell"].split(" / ")[0] if rows else OPEN
        sections.setdefault(where, []).append(block(claim, judged[name], rows))
    lost = [str(n) for n in originals if all(claim.get("original") != n for claim in ledger["claims"])]
    if lost:
        raise ValueError(f"{claims.name}: no claim bears on claim {', '.join(lost)} of the original; say '{OPEN}'")

    count = Counter(judged.values())
    summary = ", ".join(f"{count[word]} × {word}" for word in ("holds", "partly", "fails", OPEN) if count[word])
    parts = [HEAD, *warning(chapters), f"**{len(judged)} claims**: {summary}."]
    if originals:
        parts.append(f"## The claims of the original\n\n{overview(originals, ledger['claims'], judged)}")
    for where in sorted(sections):
        head = OPEN.capitalize() if where == OPEN else chapters.heading(where)
        parts += [f"## {head}", *sections[where]]
    if unjudged := ledger.get("without_a_band"):
        parts.append(predictions(unjudged, chapters, claims.name))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def warning(chapters: Chapters) -> list[str]:
    """Say first of all if the numbers come from a run at tiny sizes."""
    tiers = {found["_run"]["tier"] for found in chapters.judged.values() if "_run" in found}
    if tiers <= {"standard"}:
        return []
    what = f"These numbers come from a {' and a '.join(sorted(tiers))} run"
    return [f":::{{warning}}\n{what}: sizes too small to show anything. The outcomes mean nothing.\n:::"]


def overview(originals: dict, claims: list[dict], judged: dict[str, str]) -> str:
    rows = ["| | claim of the original | here |", "|---|---|---|"]
    for n, sentence in originals.items():
        ours = [claim["id"] for claim in claims if claim.get("original") == n]
        here = "<br>".join(f"[{typeset(judged[name])}](#claim-{name})" for name in ours)
        rows.append(f"| {n} | {sentence} | {here} |")
    return "\n".join(rows)


def block(claim: dict, found: str, rows: list[str]) -> str:
    lines = [f"(claim-{claim['id']})=\n**{found.capitalize()}.** {claim['claim']}"]
    if "original" in claim:
        lines[0] += f" (See claim {claim['original']} of the original.)"
    if "limits" in claim:
        lines.append(f"*Limits:* {claim['limits']}")
    if rows:
        lines.append("\n".join(["| measured | found | band | outcome |", "|---|---|---|---|", *rows]))
    return "\n\n".join(lines)


def predictions(entries: list[dict], chapters: Chapters, name: str) -> str:
    rows = []
    for entry in entries:
        check(entry, {"prediction", "cell"}, set(), f"{name}, without_a_band: an entry")
        try:
            rows.append(f"- [{entry['prediction']}]({chapters.link(entry['cell'])})")
        except ValueError as error:
            raise ValueError(f"{name}, prediction {entry['prediction']!r}: {error}") from None
    why = "The chapters also predict where nobody had said beforehand how close is close enough. They show what came of"
    return f"## Predictions without a band\n\n{why} it; nothing of this is judged here.\n\n" + "\n".join(rows)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is not up to date")
    parser.add_argument("--results", type=os.path.expanduser, help="print the page for the results in this folder")
    options = parser.parse_args(arguments)
    target = BOOK / "claims.md"
    try:
        new = page(BOOK / "claims.yml", BOOK, Path(options.results or BOOK / "results"))
    except (ValueError, yaml.YAMLError) as error:
        sys.exit(str(error))
    if options.results:
        print(new)
    elif not options.check:
        contents.write(target, new)
    elif not target.exists() or target.read_text(encoding="utf-8") != new:
        sys.exit(f"{target} is not what claims.yml and the results say: run make claims")


if __name__ == "__main__":
    main()
