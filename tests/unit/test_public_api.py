"""The library as a whole: documented with examples, layered, and cheap to import."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import rediscover

FOLDER = Path(rediscover.__file__).parent
# A module imports only modules above it.
ORDER = [
    "_check",
    "store",
    "files",
    "potentials",
    "simulator",
    "measurement",
    "dataset",
    "worlds",
    "_fitting",
    "_problem",
    "law",
    "layers",
    "readouts",
    "evidence",
    "verdict",
    "_training",
    "_direct",
    "translator",
    "distiller",
    "introspection",
    "plots",
    "_report",
    "discovery",
    "sweep",
    "__main__",
]
KERAS = {"layers", "readouts", "_training", "translator", "distiller"}
HEAVY = {"layers", "translator", "distiller", "introspection", "plots", "_report"}  # bring in TensorFlow or Matplotlib
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
PUBLIC = [name for name in MODULES if not name.startswith("_")]


def public(module):
    """Give the classes and functions that a module defines for others."""
    names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    objects = {name: getattr(module, name) for name in names}
    return {
        name: thing
        for name, thing in objects.items()
        if (inspect.isclass(thing) or inspect.isfunction(thing)) and thing.__module__ == module.__name__
    }


def imported(name):
    """List the top-level packages, and the modules of this library, that the source of a module imports."""
    found = set()
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if ast.unparse(getattr(node, "test", node)) != "TYPE_CHECKING"]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "rediscover" if node.level else (node.module or "")
            inner = f"{base}.{node.module}" if node.level and node.module else base
            found |= {f"{inner}.{alias.name}" for alias in node.names} if inner == "rediscover" else {inner}
    return found


def test_every_module_has_its_place_in_the_order():
    assert set(MODULES) <= set(ORDER)


@pytest.mark.parametrize("name", MODULES)
def test_imports_only_modules_above(name):
    inside = {full.split(".")[1] for full in imported(name) if full.startswith("rediscover.")} & set(ORDER)
    assert all(ORDER.index(other) < ORDER.index(name) for other in inside), inside


@pytest.mark.parametrize("name", sorted(set(MODULES) - KERAS))
def test_keras_lives_in_its_own_modules(name):
    assert not {full.split(".")[0] for full in imported(name)} & {"keras", "tensorflow"}


def test_light_modules_pull_in_neither_tensorflow_nor_matplotlib_nor_dask():
    light = [name for name in ORDER if name not in HEAVY]
    lines = ["import sys, rediscover", *(f"import rediscover.{name}" for name in light)]
    lines += ["print(sorted({'tensorflow', 'keras', 'matplotlib', 'dask', 'distributed'} & set(sys.modules)))"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=FOLDER.parent, capture_output=True, encoding="utf-8"
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented_with_an_example(name):
    module = importlib.import_module(f"rediscover.{name}")
    assert module.__doc__
    assert public(module)
    for label, thing in public(module).items():
        assert thing.__doc__ and ">>>" in thing.__doc__, f"{name}.{label} has no example"
        for member, value in vars(thing).items() if inspect.isclass(thing) else []:
            inherited = any(hasattr(base, member) for base in thing.__mro__[1:])
            if not member.startswith("_") and (inspect.isroutine(value) or isinstance(value, property | classmethod)):
                assert inherited or inspect.getdoc(value), f"{name}.{label}.{member} has no docstring"


@pytest.mark.parametrize("name", rediscover.MOVED)
@pytest.mark.parametrize("line", ["import rediscover.{}", "from rediscover.{} import Law", "from rediscover import {}"])
def test_a_module_by_its_old_name_is_told_where_it_is(name, line):
    with pytest.raises(ImportError, match=f"rediscover.{name} has moved: it is now"):
        exec(line.format(name))


def test_a_module_that_never_was_is_missed_as_usual():
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'rediscover\.ether'"):
        importlib.import_module("rediscover.ether")
