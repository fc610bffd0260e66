"""Tables as people have them: csv in several dialects, npy and npz. One row is one picture, one column is one site.

What can be read in two ways is not read: the error says what to do. An empty cell between others, or ``nan``, is a site
that was not measured; a row that ends in empty cells is a shorter chain.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from . import _check, store

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
DECIMALS = {".": "point", ",": "comma"}
_FLAGS = re.ASCII | re.IGNORECASE
_NUMBER = re.compile(r"[-+]?(\d+[.,]?\d*|[.,]\d+)(e[-+]?\d+)?", _FLAGS)  # whatever its decimal mark
# What is meant as a number, or missing; anything else in the first row makes a header of it.
_MEANT = re.compile(r"[-+]?[\d.,]*\d[\d.,]*(e[-+]?\d+)?|[-+]?inf(inity)?|nan|", _FLAGS)
_WORD = re.compile(r"[^-+.,;\s\deinfa]", re.IGNORECASE)  # what no line of numbers holds
_GROUPED = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")  # 1,234: over one with three decimals, or over a thousand
_SAY = "--delimiter and --decimal (delimiter= and decimal= in Python)"


@dataclass(frozen=True, eq=False)
class Table:
    r"""Rows of numbers, and how they were recognised.

    Attributes
    ----------
    path : str
        The file, for errors.
    rows : tuple of numpy.ndarray
        One array of float64 a row, not all of the same length where rows end in empty cells; NaN where one is missing.
    lines : tuple of int
        Which line of the file, header and all, each row is in; errors count so, from 1.
    delimiter : {",", ";", "\t"}, optional
        None if there is one column only, or in a file of NumPy.
    decimal : {".", ","}, optional
        None if no number has a decimal mark.
    header : tuple of str
        Cells of the header; empty if there is none.

    Examples
    --------
    >>> table = Table("V.csv", (np.array([0.5, 0.25]), np.array([1.0])), (2, 3), ";", ",", ("first", "second"))
    >>> print(table)
    V.csv: 2 rows of 1 to 2 numbers, from 0.25 to 1 (semicolon between numbers, decimal comma, header 'first', ...)
    >>> table.where(1, 0)
    'V.csv: row 3, column 1'
    """

    path: str
    rows: tuple[np.ndarray, ...]
    lines: tuple[int, ...]
    delimiter: str | None = None
    decimal: str | None = None
    header: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        lengths, numbers = sorted({len(row) for row in self.rows}), np.concatenate(self.rows)
        sites = f"{lengths[0]} to {lengths[-1]}" if len(lengths) > 1 else f"{lengths[0]}"
        missing = f", {gone} missing" if (gone := np.isnan(numbers).sum()) else ""
        text = (
            f"{self.path}: {len(self)} rows of {sites} numbers, from {np.nanmin(numbers):g} to {np.nanmax(numbers):g}"
        )
        if not (self.delimiter or self.decimal or self.header):
            return text + missing
        between = f"{DELIMITERS[self.delimiter]} between numbers" if self.delimiter else "one column"
        marked = f"decimal {DECIMALS[self.decimal]}" if self.decimal else "no decimals"
        first = f"header {self.header[0]!r}{', ...' * (len(self.header) > 1)}" if self.header else "no header"
        return f"{text}{missing} ({between}, {marked}, {first})"

    @property
    def values(self) -> np.ndarray | list[np.ndarray]:
        """All rows as one array, shape (rows, columns), or a list of arrays if they differ in length."""
        return stack(self.rows)

    def where(self, row: int, column: int) -> str:
        """Name a cell, given by indices from 0, as errors do."""
        return f"{self.path}: row {self.lines[row]}, column {column + 1}"

    def complete(self) -> np.ndarray:
        """All rows as one array, shape (rows, columns).

        Raises
        ------
        ValueError
            If rows differ in length or a number is missing; the message names file, row and column.
        """
        for i, row in enumerate(self.rows):
            if len(row) != len(self.rows[0]):
                raise ValueError(
                    f"{self.path}: row {self.lines[i]} has {len(row)} numbers; expected {len(self.rows[0])}, as in row"
                    f" {self.lines[0]}"
                )
            self._refuse_missing(i, row)
        return np.stack(self.rows)

    def chains(self) -> Table:
        """Rows without what is missing at their ends: an array of NumPy can show no shorter chain otherwise.

        Raises
        ------
        ValueError
            If a number before the end is missing; the message names file, row and column.
        """
        rows = tuple(row[: np.flatnonzero(~np.isnan(row))[-1] + 1] for row in self.rows)
        for i, row in enumerate(rows):
            self._refuse_missing(i, row)
        return replace(self, rows=rows)

    def _refuse_missing(self, i: int, row: np.ndarray) -> None:
        if np.isnan(row).any():
            raise ValueError(
                f"{self.where(i, np.flatnonzero(np.isnan(row))[0])} is missing; only densities may have gaps"
            )


def read(
    path: Path | str, *, delimiter: str | None = None, decimal: str | None = None, header: bool | None = None
) -> np.ndarray | list[np.ndarray]:
    r"""Read the numbers of a file.

    Parameters
    ----------
    path, delimiter, decimal, header
        See `table`.

    Returns
    -------
    numpy.ndarray or list of numpy.ndarray
        Shape (rows, columns), or one array a row if they differ in length; NaN where a number is missing.

    Raises
    ------
    OSError, ValueError
        See `table`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "V.csv"
    >>> _ = path.write_text("first;second\n0,5;0,25\n1,5;;\n", encoding="utf-8")
    >>> read(path)
    [array([0.5 , 0.25]), array([1.5])]
    """
    return table(path, delimiter=delimiter, decimal=decimal, header=header).values


def table(
    path: Path | str, *, delimiter: str | None = None, decimal: str | None = None, header: bool | None = None
) -> Table:
    r"""Read the numbers of a file, and tell how they were recognised.

    Parameters
    ----------
    path : path-like
        A file ``.npy`` with an array of two axes; ``.npz`` with one such, or followed by a colon and the name of one;
        or else text in UTF-8, with commas, semicolons or tabs between numbers.
    delimiter : {",", ";", "\t"}, optional
        What stands between numbers in text; recognised if not given.
    decimal : {".", ","}, optional
        The decimal mark in text; recognised if not given.
    header : bool, optional
        Whether text begins with a row of names. If not given, it does if a cell of its first row is no number.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If the file holds no table of finite numbers, or one that can be read in several ways. The message names the
        file, and row and column if it is about a cell.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "V.csv"
    >>> _ = path.write_text("0,5;0,25\n1,5;nan\n", encoding="utf-8")
    >>> found = table(path)
    >>> found.delimiter, found.decimal, found.header, found.values.tolist()
    (';', ',', (), [[0.5, 0.25], [1.5, nan]])
    """
    for name, value, choices in (("delimiter", delimiter, DELIMITERS), ("decimal", decimal, DECIMALS)):
        if value is not None:
            _check.choice(name, value, choices)
    place, member = _split(path)
    if place.suffix.lower() in (".npy", ".npz"):
        return _load(place, member)
    return _parse(place, delimiter, decimal, header)


def stack(rows: Sequence[np.ndarray]) -> np.ndarray | list[np.ndarray]:
    """Make one array of rows if all have the same length, or else a list.

    Examples
    --------
    >>> stack([np.zeros(2), np.ones(2)]).shape, len(stack([np.zeros(2), np.ones(3)]))
    ((2, 2), 2)
    """
    return np.stack(rows) if len({len(row) for row in rows}) == 1 else list(rows)


def alike(potentials: Table, other: Table) -> Table:
    """Give `other` with the lengths of the chains in `potentials`, or say in which row it has not as many numbers.

    What goes on beyond the end of a chain with nothing measured is cut off.

    Parameters
    ----------
    potentials : Table
        As `Table.chains` gives it.
    other : Table
        One number for every site, as of densities.

    Raises
    ------
    ValueError
        If they differ in the number of rows, or in the length of one; the message names files, rows and lengths.

    Examples
    --------
    >>> V = Table("V.csv", (np.array([0.5, 0.25]),), (1,))
    >>> alike(V, Table("rho.csv", (np.array([1.0, 2.0, np.nan]),), (2,))).values.tolist()
    [[1.0, 2.0]]
    >>> alike(V, Table("rho.csv", (np.array([1.0]),), (2,)))
    Traceback (most recent call last):
        ...
    ValueError: rho.csv: row 2 has 1 number, but V.csv has 2 in its row 1; where nothing was measured, write nan
    """
    same_rows(potentials, other)
    rows = []
    for i, (chain, row) in enumerate(zip(potentials.rows, other.rows, strict=True)):
        rows.append(row[: len(chain)] if np.isnan(row[len(chain) :]).all() else row)
        if len(rows[-1]) != len(chain):
            hint = "; where nothing was measured, write nan" if len(row) < len(chain) else ""
            raise ValueError(
                f"{other.path}: row {other.lines[i]} has {len(row)} number{'s' * (len(row) > 1)}, but {potentials.path}"
                f" has {len(chain)} in its row {potentials.lines[i]}{hint}"
            )
    return replace(other, rows=tuple(rows))


def same_rows(potentials: Table, other: Table) -> None:
    """Refuse a table that has not one row for every chain in `potentials`.

    Raises
    ------
    ValueError
        The message names both files and their numbers of rows.

    Examples
    --------
    >>> same_rows(Table("V.csv", (np.ones(2),) * 3, (1, 2, 3)), Table("B.csv", (np.ones(1),) * 2, (2, 3)))
    Traceback (most recent call last):
        ...
    ValueError: B.csv has 2 rows, but V.csv has 3; expected one row a picture in both, headers aside
    """
    if len(other) != len(potentials):
        raise ValueError(
            f"{other.path} has {len(other)} rows, but {potentials.path} has {len(potentials)}; expected one row a"
            " picture in both, headers aside"
        )


def write(path: Path | str, rows: Iterable[np.ndarray]) -> Path:
    r"""Write rows of numbers as csv, with commas, decimal points and all digits; complete or not at all.

    Parameters
    ----------
    path : path-like
    rows : iterable of array_like
        An array of shape (rows, columns), or rows of different lengths.

    Examples
    --------
    >>> import tempfile
    >>> path = write(Path(tempfile.mkdtemp()) / "rho.csv", [[0.1, 0.2], [0.3]])
    >>> path.read_text(encoding="utf-8")
    '0.1,0.2\n0.3\n'
    """
    path = Path(path)
    with store.atomic_write(path) as file:
        for row in rows:
            file.write((",".join(map(repr, np.asarray(row, float).tolist())) + "\n").encode())
    return path


def _split(path: Path | str) -> tuple[Path, str]:
    """File, and name of the array in it, of ``pairs.npz:potential``."""
    name, found, member = str(path).partition(".npz:")
    return Path(name + ".npz" if found else path), member


def _load(path: Path, member: str) -> Table:
    name = f"{path}:{member}" if member else str(path)
    try:
        found = np.load(path, allow_pickle=False)
        if not isinstance(found, np.ndarray):
            with found as archive:
                names = archive.files
                member = member or (names[0] if len(names) == 1 else "")
                found = archive[member] if member in names else None
    except (EOFError, KeyError, ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error) as problem:
        raise ValueError(f"{path} is damaged, or holds something else than numbers: {problem}") from None
    if found is None:
        wrong = f"no array {member!r}, but" if member else "several arrays:" if names else "no array"
        example = f"; say which, as in {path}:{names[0]}" if names else ""
        raise ValueError(f"{path} holds {wrong} {', '.join(names)}{example}")
    if found.ndim != 2 or found.dtype.kind not in "iuf" or not found.size:
        raise ValueError(
            f"{name} must hold real numbers, one row a picture and one column a site; got an array of shape"
            f" {found.shape} and type {found.dtype}"
        )
    return _finite(Table(name, tuple(found.astype(float)), tuple(range(1, len(found) + 1))))


def _parse(path: Path, delimiter: str | None, decimal: str | None, header: bool | None) -> Table:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ValueError(f'{path} is not text in UTF-8; save it as such (in Excel "CSV UTF-8"), or as .npy')
    between = delimiter or _delimiter(text, path, decimal)
    lines, cells = _lines(text, between or ";", path)
    lines, cells, names = _without_header(lines, cells, header, path)
    mark = _decimal(lines, cells, (delimiter, decimal), between, path)
    rows = []
    for row in cells:
        while row and not row[-1]:
            row.pop()
        rows.append(np.array([cell.replace(",", ".") or "nan" for cell in row], dtype=float))
    return _finite(Table(str(path), tuple(rows), tuple(lines), between, mark, names))


def _delimiter(text: str, path: Path, decimal: str | None) -> str | None:
    """What stands between numbers, outside of quotes, in lines that have no words; None if nothing does."""
    lines = re.sub(r'"[^"]*"', "", text).splitlines()
    body = "\n".join([line for line in lines if not _WORD.search(line)] or lines)
    if found := [sign for sign in ";\t" if sign in body]:
        if len(found) > 1:
            raise ValueError(
                f"{path} has semicolons and tabs between numbers; expected one of them. Say which by {_SAY}"
            )
        return found[0]
    if "," in body and (decimal != "," or re.search(r'"\s*[-+\d]*,\d', text)):
        return ","
    if spaces := re.search(r"[\d.] +[-+\d.]", body):
        raise ValueError(f"{path} has spaces between numbers, as {spaces[0]!r}; expected commas, semicolons or tabs")
    return None


def _lines(text: str, delimiter: str, path: Path) -> tuple[list[int], list[list[str]]]:
    """Numbers of the lines that are not blank, and their cells."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    lines, cells = [], []
    try:
        for row in reader:
            if len(row) > 1 or "".join(row).strip():
                lines.append(reader.line_num)
                cells.append([cell.strip() for cell in row])
    except csv.Error as problem:
        raise ValueError(f"{path}: row {reader.line_num} cannot be read: {problem}") from None
    if not cells:
        raise ValueError(f"{path} is empty; expected rows of numbers")
    return lines, cells


