"""Write the book's public address into every place that needs it: the machinery behind `make stamp`.

Until there is an address, no page and no file shows a button, badge or link that would lead nowhere. Places in text
files are blocks between two marks; in the notebooks it is the first line of the bootstrap cell.
"""

import argparse
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = re.compile(r"https://github\.com/(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)")
CELL = re.compile(r'REPOSITORY, REVISION = "(.*?)", "main"')
COLAB = "https://colab.research.google.com"

# What stands between the marks of each file, once there is an address.
BLOCKS = {
    "_config.yml": """  use_repository_button: true
repository:
  url: {address}
  branch: main
launch_buttons:
  colab_url: {colab}
""",
    "README.md": "[Read it online](https://{owner}.github.io/{name}/) or "
    "[open the first chapter in Colab]({colab}/github/{owner}/{name}/blob/main/book/01_experiment.ipynb). "
    "[![tests]({address}/actions/workflows/test.yml/badge.svg)]({address}/actions/workflows/test.yml)\n",
    "CITATION.cff": "repository-code: {address}\n",
    "pyproject.toml": '[project.urls]\nRepository = "{address}"\n',
}  # fmt: skip
MARKED = re.compile(
    r"(?P<begin>^[^\n]*address \{[^\n]*\n)(?P<inside>.*?)(?P<end>^[^\n]*\} address[^\n]*$)", re.M | re.S
)


def address(root: Path = ROOT) -> str:
    """The public address, or nothing."""
    found = ADDRESS.search(inside((root / "_config.yml").read_text()))
    return found.group() if found else ""


def inside(text: str) -> str:
    return MARKED.search(text)["inside"]


def places(root: Path = ROOT) -> dict[str, str]:
    """The address as it stands in each place."""
    found = {}
    for name in BLOCKS:
        hit = ADDRESS.search(inside((root / name).read_text()))
        found[name] = hit.group() if hit else ""
    for path in sorted((root / "book").glob("*.ipynb")):
        cells = json.loads(path.read_text())["cells"]
        (line,) = (m for c in cells if c["cell_type"] == "code" for m in CELL.findall("".join(c["source"])))
        found[f"book/{path.name}"] = line
    return found


def stamp(new: str, root: Path = ROOT) -> None:
    """Write `new`, an address on GitHub or nothing, into all places."""
    parts = ADDRESS.fullmatch(new.removesuffix(".git").rstrip("/"))
    if new and not parts:
        raise SystemExit(f"REPOSITORY must look like https://github.com/owner/name, or be empty; got {new!r}")
    new = parts.group() if new else ""
    for name, block in BLOCKS.items():
        text = (root / name).read_text()
        filled = block.format(address=new, colab=COLAB, **parts.groupdict()) if new else ""
        (root / name).write_text(MARKED.sub(lambda m, filled=filled: m["begin"] + filled + m["end"], text))
    for path in sorted((root / "book").glob("*.ipynb")):
        text = path.read_text()
        line = json.dumps(f'REPOSITORY, REVISION = "{new}", "main"', ensure_ascii=False)[1:-1]
        path.write_text(re.sub(r'REPOSITORY, REVISION = \\".*?\\", \\"main\\"', lambda m, line=line: line, text))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("repository", help="https://github.com/owner/name, or nothing to take it out")
    stamp(parser.parse_args().repository)
    for place, found in places().items():
        print(f"{place}: {found or 'none'}")
