"""What belongs to the book is what its table of contents and git say, whatever else lies there."""

import json
import re
import subprocess

import pytest

import contents
import environment

STRAY = ["book/Untitled.ipynb", "book/01_experiment-Copy1.ipynb", "lib/rediscover.egg-info/PKG-INFO"]
STRAY += ["lib/__pycache__/a.pyc", "book/.ipynb_checkpoints/10_last-checkpoint.ipynb"]
KEPT = ["Makefile", "_toc.yml", "book/intro.md", "book/how_it_was_made.ipynb", "book/01_experiment.ipynb"]
KEPT += ["book/10_last.ipynb", "lib/a.py", "tests/Größe mit Leerzeichen.txt"]
TOC = """format: jb-book
root: book/intro
parts:
- chapters: [{file: book/how_it_was_made}, {file: book/01_experiment}, {file: book/10_last}]
"""


@pytest.fixture
def tree(tmp_path):
    """A folder with an ö in its name, full of what belongs to a book and what does not."""
    root = tmp_path / "schöne Kopie"
    for name in KEPT + STRAY:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps({"cells": []}), encoding="utf-8")
    (root / "_toc.yml").write_text(TOC, encoding="utf-8")
    return root


def names(paths, root):
    return [path.relative_to(root).as_posix() for path in paths]


def test_notebooks_are_those_of_the_table_of_contents_and_the_appendix_runs_last(tree):
    found = names(contents.notebooks(tree), tree)
    assert found == ["book/01_experiment.ipynb", "book/10_last.ipynb", "book/how_it_was_made.ipynb"]


def test_files_are_those_that_git_tracks(tree):
    subprocess.run(["git", "init", "-q", tree], check=True)
    subprocess.run(["git", "-C", tree, "add", *KEPT], check=True)
    assert sorted(names(contents.files(tree), tree)) == sorted(KEPT)


def test_files_are_known_in_a_copy_that_belongs_to_somebody_else(tree, monkeypatch, capfd):
    test_files_are_those_that_git_tracks(tree)
    other = environment.isolated() | {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    monkeypatch.setattr(environment, "isolated", lambda: other)
    assert sorted(names(contents.files(tree), tree)) == sorted(KEPT)
    assert capfd.readouterr().err == ""


def test_files_of_a_copy_without_git_are_those_of_a_list(tree):
    subprocess.run(["git", "init", "-q", tree.parent], check=True)  # of somebody who keeps the copy in it
    assert sorted(names(contents.files(tree), tree)) == sorted(KEPT)


def test_every_checkout_has_the_same_ends_of_lines():
    if not (contents.ROOT / ".git").exists():
        pytest.skip("this copy of the book is a download: git does not check it out")
    command = ["git", "-C", contents.ROOT, "ls-files", "--eol"]
    lines = subprocess.run(command, capture_output=True, check=True, encoding="utf-8").stdout.splitlines()
    assert [line for line in lines if not re.match(r"i/(lf|none) .*eol=lf|i/-text .*attr/-text", line)] == []


def test_the_list_names_every_file_of_the_book():
    for path in contents.files():
        top = path.relative_to(contents.ROOT).parts[0]
        assert top in contents.FILES + contents.FOLDERS and contents.belongs(path, contents.ROOT), path


def test_files_are_known_also_if_git_refuses_to_speak(tree, capfd):
    (tree / ".git").write_text("gitdir: /nowhere\n", encoding="utf-8")
    assert sorted(names(contents.files(tree), tree)) == sorted(KEPT)
    assert "git does not tell the files of the book, so they are taken from a list: fatal: " in capfd.readouterr().err
