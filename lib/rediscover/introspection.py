"""The way through networks: a trained translator, distilled with every readout, and judged on pairs held out."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from . import _check, distiller, readouts
from . import translator as translators
from ._direct import FORMS, Way, at_rest, counted, local, named
from ._problem import Given
from ._training import progress
from .dataset import Dataset
from .distiller import Schedule, Windows
from .law import Law
from .translator import Translator
from .verdict import HUGE, give, judge, net

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


def discover(
    train: Given,
    test: Given,
    prompt: int,
    members: int,
    seed: int,
    spacing: float,
    energy: float | None,
    noise: float,
    training: int,
) -> Way:
    """Take measured pairs through a translator and distillers to laws, and judge these: the long way of `Discovery`.

    The number of variables is read off the distillers. Their best laws come to rest on the densities themselves, by a
    fit of second order, before they are judged as waves.

    Parameters
    ----------
    train, test : Given
        Pictures to learn from, and to judge by.
    prompt : int
        Sites that every picture shows; the translator is told their potentials and densities, and the rest is its task.
    members, seed : int
        Trainings side by side, and the seed of everything.
    spacing, energy, noise : float
        See `verdict.give`.
    training : int
        Gradient steps of the translator; a population takes two thirds of them.

    Raises
    ------
    ValueError
        If too few pictures are complete.

    Examples
    --------
    >>> from rediscover import dataset
    >>> from rediscover._problem import Given
    >>> data = dataset.simulate(70, sites=12)
    >>> given = Given.of(data.potential, data.density)
    >>> way = discover(given.take(slice(0, 50)), given.take(slice(50, 70)), 0, 2, 0, 0.4, None, 0.0, training=3)
    >>> list(way.history)[0]
    'translator'
    """
    learn, check = (_rectangle(given, prompt, spacing) for given in (train, test))
    steps = max(1, 2 * training // 3)
    population = {"length": min(32, learn.potential.shape[1] - 4), "known": 0}
    schedule = Schedule(steps=steps, rate=6e-3, growth=0.4, batch=256)
    batch = min(256, len(learn))
    epochs = max(1, round(training * batch / len(learn)))
    forms, losses, starts, history = {}, {}, {}, {}
    with tempfile.TemporaryDirectory() as folder, progress(total=8, leave=False) as bar:
        bar.set_description("translator")
        gru = translators.train(learn, epochs=epochs, batch=batch, seed=seed, folder=folder)
        bar.update()
        history["translator"] = gru.artifact.arrays["loss"].tolist()
        missed = net(1 - gru.score(check.potential, check.density, check.initial), noise)
        of = distiller.identity(gru, learn)
        for readout, dims in FORMS.items():
            near, far = (
                Windows.of(gru, data.potential, readout, initial=data.initial, **population) for data in (learn, check)
            )
            for d in dims:
                bar.set_description(f"{d} latents, {readout} readout")
                found = distiller.train(near, of, d, members, readout, schedule, seed, folder)
                bar.update()
                loss = found.member_losses(far)
                starts.setdefault(readout, {})[d] = np.minimum(loss, HUGE).tolist()
                losses.setdefault(readout, {})[d] = min(float(loss.min()), HUGE) + missed
                history[f"{readout}, {d}"] = found.artifact.arrays["loss"].tolist()
                forms[readout, d] = Law.from_distiller(found, int(np.argmin(loss)), gru, learn)
    site = local(train, test)

    @cache
    def law(readout: str, d: int) -> Law:
        return at_rest(forms[readout, d], train, prompt > 0, spacing, energy)

    said = give(losses, law, net(site["loss"], noise))
    return Way(said, *named(said, losses, law), counted(starts, losses), site, history)


def _rectangle(given: Given, prompt: int, spacing: float) -> Dataset:
    """Complete pictures, cut to one length, as networks want them; what the first sites show is told."""
    lengths = given.seen.sum(1)
    whole = given.seen[np.arange(len(given)), np.maximum(lengths - 1, 0)]  # no gap before the end
    sites = int(np.median(lengths[whole])) if whole.any() else 0
    rows = whole & (lengths >= sites)
    if rows.sum() < 20:
        raise ValueError(
            f'method must be "direct" where most pictures have gaps: networks need complete ones; {rows.sum()} are left'
        )
    V, rho = given.potential[rows, :sites], given.density[rows, :sites]
    told = None if given.initial is None else given.initial[rows]
    if prompt:
        told = np.concatenate([rho[:, :prompt], V[:, :prompt]], axis=1)
    return Dataset(V[:, prompt:], rho[:, prompt:], spacing, None, {}, told)