def _each(lines: list[int], cells: list[list[str]]) -> Iterator[tuple[int, int, str]]:
    """Go through all cells: row and column, both from 1, and what is in there."""
    return ((line, i, cell) for line, row in zip(lines, cells, strict=True) for i, cell in enumerate(row, 1))


def _even(cells: list[str]) -> bool:
    """Whether cells are evenly spaced numbers, four at least: positions, or numbers of columns or rows."""
    if len(cells) < 4 or not all(map(_NUMBER.fullmatch, cells)):
        return False
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers near the largest
        steps = np.diff([float(cell.replace(",", ".")) for cell in cells])
        return bool(steps[0] and np.all(np.abs(steps - steps[0]) <= 1e-6 * np.abs(steps[0])))


def _without_header(
    lines: list[int], cells: list[list[str]], header: bool | None, path: Path
) -> tuple[list[int], list[list[str]], tuple[str, ...]]:
    first = cells[0]
    words = [i for i, cell in enumerate(first) if not _MEANT.fullmatch(cell)]
    if header is not False and not first[0] and any(first) and _even([row[0] for row in cells[1:]]):
        raise ValueError(
            f"{path}: column 1 has no name and numbers the rows; expected nothing but sites. Delete it (in pandas:"
            " index=False), or give it a name if it was measured"
        )
    if header is None:
        if _even(first) and len(cells) > 1 and not _even(cells[1]):
            raise ValueError(
                f"{path}: row {lines[0]} is evenly spaced, {', '.join(first[:3])}, ...: names of columns, or measured?"
                " Say --header or --no-header (header= in Python)"
            )
        if words and 2 * len(words) <= sum(map(bool, first)):
            raise ValueError(
                f"{path}: row {lines[0]}, column {words[0] + 1}: {first[words[0]]!r} is no number, but others in"
                " the row are. Mend it, or say --header (header=True in Python) if these are names"
            )
        header = bool(words)
    if header:
        lines, cells = lines[1:], cells[1:]
    if not cells:
        raise ValueError(f"{path} holds a header only; expected rows of numbers below")
    for line, column, cell in _each(lines, cells):
        if not _MEANT.fullmatch(cell):
            raise ValueError(f"{path}: row {line}, column {column}: {cell!r} is no number")
    return lines, cells, tuple(first) if header else ()


