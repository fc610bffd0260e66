"""The command says what it read, hands it on as it is, and tells in one line what is wrong."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import rediscover
from rediscover import files
from rediscover.__main__ import TIMES, main

VERDICT = "One wave.\nBecause it is.\nOne more picture would change it."
V, RHO = np.array([[-0.5, -0.25, -0.75], [-0.5, -0.5, -0.25]]), np.array([[1.5, 2.5, 0.5], [1.25, 2.25, 3.5]])


class FakeLaw:
    start, constants, folder = np.ones((1, 2)), None, None

    def save(self, path):
        Path(path).write_text("law", encoding="utf-8")

    def predict(self, potential, start=None, constants=None):
        self.asked = {"potential": potential, "start": start, "constants": constants}
        return [np.asarray(row) / 3 for row in potential]

    def start_from(self, potential, density, *, constants=None):
        self.shown = {"potential": potential, "density": density, "constants": constants}
        return "starts"


@pytest.fixture
def law(monkeypatch):
    """The law that is found, and the one that is loaded."""
    law = FakeLaw()
    monkeypatch.setitem(sys.modules, "rediscover.law", SimpleNamespace(Law=SimpleNamespace(load=lambda path: law)))
    return law


@pytest.fixture
def seen(monkeypatch, law):
    """What reaches the discovery, and what it finds."""
    seen = SimpleNamespace(law=law, problem=None)

    class Fake:
        def __init__(self, **options):
            seen.options = options

        def fit(self, potential, density, **told):
            if seen.problem:
                raise seen.problem
            seen.potential, seen.density, seen.told = potential, density, told
            self.law_, self.verdict_ = seen.law, VERDICT

        def report(self, path):
            Path(path).write_text("report", encoding="utf-8")

    monkeypatch.setitem(sys.modules, "rediscover.discovery", SimpleNamespace(Discovery=Fake))
    return seen


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to be in, with a pair of files."""
    monkeypatch.chdir(tmp_path)
    files.write("V.csv", V)
    files.write("rho.csv", RHO)
    return tmp_path


