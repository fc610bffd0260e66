"""The workflows are valid, and do nothing that cannot be done here: every step of theirs calls a target of make."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_they_fit_the_schema():
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *WORKFLOWS], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_steps_call_make(path):
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
    lines = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    matrix = [value for job in jobs for value in job.get("strategy", {}).get("matrix", {}).get("versions", [])]
    assert lines
    for line in lines:
        for value in matrix or [""]:
            made = re.fullmatch(r"make ([a-z-]+)( [A-Z]+=.*)?", line.replace("${{ matrix.versions }}", value))
            assert made, line
            assert made.group(1) in targets, line


def test_an_alarm_opens_one_issue_only(tmp_path):
    fake, log = tmp_path / "gh", tmp_path / "log"
    for already, expected in (("", 1), ("12 The weekly run from nothing fails", 0)):
        fake.write_text(
            f'#!/bin/sh\necho "$@" >> {log}\n[ "$2" = list ] && printf %s "{already}"\nexit 0\n', encoding="utf-8"
        )
        fake.chmod(0o755)
        log.write_text("", encoding="utf-8")
        subprocess.run(["make", "-s", "alarm", f"GH={fake}", "RUN=https://example.org/run/1"], cwd=ROOT, check=True)
        assert log.read_text(encoding="utf-8").count("issue create") == expected


def test_the_makefile_makes_each_target_once():
    """A target that is written twice is a warning of make, in the middle of a page of output."""
    said = subprocess.run(["make", "-n", "help"], cwd=ROOT, capture_output=True, encoding="utf-8")
    assert said.returncode == 0 and said.stderr == ""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert len(targets) == len(set(targets)) > 15
