"""What the caller has set for other programs changes nothing here, and no text is left to the locale."""

import ast
import os
import subprocess
import sys

import pytest

import contents
import environment

ROOT = environment.ROOT
FOREIGN = {
    "DASK_SCHEDULER_ADDRESS": "tcp://127.0.0.1:9",
    "GIT_DIR": "/somebody/elses/.git",
    "IPYTHONDIR": "/somebody/elses",
    "JUPYTER_PATH": "/somebody/elses",
    "KERAS_BACKEND": "torch",
    "LC_ALL": "de_DE.ISO-8859-1",
    "MATPLOTLIBRC": "/somebody/elses",
    "MPLBACKEND": "Agg",
    "PIP_USER": "1",
    "PYTHONOPTIMIZE": "1",  # no assert would fail
    "TF_USE_LEGACY_KERAS": "1",
    "XDG_CONFIG_HOME": "/somebody/elses",
}


def test_settings_of_others_are_dropped_and_the_machine_s_are_kept(monkeypatch, tmp_path):
    kept = {"PATH": os.environ["PATH"], "CUDA_VISIBLE_DEVICES": "1", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    for name, value in (FOREIGN | kept | {"HOME": "/nowhere"}).items():
        monkeypatch.setenv(name, value)
    found = environment.isolated(tmp_path)
    assert {name: found.get(name) for name in FOREIGN} == dict.fromkeys(FOREIGN) | {"LC_ALL": "C.UTF-8"}
    assert {name: found[name] for name in kept} == kept
    assert found["HOME"] == str(tmp_path / "_build" / "home")


def test_a_command_runs_in_it_with_the_variables_that_are_named():
    command = [sys.executable, "-I", ROOT / "tools" / "environment.py", "REDISCOVER_TIER=smoke", "env"]
    done = subprocess.run(command, env=os.environ | FOREIGN, capture_output=True, check=True, encoding="utf-8")
    lines = done.stdout.splitlines()
    assert "REDISCOVER_TIER=smoke" in lines and "LC_ALL=C.UTF-8" in lines
    assert not any(f"{name}={value}" in lines for name, value in FOREIGN.items())


def test_tests_that_a_git_hook_runs_leave_the_repository_of_the_hook_alone(tmp_path):
    """Git tells its hooks the repository in GIT_DIR, and whatever calls git from there works on that one."""
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    for folder in (theirs, ours):
        subprocess.run(["git", "init", "-q", folder], check=True)
    commit = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "--allow-empty", "-m", "b"]
    script = f"import conftest, subprocess; subprocess.run({commit!r}, cwd={str(ours)!r}, check=True)"
    hook = os.environ | {
        "GIT_DIR": str(theirs / ".git"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tools")]),
    }
    subprocess.run([sys.executable, "-c", script], env=hook, check=True)
    log = [subprocess.run(["git", "-C", path, "log"], capture_output=True).returncode == 0 for path in (theirs, ours)]
    assert log == [False, True]


def make(*words, **variables):
    done = subprocess.run(
        ["make", "-C", ROOT, *words], env=os.environ | variables, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_make_installs_here_whatever_pip_is_told_elsewhere():
    elsewhere = {
        "PIP_USER": "1",
        "PIP_TARGET": "/elsewhere",
        "PIP_NO_DEPS": "1",
        "PIP_INDEX_URL": "https://example.org",
    }
    lines = make("-s", "--eval=show: ; @env", "show", **elsewhere)
    assert sorted(line for line in lines if line.startswith("PIP_") and line.partition("=")[0] in elsewhere) == [
        "PIP_INDEX_URL=https://example.org",
        "PIP_USER=0",
    ]


def test_make_runs_everything_in_it():
    targets = ["book", "chapters", "sweeps", "claims", "site", "stamp", "test", "test-site", "validate", "bench"]
    lines = [line for line in make("-n", "-o", ".venv/installed", *targets) if ".venv/bin/" in line]
    assert len(lines) > len(targets)
    for line in lines:
        assert ".venv/bin/python -I tools/environment.py " in line, line


# --- text is UTF-8, said aloud


def left_to_the_locale(source):
    """Lines that read or write in whatever encoding the machine has; ruff sees them only where it knows a path."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            named = {keyword.arg for keyword in node.keywords}
            text = getattr(node.func, "attr", "") in ("read_text", "write_text")
            if (text or named & {"text", "universal_newlines"}) and not named & {"encoding", None}:
                yield node.lineno


def test_what_is_left_to_the_locale_is_found():
    assert list(left_to_the_locale("f.read_text()\nrun(a, text=True)\nf.write_text(b, encoding='utf-8')")) == [1, 2]


@pytest.mark.parametrize("path", [p for p in contents.files() if p.suffix == ".py"], ids=lambda p: p.name)
def test_no_text_is_left_to_the_locale(path):
    assert list(left_to_the_locale(path.read_text(encoding="utf-8"))) == []


def test_ledger_is_read_and_written_under_any_locale():
    """In the locale C, without what Python does to make up for it, every byte beyond ASCII fails."""
    bare = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, ROOT / "tools" / "claims.py", "--check"]
    done = subprocess.run(command, env=bare, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
