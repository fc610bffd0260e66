"""The command ``rediscover``, also as ``python -m rediscover``: a law from files of potentials and densities.

Nothing but the standard library is imported before a command is chosen, so that help is there at once.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from . import __version__

if TYPE_CHECKING:
    import numpy as np

    from .files import Table

#: How long the methods take, on two cores, for a few hundred pictures of some forty sites.
TIMES = {"direct": "up to a minute", "introspect": "several minutes"}
FORMATS = """\
Files: one row is one picture, one column is one site. csv with commas, semicolons or tabs, decimal points or commas,
with or without a header; .npy; .npz, as FILE.npz:NAME if it holds several arrays. A density that was not measured is
an empty cell or nan; a row that ends early is a shorter chain."""
README = """\
{n} simulated clouds of rubidium atoms, each in a trap of its own.

traps.csv   potentials in Hz (energy over Planck's constant): one row is one trap, one column one of {sites} sites
clouds.csv  densities in atoms per µm at the right edges of these sites, good to 1 %

A site is {a:g} µm long. All clouds begin alike at the left end. In this folder, run

    rediscover discover traps.csv clouds.csv --spacing {a:g}

or the same with python -m rediscover, and open rediscovered/report.html. To see whether it is right: these are waves,
ψ'' = 2 m (V - E) ψ, with m = {m:.6f} per Hz and µm², and E = {E:g} Hz. The law that was found predicts densities:

    rediscover predict rediscovered/law.npz traps.csv
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; what is wrong with the input is said in one line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line, if not given.

    Returns
    -------
    int
        Exit status: 0, or 2 if something is wrong with the input.

    Raises
    ------
    SystemExit
        If the arguments cannot be understood, or help is asked for.

    Examples
    --------
    >>> folder = tempfile.mkdtemp()
    >>> main(["example", folder]), len(list(Path(folder).iterdir()))  # doctest: +ELLIPSIS
    Wrote ...
    (0, 3)
    """
    given = _parser().parse_args(arguments)
    try:
        given.run(given)
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
    except ValueError as error:
        if type(error) is not ValueError:  # of linear algebra, say: nothing that the input alone explains
            raise
        problem = str(error)
    else:
        return 0
    print("rediscover:", " ".join(problem.split()), file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    """One that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"rediscover: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="rediscover", description="Find the law that leads from potentials to densities.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=FORMATS)
        sub.set_defaults(run=run)
        return sub

    discover = command("discover", _discover, "find a law in measured pairs, and say how far it can be trusted")
    discover.add_argument("potentials", metavar="POTENTIALS", help="file of potentials, in any unit")
    discover.add_argument("densities", metavar="DENSITIES", help="file of densities at the same sites, in any unit")
    discover.add_argument("--spacing", type=_positive, metavar="A", help="length of a site (else lengths count sites)")
    discover.add_argument("--energy", type=_number, metavar="E", help="energy of all states, in the unit of potentials")
    discover.add_argument("--labels", metavar="F", help="file of numbers that belong to pictures, such as a field")
    discover.add_argument("--initial", metavar="F", help="file of what is known of the left ends, one row a picture")
    discover.add_argument("--sigma", metavar="F", help="file of the errors of the densities, one for each")
    discover.add_argument(
        "--prompt",
        type=_count,
        metavar="K",
        default=0,
        help="if chains start in their own ways: how many first sites show it, at least 6 (default 0: all alike)",
    )
    discover.add_argument(
        "--method",
        choices=TIMES,
        default="direct",
        help="fit a law at once (default), or train a network and look into it",
    )
    discover.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        default=Path("rediscovered"),
        help="for report and law (default rediscovered)",
    )

    predict = command("predict", _predict, "give the densities of a law in other potentials")
    predict.add_argument("law", metavar="LAW", help="law.npz or law.json, as discover wrote it")
    predict.add_argument("potentials", metavar="POTENTIALS", help="file of potentials, in the unit that the law knows")
    predict.add_argument(
        "--densities",
        metavar="SHOWN",
        help="file of the first densities of each chain, if it starts in a way of its own",
    )
    predict.add_argument(
        "--initial", metavar="F", help="file of what is known of the left ends, if the law was told it"
    )
    predict.add_argument("--labels", metavar="F", help="file of labels, if the law was told them")
    predict.add_argument(
        "--out",
        type=Path,
        metavar="FILE.csv",
        default=Path("predicted.csv"),
        help="where to write (default predicted.csv)",
    )

    for sub in (discover, predict):
        sub.add_argument(
            "--delimiter", type=_sign, metavar="SIGN", help="between numbers in all csv files: comma, semicolon or tab"
        )
        sub.add_argument("--decimal", type=_sign, metavar="SIGN", help="decimal mark in all csv files: point or comma")
        sub.add_argument(
            "--header", action=argparse.BooleanOptionalAction, help="whether all csv files begin with a row of names"
        )

    example = command("example", _example, "write a small data set to try")
    example.add_argument("folder", type=Path, metavar="FOLDER", help="where traps.csv, clouds.csv and README.txt go")
    return parser


