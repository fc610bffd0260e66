"""The library reference, out of docstrings: what Sphinx's own extensions for Python leave to us.

In a docstring `store.key` in single backticks is a link to that part of the library, and what is no name in it, such as
a parameter, is shown as it is. A chapter that is mentioned is a link, too. Each module begins with a list of its parts,
and that of the command with what its ``--help`` says.
"""

import argparse
import importlib
import inspect
import os
import re
from collections.abc import Collection
from unittest import mock

import sphinx.util.inspect
from docutils.nodes import Element
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PyObject
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon import NumpyDocstring

import rediscover

# Chapters have two digits here, also several of them; chapter 8 of another book, after its year, has one.
MENTION = re.compile(r"(?<!\d\), )\b[Cc]hapters?\s+\d\d\b(?:(?:,|\s+and|\s+to)\s+\d\d\b)*")
ONE = re.compile(r"(?:[Cc]hapters?\s+)?(?P<number>\d\d)")
CODE = re.compile(r"(?P<code>``.+?``|`.+?`)|\|", re.DOTALL)
FIELDS = re.compile(r"^:(ivar|vartype) (\w+(?:, \w+)*):(.*(?:\n[ \t]+.*)*)", re.MULTILINE)


def prose(text: str, chapters: dict[str, str], parameters: Collection[str] = ()) -> str:
    """Make a paragraph of a docstring one for Sphinx.

    Chapters that it mentions become links, if the book has them: ``{"04": "book/04_two_numbers"}``. A parameter is not
    taken for the module of that name. Bars are densities, |ψ|², and unions of types, and no substitutions.
    """

    def link(found: re.Match) -> str:
        page = chapters.get(found["number"])
        return f":doc:`{found[0]} </{page}>`" if page else found[0]

    def keep(found: re.Match) -> str:
        code = found["code"]
        return r"\|" if code is None else f"`{code}`" if code[1:-1] in parameters else code

    return CODE.sub(keep, MENTION.sub(lambda mention: ONE.sub(link, mention[0]), text))


def separate(field: re.Match) -> str:
    """Attributes one by one: of several that share a line napoleon makes one, and ``law_`` would be a link to law."""
    kind, names, text = field.groups()
    names = re.sub("_(?=,|$)", r"\\_", names)
    return "\n".join(f":{kind} {name}:{text}" for name in names.split(", "))


def unfold(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Read a property as a function, for napoleon takes what stands before a colon in its first line for its type."""
    if what in ("attribute", "data", "property"):
        lines[:] = ["..", "", *NumpyDocstring(lines, app.config, app, "function").lines()]


def process(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Change a docstring on its way into a page."""
    chapters = {page[5:7]: page for page in app.env.found_docs if re.match(r"book/\d\d_", page)}
    own = inspect.signature(thing).parameters if inspect.isfunction(thing) or inspect.ismethod(thing) else ()
    blocks = re.split(r"\n{2,}", "\n".join(lines))
    text = "\n\n".join(block if block.lstrip().startswith(">>>") else prose(block, chapters, own) for block in blocks)
    lines[:] = FIELDS.sub(separate, text).split("\n")
    if what == "module":
        lines += ["", ".. autosummary::", "   :nosignatures:", "", *(f"   {part}" for part in parts(thing)), ""]
        if hasattr(thing, "_parser"):
            for words in helps(thing._parser()):
                lines += ["", ".. code-block:: text", "", *(f"   {line}".rstrip() for line in words.splitlines()), ""]


def parts(module: object) -> list[str]:
    """Names of classes and functions that a module defines for others, in the order of its source."""
    public = {name: thing for name, thing in vars(module).items() if not name.startswith("_")}
    own = [name for name, thing in public.items() if getattr(thing, "__module__", None) == module.__name__]
    return [name for name in own if inspect.isclass(public[name]) or inspect.isfunction(public[name])]


def helps(parser: argparse.ArgumentParser) -> list[str]:
    """What a command and those below it say of themselves."""
    with mock.patch.dict(os.environ, COLUMNS="90"):  # whatever the width of the terminal
        below = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        return [p.format_help() for p in [parser, *(sub for choices in below for sub in choices.values())]]


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Element) -> Element | None:
    """Find the name that a docstring means; one that speaks of the library, and is not in it, stays an error."""
    if node.get("refdomain") != "py":
        return None
    domain, target = env.get_domain("py"), node["reftarget"].partition("(")[0]

    def named(name: str) -> list[str]:
        """Where it is: a module, or something in one, whose module need not be said."""
        return [full for full in domain.objects if name in (full.removeprefix("rediscover."), full.split(".", 2)[-1])]

    owner, _, last = target.removeprefix("rediscover.").rpartition(".")
    owners = named(owner) if owner else []
    # an attribute has no place of its own, but stands in the list of its class
    found = named(target) or [full for full in owners if has_field(full, last)]
    if len(found) == 1:
        return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", found[0], node, content)
    return None if owners else content


def has_field(name: str, field: str) -> bool:
    """Whether a class has this attribute by its annotations."""
    module, _, owner = name.rpartition(".")
    try:
        return field in vars(importlib.import_module(module))[owner].__annotations__
    except (ImportError, KeyError, AttributeError):
        return False


def skip(app: Sphinx, what: str, name: str, thing: object, skipped: bool, options: object) -> bool | None:
    """Leave out fields of a named tuple, which are listed as attributes, and what scikit-learn adds to a class."""
    foreign = inspect.isfunction(thing) and not thing.__module__.startswith("rediscover")
    return True if foreign or type(thing).__name__ == "_tuplegetter" else None


def signature(app: Sphinx, what: str, name: str, thing: type, options: object, given: str, *more) -> tuple | None:
    """Of a class of Keras, whose own says nothing, show that of its constructor."""
    if what != "class" or given != "(*args, **kwargs)":
        return None
    own = sphinx.util.inspect.signature(thing.__init__, bound_method=True)
    return sphinx.util.inspect.stringify_signature(own, show_annotation=False), None


def setup(app: Sphinx) -> dict:
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    app.connect("autodoc-process-docstring", unfold, priority=400)  # before napoleon, and
    app.connect("autodoc-process-docstring", process, priority=600)  # after it
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-skip-member", skip)
    app.connect("missing-reference", resolve)
    return {"version": rediscover.__version__, "parallel_read_safe": True, "parallel_write_safe": True}