def _decimal(
    lines: list[int],
    cells: list[list[str]],
    given: tuple[str | None, str | None],
    delimiter: str | None,
    path: Path,
) -> str | None:
    """Give the decimal mark, None if there is none; an error where numbers can be read in two ways."""
    commas, points = [], []
    for line, column, cell in _each(lines, cells):
        marks = cell.count(","), cell.count(".")
        if sum(marks):
            at = f"{path}: row {line}, column {column}: {cell!r}"
            if sum(marks) > 1:
                raise ValueError(
                    f"{at} has two marks; expected one decimal mark, and no separators of thousands. If one of them"
                    f" stands between numbers, say so by {_SAY}"
                )
            (commas if marks[0] else points).append((at, cell))
    decimal = given[1]
    if wrong := {None: [], ",": points, ".": commas}[decimal]:
        raise ValueError(
            f"{wrong[0][0]} has no decimal {DECIMALS[decimal]}, which --decimal (decimal= in Python) asks for, but"
            " another mark; separators of thousands are not read"
        )
    if decimal == delimiter == "," and not commas:
        raise ValueError(
            f"{path}: a comma can only be both the decimal mark and between numbers where these are in quotes, as"
            f' "0,5","0,25". Save the file with semicolons, or give other {_SAY}'
        )
    if decimal is None and commas:
        why = None
        if delimiter == ",":
            why = "while commas also stand between numbers"
        elif points:
            why = f"but {points[0][1]!r} elsewhere"
        elif all(_GROUPED.fullmatch(cell) for _, cell in commas):
            why = "as all others may be over one, with three decimals, or over a thousand"
        if why:
            raise ValueError(f"{commas[0][0]}, {why}: this can be read in two ways. Say how by {_SAY}")
    if given == (None, None) and delimiter == "," and not points and (why := _doubt(cells)):
        raise ValueError(
            f"{path} has commas and no decimal points, and {why}: do commas stand between whole numbers, or are they"
            f" decimal marks? Say so by {_SAY}; if they are both, save the file with semicolons"
        )
    return "," if commas else "." if points else None


