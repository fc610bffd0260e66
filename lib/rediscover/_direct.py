"""The way without networks: laws of every form fitted to measured pairs, the order chosen by what was held out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from . import _fitting, evidence
from ._fitting import Fit
from ._problem import Given, Problem
from ._training import progress
from .dataset import Scaling
from .law import Law
from .verdict import HUGE, Verdict, give

#: What is tried: latent dimensions by readout. A verdict needs these.
FORMS = {"quadratic": (1, 2, 3), "linear": (1, 2, 3, 4)}
ORDERS = (2, 3, 4)
SEARCHED = 300  # chains that random laws are tried on
RACED = 120  # stretches on which most of them are left behind
PIECE = 20  # sites of a stretch on which a law is looked for
JUDGED = 1000  # held-out chains on which forms and orders are compared


@dataclass(frozen=True)
class Found:
    """The best law of one form: where its fit stands, its held-out loss, and the losses of all starts."""

    problem: Problem
    fit: Fit
    loss: float
    starts: list[float]


@dataclass(frozen=True)
class Way:
    """What one of the two ways, through networks or without, has led to; see `discovery.Discovery` for the names."""

    verdict: Verdict
    law: Law | None
    best: Law | None
    variables: dict
    local: dict
    history: dict = field(default_factory=dict)


def discover(
    train: Given,
    test: Given,
    prompt: int,
    tries: int,
    seed: int,
    spacing: float,
    energy: float | None,
    noise: float,
) -> Way:
    """Search, decide, and bring the law that the verdict names to rest on all pictures to learn from."""
    with progress(total=sum(map(len, FORMS.values())), leave=False) as bar:

        def step(name: str) -> None:
            bar.set_description(name)
            bar.update()

        forms = search(train, test, prompt > 0, 2 * tries, seed, step)
    losses = {readout: {d: forms[readout, d].loss for d in dims} for readout, dims in FORMS.items()}
    site = local(train, test)

    @cache
    def law(readout: str, d: int) -> Law:
        return settle(forms[readout, d], train, spacing, energy)

    verdict = give(losses, law, site["loss"], noise)
    history = {f"{readout}, {d}": np.minimum(found.fit.path, HUGE).tolist() for (readout, d), found in forms.items()}
    starts = {readout: {d: forms[readout, d].starts for d in dims} for readout, dims in FORMS.items()}
    return Way(verdict, *named(verdict, losses, law), counted(starts, losses), site, history)


def named(
    verdict: Verdict, losses: Mapping[str, Mapping[int, float]], law: Callable[[str, int], Law]
) -> tuple[Law | None, Law]:
    """The law that a verdict names, if it names one, and the best there is."""
    best = law(*min(((readout, d) for readout, by in losses.items() for d in by), key=lambda f: losses[f[0]][f[1]]))
    forms = {"one wave": ("quadratic", 2), "density": ("linear", 3)}
    if verdict.kind in ("no law", "local, no memory"):
        return None, best
    return law(*forms.get(verdict.kind, ("linear", verdict.variables))), best


def counted(starts: dict, losses: dict) -> dict:
    """Losses by readout and number of variables, with the elbow of those on held-out pictures."""
    out = {}
    for readout, by in losses.items():
        elbow = evidence.elbow({0: 1.0} | {d: max(loss, 1e-300) for d, loss in by.items()})
        out[readout] = {"losses": starts[readout], "held_out": by, "elbow": elbow}
    return out


def held_out(problem: Problem, x: np.ndarray, given: Given) -> float:
    """Share of the variance of held-out chains that a law leaves; what their own starts took is made up for."""
    chains = problem.chains(given)
    loss = min(_fitting.cost(problem.shape, x, chains) / chains.total, HUGE)
    if problem.shape.start != "own":
        return loss
    measured = (chains.weight > 0).sum(0)
    return loss * float(measured.sum() / np.maximum(measured - problem.shape.own_numbers, 0.5).sum())


def search(
    train: Given, test: Given, own: bool, tries: int, seed: int, step: Callable[[str], None] = lambda name: None
) -> dict[tuple[str, int], Found]:
    """Fit laws of every form to some of the chains: by (readout, latent dimension).

    Where chains start alike, or their starts are told, the law is first looked for as if every chain had a start of its
    own, which hardly ever fails; the start is then what these have in common. Random laws that start alike race with
    it.
    """
    few, test = train.take(slice(0, SEARCHED)), test.take(slice(0, JUDGED))
    out = {}
    for readout, dims in FORMS.items():
        for d in dims:
            step(f"{d} latents, {readout} readout")
            out[readout, d] = _of_form(few, test, readout, d, own, tries, seed)
    return out


def _of_form(few: Given, test: Given, readout: str, d: int, own: bool, tries: int, seed: int) -> Found:
    form = {"latent_dim": d, "readout": readout, "order": ORDERS[0]}
    free = replace(few, initial=None)
    loose = Problem.of(free, own=True, pure=False, **form)
    whole = loose.chains(free)
    chains = whole.pieces(PIECE)
    fits = _fitting.race(loose.shape, chains, RACED, tries, seed)
    starts = [min(fit.loss, HUGE) for fit in fits]
    problem = Problem.of(few, own=own, **form)
    target = problem.chains(few)
    # as the states at the left ends are restricted, or have something in common, so is the law
    fits = [_fitting.descend(_restricted(problem, fit, whole, target), target, gain=_fitting.ROUGH) for fit in fits[:2]]
    if not own:
        rng = np.random.default_rng([seed, d])
        fits += [_fitting.climb(problem.shape, problem.shape.first(rng), target, 20, _fitting.ROUGH) for _ in range(2)]
    best = _better(problem, _fitting.descend(min(fits), target), few, test)
    for order in ORDERS[1:]:
        larger = Problem.of(few, own=own, **(form | {"order": order}))
        grown = Fit(larger.shape, _grown(best.problem, larger, best.fit.x), np.inf, best.fit.path)
        found = _better(larger, _fitting.descend(grown, larger.chains(few)), few, test)
        if not found.loss < 0.98 * best.loss:
            break
        best = found
    return replace(best, starts=sorted(starts))


def _better(problem: Problem, fit: Fit, few: Given, test: Given) -> Found:
    return Found(problem, fit, held_out(problem, fit.x, test), [])


def _restricted(problem: Problem, fit: Fit, chains: _fitting.Chains, target: _fitting.Chains) -> Fit:
    """Begin where a law with free starts has come to: with starts that are told, or alike, or of one set of latents."""
    shape, parts = problem.shape, np.split(fit.x, [sum(fit.shape.sizes[:2])])[0]
    if shape.start == "own":
        return Fit(shape, parts, np.inf, fit.path)
    if shape.start == "told":
        states = _fitting.starts_of(fit.shape, parts, chains)
        start = np.linalg.lstsq(target.told.T, states.T, rcond=None)[0].T
    else:
        start = _fitting.common_start(shape, parts, chains)
    return Fit(shape, np.concatenate([parts, start.ravel()]), np.inf, fit.path)


def _grown(small: Problem, large: Problem, x: np.ndarray) -> np.ndarray:
    """The same law with terms of a higher order, which are zero."""
    U, q, start = small.shape.unpack(x)
    where = {tuple(row): n for n, row in enumerate(large.powers)}
    out = np.zeros((large.shape.terms, *U.shape[1:]))
    for row, matrix in zip(small.powers, U, strict=True):
        out[where[tuple(row)]] = matrix
    return np.concatenate([out.ravel(), q, start.ravel()])


def settle(found: Found, train: Given, spacing: float, energy: float | None) -> Law:
    """Bring a law to rest on all chains, in the units of the data."""
    problem = replace(found.problem, span=train.span)
    chains = problem.chains(train)
    fit = _fitting.descend(found.fit, chains, 30, 1e-6)
    return Law(spacing=spacing, energy=energy, **problem.solution(fit, chains)).upright()


def at_rest(law: Law, train: Given, own: bool, spacing: float, energy: float | None) -> Law:
    """Bring a law that was found elsewhere to rest on densities, with the starts that these chains have."""
    form = {"latent_dim": law.latent_dim, "readout": "quadratic" if law.readout.ndim == 2 else "linear", "order": 2}
    at = {"potential": Scaling(law.shift, law.scale)}  # where its coefficients belong
    free = replace(train, initial=None)
    loose = replace(Problem.of(free, own=True, pure=False, **form), **at)
    chains = loose.chains(free)
    fit = _fitting.descend(Fit(loose.shape, loose.unknowns(law, chains), np.inf), chains, 40, 1e-5)
    problem = replace(Problem.of(train, own=own, **form), **at)
    target = problem.chains(train)
    return settle(Found(problem, _restricted(problem, fit, chains, target), np.inf, []), train, spacing, energy)


def local(train: Given, test: Given, degree: int = 8) -> dict:
    """The density as a polynomial of the potential at its site (and of labels), with its held-out loss."""
    labels = train.constants
    site = dict(zip(("low", "high"), train.span, strict=True)) | {"degree": degree}
    if labels is not None:
        site |= {"centre": labels.mean(0).tolist(), "spread": np.where(labels.std(0) > 0, labels.std(0), 1).tolist()}
    w = train.weight[train.seen]
    columns = _site_terms(site, train.potential, labels)[train.seen]
    site["weights"] = np.linalg.lstsq(columns * w[:, None], train.density[train.seen] * w, rcond=None)[0].tolist()
    rest = (local_density(site, test.potential, test.constants) - test.density) * test.weight
    return site | {"loss": min(float(np.sum(rest**2) / test.total), HUGE)}


def local_density(site: dict, V: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Densities in potentials (n, sites) that look at no other site."""
    return _site_terms(site, V, labels) @ np.array(site["weights"])


def _site_terms(site: dict, V: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    x = np.clip((2 * V - site["low"] - site["high"]) / (site["high"] - site["low"]), -1, 1)
    columns = np.polynomial.chebyshev.chebvander(x, site["degree"])
    if labels is None:
        return columns
    c = (labels - np.array(site["centre"])) / np.array(site["spread"])
    return np.concatenate([columns] + [columns * part[:, None, None] for part in (*c.T, *(c**2).T)], axis=-1)