def refused(capsys, *arguments):
    """Give the line in which the command says what is wrong."""
    try:
        status = main(arguments)
    except SystemExit as stopped:  # as argparse does
        status = stopped.code
    said = capsys.readouterr().err
    assert status == 2 and said.startswith("rediscover: ") and said.endswith("\n") and said.count("\n") == 1
    return said


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([name, "-h"] for name in ("discover", "predict"))])
def test_help_imports_nothing_but_the_standard_library(arguments):
    before = (
        "import sys, argparse; known = sys.stdlib_module_names; sys.argv[1:] = {!r}; import rediscover.__main__ as m"
    )
    lines = [before.format(arguments), "try: m.main()", "except SystemExit as stopped: assert not stopped.code"]
    lines += ["print({name.partition('.')[0] for name in sys.modules} & {'numpy', 'scipy', 'keras', 'tensorflow'})"]
    lines += ["print(sorted(name for name in sys.modules if name.startswith('rediscover')))"]
    environment = os.environ | {"PYTHONPATH": str(Path(rediscover.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], env=environment, capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.splitlines()[-2:] == ["set()", "['rediscover', 'rediscover.__main__']"]
    assert "usage: rediscover" in done.stdout or done.stdout.startswith(rediscover.__version__)


def test_a_command_must_be_chosen(capsys):
    assert "COMMAND" in refused(capsys) and "rediscover --help" in refused(capsys, "invent")


def test_discover_says_what_it_read_and_ends_with_the_verdict(here, seen, capsys):
    assert main(["discover", "V.csv", "rho.csv", "--spacing", "0.3", "--energy", "-1.5"]) == 0
    assert np.array_equal(seen.potential, V) and np.array_equal(seen.density, RHO)
    assert seen.told == {"spacing": 0.3, "energy": -1.5, "labels": None, "initial": None}
    assert seen.options == {"method": "direct", "prompt": 0, "random_state": 0}
    said = capsys.readouterr().out.splitlines()
    report = Path("rediscovered", "report.html")
    assert said[-4:] == [*VERDICT.splitlines(), f"Report: {report}"] and report.read_text(encoding="utf-8") == "report"
    before = "\n".join(said[:-4])
    for part in (
        "V.csv: 2 rows of 3 numbers, from -0.75 to -0.25 (comma between numbers, decimal point, no header)",
        "rho.csv: 2 rows of 3 numbers, from 0.5 to 3.5",
        "A site is 0.3 long",
        "that of the states is -1.5",
        TIMES["direct"],
        f"Law: {Path('rediscovered', 'law.npz')} and law.json",
    ):
        assert part in before
    assert sorted(path.name for path in here.joinpath("rediscovered").iterdir()) == [
        "law.json",
        "law.npz",
        "report.html",
    ]


def test_without_spacing_lengths_are_counted_in_sites(here, seen, capsys):
    assert main(["discover", "V.csv", "rho.csv", "--method", "introspect", "--prompt", "4", "--out", "a/b"]) == 0
    assert seen.told["spacing"] is None and seen.told["energy"] is None
    assert seen.options == {"method": "introspect", "prompt": 4, "random_state": 0}
    said = capsys.readouterr().out
    assert "Lengths are counted in sites" in said and "is not given" in said and TIMES["introspect"] in said
    assert Path("a/b/report.html").exists()


def test_no_law_leaves_none_behind_not_even_an_older_one(here, seen, capsys):
    assert main(["discover", "V.csv", "rho.csv"]) == 0
    seen.law = None
    assert main(["discover", "V.csv", "rho.csv"]) == 0
    assert [path.name for path in Path("rediscovered").iterdir()] == ["report.html"]
    assert "Law:" not in capsys.readouterr().out.rpartition("This takes")[2]


def test_gaps_become_a_mask_and_errors_labels_and_starts_are_handed_on(here, seen, capsys):
    Path("gaps.csv").write_text("a;b;c\n1,5;;2,5\n0,5;1,5;nan\n", encoding="utf-8")
    Path("sigma.csv").write_text("0.1,,0.2\n0.3,0.4,nan\n", encoding="utf-8")
    Path("B.csv").write_text("field\n0.5\n1.5\n", encoding="utf-8")
    np.save("initial.npy", np.arange(6.0).reshape(2, 3))
    told = ["--sigma", "sigma.csv", "--labels", "B.csv", "--initial", "initial.npy"]
    assert main(["discover", "V.csv", "gaps.csv", *told]) == 0
    assert seen.told["mask"].tolist() == [[False, True, False], [False, False, True]]
    assert np.array_equal(np.isnan(seen.density), seen.told["mask"])
    assert seen.told["sigma"].tolist() == [[0.1, 1, 0.2], [0.3, 0.4, 1]]  # 1 where nothing was measured
    assert seen.told["labels"].tolist() == [[0.5], [1.5]] and seen.told["initial"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert "2 missing" in capsys.readouterr().out


def test_chains_of_different_length_stay_so(here, seen):
    Path("V.tsv").write_text("-0,5\t-0,25\t-0,75\n-0,5\t-0,5\t\n", encoding="utf-8")
    Path("rho.tsv").write_text("1,5\tnan\t0,5\n1,5\t2,5\n", encoding="utf-8")
    assert main(["discover", "V.tsv", "rho.tsv"]) == 0
    assert [len(row) for row in seen.potential] == [len(row) for row in seen.density] == [3, 2]
    assert [gap.tolist() for gap in seen.told["mask"]] == [[False, True, False], [False, False]]


def test_dialects_are_told_by_name_or_sign(here, seen, capsys):
    Path("n.csv").write_text("1,234;2,345\n3,456;4,567\n", encoding="utf-8")
    assert "--decimal" in refused(capsys, "discover", "n.csv", "n.csv")
    for signs in (["semicolon", "comma"], [";", ","]):
        assert main(["discover", "n.csv", "n.csv", "--delimiter", signs[0], "--decimal", signs[1]]) == 0
        assert seen.density.tolist() == [[1.234, 2.345], [3.456, 4.567]]
    Path("t.csv").write_text("0\t1\t2\t3\n7.5\t1\t2\t9\n", encoding="utf-8")
    assert "--no-header" in refused(capsys, "discover", "t.csv", "t.csv", "--delimiter", "tab")
    for option, rows in (("--header", 1), ("--no-header", 2)):
        assert main(["discover", "t.csv", "t.csv", "--delimiter", "tab", "--decimal", "point", option]) == 0
        assert len(seen.density) == rows


@pytest.mark.parametrize(
    "options, parts",
    [
        (["nowhere.csv", "rho.csv"], ["nowhere.csv", "No such file"]),
        (["V.csv", "short.csv"], ["short.csv: row 3 has 2 numbers", "V.csv has 3 in its row 2", "nan"]),
        (["gap.csv", "rho.csv"], ["gap.csv: row 1, column 2 is missing"]),
        (["V.csv", "bad.csv"], ["bad.csv: row 2, column 1: 'x'"]),
        (["V.csv", "rho.csv", "--labels", "one.csv"], ["one.csv has 1 rows, but V.csv has 2"]),
        (["V.csv", "rho.csv", "--initial", "gap.csv"], ["gap.csv: row 1, column 2 is missing"]),
        (["V.csv", "rho.csv", "--sigma", "zero.csv"], ["zero.csv: row 2, column 3", "greater than 0; got 0"]),
        (["V.csv", "rho.csv", "--sigma", "gap.csv"], ["gap.csv: row 1, column 2", "greater than 0; got nan"]),
        (["V.csv", "rho.csv", "--out", "V.csv"], ["V.csv: File exists"]),
        (["V.csv", "rho.csv", "--delimiter", "|"], ["delimiter must be one of"]),
        (["V.csv", "rho.csv", "--spacing", "0"], ["--spacing", "greater than 0", "rediscover discover --help"]),
        (["V.csv", "rho.csv", "--spacing", "nan"], ["--spacing", "'nan'"]),
        (["V.csv", "rho.csv", "--energy", "low"], ["--energy", "'low'"]),
        (["V.csv", "rho.csv", "--prompt", "0"], ["--prompt", "at least 1"]),
        (["V.csv", "rho.csv", "--method", "guess"], ["--method", "introspect"]),
    ],
)
def test_what_is_wrong_with_the_input_is_said_in_one_line_before_any_work(here, seen, capsys, options, parts):
    for name, text in {
        "short.csv": "a,b,c\n1.5,2.5,0.5\n1.5,2.5\n",
        "gap.csv": "0.5,,1.5\n0.5,1.5,2.5\n",
        "bad.csv": "0.5,1.5,2.5\nx,1.5,2.5\n",
        "one.csv": "0.5\n",
        "zero.csv": "0.5,1.5,2.5\n0.5,1.5,0.0\n",
    }.items():
        Path(name).write_text(text, encoding="utf-8")
    said = refused(capsys, "discover", *options)
    for part in parts:
        assert part in said
    assert not hasattr(seen, "potential") and capsys.readouterr().out == ""
    assert not Path("rediscovered").exists()


def test_a_folder_that_cannot_be_written_is_found_out_first(here, seen, capsys, monkeypatch):
    def locked(dir):  # root may write anywhere, so no mode of a real folder would do
        raise PermissionError(13, "Permission denied", str(dir / "tmp"))

    monkeypatch.setattr("tempfile.TemporaryFile", locked)
    assert f"{Path('locked', 'tmp')}: Permission denied" in refused(
        capsys, "discover", "V.csv", "rho.csv", "--out", "locked"
    )
    assert not hasattr(seen, "potential")


def test_what_the_library_refuses_is_said_so_and_a_bug_is_not_hidden(here, seen, capsys):
    seen.problem = ValueError("density must vary;\ngot 1.0 everywhere")
    assert refused(capsys, "discover", "V.csv", "rho.csv") == "rediscover: density must vary; got 1.0 everywhere\n"
    for problem in (np.linalg.LinAlgError("singular"), TypeError("no"), ZeroDivisionError(), KeyError("x")):
        seen.problem = problem
        with pytest.raises(type(problem)):
            main(["discover", "V.csv", "rho.csv"])


def test_predictions_keep_all_digits(here, law, capsys):
    assert main(["predict", "law.npz", "V.csv"]) == 0
    assert np.array_equal(law.asked["potential"], V) and law.asked["start"] is law.asked["constants"] is None
    assert np.array_equal(files.read("predicted.csv"), V / 3)
    said = capsys.readouterr().out
    assert "V.csv: 2 rows of 3 numbers" in said and said.endswith("Predicted densities: predicted.csv\n")


def test_chains_with_starts_of_their_own_show_their_first_sites(here, law):
    law.start, law.constants = None, "some"
    Path("shown.csv").write_text("1.5,2.5,\n1.25,,\n", encoding="utf-8")
    Path("B.csv").write_text("0.5\n1.5\n", encoding="utf-8")
    given = ["--densities", "shown.csv", "--labels", "B.csv", "--out", "deep/out.csv"]
    assert main(["predict", "law.json", "V.csv", *given]) == 0
    assert [row.tolist() for row in law.shown["potential"]] == [[-0.5, -0.25], [-0.5]]
    assert [row.tolist() for row in law.shown["density"]] == [[1.5, 2.5], [1.25]]
    assert law.asked["start"] == "starts" and np.array_equal(law.asked["potential"], V)
    assert law.shown["constants"].tolist() == law.asked["constants"].tolist() == [[0.5], [1.5]]
    assert np.array_equal(files.read("deep/out.csv"), V / 3)


def test_a_law_that_was_told_of_the_left_ends_is_told_again(here, law):
    law.start = SimpleNamespace(states=None)
    np.save("initial.npy", np.ones((2, 3)))
    assert main(["predict", "law.npz", "V.csv", "--initial", "initial.npy"]) == 0
    assert law.asked["start"].tolist() == np.ones((2, 3)).tolist()


@pytest.mark.parametrize(
    "start, options, parts",
    [
        (None, [], ["--densities must be given", "starts in a way of its own"]),
        (None, ["--initial", "rho.csv"], ["--densities must be given"]),
        (None, ["--densities", "long.csv"], ["long.csv: row 2 has 4 numbers, but V.csv has 3 in its row 2"]),
        (None, ["--densities", "hole.csv"], ["hole.csv: row 1, column 2 is missing"]),
        (None, ["--densities", "one.csv"], ["one.csv has 1 rows, but V.csv has 2"]),
        ("fixed", ["--densities", "rho.csv"], ["--densities must not be given", "starts as all others do"]),
        ("fixed", ["--initial", "rho.csv"], ["--initial must not be given"]),
        ("fixed", ["--labels", "rho.csv"], ["--labels must not be given"]),
        ("fixed", ["--out", "out.npy"], ["--out must end in .csv; got out.npy"]),
        ("fixed", ["--out", "./V.csv"], ["--out must not be one of the files that are read"]),
        ("told", [], ["--initial must be given", "as is known of it"]),
    ],
)
def test_predict_refuses_what_does_not_fit_the_law(here, law, capsys, start, options, parts):
    law.start = {None: None, "fixed": np.ones((1, 2)), "told": SimpleNamespace(states=None)}[start]
    Path("long.csv").write_text("1.5,2.5,3.5,\n1.5,2.5,3.5,4.5\n", encoding="utf-8")
    Path("hole.csv").write_text("1.5,,3.5\n1.5,2.5,3.5\n", encoding="utf-8")
    Path("one.csv").write_text("1.5,2.5\n", encoding="utf-8")
    said = refused(capsys, "predict", "law.npz", "V.csv", *options)
    for part in parts:
        assert part in said
    assert not Path("predicted.csv").exists() and np.array_equal(files.read("V.csv"), V)


def test_the_example_is_always_the_same_and_names_the_next_command(tmp_path, capsys):
    for name in ("a", "b c"):
        assert main(["example", str(tmp_path / name)]) == 0
    for name in ("traps.csv", "clouds.csv", "README.txt"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b c" / name).read_bytes()
    traps, clouds = files.read(tmp_path / "a" / "traps.csv"), files.read(tmp_path / "a" / "clouds.csv")
    assert traps.shape == clouds.shape == (300, 40) and clouds.min() >= 0
    assert 140 <= traps.min() < traps.max() <= 290
    command = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert command[2:4] == [str(tmp_path / "b c" / name) for name in ("traps.csv", "clouds.csv")]
    assert f"rediscover discover traps.csv clouds.csv {' '.join(command[4:])}\n" in (
        tmp_path / "a" / "README.txt"
    ).read_text(encoding="utf-8")


def test_the_example_is_a_wave_with_the_mass_and_energy_that_it_tells_and_one_percent_of_noise(tmp_path):
    from rediscover.simulator import propagate

    main(["example", str(tmp_path)])
    traps, clouds = files.read(tmp_path / "traps.csv"), files.read(tmp_path / "clouds.csv")
    told = (tmp_path / "README.txt").read_text(encoding="utf-8")
    mass = float(told.partition("m = ")[2].split()[0])
    assert "E = 350 Hz" in told
    exact = propagate(mass * traps, 0.3, mass * 350.0).density
    scale = np.sum(exact * clouds) / np.sum(exact**2)
    bright = exact > 0.05 * exact.max()
    assert np.std((clouds / (scale * exact))[bright]) == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("name", ["traps.csv", "clouds.csv", "README.txt"])
def test_the_example_overwrites_nothing(tmp_path, capsys, name):
    (tmp_path / name).write_text("mine", encoding="utf-8")
    assert f"{name} exists already" in refused(capsys, "example", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text(encoding="utf-8") == "mine"


@pytest.mark.slow
def test_from_the_example_to_a_law_that_predicts(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(Path(rediscover.__file__).parents[1])}

    def run(*command):
        return subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=True
        ).stdout

    example = run("-m", "rediscover", "example", "a").splitlines()[-1]
    light = "import sys; from rediscover.__main__ import main; main(); assert 'tensorflow' not in sys.modules"
    said = run("-c", light, *shlex.split(example)[1:]).splitlines()
    assert "one wave" in said[-4].lower() and said[-1] == f"Report: {Path('rediscovered', 'report.html')}"
    assert (tmp_path / "rediscovered" / "report.html").stat().st_size > 1000
    clouds = files.read(tmp_path / "a" / "clouds.csv")
    for suffix in ("npz", "json"):
        run("-c", light, "predict", f"rediscovered/law.{suffix}", "a/traps.csv", "--out", f"{suffix}.csv")
        off = files.read(tmp_path / f"{suffix}.csv") - clouds
        assert np.sqrt(np.mean(off**2)) < 0.02 * np.sqrt(np.mean(clouds**2))