def _number(text: str) -> float:
    if not abs(value := float(text)) < float("inf"):
        raise ValueError
    return value


def _positive(text: str) -> float:
    if (value := _number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"must be greater than 0; got {text}")
    return value


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; got {text}")
    return value


def _sign(text: str) -> str:
    """A sign itself, or its name, which no shell takes for its own."""
    return {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "point": "."}.get(text, text)


def _discover(given: argparse.Namespace) -> None:
    from . import files

    potentials, densities = _read(given, given.potentials).chains(), _read(given, given.densities)
    densities = files.alike(potentials, densities)
    errors = files.alike(potentials, _read(given, given.sigma)) if given.sigma else None
    told = {name: _rows(given, getattr(given, name), potentials) for name in ("labels", "initial")}
    told |= _gaps(densities, errors)
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=given.out):  # whether it can be written is found out now, not in the end
        pass

    _say(potentials=potentials, densities=densities, errors=errors)
    if given.spacing is None:
        print("Lengths are counted in sites, for no --spacing is given.")
    else:
        print(f"A site is {given.spacing:g} long; that is the unit of lengths.")
    energy = "is not given" if given.energy is None else f"is {given.energy:g}"
    print(f"Energies have the unit of the potentials; that of the states {energy}.")
    print(f"This takes {TIMES[given.method]} ({given.method}).", flush=True)

    from .discovery import Discovery

    found = Discovery(method=given.method, prompt=given.prompt, random_state=0)
    found.fit(potentials.values, densities.values, spacing=given.spacing, energy=given.energy, **told)

    laws = [given.out / "law.npz", given.out / "law.json"]
    for path in laws:
        path.unlink(missing_ok=True)  # of an earlier run: it would be taken for what this report speaks of
        if found.law_ is not None:
            found.law_.save(path)
    report = given.out / "report.html"
    found.report(report)
    if found.law_ is not None:
        print(f"Law: {laws[0]} and {laws[1].name}")
    print(found.verdict_)
    print(f"Report: {report}")


