"""A recipe, which stands in the keys of artefacts and rows, is raised when the code of a training changes.

What counts is what the code does to a training: not its comments, docstrings, annotations or format, nor its checks.
"""

import ast
import hashlib
import json
from pathlib import Path

import pytest

HERE = Path(__file__).resolve()
LIB, BOOK, KEPT = HERE.parents[2] / "lib" / "rediscover", HERE.parents[2] / "book", HERE.with_name("recipes.json")
COMMAND = "PYTHONPATH=lib:book .venv/bin/python tests/unit/test_recipes.py"
NETWORK = [f"layers.{name}" for name in ("MemberWise", "NearIdentity", "TaylorCell")]
NETWORK += ["_training.descend", "_training.fit_or_restore"]
RUN = [f"translator.Translator.{name}" for name in ("__init__", "seen", "standardise", "run", "read_out")]
RUN += ["dataset.Scaling", "translator._scaling"]
STANDARDISED = ["dataset.Dataset.standardisation", "dataset._constant", "dataset._spread"]
FITTING = (
    "HORIZONS",
    "TINY",
    "TURN",
    "ROUGH",
    "Chains",
    "Shape",
    "times",
    "responses",
    "own_states",
    "_normal",
    "_solve",
)
FITTING += (
    "_purify",
    "starts_of",
    "common_start",
    "predictions",
    "cost",
    "_normal_block",
    "descend",
    "horizons",
    "race",
)
FITTING += ("climb", "covariance", "own_latents", "_best", "_latents", "variation")
#: What decides what a training gives, by the recipe that stands for it.
CODE = {
    "translator": [*NETWORK, *RUN, *STANDARDISED, "translator.Translator.call", "translator.train"],
    "distiller": [
        *(*NETWORK, "layers.FreeCell", "layers.QuadraticForm"),
        *(*RUN, "translator.Translator.hidden_states", "translator.Translator._in_batches"),
        *(f"distiller.Windows.{name}" for name in ("__init__", "of", "__len__", "_cut")),
        *(f"distiller.{name}" for name in ("PACK", "Schedule", "PopulationError", "_squared_error")),
        *(f"distiller.Distiller.{name}" for name in ("__init__", "adapt", "encode", "roll_out", "call")),
        *("distiller.train", "distiller.scan"),
        *(f"readouts.Readout.{name}" for name in ("target", "target_shape", "input_shape", "decode")),
        *("readouts.Linear.layers", "readouts.Quadratic.layers"),
        *(f"readouts.Network.{name}" for name in ("target", "target_shape", "input_shape", "layers", "decode")),
    ],
    "investigate": [
        *(f"panel.{name}" for name in ("DEFAULTS", "deal", "investigate", "_camera", "_baseline", "_translator")),
        *("introspection.investigate", "evidence.hankel", "evidence.hankel_rank", "evidence.spectral_law"),
    ],
    "users": [
        *(f"users.{name}" for name in ("DEFAULTS", "draw", "pictures", "investigate", "exact_law", "exact_loss")),
        *(f"_fitting.{name}" for name in FITTING),
        *(
            f"_direct.{name}"
            for name in ("FORMS", "ORDERS", "SEARCHED", "RACED", "PIECE", "JUDGED", "discover", "search")
        ),
        *(
            f"_direct.{name}"
            for name in ("held_out", "_of_form", "_restricted", "_grown", "settle", "local", "_site_terms")
        ),
        *(
            f"_problem.{name}"
            for name in ("Given.of", "Given.span", "Problem.of", "Problem.chains", "Problem.solution")
        ),
        *("law.Law.upright", "law.Law.dispersion", "law.Law.errors", "law._wave"),
        *(f"verdict.{name}" for name in ("LIMITS", "NEGLIGIBLE", "give", "net", "_of_wave")),
        *(f"introspection.{name}" for name in ("discover", "_rectangle")),
        *(f"discovery.Discovery.{name}" for name in ("__init__", "fit", "_split")),
    ],
}


class Bare(ast.NodeTransformer):
    """Take away what cannot change what a function gives."""

    def visit_Expr(self, node):
        check = ast.unparse(node).lstrip("(").startswith("_check.")
        return None if check or isinstance(node.value, ast.Constant) else node

    def visit_If(self, node):
        return None if isinstance(node.body[-1], ast.Raise) and not node.orelse else self.generic_visit(node)

    def visit_arg(self, node):
        return ast.arg(node.arg)

    def visit_FunctionDef(self, node):
        node = self.generic_visit(node)
        node.returns = None
        return node

    def visit_AnnAssign(self, node):
        return ast.Assign([node.target], node.value, lineno=0) if node.value else None


def find(body, name):
    """Look up a function, class or constant in the body of a module or class."""
    for node in body:
        if name in (getattr(node, "name", None), *(ast.unparse(t) for t in getattr(node, "targets", []))):
            return node
        if isinstance(node, ast.AnnAssign) and node.target.id == name:
            return node
    raise LookupError(f"{name} is gone: name in CODE what took its place")


def source(module):
    return ((BOOK if module in ("panel", "users") else LIB) / f"{module}.py").read_text(encoding="utf-8")


def fingerprint(names, read=source):
    bare = []
    for full in names:
        module, *path = full.split(".")
        node = ast.parse(read(module))
        for name in path:
            node = find(node.body, name)
        bare.append(ast.unparse(Bare().visit(node)))
    return hashlib.sha256("\n".join(bare).encode()).hexdigest()[:16]


def recipes():
    import panel  # not above: a fingerprint needs no TensorFlow
    import users

    return panel.RECIPES | users.RECIPES


@pytest.mark.parametrize("name", CODE)
def test_recipe_is_raised_with_the_code(name):
    now = {"recipe": recipes()[name], "code": fingerprint(CODE[name])}
    assert now == json.loads(KEPT.read_text(encoding="utf-8"))[name], (
        f"The code behind the recipe of {name!r} has changed. If it gives other results from now on, raise the recipe "
        f"(RECIPE in its module, RECIPES in book/panel.py or users.py), and what is shipped must be trained again. "
        f"If it gives the same, leave the recipe. In either case write the new fingerprint: {COMMAND}"
    )


SOURCE = '''
def step(x, n=2):
    """Double."""
    if n < 1:
        raise ValueError(f"n must be at least 1; got {n}")
    _check.integer("n", n)
    return x * 2  # twice
'''


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("  # twice", "", True),
        ("Double", "Twice as much", True),
        ("step(x, n=2):", "step(x: float, n: int = 2) -> float:", True),
        ("x * 2", "(x*2)", True),
        ("n < 1", "n < 0", True),
        ('"n", n', '"steps", n', True),
        ("x * 2", "x * 3", False),
        ("n=2", "n=3", False),
        ("return", "x = x + 1\n    return", False),
    ],
)
def test_fingerprint_is_of_what_the_code_does(old, new, same):
    changed = SOURCE.replace(old, new)
    assert changed != SOURCE
    assert (fingerprint(["m.step"], lambda _: changed) == fingerprint(["m.step"], lambda _: SOURCE)) is same


if __name__ == "__main__":
    written = {name: {"recipe": recipes()[name], "code": fingerprint(names)} for name, names in CODE.items()}
    KEPT.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
