"""Write the book's public address into every place that needs it: the machinery behind `make stamp`.

Until there is an address, no page and no file shows a button, badge or link that would lead nowhere. Places in text
files are blocks between two marks; in the notebooks it is the first line of the bootstrap cell.
"""

import argparse
import re
from pathlib import Path

import contents

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = re.compile(r"https://github\.com/(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)")
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
CELL = re.compile(r'(?P<begin>REPOSITORY, REVISION = \\?")(?P<inside>.*?)(?P<end>\\?", \\?"main\\?")')  # in JSON or not


def address(root: Path = ROOT) -> str:
    """The public address, or nothing."""
    return places(root, ["_config.yml"])["_config.yml"]


def places(root: Path = ROOT, names: list[str] | None = None) -> dict[str, str]:
    """The address as it stands in each place; SystemExit names a file that has no such place."""
    found = {}
    for name in names or [*BLOCKS, *(str(path.relative_to(root)) for path in contents.notebooks(root))]:
        hits = [hit["inside"] for hit in pattern(name).finditer((root / name).read_text(encoding="utf-8"))]
        if len(hits) != 1:
            what = "pair of marks 'address {' and '} address'" if name in BLOCKS else "line REPOSITORY, REVISION = ..."
            raise SystemExit(f"{name} should have one {what}, and has {len(hits)}; nothing was written")
        found[name] = (ADDRESS.search(hits[0]) or [""])[0]
    return found


def pattern(name: str) -> re.Pattern:
    return MARKED if name in BLOCKS else CELL


def stamp(new: str, root: Path = ROOT) -> None:
    """Write `new`, an address on GitHub or nothing, into all places, or into none if one of them is not there."""
    parts = ADDRESS.fullmatch(new.removesuffix(".git").rstrip("/"))
    if new and not parts:
        raise SystemExit(f"REPOSITORY must look like https://github.com/owner/name, or be empty; got {new!r}")
    new = parts.group() if new else ""
    for name in places(root):
        block = BLOCKS[name].format(address=new, colab=COLAB, **parts.groupdict()) if name in BLOCKS and new else new
        text = (root / name).read_text(encoding="utf-8")
        contents.write(root / name, pattern(name).sub(rf"\g<begin>{block}\g<end>", text))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("repository", help="https://github.com/owner/name, or nothing to take it out")
    stamp(parser.parse_args().repository)
    for place, found in places().items():
        print(f"{place}: {found or 'none'}")
