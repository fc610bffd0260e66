"""What the site adds to the pages of a run: a line at the end of each, a file with the whole book, and repairs."""

import re
import tomllib
import zipfile
from base64 import b64decode, b64encode
from datetime import datetime
from html import escape
from io import BytesIO
from pathlib import Path
from urllib.parse import urlencode

import nbformat
from PIL import Image

import contents
import stamp

ROOT = Path(__file__).resolve().parents[1]
NAME = "rediscovering-quantum-mechanics"
MATHJAX = '["input/tex", "output/chtml", "a11y/assistive-mml"]'
# What is written into the pages, and what stands there instead.
REPAIRS = {
    # the icons come twice, as a font and as 1.5 MB of JavaScript that draws them again
    r"<script[^>]*/fontawesome\.js[^>]*></script>": "",
    # parts that no page uses: cards and tabs, live code; the index of words, but on the page that searches
    r"<link[^>]*/sphinx-(design|thebe)[^>]*>": "",
    r"<script[^>]*/(design-tabs|sphinx-thebe)\.js[^>]*></script>": "",
    r"<script>const THEBE_JS_URL.*?</script>": "",
    r'<script src="(?:\.\./)+(_static/searchtools|_static/language_data|searchindex)\.js"></script>': "",
    # of MathJax only the parts that are used: without its menu and its speech, 0.4 MB less
    r"mathjax/tex-chtml\.js": "mathjax/startup.js",
    r"window\.MathJax = \{": f'window.MathJax = {{"loader": {{"load": {MATHJAX}}}, ',
    # the sidebar is no landmark, so screen readers would not offer it
    r'<div id="pst-primary-sidebar" ': '<div id="pst-primary-sidebar" role="region" aria-label="Contents of the book" ',
    # the arrow that unfolds the pages below another one has no name
    r'<summary>(?=<span class="toctree-toggle")': '<summary aria-label="Pages below">',
    # a signature over several lines is no list of definitions
    r'<dl>(?=\s*<dd><em class="sig-param)': '<dl role="presentation">',
    # a heading without words, over the first column of a table
    r'<th class="head[^>]*>\s*(<p>\s*</p>)?\s*</th>': "<td></td>",
    # notebooks are for keeping, not for looking at their source in another tab
    r'(<a href="[^"]*_sources/[^"]*\.ipynb") target="_blank"': r"\1 download",
    # roles that the standard has given up, and a list without items
    r' role="doc-biblioentry"': "",
    r'<div role="list" class="citation-list">': '<div class="citation-list">',
}


def bundle(pages: Path, into: Path) -> Path:
    """Pack the book into one file, with notebooks, results and images of `pages` instead of the committed ones."""
    path = into / f"{NAME}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in contents.files(ROOT):
            name = file.relative_to(ROOT)
            shown = pages.parent / name
            archive.write(shown if name.parts[0] == "book" and shown.exists() else file, NAME / name)
    return path


def sign(pages: Path, mode: str, costs: dict) -> None:
    """End every page with a line that says which run it shows, and where to turn if something is wrong."""
    for path in sorted([*pages.glob("*.ipynb"), *pages.rglob("*.md")]):
        name = path.relative_to(pages).with_suffix("").as_posix()
        run = costs.get(mode) if path.suffix == ".ipynb" else None
        line = f'<p class="colophon">{colophon(name, mode, run, stamp.address())}</p>'
        if path.suffix == ".md":
            path.write_text(f"{path.read_text(encoding='utf-8').rstrip()}\n\n{line}\n", encoding="utf-8")
        else:
            notebook = nbformat.read(path, as_version=4)
            notebook.cells.append(nbformat.v4.new_markdown_cell(line, id="colophon"))
            path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def colophon(page: str, mode: str, run: dict | None, address: str) -> str:
    """The words of that line: edition, date, versions and cost, the download, and a report with page and edition."""
    edition = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    words = [f"Edition {edition}."]
    if run:
        date = datetime.fromisoformat(run["date"])
        versions = ", ".join(f"{name} {run['versions'][name]}" for name in ("python", "tensorflow", "keras", "numpy"))
        words.append(f"Run of {date.day} {date:%B %Y} ({mode}), with {versions}.")
        if cost := run["chapters"].get(page):
            took = f"By itself this page takes {cost['seconds']:.0f} s on {cost.get('cores', run['cores'])} cores"
            when = "of which" if mode != "standard" else "and it loads networks that took"
            trained = f", {when} {cost['training'] / 60:.0f} minutes of training" if cost["training"] >= 60 else ""
            words.append(f"{took}{trained}.")
    words.append(f'<a href="{"../" * (page.count("/") + 1)}{NAME}.zip" download>The whole book as one file</a>.')
    if address:
        body = f"Page: {page}\nEdition: {edition}\n\nWhat I did:\n\nWhat I expected:\n\nWhat I got:\n"
        where = f"{address}/issues/new?{urlencode({'title': f'{page}: ', 'body': body})}"
        words.append(f'<a href="{escape(where)}">Report a problem on this page</a>.')
    return " ".join(words)


def finish(html: Path) -> None:
    """Change in the built pages what theme and extensions have no setting for."""
    for path in html.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for what, instead in REPAIRS.items():
            text = re.sub(what, instead, text)
        path.write_text(re.sub(r"(?<=data:image/png;base64,)[A-Za-z0-9+/=]+", smaller_text, text), encoding="utf-8")
    for path in html.glob("_sources/**/*.ipynb"):  # what one downloads: the line at the end is for the page
        notebook = nbformat.read(path, as_version=4)
        notebook.cells = [cell for cell in notebook.cells if cell.id != "colophon"]
        path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    for path in html.glob("_images/*.png"):
        path.write_bytes(smaller(path.read_bytes()))


def smaller(png: bytes) -> bytes:
    """The same picture with a palette of 256 colours: half the bytes, and no difference to the eye."""
    small = BytesIO()
    with Image.open(BytesIO(png)) as picture:
        picture.convert("RGBA").quantize(256, Image.Quantize.FASTOCTREE, dither=0).save(small, "PNG", optimize=True)
    return min(small.getvalue(), png, key=len)


def smaller_text(png: re.Match) -> str:
    return b64encode(smaller(b64decode(png.group()))).decode()
