"""What may be said of a law that was found, by rules that were fixed before it was.

Four questions, four answers, and no others:

==================  ==================================  ============================================================
question            asked of                            answered by
==================  ==================================  ============================================================
which wave is it    one law, of any energy              `law.Law.dispersion`, with numbers and no decision; `margins`
most like?                                              puts them in units of their bounds
what does it move?  one law, of a known energy          `classify`: a wave function, a density, or neither
what was found?     losses and laws of all dimensions,  `judge`: the **verdict** on a world in the units of this book
                    of unknown energy
the same            somebody's data in any units        `give`: the **verdict** of `discovery.Discovery`
==================  ==================================  ============================================================

Whether a number of this book lies in the band that a chapter had fixed for it is another matter, and stands in the
ledger of claims.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _check, evidence
from .law import Dispersion, Law

#: Within what a law must be Schrödinger's: see `judge`.
BOUNDS = {"r2": 0.95, "det": 0.02, "mass": 0.05, "residual": 0.005, "worse": 3.0, "loss": 0.02, "scattering": 0.01}


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
    >>> leapfrog = Law([[[1, 0.4], [0, 1]], [[0.32, 0], [0.8, 0]]], shift=0, scale=1, spacing=0.4, energy=0)
    >>> classify(leapfrog, np.linspace(-1, -0.3, 8))
    'wave function'
    >>> classify(Law([np.eye(3)], shift=0, scale=1, spacing=0.4, energy=0), np.linspace(-1, -0.3, 8))
    'other'
    """
    V, tolerance = _check.array("V", V), _check.positive("tolerance", tolerance)
    energy = law.known_energy()
    if V.max() >= energy:
        raise ValueError(f"V must lie below the energy {energy}, where waves turn; got {V.max()}")
    values = np.linalg.eigvals(law.transfer_matrix(V))
    ka = law.spacing * np.sqrt(2 * (energy - V))

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


#: Within what a law of somebody's data must be a wave: see `give`. Traces are in units of their range.
LIMITS = {"unexplained": 0.05, "worse": 3.0, "residual": 0.03, "scattering": 0.06, "determinant": 0.1, "local": 2.0}
HUGE = 1e9
NEGLIGIBLE = 1e-4  # share of the variance that is nothing beside noise, and all that an order leaves out


@dataclass(frozen=True)
class Limit:
    """A number that a verdict rests on, and how far it might go.

    Examples
    --------
    >>> round(Limit("unexplained", 0.01, 0.05).share, 9), Limit("unexplained", 0.06, 0.05).passes
    (0.2, False)
    """

    name: str
    value: float
    limit: float

    @property
    def share(self) -> float:
        """The value over its limit: at most 1 passes."""
        return self.value / self.limit

    @property
    def passes(self) -> bool:
        """Whether the value keeps within its limit; what is no number does not."""
        return bool(self.value <= self.limit)


@dataclass(frozen=True)
class Verdict:
    """What was found in somebody's data.

    Attributes
    ----------
    kind : str
        "one wave", "density", "local, no memory", "a law of d variables" with a number for d, or "no law".
    variables : int or None
        How many variables a linear readout needs.
    because : str
        The reason, in a sentence.
    limits : tuple of Limit
        The numbers that it rests on.
    change : str
        What would change it, in a sentence.
    wave : Dispersion or None
        Mass and energy with their errors, for a wave or a density.

    Examples
    --------
    >>> print(Verdict("no law", None, "nothing follows.", (Limit("unexplained", 1.0, 0.05),), "Other data."))
    no law: nothing follows.
    nearest to its limit: unexplained 1 (limit 0.05)
    Other data.
    """

    kind: str
    variables: int | None
    because: str
    limits: tuple[Limit, ...]
    change: str
    wave: Dispersion | None = None

    def __str__(self) -> str:
        near = max(self.limits, key=lambda limit: limit.share)
        lines = [f"{self.kind}: {self.because}", str(self.wave) if self.wave else ""]
        lines.append(f"nearest to its limit: {near.name} {near.value:.3g} (limit {near.limit:g})")
        return "\n".join(filter(None, [*lines, "" if self.wave else self.change]))


