"""What may be said of a law that was found, by rules that were fixed before it was: from measured pairs to a verdict.

Three questions, three answers, and no others:

==================  ==================================  ============================================================
question            asked of                            answered by
==================  ==================================  ============================================================
which wave is it    one law, of any energy              `law.Law.dispersion`, with numbers and no decision; `margins`
most like?                                              puts them in units of their bounds
what does it move?  one law, of a known energy          `classify`: a wave function, a density, or neither
what was found?     losses and laws of all dimensions,  `judge`: the **verdict**
                    of unknown energy
==================  ==================================  ============================================================

`investigate` takes a trained translator and measured pairs through distillers to the judge. Whether a number of this
book lies in the band that a chapter had fixed for it is another matter, and stands in the ledger of claims.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import _check, distiller, evidence, readouts
from .dataset import Dataset
from .distiller import Schedule, Windows
from .law import Law
from .translator import Translator

#: Within what a law must be Schrödinger's: see `judge`.
BOUNDS = {"r2": 0.95, "det": 0.02, "mass": 0.05, "residual": 0.005, "worse": 3.0, "loss": 0.02, "scattering": 0.01}
#: What is tried if nothing else is said: (readout, update, latent dimensions). `judge` needs these two.
SCANS = [["quadratic", "linear", [1, 2, 3]], ["linear", "linear", [1, 2, 3, 4]]]


def investigate(
    translator: Translator,
    train: Dataset,
    test: Dataset,
    *,
    scans: Sequence[Sequence] = SCANS,
    members: int = 8,
    steps: int = 2000,
    mlp_steps: int = 3000,
    length: int = 32,
    known: int = 6,
    seed: int = 0,
    folder: Path | str | None = None,
) -> dict[str, Any]:
    """Distil a translator with every readout and latent dimension, and judge what comes out, on held-out pairs.

    Nobody needs to know which world is behind the pairs, nor its energy.

    Parameters
    ----------
    translator : Translator
        Trained on `train`, or not at all, as a control.
    train, test : Dataset
        Measured pairs to learn from, and to judge by.
    scans : sequence
        Entries ``[readout, update, latent dimensions]``. Without a linear and a quadratic one there is no verdict.
    members : int
        Trainings side by side at each dimension.
    steps, mlp_steps : int
        Training steps where the density is read off by a form, and where hidden states are rebuilt by a network.
    length, known : int
        See `distiller.Windows`.
    seed : int
        Of first weights and batches.
    folder : path-like, optional
        Where trained populations are kept; without it they are not.

    Returns
    -------
    dict
        ``"r2"`` of the translator on `test`, ``"losses"`` by scan and latent dimension (of every member, on `test`;
        infinite for one that diverged, which JSON cannot hold; all else it can), Taylor ``"coefficients"`` of the best
        member likewise, ``"shift"`` and ``"scale"`` of the potential, its range ``"V"``, the ``"spacing"``, and the
        ``"verdict"`` of `judge`.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; before anything is trained.

    Examples
    --------
    >>> from rediscover.dataset import simulate
    >>> train, test = simulate(60, sites=12).split(40, 20)
    >>> tiny = {"members": 2, "steps": 2, "length": 6, "scans": [[x, "linear", [2]] for x in ("quadratic", "linear")]}
    >>> found = investigate(Translator(units=4, potential=(-0.65, 0.2)), train, test, **tiny)
    >>> found["verdict"]
    {'law': 'no law', 'variables': None}
    """
    check_scans(scans, members=members, steps=steps, mlp_steps=mlp_steps)
    of = distiller.identity(translator, train)
    with tempfile.TemporaryDirectory() as passing:
        losses: dict = {}
        coefficients: dict = {}
        windows: dict = {}  # readouts with the same target share theirs
        for name, update, dims in scans:
            readout = readouts.get(name)
            scan = name if update == "linear" else f"{name}, {update} update"
            if (target := type(readout).target) not in windows:
                cut = {"length": length, "known": known}
                pairs = ((data.potential, data.initial) for data in (train, test))
                windows[target] = [Windows.of(translator, V, readout, initial=i, **cut) for V, i in pairs]
            learn, check = windows[target]
            schedule = Schedule(steps=steps, rate=6e-3, growth=0.4) if readout.explicit else Schedule(steps=mlp_steps)
            for d in dims:
                population = distiller.train(
                    learn, of, d, members, readout, schedule, seed, passing if folder is None else folder, update
                )
                loss = population.member_losses(check)
                losses.setdefault(scan, {})[d] = loss
                if update == "linear":
                    coefficients.setdefault(scan, {})[d] = population.coefficients()[np.argmin(loss)].round(7)
    r2 = translator.score(test.potential, test.density, test.initial)
    V = [train.potential.min(), train.potential.max()]
    shift, scale = translator.potential
    found = {"r2": r2, "shift": shift, "scale": scale, "spacing": train.spacing, "V": V}
    found |= {"losses": losses, "coefficients": coefficients}
    return found | ({"verdict": judge(found)} if {"linear", "quadratic"} <= set(losses) else {})


def check_scans(scans: Sequence[Sequence], **counts: int) -> None:
    """Refuse before any work what `investigate` would otherwise find out after minutes.

    Parameters
    ----------
    scans, **counts
        As for `investigate`.

    Raises
    ------
    ValueError, TypeError
        If a scan names no readout, update or latent dimension, or a count is not a positive integer.

    Examples
    --------
    >>> check_scans([["cubic", "linear", [1]]])
    Traceback (most recent call last):
        ...
    ValueError: readout must be one of 'mlp', 'quadratic', 'linear'; got 'cubic'
    """
    for name, value in counts.items():
        _check.integer(name, value)
    for readout, update, dims in scans:
        readouts.get(readout), _check.choice("update", update, distiller.UPDATES)
        for d in dims:
            _check.integer("latent dimension", d)


def laws_of(found: Mapping[str, Any]) -> dict[str, dict[int, Law]]:
    """Rebuild the laws of the best members from what `investigate` found: by scan, then by latent dimension.

    Examples
    --------
    >>> found = {"coefficients": {"linear": {"1": [[[1.0]]]}}, "shift": -0.65, "scale": 0.2, "spacing": 0.4}
    >>> laws_of(found)["linear"][1].trace(-0.5).item()
    1.0
    """
    return {
        scan: {int(d): Law(U, found["shift"], found["scale"], found["spacing"]) for d, U in by_dim.items()}
        for scan, by_dim in found["coefficients"].items()
    }


def margins(law: Law, loss: float, V: np.ndarray) -> dict[str, float]:
    """How much of each of its bounds a law uses up, as a wave of Schrödinger's: it passes with at most 1 everywhere.

    A law of three variables is read at its double angle, where traces are up to four times as sensitive.

    Parameters
    ----------
    law : Law
        Of two variables, or of three.
    loss : float
        What it leaves unexplained, as a share of the variance.
    V : array_like
        Potentials at which it is judged.

    Examples
    --------
    >>> ka = 0.4 * np.sqrt(-2 * np.linspace(-1, -0.3, 29))
    >>> U = np.zeros((3, 2, 2))
    >>> U[:, 0, 0], U[0, 0, 1], U[0, 1, 0] = [1.0, 0.16, 0.0], -1.0, 1.0  # tr T = 1 + 0.16 V, det T = 1
    >>> found = margins(Law(U, 0.0, 1.0, spacing=0.4), 0.001, np.linspace(-1, -0.3, 29))
    >>> found["det"], found["mass"] > 1
    (0.0, True)
    """
    times = 1 if law.coefficients.shape[-1] == 2 else 4
    found = law.dispersion(V)
    used = {"mass": abs(found.mass - 1) / BOUNDS["mass"], "residual": found.residual / (times * BOUNDS["residual"])}
    used["scattering"] = found.scattering / (times * BOUNDS["scattering"])
    used["det"] = np.abs(law.determinant(V) - 1).max() / BOUNDS["det"]
    return {name: float(x) for name, x in (used | {"loss": loss / BOUNDS["loss"]}).items()}


def judge(found: Mapping[str, Any], r2: float | None = None, slack: float = 1.0) -> dict[str, Any]:
    """Decide, by a rule that was fixed before the runs, how many variables a law has and whether it is Schrödinger's.

    The number of variables is the elbow of the linear readout: where the loss falls most, if it is by a factor of 10 at
    least and by 2 at most after that (the loss of no variable at all is 1). Then:

    * *no law*: the translator's R² is below 0.95. Nothing was learned that could be read.
    * *wave function*: that number is 3; the elbow of the quadratic readout is 2; those two leave at most 2 % of the
      density unexplained, and at most 3 times what the three do; the law of the best two turns by k with
      k² = 2m(E − V), a mass within 5 % of 1 and any E, its trace nowhere off by more than 0.005; pairs of potentials
      scatter as they should, to 0.01 (see `Law.dispersion`); its determinant is 1 to 0.02.
    * *wave with current*: the number is 3, it is no wave function, and the best three pass the same tests, their law
      at its double angle, where traces are up to four times as sensitive: 0.02 and 0.04.
    * *another law*: everything else.

    No unit of the density matters. Those of the potential and of the spacing belong together, as everywhere in this
    book: ħ = 1 and the mass is 1, so that a potential s times as large goes with a spacing 1/√s times as long. In other
    units the mass comes out in them, and is not 1.

    Parameters
    ----------
    found : mapping
        From `investigate`, or the same read back from JSON: ``"r2"``, ``"losses"`` of all members and
        ``"coefficients"`` of the best by scan and latent dimension, ``"shift"``, ``"scale"``, ``"spacing"`` and the
        range ``"V"``. Which world it was, and its energy, are not in there.
    r2 : float, optional
        Judge as if the translator had this score.
    slack : float
        What all bounds but that on R² are multiplied by: how near a call was.

    Examples
    --------
    >>> judge({"r2": 0.3})
    {'law': 'no law', 'variables': None}
    """
    if (found["r2"] if r2 is None else r2) < BOUNDS["r2"]:
        return {"law": "no law", "variables": None}
    best = {scan: {int(d): min(losses) for d, losses in by_dim.items()} for scan, by_dim in found["losses"].items()}
    laws, V = laws_of(found), np.linspace(*found["V"], 29)
    variables = evidence.elbow({0: 1.0} | best["linear"])

    def schroedinger(scan: str, latents: int) -> bool:
        used = margins(laws[scan][latents], best[scan][latents], V)
        return all(x <= slack for x in used.values())  # what is not a number does not pass

    kind = "another law"
    if variables == 3:
        two = evidence.elbow(best["quadratic"]) == 2
        two = two and best["quadratic"][2] <= slack * BOUNDS["worse"] * best["linear"][3]
        if two and schroedinger("quadratic", 2):
            kind = "wave function"
        elif schroedinger("linear", 3):
            kind = "wave with current"
    return {"law": kind, "variables": variables}


def classify(law: Law, V: np.ndarray, tolerance: float = 0.1) -> str:
    """Say what a law moves, from its eigenvalues at constant potentials: in any basis, whatever else it holds.

    With k = √(2(E − V)), a law *has a pair at* θ if its eigenvalues nearest to e^{iθ} have arguments whose mean
    distance from θ over `V` is below `tolerance` times the mean θ, and moduli within `tolerance` of 1 at every `V`.

    * ``"wave function"``: a pair at ka and none at 2ka.
    * ``"density"``: a pair at 2ka, none at ka, and at every `V` a real eigenvalue within `tolerance` of 1, which is
      what tells a density from two latents that merely turn twice as fast.
    * ``"other"``: everything else, also a law that has both pairs.

    Spare variables do no harm: three latents may be a wave function and one more number.

    Parameters
    ----------
    law : Law
    V : array_like
        Potentials inside the training range and below the energy, where waves turn. They must differ: at a single
        potential any rotation could be right.
    tolerance : float
        Relative. At 0.1 a rotation by a constant angle, the mean of ka over a range [−1, −0.3] of V, is refused.

    Returns
    -------
    {"wave function", "density", "other"}

    Raises
    ------
    ValueError, TypeError
        If a potential is not below the energy, or the tolerance is not positive.

    Notes
    -----
    Eigenvalues at constant potentials do not see how the eigenvectors turn from one potential to the next, so this is a
    necessary condition: a rotation by ka(V) in a fixed plane passes too. `Law.invariant_form` tells it apart, for
    it conserves a positive form; so do products such as T(V₁)T(V₂)⁻¹.

    Examples
    --------
    >>> leapfrog = Law([[[1, 0.4], [0, 1]], [[0.32, 0], [0.8, 0]]], shift=0, scale=1, spacing=0.4)
    >>> classify(leapfrog, np.linspace(-1, -0.3, 8))
    'wave function'
    >>> classify(Law([np.eye(3)], shift=0, scale=1, spacing=0.4), np.linspace(-1, -0.3, 8))
    'other'
    """
    V, tolerance = _check.array("V", V), _check.positive("tolerance", tolerance)
    if V.max() >= law.energy:
        raise ValueError(f"V must lie below the energy {law.energy}, where waves turn; got {V.max()}")
    values = np.linalg.eigvals(law.transfer_matrix(V))
    ka = law.spacing * np.sqrt(2 * (law.energy - V))

    def pair_at(angle: np.ndarray) -> bool:
        angle = np.abs(np.angle(np.exp(1j * angle)))  # folded like an eigenvalue's
        which = np.argmin(np.abs(values - np.exp(1j * angle)[..., None]), axis=-1)
        near = np.take_along_axis(values, which[..., None], -1)[..., 0]
        off = np.abs(np.abs(np.angle(near)) - angle).mean()
        return off < tolerance * angle.mean() and np.abs(np.abs(near) - 1).max() < tolerance

    wave, density = pair_at(ka), pair_at(2 * ka)
    real_one = np.where(values.imag == 0, np.abs(values - 1), np.inf).min(-1).max() < tolerance
    if wave == density:
        return "other"
    return "wave function" if wave else "density" if real_one else "other"
