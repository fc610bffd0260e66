"""Checks of the readers' answers: each exercise of the book has one, which says what is right or what went wrong.

The questions stand at the end of the chapters, worked answers on the page of solutions. A check knows the usual
mistakes and explains them; it needs no network and trains nothing.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from rediscover import evidence, potentials, simulator

__all__ = ["EXERCISES", "check"]

#: The check of each exercise, by its number: it returns what is wrong with an answer, or nothing.
EXERCISES: dict[str, Callable[[Any], str | None]] = {}
A = 0.4  # the spacing of the book's chains


def check(number: str, answer: Any) -> None:
    """Print whether an answer to an exercise is right, and if not, what may have gone wrong.

    Parameters
    ----------
    number : str
        Of the exercise, such as ``"1.2"``.
    answer : object
        A number, a word or a function, as the exercise says; ``...`` if there is none yet.

    Raises
    ------
    ValueError
        If there is no such exercise.

    Examples
    --------
    >>> check("1.1", ...)
    Exercise 1.1 waits for your answer: put it where the dots are.
    >>> check("1.1", 1.0)
    Not yet. That is the current of (1, +i). A complex conjugate runs backwards.
    >>> check("1.1", -1.0)
    Right: 1.1.
    """
    if number not in EXERCISES:
        raise ValueError(f"number must be one of {', '.join(EXERCISES)}; got {number!r}")
    if answer is ...:
        print(f"Exercise {number} waits for your answer: put it where the dots are.")
        return
    try:
        wrong = EXERCISES[number](answer)
    except Exception as error:  # of the reader's function, for instance; a traceback into this file would not help
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = "" if last.filename == __file__ else f" (in line {last.lineno} of {last.name})"
        wrong = f"Your answer could not be tried: {type(error).__name__}: {error}{where}"
    print(f"Not yet. {wrong}" if wrong else f"Right: {number}.")


def _exercise(number: str):
    def register(judge):
        EXERCISES[number] = judge
        return judge

    return register


def _number(answer: Any, right: float, mistakes: dict[float, str] | None = None, within: float = 0.01) -> str | None:
    """What is wrong with a number that may be off by a share `within`; known wrong ones are explained."""
    value = float(answer)
    for wrong, why in (mistakes or {}).items():
        if np.isclose(value, wrong, rtol=within) and not np.isclose(wrong, right, rtol=within):
            return why
    return (
        None if np.isclose(value, right, rtol=within) else f"{value:g} is too {'large' if value > right else 'small'}."
    )


def _function(answer: Any) -> Callable:
    if not callable(answer):
        raise TypeError(f"hand in a function; got {type(answer).__name__}")
    return answer


def _near(one: Any, two: Any) -> bool:
    one, two = np.asarray(one, complex), np.asarray(two, complex)
    return one.shape == two.shape and bool(np.allclose(one, two, rtol=1e-6, atol=1e-9))


# --- chapter 1


@_exercise("1.1")
def _(answer):
    return _number(answer, -1, {1: "That is the current of (1, +i). A complex conjugate runs backwards."})


@_exercise("1.2")
def _(answer):
    mistakes = {2 * np.pi: "That is a wavelength of ψ. The density does not see its sign.",
                np.pi / A: "That is in sites; a site is 0.4 long."}  # fmt: skip
    return _number(answer, np.pi, mistakes)


@_exercise("1.3")
def _(answer):
    step = _function(answer)
    for V in (-0.7, 0.35, 0.0):
        try:
            T = np.asarray(step(V, A))
        except ZeroDivisionError:
            T = np.full((2, 2), np.nan)
        exact = simulator.transfer_matrix(V, A)
        if np.iscomplexobj(T):
            return f"At V = {V} the entries are complex: cosh and sinh do without."
        if T.shape != (2, 2):
            return f"At V = {V} the result must have the shape (2, 2); got {T.shape}."
        if not np.isfinite(T).all():
            forbidden = "the root of a negative number? cosh and sinh do without."
            return f"At V = {V} an entry is not finite: {forbidden if V > 0 else 'what is sin(ka)/k when k goes to 0?'}"
        if _near(T.T, exact):
            return "Rows and columns are exchanged: the columns are what becomes of (1, 0) and of (0, 1)."
        if not np.isclose(np.linalg.det(T), 1):
            return f"At V = {V} the determinant is {np.linalg.det(T):.3f}, but every solution conserves the Wronskian."
        if not _near(T, exact):
            row, column = np.argwhere(~np.isclose(T, exact))[0] + 1
            return f"At V = {V} the determinant is right, but entry {row}, {column} is not."
    return None


@_exercise("1.4")
def _(answer):
    predict = _function(answer)
    V = potentials.random(3, 40, seed=11)
    wave = simulator.propagate(V, A)
    rho, eta = (x[:, 1:-1].ravel() for x in (wave.psi**2, wave.psi * wave.dpsi))
    given = [float(predict(*x)) for x in zip(rho, eta, V[:, 1:].ravel(), strict=True)]
    if _near(given, wave.density[:, 1:].ravel()):
        return None
    T = simulator.transfer_matrix(V[:, 1:].ravel(), A)
    if _near(given, T[:, 0, 0] ** 2 * rho + 2 * T[:, 0, 0] * T[:, 0, 1] * eta):
        return "The term with ψ'² is missing. It is known, too: ρ ψ'² = (ψψ')²."
    if _near(given, T[:, 0, 0] ** 2 * rho + T[:, 0, 1] ** 2 * eta**2 / rho):
        return "The cross term is missing: the square of a sum has three terms."
    return "Write ψ at the right edge with the matrix of the site, square it, and express ψ², ψψ' and ψ'² by ρ and η."


@_exercise("1.5")
def _(answer):
    V = potentials.double_well(60, separation=9.6, height=1.0, spacing=A)
    H = np.diag(V + 1 / A**2) - 0.5 / A**2 * (np.eye(60, k=1) + np.eye(60, k=-1))
    E = np.linalg.eigvalsh(H)[:3]
    mistakes = {E[0]: "That is the ground state's energy itself.",
                E[2] - E[1]: "That is the next gap; the two lowest states are much closer.",
                (E[1] - E[0]) / 2: "That is the matrix element. The levels are twice as far apart."}  # fmt: skip
    return _number(answer, E[1] - E[0], mistakes, within=0.02)


# --- chapter 2


@_exercise("2.1")
def _(answer):
    right, value = np.log(0.5) / np.log(0.9), float(answer)
    if value == 7:
        return None
    mistakes = {5.0: "Five sites would be right if a tenth of the *first* memory went each time.",
                10 * np.log(2): "That uses exp(−n/10). Close, but 0.9ⁿ falls a little faster.",
                10.0: "That is how long it lasts, down to 1/e."}  # fmt: skip
    return _number(answer, right, mistakes)


@_exercise("2.2")
def _(answer):
    mistakes = {881: "Keras's GRU has two rows of biases, one for the input and one for the memory.",
                912: "The readout counts as well: 16 weights and an offset.",
                321: "There are three sets of weights: two gates and a candidate."}  # fmt: skip
    return _number(answer, 929, mistakes, within=1e-6)


@_exercise("2.3")
def _(answer):
    causal = _function(answer)
    cases = {
        "the density at fixed energy": (lambda V: simulator.propagate(V, A).density, True),
        "the ground state": (lambda V: np.array([simulator.ground_state(v, A)[1] ** 2 for v in V]), False),
        "a density divided by its sum": (_normalised, False),
        "the potential one site further on": (lambda V: np.roll(V, -1, axis=1), False),
        "a copy whose third site looks one site ahead": (lambda V: _look_ahead(V, 2), False),
        "a copy whose third-last site looks one site ahead": (lambda V: _look_ahead(V, -3), False),
        "a running mean of all sites so far": (lambda V: V.cumsum(1) / np.arange(1, V.shape[1] + 1), True),
    }
    for name, (measure, right) in cases.items():
        if bool(causal(measure)) != right:
            return f"{name.capitalize()} is {'' if right else 'not '}causal, and your function says otherwise."
    return None


def _look_ahead(V, site):
    changed = V.copy()
    changed[:, site] = V[:, site + 1]
    return changed


def _normalised(V):
    rho = simulator.propagate(V, A).density
    return rho / rho.sum(1, keepdims=True)


@_exercise("2.4")
def _(answer):
    M = np.asarray(answer)
    if M.shape != (2, 2) or np.iscomplexobj(M):
        return f"Hand in a real matrix of shape (2, 2); got {M.dtype} of shape {M.shape}."
    powers = [np.linalg.matrix_power(M.astype(float), n) for n in range(1, 41)]
    back = next((n for n, power in enumerate(powers, 1) if np.allclose(power, np.eye(2), atol=1e-6)), None)
    if back is None:
        moduli = abs(np.linalg.eigvals(M))
        if np.allclose(powers[19], np.eye(2), atol=0.05):
            return "After 20 sites it is nearly back: let cos and sin compute the entries, without rounding."
        why = "" if np.allclose(moduli, 1) else f": its eigenvalues have the moduli {moduli.round(5).tolist()}"
        return f"After 40 sites the memory has not been back{why}."
    return None if back == 20 else f"It is back after {back} site{'s' if back > 1 else ''}."


# --- chapter 3


@_exercise("3.1")
def _(answer):
    why = "The loss at 2 is half of that at 1. The rule asks for a factor of ten."
    return _number(answer, 3, {2: why, 4: "From 3 to 4 the loss hardly falls: the jump was before."}, within=1e-6)


@_exercise("3.2")
def _(answer):
    rng = np.random.default_rng(32)
    g, v, U = rng.normal(size=2), rng.normal(size=6), rng.normal(size=(3, 2, 2))
    given, right, turned = np.asarray(_function(answer)(g, v, U)), [g], [g]
    for x in v:
        step = U[0] + x * U[1] + x**2 * U[2]
        right.append(step @ right[-1])
        turned.append(turned[-1] @ step)
    if _near(given, right):
        return None
    if _near(given, right[1:]):
        return "The first latents, before any step, belong to the path as well."
    if _near(given, turned):
        return "The matrix acts from the left, T g; yours acts from the right."
    if given.shape != (7, 2):
        return f"For six potentials and two latents the path must have the shape (7, 2); got {given.shape}."
    return f"Row {int(np.argmax(~np.isclose(given, right).all(1)))} is the first that is wrong."


@_exercise("3.3")
def _(answer):
    value = float(answer)
    why = "Multiplied by the same factor at every site, its square grows, fades or stays: it never swings."
    return why if value else None


@_exercise("3.4")
def _(answer):
    needed = _function(answer)
    for share, confidence, right in ((0.5, 0.99, 7), (0.9, 0.99, 2), (0.1, 0.95, 29), (0.99, 0.5, 1)):
        given = needed(share, confidence)
        if given != int(given):
            return f"The answer must be a whole number; got {given}."
        few = int(min(given, right))
        silent = (1 - share) ** few
        if given < right:
            return f"{few} starts that succeed with probability {share:g} all fail with {silent:.2g}: too often."
        if given > right:
            return f"For {confidence:.0%} {few} starts would do: all of them fail with probability {silent:.2g}."
    return None


# --- chapter 4


@_exercise("4.1")
def _(answer):
    word = str(answer).strip().lower()
    if word in ("linear", "linearity", "a linear law"):
        return None
    if "contin" in word:
        return "ρ and ψψ' are products of continuous numbers, so this pair is a continuous function of the state."
    if "every" in word:
        return "Your function of exercise 1.4 works for every V, if not at a node: there is a law in every potential."
    return "Answer with one of the three: continuous, linear, every potential."


@_exercise("4.2")
def _(answer):
    V = np.repeat(potentials.random(1, 40, seed=44)[0], 8)
    psi = simulator.propagate(V, A / 8).psi
    given = np.asarray(_function(answer)(psi**2), float)
    if given.shape != psi.shape:
        return f"ψ must have a value for each density, shape {psi.shape}; got {given.shape}."
    if np.allclose(given, psi, atol=1e-6):
        return None
    if np.allclose(given, -psi, atol=1e-6):
        return "It is right up to a sign: ψ → −ψ gives the same density. The chain starts at ψ = +1."
    if np.allclose(given, abs(psi), atol=1e-6):
        return "That is |ψ|, which has a kink at every node, and a wave function has none."
    if np.allclose(abs(given), abs(psi), atol=1e-6):
        wrong = np.flatnonzero(np.sign(given) != np.sign(psi))
        points = f"{len(wrong)} of {len(psi)} points, first at {wrong[0]}"
        return f"The size is right, the sign is wrong at {points}. On which side of the node does a minimum lie?"
    return "Its square is not the density."


@_exercise("4.3")
def _(answer):
    rng = np.random.default_rng(430)
    wave, M = rng.normal(size=(5, 8, 2)), np.array([[0.8, -2.0], [1.5, 0.3]])
    latents = wave @ np.linalg.inv(M) + 1e-3 * rng.normal(size=wave.shape)
    given = np.asarray(_function(answer)(latents, wave), float)
    if given.shape != (2, 2):
        return f"M must have the shape (2, 2); got {given.shape}."
    for wrong, why in (
        (M.T, "That is the transpose: rows of latents are multiplied by M from the right."),
        (np.linalg.inv(M), "That is the inverse: it takes waves to latents."),
        (np.linalg.inv(M).T, "That takes waves to latents, and as columns."),
    ):
        if np.allclose(given, wrong, atol=0.02):
            return why
    if not np.allclose(given, M, atol=0.02):
        return f"gM misses the waves by {np.abs(latents @ given - wave).max():.2g}, where 0.01 could be reached."
    if not np.allclose(given, np.linalg.lstsq(latents.reshape(-1, 2), wave.reshape(-1, 2), rcond=None)[0]):
        return "Nearly. Use all windows: with an error in each number a few of them do not find the closest M."
    return None


# --- chapter 5


@_exercise("5.1")
def _(answer):
    angle, rng = _function(answer), np.random.default_rng(42)
    for V in (-0.9, -0.5, -0.35):
        M = rng.normal(size=(2, 2))
        T, right = M @ simulator.transfer_matrix(V, A) @ np.linalg.inv(M), A * np.sqrt(-2 * V)
        given = float(angle(T))
        if np.isclose(abs(given), 2 * right):
            return "That is 2ka: how fast the density turns."
        if not np.isclose(abs(given), right):
            return f"At V = {V}, in a random basis, it says {given:.4f}, not {right:.4f}. What survives the change?"
    return None


@_exercise("5.2")
def _(answer):
    which, V = _function(answer), np.linspace(-1, -0.3, 15)
    rng = np.random.default_rng(43)
    traces = {"exact": 2 * np.cos(A * np.sqrt(-2 * V)), "leapfrog": 2 + A**2 * 2 * V}
    for name, trace in traces.items():
        given = str(which(V, trace + 1e-4 * rng.normal(size=V.shape))).strip().lower()
        if given != name:
            return f"For traces of the {name} law, with an error of 1e-4, it says {given!r}."
    return None


@_exercise("5.3")
def _(answer):
    mass, V = _function(answer), np.linspace(-1, -0.3, 15)
    for m, E in ((1.0, 0.0), (1.7, 0.2), (0.6, -0.1)):
        given = float(mass(V, 2 * np.cos(A * np.sqrt(2 * m * (E - V)))))
        if np.isclose(given, m, rtol=1e-3):
            continue
        for wrong, why in (
            (2 * m, "The slope of k² is −2m."),
            (-m, "k² falls where V rises: mind the sign."),
            (m * A**2, "That is in units of the spacing: k² is (ka)² over a²."),
            (4 * m, "The trace is 2 cos ka: halve it before you take the angle."),
        ):
            if np.isclose(given, wrong, rtol=1e-3):
                return f"For m = {m} and E = {E} it says {given:.3g}. {why}"
        return f"For m = {m} and E = {E} it says {given:.3g}. Does your answer take the energy for known?"
    return None


# --- chapter 6


@_exercise("6.1")
def _(answer):
    mistakes = {4: "Four numbers carry the two waves, but the readout must be linear.",
                3: "Each orbital has three, and they move by different laws.",
                10: "Products of one orbital with the other do not appear in a sum of densities."}  # fmt: skip
    return _number(answer, 6, mistakes, within=1e-6)


@_exercise("6.2")
def _(answer):
    rng = np.random.default_rng(52)
    for a, b, c in rng.normal(size=(4, 3)):
        d = (1 + b * c) / a
        T = np.array([[a, b], [c, d]])
        S = np.array([[a * a, 2 * a * b, b * b], [a * c, a * d + b * c, b * d], [c * c, 2 * c * d, d * d]])
        given = np.asarray(_function(answer)(S), float)
        if given.shape != (2, 2):
            return f"T must have the shape (2, 2); got {given.shape}."
        if np.allclose(given, T) or np.allclose(given, -T):
            continue
        if np.allclose(abs(given), abs(T)):
            return "All sizes are right. Only the sign of the whole matrix is free, not that of each entry."
        row, column = np.argwhere(~np.isclose(abs(given), abs(T)))[0] + 1
        return f"The size of entry {row}, {column} is wrong: its square stands in S."
    return None


@_exercise("6.3")
def _(answer):
    if not isinstance(answer, bool | np.bool_):
        return "Answer True or False, without quotation marks."
    return "What would its current be? ρξ − η² = j² cannot be negative." if answer else None


@_exercise("6.4")
def _(answer):
    kinetic = _function(answer)
    for psi, dpsi in ((1.0, 0.5), (0.7, 0.3 + 0.4j), (1.0, 1j)):
        rho, slope, j = abs(psi) ** 2, 2 * np.real(np.conj(psi) * dpsi), np.imag(np.conj(psi) * dpsi)
        given, right = float(kinetic(rho, slope, j)), abs(dpsi) ** 2 / 2
        if np.isclose(given, right):
            continue
        if np.isclose(given, slope**2 / (8 * rho)):
            return "That is von Weizsäcker's term alone. A flow of constant density has kinetic energy, too."
        if np.isclose(given, 2 * right):
            return "That is |ψ'|². The kinetic energy is half of it."
        return f"For ψ = {psi}, ψ' = {dpsi} it gives {given:.4f}, but |ψ'|²/2 = {right:.4f}."
    return None


# --- chapter 8


@_exercise("8.1")
def _(answer):
    why = "At the same energy both move by the same matrix, and so does their sum."
    return _number(answer, 3, {6: why, 4: why}, within=1e-6)


@_exercise("8.2")
def _(answer):
    mistakes = {24: "That is a free S. Here its 27 entries are made of the 12 of T.",
                17: "A change of basis of (ψ, ψ') still changes nothing: take 4 off.",
                14: "14 lets the start carry a current; here it is that of one real wave."}  # fmt: skip
    return _number(answer, 13, mistakes, within=1e-6)


@_exercise("8.3")
def _(answer):
    pays = _function(answer)
    cases = [(10.0, 9.9, 0.1, 1000), (10.0, 9.92, 0.1, 1000), (10.0, 9.94, 0.1, 1000)]
    cases += [(10.0, 9.0, 1.0, 1000), (5.0, 4.7, 0.2, 10**6), (5.0, 3.0, 0.2, 10**6)]
    for before, after, sigma, n in cases:
        saved, cost = (before - after) / (2 * sigma**2) * np.log2(np.e), 0.5 * np.log2(n)
        if bool(pays(before, after, sigma, n)) != (saved > cost):
            return (f"A sum of squares from {before} to {after} at σ = {sigma} saves {saved:.1f} bits; "
                    f"a parameter costs {cost:.1f} with {n} numbers.")  # fmt: skip
    return None


@_exercise("8.4")
def _(answer):
    count, rng = _function(answer), np.random.default_rng(64)
    V, W = potentials.random(40, 12, seed=1), potentials.random(40, 12, seed=2)
    block = evidence.hankel(lambda V: simulator.propagate(V, A).density, V, W)
    for sigma in (1e-6, 1e-3, 0.03):
        given = int(count(block + sigma * rng.normal(size=block.shape), sigma))
        if given != 3:
            return f"With noise {sigma:g} it counts {given}. How large is the largest singular value of pure noise?"
    noise = int(count(rng.normal(size=(40, 480)), 1.0))
    return f"In pure noise it sees {noise} variables." if noise else None


# --- chapter 9


@_exercise("9.1")
def _(answer):
    value = float(answer)
    if value > 1:
        return "Answer as a share, between 0 and 1."
    if 0.052 <= value <= 0.066:
        return None  # three over n, or Clopper and Pearson's limit, one-sided or two-sided
    return f"If the share were {value:.3f}, no alarm in 55 would happen with probability {(1 - value) ** 55:.2g}."


@_exercise("9.2")
def _(answer):
    shuffled, rng = _function(answer), np.random.default_rng(72)
    rho = rng.normal(size=(200, 5))
    kept = rho.copy()
    mixed = np.asarray(shuffled(rho, rng))
    if not np.array_equal(rho, kept):
        return "It changes its input."
    if not np.allclose(np.sort(mixed.ravel()), np.sort(rho.ravel())):
        return "Values are lost or made up."
    if {tuple(row) for row in mixed} != {tuple(row) for row in rho}:
        return "Profiles are torn apart: whole densities should change hands, so that each still looks like one."
    still = int(np.all(mixed == rho, axis=1).sum())
    return f"{still} of 200 densities are still with their potential." if still > 5 else None


@_exercise("9.3")
def _(answer):
    scatters, rng, V = _function(answer), np.random.default_rng(73), np.linspace(-1, -0.3, 9)
    k = np.sqrt(-2 * V)

    def impostor(power):  # single traces are exact, pairs are not
        c, s = np.cos(k * A), np.sin(k * A)
        return np.array([[c, s / k**power], [-s * k**power, c]]).transpose(2, 0, 1)

    laws = {"Schrödinger's law": (simulator.transfer_matrix(V, A), True), "the phase": (impostor(0), False)}
    laws |= {f"a law that scatters with k to the power {p:g}": (impostor(p), False) for p in (2, 0.5)}
    for name, (T, right) in laws.items():
        for basis, M in (("its own basis", np.eye(2)), ("a random basis", rng.normal(size=(2, 2)))):
            if bool(scatters(M @ T @ np.linalg.inv(M))) != right:
                what = "is" if right else "is not"
                return f"{name[0].upper()}{name[1:]}, in {basis}, {what} Schrödinger's; your function says otherwise."
    return None


@_exercise("9.4")
def _(answer):
    mistakes = {4: "Four amplitudes, but a density is quadratic and the readout linear: count products.",
                6: "Two orbitals, ψ₁ ± ψ₂, if both felt the same trap. Here nothing splits the channels.",
                16: "ψ₁ψ₂ and ψ₂ψ₁ are the same number."}  # fmt: skip
    return _number(answer, 10, mistakes, within=1e-6)