def _predict(given: argparse.Namespace) -> None:
    from . import files
    from .law import Law

    if given.out.suffix.lower() != ".csv":
        raise ValueError(f"--out must end in .csv; got {given.out}")
    inputs = [given.law, given.potentials, given.densities, given.initial, given.labels]
    if given.out.resolve() in [Path(name).resolve() for name in inputs if name]:
        raise ValueError(f"--out must not be one of the files that are read; got {given.out}")
    law = Law.load(given.law)
    own, told = law.start is None, hasattr(law.start, "states")
    starts = "in a way of its own" if own else "as is known of it" if told else "as all others do"
    for option, value, needed, why in (
        ("--densities", given.densities, own, f"by this law every chain starts {starts}"),
        ("--initial", given.initial, told, f"by this law every chain starts {starts}"),
        ("--labels", given.labels, law.constants is not None, "this law depends on labels or not"),
    ):
        if bool(value) != needed:
            raise ValueError(f"{option} must {'' if needed else 'not '}be given: {why}")
    potentials = _read(given, given.potentials).chains()
    labels, start = (_rows(given, name, potentials) for name in (given.labels, given.initial))
    shown = _read(given, given.densities).chains() if own else None
    _say(potentials=potentials, densities=shown)
    if shown:
        files.same_rows(potentials, shown)
        beginnings = [chain[: len(row)] for chain, row in zip(potentials.rows, shown.rows, strict=True)]
        shown = files.alike(replace(potentials, rows=tuple(beginnings)), shown)  # no chain may show more than it has
        start = law.start_from(files.stack(beginnings), shown.values, constants=labels)
    files.write(given.out, law.predict(potentials.values, start, constants=labels))
    print(f"Predicted densities: {given.out}")


def _example(given: argparse.Namespace) -> None:
    import numpy as np

    from . import files, potentials, simulator, store

    traps, clouds, readme = (given.folder / name for name in ("traps.csv", "clouds.csv", "README.txt"))
    for path in (traps, clouds, readme):
        if path.exists():
            raise ValueError(f"{path} exists already, and is not overwritten; give another folder")
    spacing, energy, atoms = 0.3, 350.0, 80.0  # µm, Hz, atoms per µm
    # of rubidium 87, where ħ/m is 730.7 µm²/s: energies in Hz times this are in units ħ = m = 1
    mass = 2 * np.pi / 730.7
    V = potentials.random(300, 40, low=140.0, high=290.0, seed=7).round(2)
    density = atoms * simulator.propagate(mass * V, spacing, mass * energy).density
    density *= 1 + 0.01 * np.random.default_rng(7).standard_normal(density.shape)
    files.write(traps, V)
    files.write(clouds, density.round(3))
    with store.atomic_write(readme) as file:
        file.write(README.format(n=len(V), sites=V.shape[1], a=spacing, E=energy, m=mass).encode())
    print(f"Wrote {traps.name}, {clouds.name} and {readme.name} to {given.folder}. What to run next:")
    print(shlex.join(["rediscover", "discover", str(traps), str(clouds), "--spacing", f"{spacing:g}"]))


def _read(given: argparse.Namespace, path: str) -> Table:
    from . import files

    return files.table(path, delimiter=given.delimiter, decimal=given.decimal, header=given.header)


def _rows(given: argparse.Namespace, path: str | None, potentials: Table) -> np.ndarray | None:
    """Numbers of each picture, shape (pictures, numbers), if there is such a file."""
    from . import files

    if path is None:
        return None
    table = _read(given, path)
    files.same_rows(potentials, table)
    return table.complete()


def _gaps(densities: Table, errors: Table | None) -> dict[str, np.ndarray | list[np.ndarray]]:
    """What is to be said of gaps and of errors, as `Discovery.fit` takes it."""
    import numpy as np

    from . import files

    gaps = [np.isnan(row) for row in densities.rows]
    told = {"mask": files.stack(gaps)} if any(gap.any() for gap in gaps) else {}
    if errors is None:
        return told
    for i, (row, gap) in enumerate(zip(errors.rows, gaps, strict=True)):
        if (bad := np.flatnonzero(~gap & ~(row > 0))).size:
            raise ValueError(f"{errors.where(i, bad[0])}: errors must be greater than 0; got {row[bad[0]]:g}")
    rows = [
        np.where(gap, 1.0, row) for row, gap in zip(errors.rows, gaps, strict=True)
    ]  # any number: it counts nowhere
    return told | {"sigma": files.stack(rows)}


def _say(**tables: Table | None) -> None:
    print("One row is one picture, one column is one site.")
    for name, table in tables.items():
        if table is not None:
            print(f"{name.capitalize():<10} {table}")


if __name__ == "__main__":
    sys.exit(main())