def give(
    losses: Mapping[str, Mapping[int, float]], law: Callable[[str, int], Law], local: float, noise: float = 0.0
) -> Verdict:
    """Decide what was found, in any units, of an unknown energy and mass.

    The number of variables is the elbow of the linear readout, as for `judge`. Then, in this order:

    * *no law*: the best law leaves more than 5 % of the density unexplained, and so do the potentials at each site
      alone.
    * *local, no memory*: the potential at a site explains its density within a factor of two as well as any law.
    * *one wave*: two latents with a quadratic readout are enough, leave at most 3 times what three with a linear one
      do, and move like a wave of some mass and energy: the trace follows 2 cos ka to 3 % of its range, pairs of
      potentials scatter as they should to 6 %, and the determinant is 1 to 10 % of that range.
    * *density*: the same of three latents with a linear readout, where two with a quadratic one fail.
    * *a law of d variables*: everything else; d is the elbow, or else the least that leaves twice what the best does.

    Parameters
    ----------
    losses : mapping
        Smallest held-out loss by readout, "quadratic" and "linear", and latent dimension.
    law : callable
        Gives the law of a readout and a latent dimension; asked for two latents with a quadratic readout, and for three
        with a linear one, if it comes to that.
    local : float
        Held-out loss of the density as a function of the potential at its own site.
    noise : float
        Share of the variance that is known to be noise, and taken off all losses.

    Examples
    --------
    >>> losses = {"quadratic": {1: 0.9, 2: 0.8, 3: 0.8}, "linear": {1: 0.9, 2: 0.8, 3: 0.8, 4: 0.8}}
    >>> give(losses, law=None, local=1.0).kind
    'no law'
    """
    found = {readout: {d: net(loss, noise) for d, loss in by.items()} for readout, by in losses.items()}
    local, linear, quadratic = net(local, noise), found["linear"], found["quadratic"]
    best = min(min(by.values()) for by in found.values())
    unexplained = Limit("unexplained", min(best, local), LIMITS["unexplained"])
    if not unexplained.passes:
        return Verdict(
            "no law",
            None,
            f"the best law leaves {best:.0%} of the density unexplained, which is not to say that there is none.",
            (unexplained,),
            "More or cleaner pictures, or chains that start alike or show how they start (`prompt`), help.",
        )
    memory = Limit("local over best law", (local + NEGLIGIBLE) / (best + NEGLIGIBLE), LIMITS["local"])
    if memory.passes and local <= LIMITS["unexplained"]:
        return Verdict(
            "local, no memory",
            1,
            f"the potential at a site explains all but {local:.2%} of the density there; the sites before add nothing.",
            (Limit("unexplained", local, LIMITS["unexplained"]), memory),
            "A finer camera might see what neighbouring sites do to each other.",
        )
    variables = evidence.elbow({0: 1.0} | {d: max(loss, 1e-300) for d, loss in linear.items()})
    if variables is None:
        variables = min(d for d, loss in linear.items() if loss <= 2 * min(linear.values()) + NEGLIGIBLE)
    short, fewer = {}, min(linear[1], linear[2], quadratic[1])  # numbers, which must not do
    for kind, readout, d, rivals in (
        ("one wave", "quadratic", 2, min(loss for d, loss in linear.items() if d <= 3)),
        ("density", "linear", 3, best),
    ):
        loss = found[readout][d]
        limits = [Limit("unexplained", loss, LIMITS["unexplained"])]
        limits.append(Limit("over its rivals", (loss + NEGLIGIBLE) / (rivals + NEGLIGIBLE), LIMITS["worse"]))
        limits.append(Limit("over fewer variables", 10 * loss / max(fewer, 1e-300), 1.0))
        which = law(readout, d)
        wave = which.dispersion()
        limits += _of_wave(which, wave)
        if all(limit.passes for limit in limits):
            because = (
                "two numbers move from site to site, and their square is the density, as for a wave function."
                if kind == "one wave"
                else "three numbers move as the density of a wave does; two whose square it is do not suffice."
            )
            far = max(limits, key=lambda limit: limit.share)
            change = f"Nearest to its limit is “{far.name}”: {far.value:.3g} of {far.limit:g} would be too much."
            return Verdict(kind, 3, because, tuple(limits), change, wave)
        short[kind] = max(limits, key=lambda limit: limit.share if limit.share == limit.share else np.inf)
    fault = short["one wave" if variables == 3 else "density"]
    left = min(linear[variables], best)
    return Verdict(
        f"a law of {variables} variable{'s' if variables > 1 else ''}",
        variables,
        f"{variables} leave {left:.2%} of the density unexplained, and do not move like a wave.",
        (unexplained, memory, fault),
        f"It would be a wave but for “{fault.name}”: {fault.value:.3g}, where {fault.limit:g} is allowed.",
    )


def net(loss: float, noise: float) -> float:
    """What a loss leaves beside noise, as a share of what is not noise.

    Examples
    --------
    >>> net(0.2, noise=0.1), net(0.05, noise=0.1)
    (0.11111111111111112, 0.0)
    """
    return max(float(loss) - noise, 0.0) / max(1 - noise, 1e-12)


def _of_wave(law: Law, wave: Dispersion) -> list[Limit]:
    V = np.linspace(*law.span, 29)
    reach = max(float(np.ptp(law.trace(V))), 1e-300)
    values = {
        "residual": wave.residual / reach if wave.mass > 0 else np.inf,
        "scattering": wave.scattering / reach,
        "determinant": float(np.abs(law.determinant(V) - 1).max()) / reach,
    }
    # what ran away, or is no number, is as far off as can be; JSON has no infinity
    finite = {name: float(np.nan_to_num(value, nan=HUGE, posinf=HUGE)) for name, value in values.items()}
    return [Limit(name, min(value, HUGE), LIMITS[name]) for name, value in finite.items()]
