"""Checks of exercises: right answers pass, usual mistakes get their reason, and the book has each of them once."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

import contents
import exercises
from exercises import EXERCISES, check
from rediscover import simulator

BOOK = Path(__file__).resolve().parents[2] / "book"
CHAPTERS = [path for path in contents.notebooks() if path.stem[:2].isdigit()]


def cells(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_has_graded_exercises_with_hints(path):
    found = [re.match(r"\*\*(\d+\.\d+)\*\* ★{1,3} \*", c.source) for c in cells(path, "markdown")]
    questions = {match[1]: match.string for match in found if match}
    asked = [re.findall(r'^check\("(\d+\.\d+)", answer\)', c.source, re.M) for c in cells(path, "code")]
    asked = [number for numbers in asked for number in numbers]
    assert 3 <= len(questions) <= 6
    assert list(questions) == asked == sorted(asked, key=lambda number: int(number.split(".")[1]))
    assert all("<details><summary>Hint</summary>" in question for question in questions.values())
    assert {number for number in EXERCISES if int(number.split(".")[0]) == int(path.stem[:2])} == set(asked)


def test_every_exercise_has_a_solution_that_ran():
    said = "".join(
        o.text for c in cells(BOOK / "solutions.ipynb", "code") for o in c.outputs if o.output_type == "stream"
    )
    assert re.findall(r"^Right: (\d+\.\d+)\.$", said, re.M) == list(EXERCISES)
    assert "Not yet" not in said


def test_an_answer_that_is_not_there_is_asked_for(capsys):
    for number in EXERCISES:
        check(number, ...)
    assert capsys.readouterr().out.count("waits for your answer") == len(EXERCISES)


@pytest.mark.parametrize("answer", [None, "nothing", [], object(), lambda: 1, np.full((2, 2), np.nan)])
def test_no_answer_breaks_a_check_or_passes_by_accident(answer, capsys):
    for number in EXERCISES:
        check(number, answer)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == len(EXERCISES)
    assert all(line.startswith("Not yet. ") for line in said), said


def test_an_error_in_a_readers_function_names_its_line(capsys):
    def step(V, a):
        return [][1]

    check("1.3", step)
    assert re.search(r"IndexError: list index out of range \(in line \d+ of step\)", capsys.readouterr().out)


def test_unknown_number():
    with pytest.raises(ValueError, match=r"number must be one of 1\.1, .* got '9\.9'"):
        check("9.9", 1)


def exact(V, a):
    return simulator.transfer_matrix(V, a)


def one_cut(measure):
    V = np.linspace(-1, -0.4, 12)[None]
    changed = np.where(np.arange(12) >= 6, V - 0.1, V)
    return np.allclose(measure(V)[:, :6], measure(changed)[:, :6])


def no_square(rho, eta, V):
    c, s = exact(V, 0.4)[0]
    return c**2 * rho + 2 * c * s * eta


def no_cross(rho, eta, V):
    c, s = exact(V, 0.4)[0]
    return c**2 * rho + s**2 * eta**2 / rho


MISTAKES = {
    "1.1": [(1, r"\(1, \+i\)")],
    "1.2": [(2 * np.pi, "wavelength of ψ"), (np.pi / 0.4, "in sites")],
    "1.3": [
        (lambda V, a: np.array([[1, a], [0, 1]]), "determinant is right, but entry"),
        (lambda V, a: exact(V, a).T, "Rows and columns"),
        (lambda V, a: np.array([[1, a / (V and 1)], [0, 1]]) * 2, "determinant is 4"),
        (lambda V, a: exact(V, a) + 0j, "complex"),
        (lambda V, a: exact(V, a) if V else [[1, 1 / V], [0, 1]], "k goes to 0"),
        (lambda V, a: exact(V, a) if V < 0 else np.full((2, 2), np.nan), "root of a negative"),
    ],
    "1.4": [(no_square, "ψ'² is missing"), (no_cross, "cross term")],
    "2.1": [(5, "tenth of the"), (6.93, "falls a little faster"), (10, "down to 1/e")],
    "2.2": [(881, "two rows of biases"), (912, "readout counts"), (929.5, "too large")],
    "2.3": [(one_cut, "third"), (lambda measure: True, "not causal"), (lambda measure: False, "is causal")],
    "2.4": [
        (np.eye(2), "back after 1 site"),
        ([[0.951, 0.309], [-0.309, 0.951]], "without rounding"),
        (0.9 * np.eye(2), r"moduli \[0.9, 0.9\]"),
        (np.diag([np.exp(0.1j * np.pi), np.exp(-0.1j * np.pi)]), "real matrix"),
    ],
    "3.1": [(2, "factor of ten"), (4, "hardly falls")],
    "3.2": [(lambda g, v, U: [g] * 7, "Row 1 is the first"), (lambda g, v, U: g, r"shape \(7, 2\)")],
    "3.3": [(5, "never swings")],
    "3.4": [(lambda p, c: 8, "7 starts would do"), (lambda p, c: 1, "too often"), (lambda p, c: 6.6, "whole number")],
    "4.1": [("continuous", "continuous function"), ("every potential", "works for every V")],
    "5.1": [(lambda T: 2 * np.arccos(np.trace(T) / 2), "2ka"), (lambda T: T[0, 0], "survives")],
    "4.3": [
        (lambda g, z: np.linalg.lstsq(z.reshape(-1, 2), g.reshape(-1, 2), rcond=None)[0], "the inverse"),
        (lambda g, z: np.linalg.lstsq(g.reshape(-1, 2), z.reshape(-1, 2), rcond=None)[0].T, "the transpose"),
        (lambda g, z: np.linalg.lstsq(g[0], z[0], rcond=None)[0], "Use all windows"),
        (lambda g, z: np.eye(2), "misses the waves"),
        (lambda g, z: g, "shape"),
    ],
    "5.3": [
        (lambda V, trace: -np.polyfit(V, (np.arccos(trace / 2) / 0.4) ** 2, 1)[0], "slope of k² is"),
        (lambda V, trace: np.polyfit(V, (np.arccos(trace / 2) / 0.4) ** 2, 1)[0] / 2, "mind the sign"),
        (lambda V, trace: -np.polyfit(V, np.arccos(trace / 2) ** 2, 1)[0] / 2, "units of the spacing"),
        (lambda V, trace: ((np.arccos(trace / 2) / 0.4) ** 2 / (-2 * V)).mean(), "take the energy for known"),
    ],
    "5.2": [(lambda V, trace: "exact", "leapfrog law"), (lambda V, trace: "leapfrog", "exact law")],
    "4.2": [(np.sqrt, "kink"), (lambda rho: rho, "not the density"), (lambda rho: rho[1:], "shape")],
    "6.1": [(3, "different laws"), (4, "readout must be linear")],
    "6.2": [
        (lambda S: np.sqrt(abs(S[::2, ::2])), "sign of the whole matrix"),
        (lambda S: S[:2, :2], "its square stands in S"),
    ],
    "6.3": [(True, "cannot be negative"), ("False", "without quotation marks")],
    "6.4": [
        (lambda rho, slope, j: slope**2 / (8 * rho), "Weizsäcker"),
        (lambda rho, slope, j: slope**2 / (4 * rho) + j**2 / rho, "half of it"),
    ],
    "8.1": [(6, "same energy")],
    "8.2": [(24, "free S"), (17, "take 4 off"), (14, "carry a current")],
    "8.3": [
        (lambda b, a, s, n: (b - a) / (2 * s**2) > 0.5 * np.log2(n), "saves 5.8 bits"),
        (lambda b, a, s, n: (b - a) / (2 * s**2) * np.log2(np.e) > 0.5 * np.log(n), "saves 4.3 bits"),
    ],
    "8.4": [
        (lambda block, sigma: np.linalg.matrix_rank(block), "noise 1e-06"),
        (lambda block, sigma: 3, "In pure noise"),
    ],
    "9.1": [(0.5, "probability"), (6.5, "between 0 and 1")],
    "9.2": [
        (lambda rho, rng: rho.copy(), "still with their potential"),
        (lambda rho, rng: rng.permuted(rho, axis=0), "torn apart"),
        (lambda rho, rng: rng.shuffle(rho) or rho, "changes its input"),
        (lambda rho, rng: 0 * rho, "lost or made up"),
    ],
    "9.3": [
        (lambda T: not np.allclose(T[0] @ T[1], T[1] @ T[0]), "power 2"),
        (lambda T: True, "the phase|The phase"),
        (lambda T: False, "Schrödinger's law"),
    ],
    "9.4": [(6, "same trap"), (16, "same number"), (4, "count products")],
}


@pytest.mark.parametrize("number", MISTAKES)
def test_usual_mistakes_get_their_reason(number, capsys):
    for answer, reason in MISTAKES[number]:
        check(number, answer)
        said = capsys.readouterr().out
        assert said.startswith("Not yet. "), said
        assert re.search(reason, said), said


def test_a_wave_function_is_right_up_to_its_sign(capsys):
    def minus(rho):
        V = exercises.potentials.random(1, 40, seed=44)[0]
        return -simulator.propagate(np.repeat(V, 8), 0.05).psi

    check("4.2", minus)
    assert "right up to a sign: ψ → −ψ gives the same density" in capsys.readouterr().out


@pytest.mark.parametrize("turns", [1, 3, 7, 9])
def test_other_right_answers_are_right_too(turns, capsys):
    angle = turns * 2 * np.pi / 20
    check("2.4", [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    check("2.1", 7)
    check("3.3", np.int64(0))
    check("4.1", " Linear ")
    check("9.1", 3 / 55)
    assert capsys.readouterr().out.count("Right") == 5
