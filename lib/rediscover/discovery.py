"""The front: from measured pairs to a law with errors, a verdict and a report.

`Discovery` keeps to scikit-learn's conventions. What it says of a law, and by which rules, stands in `verdict`; the way
without networks in `law.Law.fit`, that through networks in `introspection`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit
from sklearn.utils.validation import check_is_fitted

from . import _check, _direct, store
from ._fitting import variation
from ._problem import Given, Problem, padded, table, unpadded
from .law import Dispersion, Law
from .verdict import Limit, Verdict

METHODS = ("introspect", "direct")
LEAST = {"pictures": 50, "sites": 12, "prompt": 6}  # with fewer nothing could be held out, or told from chance
SMOOTH = 0.02  # neighbouring sites that differ by less, as a share of the variance, let a slow impostor pass for a law
GROWTH = 20.0  # a density this many times larger at the end of the chains than at their beginning hides what is before


class Discovery(BaseEstimator):
    """Find the law behind measured pairs of potential and density, and say what it is.

    Parameters
    ----------
    method : {"introspect", "direct"}
        Through networks, as in this book: a translator, distillers, the laws in them (minutes; needs TensorFlow). Or by
        fits of second order to the densities themselves (seconds), which the former reports beside it.
    members : int
        Trainings side by side for each number of variables; random laws to begin with for a direct fit.
    prompt : int
        0 if all chains start alike, or `initial` tells how. Else every picture shows its first `prompt` sites, at least
        6, and the rest is to be continued.
    held_out : float
        Share of the pictures that the verdict rests on; the law is found without them.
    training : int
        Gradient steps of the translator. The distillers take two thirds as many.
    random_state : int, RandomState or None
        Of the split and of everything random.

    Attributes
    ----------
    law_ : Law or None
        The law that the verdict names.
    verdict_ : Verdict
    n_variables_ : dict
        By readout: ``"losses"`` of all starts or members by number of variables, ``"held_out"``, the best law's loss on
        pictures that it never saw, and the ``"elbow"`` of the latter.
    given_ : list of (str, str)
        What was given and what was assumed, for people.
    history_ : dict
        Losses as they fell, by name.
    held_out_ : dict
        Potentials, densities and predictions of the pictures held out, and the loss of each.
    local_loss_ : float
        Share of the held-out variance that the potential at a site leaves by itself.
    beside_ : Verdict or None
        What a direct fit says, where the law came through networks.

    Examples
    --------
    >>> from rediscover.dataset import simulate
    >>> data = simulate(100, sites=16)
    >>> found = Discovery("direct", members=2, random_state=0).fit(data.potential, data.density, spacing=0.4)
    >>> found.verdict_.kind, str(found.verdict_.wave)[:5]
    ('one wave', 'm = 1')
    """

    def __init__(self, method="introspect", members=8, prompt=0, held_out=0.2, training=6000, random_state=None):
        self.method = method
        self.members = members
        self.prompt = prompt
        self.held_out = held_out
        self.training = training
        self.random_state = random_state

    def fit(
        self,
        potential: np.ndarray | Sequence,
        density: np.ndarray | Sequence,
        spacing: float | None = None,
        *,
        energy: float | None = None,
        labels: np.ndarray | None = None,
        initial: np.ndarray | None = None,
        sigma: np.ndarray | float | None = None,
        groups: np.ndarray | None = None,
        mask: np.ndarray | Sequence | None = None,
    ) -> Discovery:
        """Find the law of measured pairs.

        Parameters
        ----------
        potential, density : array_like
            Shape (n, sites), or n chains of different lengths, in any units; density at the right edge of every site.
        spacing : float, optional
            Length of a site. Without, lengths are in sites.
        energy : float, optional
            Of the states, if it is known; it is compared, never used.
        labels : array_like, optional
            Numbers on every picture that may drive the law, shape (n,) or (n, numbers).
        initial : array_like, optional
            What is told of the left end of each chain, shape (n, numbers).
        sigma : array_like or float, optional
            Standard deviation of the density.
        groups : array_like, optional
            Pictures of one group, a day of measurements, say, are held out together or not at all; shape (n,).
        mask : array_like of bool, optional
            True where the density is missing.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit, or data are too few for a verdict; before anything is fitted.

        Warns
        -----
        UserWarning
            If potentials hardly differ from site to site, or the density explodes along the chains.
        """
        self._check()
        given = Given.of(potential, density, initial=initial, constants=labels, sigma=sigma, mask=mask)
        spacing_ = 1.0 if spacing is None else _check.positive("spacing", spacing)
        if energy is not None:
            _check.number("energy", energy)
        if self.method == "introspect" and labels is not None:
            raise ValueError('method must be "direct" for laws that labels drive; got "introspect"')
        self._look(given)
        lines = self._say(given, spacing, energy, sigma, mask)
        seed = self._seed()
        train, test = self._split(given, groups, seed)
        for old in [name for name in vars(self) if name.endswith("_") and not name.startswith("_")]:
            delattr(self, old)  # nothing of an earlier fit stays if this one fails
        self.spacing_, self.given_ = spacing_, lines
        noise = 0.0 if sigma is None else float(test.seen.sum() / test.total)
        asked = (train, test, self.prompt, self.members, seed, spacing_, energy, noise)
        direct = _direct.discover(*asked)
        found, self.beside_ = direct, None
        if self.method == "introspect":
            introspection = import_module("rediscover.introspection")  # brings in TensorFlow
            found = introspection.discover(*asked, self.training)
            self.beside_ = direct.verdict
        self.verdict_, self.law_, self.n_variables_ = found.verdict, found.law, found.variables
        self.history_, self._best, self._local = found.history, found.best, found.local
        self.local_loss_, self.held_out_ = self._local["loss"], self._predict_held_out(test)
        return self

    def predict(
        self,
        potential: np.ndarray | Sequence,
        *,
        initial: np.ndarray | None = None,
        prompt: np.ndarray | Sequence | None = None,
        labels: np.ndarray | None = None,
    ) -> np.ndarray | list[np.ndarray]:
        """Densities in potentials (n, sites), or in n chains of different lengths, in the units that were given.

        Parameters
        ----------
        potential : array_like
        initial, labels : array_like, optional
            As in `fit`, if they were given there.
        prompt : array_like, optional
            Densities of the first sites of each chain, shape (n, prompt), if chains start in their own ways.

        Raises
        ------
        ValueError, TypeError
            If something that was given in `fit` is missing here, or the other way round.

        Notes
        -----
        If the verdict is "no law", what comes back is the guess of the best law there was.
        """
        check_is_fitted(self, "verdict_")
        V, lengths = padded("potential", potential)
        if self.verdict_.kind == "local, no memory":
            rho = _direct.local_density(self._local, V, None if labels is None else table("labels", labels, len(V)))
        else:
            law = self.law_ or self._best
            start = initial
            if law.start is None:
                if prompt is None:
                    raise ValueError(
                        "prompt must be given: every chain starts in its own way. Show the densities of its first sites"
                    )
                shown, _ = padded("prompt", prompt)
                if len(shown) != len(V) or shown.shape[1] > V.shape[1]:
                    raise ValueError(
                        f"prompt must have {len(V)} rows, and no more sites than potential; got {shown.shape}"
                    )
                start = law.start_from(V[:, : shown.shape[1]], shown, constants=labels)
            rho = law.predict(V, start, labels)
        return unpadded(rho, lengths)

    def score(
        self,
        potential: np.ndarray | Sequence,
        density: np.ndarray | Sequence,
        *,
        initial: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        mask: np.ndarray | Sequence | None = None,
    ) -> float:
        """Coefficient of determination R² of the density, all sites pooled that were not shown as a prompt."""
        check_is_fitted(self, "verdict_")
        given = Given.of(potential, density, initial=initial, constants=labels, mask=mask)
        shown = given.density[:, : self.prompt] if self.prompt else None
        found = self.predict(given.potential, initial=initial, prompt=shown, labels=labels)
        w = given.weight.copy()
        w[:, : self.prompt] = 0
        return 1 - float(np.sum(w * (found - given.density) ** 2)) / variation(given.density, w)

    def report(self, path: Path | str) -> Path:
        """Write one HTML page that holds everything: what was given and assumed, what was found, and how well it fits.

        It needs no other file and no network, and holds no script.
        """
        check_is_fitted(self, "verdict_")
        return import_module("rediscover._report").write(self, Path(path))  # brings in Matplotlib

    def save(self, path: Path | str) -> Path:
        """Write the verdict, the law and all numbers beside them to one npz file, complete or not at all."""
        check_is_fitted(self, "verdict_")
        text = {
            "format": "rediscover.discovery",
            "version": 1,
            "parameters": self.get_params(),
            "verdict": asdict(self.verdict_),
            "beside": None if self.beside_ is None else asdict(self.beside_),
            "law": self.law_ and self.law_.as_dict(),
            "best": self._best and self._best.as_dict(),
            "local": self._local,
            "n_variables": self.n_variables_,
            "history": self.history_,
            "given": self.given_,
            "spacing": self.spacing_,
        }
        path = Path(path)
        with store.atomic_write(path) as file:
            np.savez_compressed(file, discovery=store.to_json(text, "the discovery"))
        return path

    @classmethod
    def load(cls, path: Path | str) -> Discovery:
        """Read what `save` wrote; the pictures that were held out are not in it.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is damaged or no saved discovery.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                text = json.loads(str(file["discovery"]))
            if (text["format"], text["version"]) != ("rediscover.discovery", 1):
                raise ValueError(f"its format is {text['format']!r}, version {text['version']!r}")
            found = cls(**text["parameters"])
            found.verdict_, found.beside_ = (_verdict(text[name]) for name in ("verdict", "beside"))
            found.law_, found._best = (text[name] and Law.from_dict(text[name]) for name in ("law", "best"))
            found.local_loss_, found._local = text["local"]["loss"], text["local"]
            found.given_ = [tuple(line) for line in text["given"]]
            found.n_variables_ = {
                readout: by | {name: {int(d): x for d, x in by[name].items()} for name in ("losses", "held_out")}
                for readout, by in text["n_variables"].items()
            }
            found.history_, found.spacing_ = text["history"], text["spacing"]
        except (EOFError, KeyError, TypeError, ValueError, OSError) as problem:
            if isinstance(problem, FileNotFoundError):
                raise
            raise ValueError(f"{path} is damaged or not a saved Discovery: {problem}") from problem
        return found

    def _check(self) -> None:
        _check.choice("method", self.method, METHODS)
        for name in ("members", "training"):
            _check.integer(name, getattr(self, name))
        if _check.integer("prompt", self.prompt, 0) and self.prompt < LEAST["prompt"]:
            raise ValueError(
                f"prompt must be 0, or at least {LEAST['prompt']} sites, to tell a start from noise; got {self.prompt}"
            )
        if not 0 < _check.number("held_out", self.held_out) < 1:
            raise ValueError(f"held_out must lie between 0 and 1; got {self.held_out!r}")

    def _seed(self) -> int:
        state = self.random_state
        if state is None or isinstance(state, np.random.RandomState):
            draw = np.random.default_rng() if state is None else state
            return int((draw.integers if state is None else draw.randint)(0, 2**31 - 1))
        return _check.integer("random_state", state, 0)

    def _look(self, given: Given) -> None:
        """Refuse, or warn of, data from which no law can be had, before anything is fitted."""
        Problem.of(given)
        n, sites = len(given), int(given.seen.sum(1).max())
        if n < LEAST["pictures"]:
            raise ValueError(f"potential must hold at least {LEAST['pictures']} pictures to find a law; got {n}")
        if sites < LEAST["sites"] + self.prompt:
            raise ValueError(
                f"potential must have at least {LEAST['sites'] + self.prompt} sites in a picture"
                f"{' beside its prompt' if self.prompt else ''}, or nothing is left to follow; got {sites}"
            )
        if self.prompt and given.initial is not None:
            raise ValueError("initial must not be given where pictures show how they start; set prompt=0 to use it")
        V = np.where(given.seen, given.potential, np.nan)
        step, spread = np.nanmean(np.diff(V, axis=1) ** 2) / 2, np.nanvar(V)
        if step < SMOOTH * spread:
            warnings.warn(
                f"potentials hardly differ from one site to the next ({step / spread:.1%} of their variance, and"
                f" {SMOOTH:.0%} would be needed): a state that only follows the potential may pass for a law. Rougher"
                " potentials, or longer sites, tell them apart.",
                stacklevel=3,
            )
        third = max(sites // 3, 1)
        size = np.sqrt(np.nanmean(np.where(given.seen, given.density, np.nan) ** 2, axis=0))
        growth = np.nanmean(size[-third:]) / np.nanmean(size[:third])
        if growth > GROWTH:
            warnings.warn(
                f"the density grows {growth:.0f}-fold along the chains, so"
                " that its last sites count for nearly everything. Shorter chains, or potentials that stay below the"
                " energy, would say more.",
                stacklevel=3,
            )

    def _say(self, given: Given, spacing, energy, sigma, mask) -> list[tuple[str, str]]:
        lengths = given.seen.sum(1)
        sites = f"{lengths.max()}" if lengths.min() == lengths.max() else f"{lengths.min()} to {lengths.max()}"
        V, rho = given.potential[given.seen], given.density[given.seen]
        told = "all alike" if given.initial is None else f"told, by {given.initial.shape[1]} numbers"
        starts = f"its own for every chain, shown by the first {self.prompt} sites" if self.prompt else told
        lines = [
            ("pictures", f"{len(given)}, of {sites} sites"),
            ("potential", f"from {V.min():.6g} to {V.max():.6g}, in units of your own"),
            ("density", f"from {rho.min():.6g} to {rho.max():.6g}, at the right edge of every site"),
            ("spacing", "1 site: none was given, so lengths are in sites" if spacing is None else f"{spacing:.6g}"),
            ("energy", "not given; a wave's is fitted" if energy is None else f"{energy:.6g}, compared, not used"),
            ("start", starts),
            ("errors of the density", "unknown, taken as equal" if sigma is None else "given, pictures weigh by them"),
        ]
        if given.constants is not None:
            lines.append(("labels", f"{given.constants.shape[1]} on every picture, which may drive the law"))
        if mask is not None:
            lines.append(("missing", f"{int((~given.seen).sum())} sites have no density"))
        return [*lines, ("held out", f"{self.held_out:.0%} of the pictures, on which the verdict rests")]

    def _split(self, given: Given, groups, seed: int) -> tuple[Given, Given]:
        rows = np.arange(len(given))
        if groups is None:
            kind = ShuffleSplit(1, test_size=self.held_out, random_state=seed)
        else:
            groups = np.asarray(groups)
            if groups.shape != (len(given),):
                raise ValueError(f"groups must have one entry for each of {len(given)} pictures; got {groups.shape}")
            if len(np.unique(groups)) < 2:
                raise ValueError("groups must be at least two, one to learn from and one to hold out; got 1")
            kind = GroupShuffleSplit(1, test_size=self.held_out, random_state=seed)
        train, test = next(kind.split(rows, groups=groups))
        return given.take(train), given.take(test)

    def _predict_held_out(self, test: Given) -> dict:
        lengths = [int(np.flatnonzero(row).max()) + 1 for row in test.seen]
        shown = test.density[:, : self.prompt] if self.prompt else None
        found = self.predict(test.potential, initial=test.initial, prompt=shown, labels=test.constants)
        w = test.weight**2
        loss = np.sum(w * (found - test.density) ** 2, axis=1) / w.sum(1) / (test.total / w.sum())
        names = {"potential": test.potential, "density": np.where(test.seen, test.density, np.nan), "predicted": found}
        rows = {name: [row[:n].copy() for row, n in zip(x, lengths, strict=True)] for name, x in names.items()}
        return rows | {"loss": loss}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.two_d_labels = tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        tags.non_deterministic = self.random_state is None
        return tags


def _verdict(values: dict | None) -> Verdict | None:
    if values is None:
        return None
    limits = tuple(Limit(**limit) for limit in values["limits"])
    return Verdict(**(values | {"limits": limits, "wave": values["wave"] and Dispersion(**values["wave"])}))