def _doubt(cells: list[list[str]]) -> str | None:
    """Give a sign that whole numbers between commas are halves of numbers with a decimal comma, if there is one."""
    if any("e" in cell.lower() for row in cells for cell in row[::2]):  # 1e-6 is no half of a number
        return None
    for row in cells:
        for cell in row:
            if re.fullmatch(r"-0|[-+]?0\d+|[-+]?\d{16,}", cell):
                return f"numbers such as {cell}"
    if len({len(row) for row in cells}) > 1:
        return "not the same number of cells in every row"
    if len(cells[0]) == 2:
        return "two columns that may be one"
    if len(cells[0]) % 2 == 0:
        left, right = ({cell for row in cells for cell in row[i::2]} for i in (0, 1))
        if len(left) <= 2 < len(right):
            return f"nothing but {' and '.join(sorted(left))} in every other column"
        if any(cell.startswith("-") for cell in left) and not any(cell.startswith("-") for cell in right):
            return "signs in every other column only"
    return None


def _finite(found: Table) -> Table:
    """Give the table back if each row has a number, and none is infinite."""
    for i, row in enumerate(found.rows):
        if np.isinf(row).any():
            raise ValueError(
                f"{found.where(i, np.flatnonzero(np.isinf(row))[0])} is infinite, or too large for a float"
            )
        if np.isnan(row).all():
            raise ValueError(f"{found.path}: row {found.lines[i]} holds no number; expected one at least")
    return found
