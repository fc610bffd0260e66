"""The static site, built strictly from the committed chapters: every page, figure and link is there."""

import importlib
import re
import subprocess
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

import book
import contents
import environment
import pages as site_pages
import reference
from rediscover import simulator

pytestmark = pytest.mark.site

ROOT = Path(__file__).resolve().parents[2]
# Chapters of the first edition, where others may have linked to.
OLD = {
    "04_wave_function": "04_two_numbers",
    "05_density_functional": "06_density_functional",
    "06_parsimony": "08_parsimony",
    "07_sceptic": "09_sceptic",
}


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    return book.site(None, tmp_path_factory.mktemp("site")).parent


@pytest.fixture(scope="module")
def pages(html):
    found = {path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in html.rglob("*.html")}
    return {path: page for path, page in found.items() if "_static" not in path.relative_to(html).parts}


def test_every_page_of_the_table_of_contents_has_a_title(html, pages):
    for path in contents.pages():
        assert pages[html / path.relative_to(ROOT).with_suffix(".html")].h1.get_text(strip=True), path


def test_what_lies_in_the_folder_and_is_no_chapter_gets_no_page(html):
    found = {path.relative_to(html).with_suffix("") for path in html.glob("book/**/*.html")}
    listed = {path.relative_to(ROOT).with_suffix("") for path in contents.pages()}
    assert found == listed | {Path("book", old) for old in OLD}


@pytest.mark.parametrize("old", OLD)
def test_old_addresses_lead_on(html, old):
    found = BeautifulSoup((html / "book" / f"{old}.html").read_text(encoding="utf-8"), "html.parser")
    assert found.find("meta", {"http-equiv": "refresh"})["content"] == f"0; url={OLD[old]}.html"
    assert (html / "book" / f"{OLD[old]}.html").exists()


def test_every_row_of_the_ledger_links_to_its_cell(html, pages):
    """Whether the links arrive is checked with all others, below; here, that no row has lost its own."""
    ledger = yaml.safe_load((ROOT / "book" / "claims.yml").read_text(encoding="utf-8"))
    cells = [entry["cell"].split(" / ")[0] for claim in ledger["claims"] for entry in claim.get("evidence", [])]
    rows = pages[html / "book" / "claims.html"].select("td:first-child a")
    assert sorted(row["href"].partition("#")[0] for row in rows) == sorted(f"{chapter}.html" for chapter in cells)
    assert all("#" in row["href"] for row in rows)


def test_the_reference_shows_examples_as_written_and_leads_to_chapters(html, pages):
    page = pages[html / "book" / "reference" / "simulator.html"]
    place = page.find(id="rediscover.simulator.transfer_matrix").parent
    examples = [line.strip() for line in simulator.transfer_matrix.__doc__.splitlines() if ">>>" in line]
    assert examples and set(examples) <= set(place.find("pre").get_text().splitlines())
    assert place.find("a", href="../01_experiment.html")


def test_every_public_name_has_its_place_in_the_reference(html, pages):
    for path in contents.pages():
        for name in re.findall(r"automodule:: (\S+)", path.read_text(encoding="utf-8")):
            page = pages[html / path.relative_to(ROOT).with_suffix(".html")]
            missing = [
                part for part in reference.parts(importlib.import_module(name)) if not page.find(id=f"{name}.{part}")
            ]
            assert not missing, f"{name}: {missing}"


def test_the_command_shows_its_help(html, pages):
    shown = " ".join(pages[html / "book" / "reference" / "command.html"].get_text().split())
    for words in ("rediscover discover [-h]", "rediscover predict [-h]", "--spacing A", "one row is one picture"):
        assert words in shown


def test_every_figure_says_what_it_shows(pages):
    for path, page in pages.items():
        for image in page.find_all("img"):
            alt = image.get("alt", "")
            assert len(alt) >= 20, f"{path.name}: {image}"
            assert not re.search(r"[0-9a-f]{20}|\.(png|svg|jpe?g)$", alt), f"{path.name}: {image}"


def test_nothing_is_loaded_from_elsewhere(pages):
    for path, page in pages.items():
        for tag in page.find_all(["img", "script", "link", "iframe"]):
            if "canonical" in tag.get("rel", []):
                continue
            address = tag.get("src") or tag.get("href") or ""
            assert not urlsplit(address).netloc, f"{path.name}: {tag}"


def test_every_internal_link_and_file_resolves(pages):
    for path, page in pages.items():
        for tag in page.find_all(["a", "img", "script", "link"]):
            parts = urlsplit(tag.get("href") or tag.get("src") or "")
            if parts.scheme or parts.netloc or not (parts.path or parts.fragment):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path.name}: {tag}"
            if parts.fragment and target in pages:
                assert pages[target].find(id=unquote(parts.fragment)), f"{path.name}: no place for {tag.get('href')}"


def test_the_download_holds_the_whole_book(html):
    if not (ROOT / ".git").exists():
        pytest.skip("this copy of the book is such a download: it does not know what is tracked")
    command = ["git", "ls-files", "-z"]
    git = subprocess.run(command, cwd=ROOT, env=environment.isolated(), stdout=subprocess.PIPE, check=True)
    listed = git.stdout.decode("utf-8").rstrip("\0").split("\0")
    with zipfile.ZipFile(html / f"{site_pages.NAME}.zip") as archive:
        packed = {name.removeprefix(f"{site_pages.NAME}/") for name in archive.namelist()}
    assert set(listed) == packed


def test_every_notebook_can_be_downloaded_as_it_is(html, pages):
    for path in contents.notebooks():
        links = [a["href"] for a in pages[html / "book" / f"{path.stem}.html"].select("a[href$='.ipynb'][download]")]
        given = [nbformat.read((html / "book" / link).resolve(), as_version=4) for link in links]
        assert nbformat.read(path, as_version=4) in given, path.name
