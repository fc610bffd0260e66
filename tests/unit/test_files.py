"""Whatever a table was saved with, its numbers come back as they were; what can be read in two ways is refused."""

import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rediscover import files

ROWS = [[0.5, -12.25, 3e-7], [1.5, 2.0, 1e16]]
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def text_of(rows, delimiter, decimal, header=(), end="\n"):
    """Write a table as programs do that know nothing of this library."""
    lines = [list(header)] * bool(header) + [[repr(x).replace(".", decimal) for x in row] for row in rows]
    return "".join(delimiter.join(line) + end for line in lines)


@pytest.fixture
def file(tmp_path):
    """A file with the text that it is given."""

    def write(text, name="V.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("header", [(), ("site 1", "site 2", "Länge"), ("#", "1", "2")])
@pytest.mark.parametrize("delimiter, decimal", [(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ",")])
def test_every_dialect_is_recognised(file, delimiter, decimal, header, encoding, end):
    if header[:1] == ("#",):
        header = tuple(
            f"{name} ({'V, kHz' if delimiter != ',' else 'V'})" for name in header
        )  # words may hold anything
    path = file(text_of(ROWS, delimiter, decimal, header, end), encoding=encoding)
    found = files.table(path)
    assert (found.delimiter, found.decimal, found.header) == (delimiter, decimal, header)
    assert found.values.tolist() == ROWS and np.array_equal(files.read(path), ROWS)
    assert found.lines == ((2, 3) if header else (1, 2))
    assert files.DELIMITERS[delimiter] in str(found) and f"decimal {files.DECIMALS[decimal]}" in str(found)


@st.composite
def tables(draw):
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    return [draw(st.lists(NUMBERS, min_size=n, max_size=n)) for n in lengths]


@given(
    rows=tables(),
    dialect=st.sampled_from([(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ",")]),
    header=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
    padded=st.booleans(),
)
def test_what_is_written_in_any_dialect_comes_back(tmp_path_factory, rows, dialect, header, end, padded):
    delimiter, decimal = dialect
    longest = max(map(len, rows))
    text = text_of(rows, delimiter, decimal, [f"site {i}" for i in range(longest)] if header else (), end)
    if padded:  # as spreadsheets do
        lines = text.split(end)[:-1]
        text = "".join(line + delimiter * (longest - 1 - line.count(delimiter)) + end for line in lines)
    path = tmp_path_factory.mktemp("any") / "V.csv"
    path.write_bytes(text.encode())
    told = files.table(path, delimiter=delimiter, decimal=decimal, header=header)
    assert [row.tolist() for row in told.rows] == rows
    try:
        found = files.table(path)
    except ValueError as refused:  # such as 1,125 alone, which might be 1125
        assert re.search("--delimiter and --decimal|--header", str(refused))
    else:
        assert [row.tolist() for row in found.rows] == rows


@given(tables())
def test_what_write_writes_comes_back_to_the_last_digit(tmp_path_factory, rows):
    path = files.write(tmp_path_factory.mktemp("any") / "V.csv", rows)
    assert [row.tolist() for row in files.table(path, header=False).rows] == rows


@given(
    st.lists(st.lists(st.integers(0, 9999), min_size=5, max_size=5), min_size=1, max_size=5), st.sampled_from(",;\t")
)
def test_whole_numbers_are_read_as_counted(tmp_path_factory, rows, delimiter):
    assume(len(rows) == 1 or len(set(np.diff(rows[0]))) > 1)  # that may be numbers of columns
    path = tmp_path_factory.mktemp("any") / "n.csv"
    path.write_text("".join(delimiter.join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    found = files.table(path)
    assert found.values.tolist() == rows and found.decimal is None and "no decimals" in str(found)


def test_a_row_that_ends_in_empty_cells_is_shorter_and_a_gap_is_nan(file):
    found = files.table(file("1.5;;2.5;;\n3.5;nan;;;\n0.5;1.5;2.5;3.5;NaN\n"))
    assert [len(row) for row in found.rows] == [3, 2, 5]
    assert np.isnan([found.rows[0][1], found.rows[1][1], found.rows[2][4]]).all() and isinstance(found.values, list)
    assert "3 rows of 2 to 5 numbers, from 0.5 to 3.5, 3 missing" in str(found)


def test_blank_lines_are_passed_over_and_counted(file):
    found = files.table(file("\na,b\n0.5,1.5\n\n  \n2.5,3.5\n\n"))
    assert found.values.tolist() == [[0.5, 1.5], [2.5, 3.5]] and found.lines == (3, 6)
    assert found.where(1, 1).endswith("V.csv: row 6, column 2")


def test_quotes_and_spaces_about_numbers_do_not_matter(file):
    assert files.read(file('"0,5"; "1,5"\n"2,5";3,5\n')).tolist() == [[0.5, 1.5], [2.5, 3.5]]
    assert files.read(file('"a, b", "c;d"\n0.5, 1.5\n')).tolist() == [[0.5, 1.5]]


def test_a_single_column_needs_no_delimiter(file):
    found = files.table(file("field\n0.5\n1.5\n"))
    assert found.values.tolist() == [[0.5], [1.5]] and found.delimiter is None and "one column" in str(found)
    assert files.read(file("0,5\n1,25\n"), decimal=",").tolist() == [[0.5], [1.25]]
    assert files.read(file('"0,5"\n"1,25"\n')).tolist() == [[0.5], [1.25]]


def test_both_commas_are_read_where_they_are_asked_for_and_numbers_are_in_quotes(file):
    path = file('"0,5","1,5"\n2,"3,5"\n')
    assert files.read(path, delimiter=",", decimal=",").tolist() == [[0.5, 1.5], [2.0, 3.5]]
    assert files.read(path, decimal=",").tolist() == [[0.5, 1.5], [2.0, 3.5]]


CHOOSE = "--delimiter and --decimal"


@pytest.mark.parametrize(
    "text, parts",
    [
        # a comma is both
        ('"1,5","2,5"\n"3,5","4,5"\n', ["row 1, column 1: '1,5'", "commas also stand between numbers", CHOOSE]),
        ("V1,V2\n-0,5,-1,25\n", ["-0", "decimal marks", CHOOSE, "semicolons"]),
        ("0,05,1,25\n1,07,2,25\n", ["numbers such as 05", CHOOSE]),
        ("1,5,2,3\n1,5,2\n", ["not the same number of cells in every row", CHOOSE]),
        ("0,5,0,3\n0,7,0,1\n", ["nothing but 0 in every other column", CHOOSE]),
        ("0,5\n1,7\n0,9\n", ["two columns that may be one", CHOOSE]),
        ("0,5,1,4\n1,7,0,2\n", ["nothing but 0 and 1 in every other column", CHOOSE]),
        ("-3,5,2,4\n-1,7,-5,6\n3,1,4,1\n", ["signs in every other column", CHOOSE]),
        ("3,1415926535897931,2,7182818284590452\n", ["1415926535897931", CHOOSE]),
        # separators of thousands
        ("1.234,5;2.345,6\n", ["row 1, column 1: '1.234,5' has two marks", "thousands", CHOOSE]),
        ("V\n1,234.5\t2\n", ["row 2, column 1: '1,234.5' has two marks", CHOOSE]),
        ("1.5;2.5\n3,5;4.5\n", ["row 2, column 1: '3,5'", "but '1.5' elsewhere", CHOOSE]),
        ("1,234;2,345\n3,456;-4,567\n", ["row 1, column 1: '1,234'", "over a thousand", CHOOSE]),
        ("1.234.567;2\n", ["'1.234.567' has two marks"]),
        # what stands between numbers
        ("1.5;2.5\n1.5\t2.5\n", ["semicolons and tabs", CHOOSE]),
        ("0.5 1.5\n2.5 3.5\n", ["spaces between numbers", "expected commas, semicolons or tabs"]),
        ("0.5,1.5,\n2.5,3.5;\n", ["row 1, column 1: '0.5,1.5,' has two marks", CHOOSE]),
        # headers
        ("0,1,2,3\n0.5,1.5,7.5,2.5\n", ["row 1 is evenly spaced, 0, 1, 2, ...", "--header or --no-header"]),
        ("0.3;0.6;0.9;1.2\n0.5;1.5;7.5;2.5\n", ["row 1 is evenly spaced, 0.3, 0.6, 0.9", "--header or --no-header"]),
        (",a,b\n0,.5,.5\n1,.5,.5\n2,.5,.5\n3,.5,.5\n", ["column 1 has no name and numbers the rows", "index=False"]),
        ("0.5,1.5x,2.5\n0.5,1.5,2.5\n", ["row 1, column 2: '1.5x' is no number", "--header"]),
        ("a,b\nkHz,kHz\n0.5,1.5\n", ["row 2, column 1: 'kHz' is no number"]),
        ("a,b\n", ["a header only"]),
        # numbers
        ("a,b\n\n0.5,1.5\n0.5,O.5\n", ["row 4, column 2: 'O.5' is no number"]),
        ("0.5,1_000\n0.5,1.5\n", ["row 1, column 2: '1_000' is no number"]),
        ("0.5,inf\n", ["row 1, column 2 is infinite"]),
        ("0.5,1e999\n", ["row 1, column 2 is infinite"]),
        ("0.5,1.5\n,\n", ["row 2 holds no number"]),
        ("0.5;1.5\nnan;nan\n", ["row 2 holds no number"]),
        ("", ["is empty"]),
        (" \n\n", ["is empty"]),
        ('0.5,"1.5\n', ["row 1 cannot be read"]),
    ],
)
def test_what_cannot_be_read_in_one_way_only_is_refused(file, text, parts):
    with pytest.raises(ValueError) as refused:
        files.read(file(text))
    for part in ["V.csv", *parts]:
        assert part in str(refused.value)


@pytest.mark.parametrize(
    "text, told, expected",
    [
        ("0,1,2,3\n0.5,1.5,7.5,2.5\n", {"header": True}, [[0.5, 1.5, 7.5, 2.5]]),
        ("0,1,2,3\n.5,1.5,7.5,2.5\n", {"header": False}, [[0, 1, 2, 3], [0.5, 1.5, 7.5, 2.5]]),
        ("x,1,2\n0.5,1.5,7.5\n", {"header": True}, [[0.5, 1.5, 7.5]]),
        ("0,5,0,3\n0,7,0,1\n", {"decimal": "."}, [[0, 5, 0, 3], [0, 7, 0, 1]]),
        ("0,5,0,3\n0,7,0,1\n", {"delimiter": ","}, [[0, 5, 0, 3], [0, 7, 0, 1]]),
        ("1,234;2,345\n", {"decimal": ","}, [[1.234, 2.345]]),
        ("1.5;2.5\n", {"delimiter": ";", "decimal": "."}, [[1.5, 2.5]]),
    ],
)
def test_what_was_refused_is_read_as_it_is_told(file, text, told, expected):
    assert files.read(file(text), **told).tolist() == expected


@pytest.mark.parametrize(
    "text, told, parts",
    [
        ("1.5;2.5\n", {"decimal": ","}, ["row 1, column 1: '1.5' has no decimal comma", "thousands"]),
        ("1,5;2,5\n", {"decimal": "."}, ["row 1, column 1: '1,5' has no decimal point"]),
        ("1,5,2,5\n", {"decimal": ","}, ["'1,5,2,5' has two marks", CHOOSE]),
        ("1,5,2,5\n", {"decimal": ",", "delimiter": ","}, ["in quotes", "semicolons", CHOOSE]),
        ("a;b\n1.5;2.5\n", {"header": False}, ["row 1, column 1: 'a' is no number"]),
        ("1.5|2.5\n", {"delimiter": "|"}, ["delimiter must be one of ',', ';', '\\t'; got '|'"]),
        ("1.5;2.5\n", {"decimal": "'"}, ["decimal must be one of"]),
    ],
)
def test_what_does_not_fit_what_is_told_is_refused(file, text, told, parts):
    with pytest.raises(ValueError) as refused:
        files.read(file(text), **told)
    for part in parts:
        assert part in str(refused.value)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le"])
def test_another_encoding_is_refused_by_its_name(file, encoding):
    with pytest.raises(ValueError, match=r"V\.csv is not text in UTF-8; save it as such"):
        files.read(file("Länge,b\n0.5,1.5\n", encoding=encoding))


def test_a_ramp_among_ramps_is_no_header(file):
    rows = [[0.0, 1.0, 2.0, 3.0], [0.0, 2.0, 4.0, 6.0]]
    assert files.read(file("0.0,1.0,2.0,3.0\n0.0,2.0,4.0,6.0\n")).tolist() == rows


@pytest.mark.parametrize("kind", [float, np.float32, int, np.uint8])
def test_arrays_of_numpy_are_read_as_float64(tmp_path, kind):
    array = np.arange(6).reshape(2, 3).astype(kind)
    np.save(tmp_path / "V.npy", array)
    np.savez(tmp_path / "one.npz", only=array)
    np.savez_compressed(tmp_path / "two.npz", V=array, rho=array + 1, note="words")
    for name, more in (("V.npy", 0), ("one.npz", 0), ("two.npz:V", 0), ("two.npz:rho", 1)):
        found = files.table(tmp_path / name)
        assert np.array_equal(found.values, array.astype(float) + more) and found.values.dtype == np.float64
        assert str(found) == f"{tmp_path / name}: 2 rows of 3 numbers, from {more} to {more + 5}"
        assert found.where(0, 1) == f"{tmp_path / name}: row 1, column 2"


def test_an_archive_of_several_arrays_names_them(tmp_path):
    np.savez(tmp_path / "two.npz", V=np.ones((2, 3)), rho=np.ones((2, 3)))
    np.savez(tmp_path / "none.npz")
    with pytest.raises(ValueError, match=r"several arrays: V, rho; say which, as in .*two\.npz:V"):
        files.read(tmp_path / "two.npz")
    with pytest.raises(ValueError, match=r"no array 'W', but V, rho; say which"):
        files.read(f"{tmp_path / 'two.npz'}:W")
    with pytest.raises(ValueError, match=r"none\.npz holds no array"):
        files.read(tmp_path / "none.npz")


@pytest.mark.parametrize(
    "array", [np.ones(3), np.ones((1, 2, 3)), np.ones((2, 0)), np.ones((2, 2), complex), np.array([["a"]]), [[True]]]
)
def test_an_array_that_is_no_table_is_refused(tmp_path, array):
    np.save(tmp_path / "V.npy", array)
    with pytest.raises(
        ValueError, match=r"V\.npy must hold real numbers, one row a picture and one column a site; got"
    ):
        files.read(tmp_path / "V.npy")


def test_an_infinite_entry_of_an_array_is_named(tmp_path):
    np.save(tmp_path / "V.npy", [[0.0, 1.0], [np.inf, 2.0]])
    with pytest.raises(ValueError, match=r"V\.npy: row 2, column 1 is infinite"):
        files.read(tmp_path / "V.npy")


def test_nothing_is_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path / "ran").touch, ()

    np.save(tmp_path / "V.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "V.npz", V=np.array([Trap()], dtype=object))
    for name in ("V.npy", "V.npz"):
        with pytest.raises(ValueError, match="damaged, or holds something else than numbers"):
            files.read(tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["V.npy", "V.npz"])
@pytest.mark.parametrize("size", [0, 20, 100, -40])
def test_a_damaged_file_of_numpy_is_named(tmp_path, name, size):
    (np.save if name == "V.npy" else np.savez)(tmp_path / name, np.ones((5, 6)))
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:size])
    with pytest.raises(ValueError, match=rf"{name} is damaged"):
        files.read(tmp_path / name)


@pytest.mark.parametrize("name", ["V.csv", "V.npy", "V.npz", "V.npz:a"])
def test_a_file_that_is_not_there_is_missed_as_usual(tmp_path, name):
    with pytest.raises(FileNotFoundError):
        files.read(tmp_path / name)


def test_chains_end_where_nothing_more_is_known(tmp_path):
    np.save(tmp_path / "V.npy", [[1.0, 2.0, np.nan, np.nan], [1.0, 2.0, 3.0, np.nan]])
    np.save(tmp_path / "rho.npy", [[1.0, np.nan, np.nan, np.nan], [np.nan, 2.0, np.nan, np.nan]])
    V = files.table(tmp_path / "V.npy").chains()
    assert [row.tolist() for row in V.rows] == [[1, 2], [1, 2, 3]]
    rho = files.alike(V, files.table(tmp_path / "rho.npy"))
    assert [np.isnan(row).tolist() for row in rho.rows] == [[False, True], [True, False, True]]


def test_a_potential_that_is_missing_is_named(file):
    with pytest.raises(ValueError, match=r"V\.csv: row 3, column 2 is missing; only densities may have gaps"):
        files.table(file("a,b,c\n1.5,2.5,3.5\n1.5,,3.5\n")).chains()


def test_chains_of_different_length_are_named_with_both_lengths(file):
    V = files.table(file("a;b;c\n1.5;2.5;3.5\n1.5;2.5\n")).chains()
    longer = files.table(file("1.5;2.5;3.5\n1.5;2.5;3.5\n", "rho.csv"))
    with pytest.raises(ValueError, match=r"rho\.csv: row 2 has 3 numbers, but .*V\.csv has 2 in its row 3$"):
        files.alike(V, longer)
    shorter = files.table(file("1.5\n1.5;2.5\n", "rho.csv"))
    with pytest.raises(ValueError, match=r"row 1 has 1 number, but .*V\.csv has 3 in its row 2; .* write nan"):
        files.alike(V, shorter)
    fewer = files.table(file("1.5;2.5;3.5\n", "rho.csv"))
    with pytest.raises(ValueError, match=r"rho\.csv has 1 rows, but .*V\.csv has 2"):
        files.alike(V, fewer)


def test_labels_are_complete(file):
    assert files.table(file("1.5;2\n2.5;3\n")).complete().tolist() == [[1.5, 2], [2.5, 3]]
    with pytest.raises(ValueError, match=r"row 2 has 1 numbers; expected 2, as in row 1"):
        files.table(file("1.5;2\n2.5;\n")).complete()
    with pytest.raises(ValueError, match=r"row 2, column 1 is missing"):
        files.table(file("1.5;2\n;3\n")).complete()
