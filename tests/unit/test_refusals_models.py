"""Bad input of networks, laws, rules and sweeps is refused before any work, with a sentence that names it.

One row is one bad argument: what every checker refuses is tested in test_check, so one row an argument will do here.
"""

import functools
import inspect
from types import SimpleNamespace

import numpy as np
import pytest

import panel
from rediscover import (
    distiller,
    evidence,
    introspection,
    law,
    layers,
    readouts,
    store,
    sweep,
    translator,
    verdict,
    worlds,
)
from rediscover.dataset import Dataset, simulate
from rediscover.distiller import Distiller, Schedule, Windows
from rediscover.law import Law
from rediscover.translator import Translator

RNG = np.random.default_rng(0)
DATA = simulate(12, sites=9)
V, DENSITY, HIDDEN = DATA.potential, DATA.density, RNG.normal(size=(12, 9, 4))
LINE = np.linspace(-1, -0.3, 5)
CUT = {"length": 5, "starts": 3, "known": 3}
KNOWN = RNG.normal(size=(6, 5, 2))
WAVE = Law([[[1, 0.4], [0, 1]], [[0.32, 0], [0.8, 0]]], 0, 1, 0.4, energy=0.0)  # leapfrog
POPULATION = SimpleNamespace(coefficients=lambda: np.zeros((2, 3, 2, 2)))
GRU = Translator(units=4)
TRAINED = Translator(units=4)
TRAINED.artifact = SimpleNamespace(config={"kind": "translator"})
CONFIG = {"kind": "demo", "seed": 0, "recipe": 1}
FREE = Distiller(2, units=4, update="mlp")


def never(*_, **__):
    raise AssertionError("work has started")


def windows(target=DENSITY, hidden=HIDDEN):
    return Windows(hidden, V, target, **CUT)


def square(d):
    return np.eye(d)[None]


def told(count, **arguments):
    return Translator(units=4, initial=([0.0] * count, [1.0] * count) if count else None).translate(V, **arguments)


def run_trials(trial=never, configs=(), folder=None, **options):
    return sweep.run(trial, configs or [{"x": 1}], folder, **options)


def baseline_law(rank):
    return evidence.spectral_law(lambda V: worlds.standing_wave().measure(V), V[:6], V[6:], [-0.5], rank)


#: What is called, and its valid arguments, of which a row spoils some.
CALLS = {
    "Translator": (Translator, {}),
    "translate": (GRU.translate, {"potential": V}),
    "hidden_states": (GRU.hidden_states, {"potential": V}),
    "score": (GRU.score, {"potential": V, "density": DENSITY}),
    "told": (told, {}),
    "train a translator": (translator.train, {"data": DATA}),
    "Windows": (Windows, {"hidden": HIDDEN, "potential": V, "target": DENSITY, **CUT}),
    "along": (windows().along, {}),
    "Schedule": (Schedule, {}),
    "Distiller": (Distiller, {"latent_dim": 2}),
    "coefficients": (FREE.coefficients, {}),
    "forms": (FREE.forms, {}),
    "distil": (distiller.train, {"windows": windows(), "identity": {}, "latent_dim": 2, "readout": "quadratic"}),
    "scan": (distiller.scan, {"translator": TRAINED, "data": DATA, "latent_dims": [1, 2], **CUT}),
    "TaylorCell": (layers.TaylorCell, {"units": 2}),
    "FreeCell": (layers.FreeCell, {"units": 2}),
    "readout": (readouts.get, {}),
    "free_parameters": (evidence.free_parameters, {"latent_dim": 2, "readout": "linear", "order": 2}),
    "Law": (Law, {"coefficients": np.zeros((3, 2, 2)), "shift": 0.0, "scale": 1.0, "spacing": 0.4}),
    "from_distiller": (functools.partial(Law.from_distiller, POPULATION, translator=GRU, data=DATA), {}),
    **{name: (getattr(WAVE, name), {"V": LINE}) for name in ("transfer_matrix", "trace", "determinant", "angles")},
    **{name: (getattr(WAVE, name), {"V": LINE}) for name in ("curvature_ratio", "invariant_form", "dispersion")},
    "dispersion of": (lambda d: Law(square(d), 0, 1, 0.4).dispersion(LINE), {}),
    "roll_out": (WAVE.roll_out, {"latents": np.ones((3, 2)), "V": np.zeros((3, 4))}),
    "change_basis": (WAVE.change_basis, {}),
    "value": (WAVE.invariant_form(LINE).value, {}),
    "symmetric_square": (law.symmetric_square, {}),
    "whiten": (law.whiten, {}),
    "align": (law.align, {"latents": KNOWN, "known": KNOWN}),
    "classify": (verdict.classify, {"law": WAVE, "V": LINE}),
    "check_scans": (introspection.check_scans, {"scans": []}),
    "elbow": (evidence.elbow, {}),
    "success_share": (evidence.success_share, {"losses": [1.0, 2.0]}),
    "bootstrap": (lambda samples, **how: evidence.bootstrap_interval(np.mean, *samples, **how), {"samples": [[1, 2]]}),
    "hankel": (evidence.hankel, {"measure": np.square, "prefixes": [[1.0, 2.0]], "suffixes": [[1.0]]}),
    "hankel_rank": (evidence.hankel_rank, {"block": [[1.0, 2.0]], "noise": 0.0}),
    "spectral_law": (baseline_law, {}),
    "description_length": (
        evidence.description_length,
        {"density": np.ones((2, 3)), "predicted": np.ones((2, 3)), "sigma": 1.0, "parameters": 2},
    ),
    "deal": (panel.deal, {}),
    "panel": (lambda **config: panel.investigate({"law": {"name": "standing_wave"}} | config), {}),
    "grid": (sweep.grid, {"seed": [1]}),
    "run": (run_trials, {}),
    "key": (store.key, {}),
    "keep": (store.load_or_train, {"config": CONFIG, "train": never}),
    "record": (functools.partial(store.record, "02_demo"), {}),
    "simulate": (worlds.simulate, {"world": worlds.dirac(), "n": 2}),
    "measure": (worlds.classical().measure, {"V": [[-0.5]]}),
    **{name: (world, {}) for name, world in worlds.WORLDS.items()},
}
#: Rows: what is called, the bad argument, the error, and what it says.
TABLE = [
    # translator
    ("Translator", {"cell": "rnn"}, ValueError, "cell must be one of 'gru', .*'rnn'"),
    ("Translator", {"units": 0}, ValueError, "units"),
    ("Translator", {"units": 4.0}, TypeError, "units"),
    ("Translator", {"potential": (0.0, 0.0)}, ValueError, "potential must be a shift and a scale greater than 0"),
    ("Translator", {"potential": (np.nan, 1.0)}, ValueError, "potential must be finite"),
    ("Translator", {"potential": (0.0, 1.0, 2.0)}, ValueError, "potential must be a shift and a scale"),
    ("Translator", {"density": 0.5}, ValueError, "density must have 1 axes"),
    ("Translator", {"density": (0.0, -1.0)}, ValueError, "density must be a shift and a scale greater than 0"),
    ("Translator", {"initial": (0.0, 1.0)}, ValueError, "initial must have 2 axes"),
    ("Translator", {"initial": ([0.0, 0.0], [1.0])}, ValueError, "initial must be a rectangular array"),
    ("Translator", {"initial": ([0.0], [0.0])}, ValueError, "initial must be a shift and a scale greater than 0"),
    ("Translator", {"dtype": "float64"}, ValueError, "dtype must be 'float32'; got 'float64'"),
    ("Translator", {"seed": -1}, ValueError, "seed"),
    ("translate", {"potential": np.zeros(5)}, ValueError, "potential must have 2 axes"),
    ("translate", {"potential": [[0.0, np.nan]]}, ValueError, "potential must be finite"),
    ("translate", {"potential": [["a", "b"]]}, TypeError, "potential"),
    ("translate", {"potential": [[1e39, 0.0]]}, ValueError, "potential must be finite; got inf"),
    ("hidden_states", {"potential": np.zeros((2, 3, 1))}, ValueError, "potential"),
    (
        "score",
        {"density": DENSITY[:5].T},
        ValueError,
        r"density must have the shape of potential, \(12, 9\); got \(9, 5\)",
    ),
    ("score", {"density": np.full(V.shape, np.nan)}, ValueError, "density"),
    ("told", {"count": 0, "initial": np.ones((12, 3))}, ValueError, "initial must not be given: told is 0"),
    ("told", {"count": 3}, ValueError, "initial must be given: told is 3"),
    ("told", {"count": 3, "initial": np.ones((12, 2))}, ValueError, r"initial must have shape \(12, 3\)"),
    ("told", {"count": 3, "initial": np.ones((4, 3))}, ValueError, r"initial must have shape \(12, 3\)"),
    ("train a translator", {"cell": "rnn"}, ValueError, "cell"),
    ("train a translator", {"units": 0}, ValueError, "units"),
    ("train a translator", {"epochs": 0}, ValueError, "epochs"),
    ("train a translator", {"batch": 1.5}, TypeError, "batch"),
    ("train a translator", {"rate": 0.0}, ValueError, "rate"),
    ("train a translator", {"seed": -1}, ValueError, "seed"),
    ("train a translator", {"data": Dataset(np.ones((4, 5)), np.eye(4, 5), 0.4)}, ValueError, "potential cannot be"),
    ("train a translator", {"data": Dataset(np.eye(4, 5), np.ones((4, 5)), 0.4)}, ValueError, "density cannot be"),
    # distiller
    ("Windows", {"hidden": HIDDEN[:5]}, ValueError, "hidden must begin with the shape of potential"),
    ("Windows", {"hidden": HIDDEN[:, :, 0]}, ValueError, "hidden"),
    (
        "Windows",
        {"hidden": np.where(HIDDEN == HIDDEN.max(), 1e39, HIDDEN)},
        ValueError,
        "hidden must be finite; got inf",
    ),
    ("Windows", {"target": DENSITY[:, 1:]}, ValueError, "target must begin with the shape"),
    ("Windows", {"target": DENSITY[0]}, ValueError, "target must have 2 or 3 axes"),
    ("Windows", {"potential": V[0]}, ValueError, "potential"),
    ("Windows", {"length": 9}, ValueError, "length"),
    ("Windows", {"length": 7}, ValueError, "length .* 9 sites"),
    ("Windows", {"length": 5.0}, TypeError, "length"),
    ("Windows", {"starts": 0}, ValueError, "starts"),
    ("Windows", {"known": -1}, ValueError, "known"),
    ("Windows", {"scale": 0.0}, ValueError, "scale must be greater than 0"),
    *[("along", {"chains": x}, ValueError, "chains must begin with the shape") for x in (V[:-1], V[:, :-1], V[0])],
    ("Schedule", {"steps": 0}, ValueError, "steps"),
    ("Schedule", {"batch": 2.5}, TypeError, "batch"),
    ("Schedule", {"sites": 0}, ValueError, "sites"),
    ("Schedule", {"first": 0}, ValueError, "first"),
    ("Schedule", {"rate": 0.0}, ValueError, "rate"),
    ("Schedule", {"clip": -1.0}, ValueError, "clip"),
    ("Schedule", {"growth": -0.1}, ValueError, "growth"),
    ("Schedule", {"power": 0.0}, ValueError, "power"),
    ("Schedule", {"noise": np.nan}, ValueError, "noise"),
    ("Distiller", {"latent_dim": 0}, ValueError, "latent_dim"),
    ("Distiller", {"latent_dim": True}, TypeError, "latent_dim"),
    ("Distiller", {"members": 0}, ValueError, "members"),
    ("Distiller", {"readout": "cubic"}, ValueError, "readout"),
    ("Distiller", {"width": 0}, ValueError, "width"),
    ("Distiller", {"order": 0}, ValueError, "order"),
    ("Distiller", {"noise": -0.1}, ValueError, "noise"),
    ("Distiller", {"seed": -1}, ValueError, "seed"),
    ("Distiller", {"scale": -1.0}, ValueError, "scale must be greater than 0"),
    ("Distiller", {"dtype": "mixed_float16"}, ValueError, "dtype must be 'float32'; got 'mixed_float16'"),
    ("Distiller", {"update": "cubic"}, ValueError, "update must be one of 'linear', 'mlp'"),
    ("coefficients", {}, ValueError, "update 'mlp' has no Taylor coefficients"),
    ("forms", {}, ValueError, "readout must be explicit"),
    ("distil", {"latent_dim": 0}, ValueError, "latent_dim"),
    ("distil", {"members": 0}, ValueError, "members"),
    ("distil", {"readout": "cubic"}, ValueError, "readout"),
    ("distil", {"seed": -1}, ValueError, "seed"),
    ("distil", {"readout": "mlp"}, ValueError, r"target.*\(n, sites, 4\).*\(12, 9\)"),
    ("distil", {"windows": windows(HIDDEN)}, ValueError, r"target.*\(n, sites\).*\(12, 9, 4\)"),
    ("distil", {"windows": windows(np.ones_like(V))}, ValueError, "variance"),
    (
        "distil",
        {"windows": windows(hidden=np.ones_like(HIDDEN))},
        ValueError,
        "hidden states of the windows must differ",
    ),
    ("distil", {"identity": {"not JSON": object()}}, TypeError, "config"),
    ("scan", {"latent_dims": [2, 0]}, ValueError, "latent_dim"),
    ("scan", {"latent_dims": []}, ValueError, "latent_dims must name at least one"),
    ("scan", {"latent_dims": [1.5]}, TypeError, "latent_dim"),
    ("scan", {"readout": "cubic"}, ValueError, "readout"),
    ("scan", {"members": 0}, ValueError, "members"),
    ("scan", {"seed": -1}, ValueError, "seed"),
    ("scan", {"length": 9}, ValueError, "length"),
    ("scan", {"known": -1}, ValueError, "known"),
    ("scan", {"lenght": 5}, TypeError, "lenght"),
    ("scan", {"translator": GRU}, ValueError, "translator must come from translator.train"),
    # layers and readouts
    ("TaylorCell", {"units": 2.0}, TypeError, "units"),
    ("TaylorCell", {"order": -1}, ValueError, "order"),
    ("TaylorCell", {"members": 0}, ValueError, "members"),
    ("FreeCell", {"units": 0}, ValueError, "units"),
    ("FreeCell", {"width": 0}, ValueError, "width"),
    ("readout", {"readout": "cubic"}, ValueError, "readout must be one of 'mlp', .*'cubic'"),
    ("free_parameters", {"readout": "mlp"}, ValueError, "readout must be explicit"),
    ("free_parameters", {"readout": "cubic"}, ValueError, "readout"),
    ("free_parameters", {"latent_dim": 0}, ValueError, "latent_dim"),
    ("free_parameters", {"order": 0}, ValueError, "order"),
    # law
    ("Law", {"coefficients": np.eye(2)}, ValueError, "coefficients"),
    ("Law", {"coefficients": np.zeros((3, 2, 3))}, ValueError, "coefficients must be square"),
    ("Law", {"coefficients": np.full((3, 2, 2), 1j)}, TypeError, "coefficients"),
    ("Law", {"scale": 0.0}, ValueError, "scale"),
    ("Law", {"spacing": -0.4}, ValueError, "spacing"),
    ("Law", {"shift": np.inf}, ValueError, "shift"),
    ("Law", {"energy": np.nan}, ValueError, "energy"),
    ("from_distiller", {"member": 2}, ValueError, "member must be below 2"),
    ("from_distiller", {"member": -1}, ValueError, "member"),
    ("from_distiller", {"member": 0.0}, TypeError, "member"),
    ("transfer_matrix", {"V": ["high"]}, TypeError, "V"),
    *[(name, {"V": [np.nan]}, ValueError, "V") for name in ("transfer_matrix", "trace", "determinant", "angles")],
    *[(name, {"V": []}, ValueError, "V") for name in ("curvature_ratio", "invariant_form", "dispersion")],
    ("curvature_ratio", {"V": np.zeros(5)}, ValueError, "V must differ from the energy"),
    ("dispersion", {"V": [-1.0, -0.5]}, ValueError, "V must hold at least three"),
    ("dispersion", {"V": 1.0}, ValueError, "V"),
    *[("dispersion of", {"d": d}, ValueError, "two latents or three") for d in (1, 4)],
    ("roll_out", {"latents": np.ones((2, 2))}, ValueError, r"latents must have shape \(3, 2\)"),
    ("roll_out", {"V": np.zeros(4)}, ValueError, "V"),
    ("change_basis", {"matrix": np.ones((2, 2))}, ValueError, "matrix must be invertible"),
    ("change_basis", {"matrix": np.eye(3)}, ValueError, "matrix"),
    ("value", {"latents": np.zeros((5, 3))}, ValueError, "latents must have 2 components"),
    ("value", {"latents": [np.nan, 1]}, ValueError, "latents"),
    ("symmetric_square", {"T": np.eye(3)}, ValueError, "T must hold two-by-two"),
    ("whiten", {"latents": np.ones((5, 4, 2))}, ValueError, "latents must span"),
    ("align", {"latents": KNOWN[:, :-1]}, ValueError, "known must begin with the shape"),
    ("align", {"latents": KNOWN[..., 0]}, ValueError, "latents"),
    ("align", {"known": np.full_like(KNOWN, np.inf)}, ValueError, "known"),
    ("align", {"known": KNOWN[:-1]}, ValueError, "known"),
    ("align", {"latents": KNOWN[:1], "known": KNOWN[:1]}, ValueError, "two windows"),
    # verdict, introspection and evidence
    ("classify", {"V": [-0.5, 0.0]}, ValueError, "V must lie below the energy"),
    ("classify", {"V": []}, ValueError, "V"),
    ("classify", {"tolerance": 0}, ValueError, "tolerance"),
    ("check_scans", {"scans": [["cubic", "linear", [1]]]}, ValueError, "readout"),
    ("check_scans", {"scans": [["linear", "free", [1]]]}, ValueError, "update"),
    ("check_scans", {"scans": [["linear", "linear", [0]]]}, ValueError, "latent dimension"),
    ("check_scans", {"members": 0}, ValueError, "members"),
    ("elbow", {"losses": {}}, ValueError, "losses must cover at least three"),
    ("elbow", {"losses": {1: 1.0, 2: 0.1, 4: 0.1}}, ValueError, "losses must cover .* consecutive"),
    ("elbow", {"losses": {-1: 1.0, 0: 0.1, 1: 0.1}}, ValueError, "latent dimension"),
    ("elbow", {"losses": {"1": 1.0, "2": 0.1, "3": 0.1}}, TypeError, "latent dimension"),
    ("elbow", {"losses": {1: 1.0, 2: 0.0, 3: 0.1}}, ValueError, r"losses\[2\] must be greater than 0"),
    ("elbow", {"losses": {1: 1.0, 2: [0.1, np.nan], 3: 0.1}}, ValueError, r"losses\[2\]"),
    ("success_share", {"losses": []}, ValueError, "losses"),
    ("success_share", {"losses": [-1.0, 2.0]}, ValueError, "losses"),
    ("success_share", {"factor": 0.5}, ValueError, "factor"),
    *[("success_share", {"level": x}, ValueError, "level must lie between") for x in (1.0, -0.5)],
    ("bootstrap", {"samples": []}, ValueError, "samples"),
    ("bootstrap", {"samples": [[1.0]]}, ValueError, "samples must hold at least two"),
    ("bootstrap", {"samples": [[1.0, np.nan]]}, ValueError, r"samples\[0\]"),
    ("bootstrap", {"samples": [[1.0, 2.0], [[1.0, 2.0]]]}, ValueError, r"samples\[1\]"),
    ("bootstrap", {"level": 1.5}, ValueError, "level"),
    ("bootstrap", {"resamples": 0}, ValueError, "resamples"),
    ("bootstrap", {"seed": None}, TypeError, "seed"),
    ("hankel", {"prefixes": [1.0, 2.0]}, ValueError, "prefixes"),
    ("hankel", {"suffixes": [["deep"]]}, TypeError, "suffixes"),
    ("hankel", {"measure": lambda V: V[:, 1:]}, ValueError, "measure must return"),
    ("hankel", {"measure": lambda V: V + 1j}, TypeError, "measure"),
    ("hankel", {"measure": lambda V: V * np.inf}, ValueError, "measure"),
    ("hankel_rank", {"block": [1.0, 2.0]}, ValueError, "block"),
    ("hankel_rank", {"noise": -0.1}, ValueError, "noise"),
    ("hankel_rank", {"noise": [[0.1]]}, ValueError, "noise must be one number or have the shape of block"),
    ("hankel_rank", {"noise": [0.1, 0.1]}, ValueError, "noise"),
    ("spectral_law", {"rank": 4}, ValueError, "rank of the block"),
    ("spectral_law", {"rank": 7}, ValueError, "smaller side of the block"),
    ("spectral_law", {"rank": 0}, ValueError, "rank"),
    ("description_length", {"sigma": 0.0}, ValueError, "sigma"),
    ("description_length", {"resolution": 0.0}, ValueError, "resolution"),
    ("description_length", {"resolution": 1.5}, ValueError, "resolution must not exceed sigma"),
    ("description_length", {"parameters": -1}, ValueError, "parameters"),
    ("description_length", {"predicted": np.ones((3, 2))}, ValueError, "predicted must have the shape"),
    ("description_length", {"density": np.ones(3)}, ValueError, "density"),
    # panel
    ("deal", {"card": 67}, ValueError, "card must be below 67"),
    ("deal", {"card": -1}, ValueError, "card must be"),
    ("deal", {"card": 1.0}, TypeError, "card must be"),
    ("panel", {"stepz": 3}, ValueError, "unknown entries .*stepz"),
    ("panel", {"draw": 3}, ValueError, "a law or a draw, and not both"),
    ("panel", {"law": None}, ValueError, "a law or a draw"),
    ("panel", {"law": {"name": "ether"}}, ValueError, "law must be one of"),
    ("panel", {"law": {"name": "dirac", "charge": 1}}, TypeError, "charge"),
    ("panel", {"control": "placebo"}, ValueError, "control"),
    ("panel", {"camera": {"flash": 1.0}}, ValueError, "camera must be one of"),
    ("panel", {"camera": {"atoms": 1e3, "blur": 1.0}}, ValueError, "camera must be one of"),
    ("panel", {"camera": {"atoms": 0}, "chains": [6, 2]}, ValueError, "atoms"),
    ("panel", {"camera": {"additive": -1.0}, "chains": [6, 2]}, ValueError, "additive"),
    ("panel", {"scans": [["cubic", "linear", [1]]]}, ValueError, "readout"),
    ("panel", {"cell": "rnn"}, ValueError, "cell"),
    ("panel", {"length": 40}, ValueError, "length"),
    ("panel", {"pasts": 3}, ValueError, "pasts"),
    # sweep and store
    ("grid", {"law": "schroedinger"}, TypeError, "axis 'law' must list its values; got 'schroedinger'"),
    ("grid", {"law": 3}, TypeError, "axis 'law' must list its values; got 3"),
    ("grid", {"law": []}, ValueError, "axis 'law' must have at least one value"),
    *[
        ("run", {"trial": trial}, TypeError, "trial must be a function with a name at the top level")
        for trial in (lambda config: {}, functools.partial(never, 1), "never", store.Artifact.__init__)
    ],
    ("run", {"configs": iter([])}, ValueError, "configs must hold at least one configuration"),
    ("run", {"configs": {"seed": 1}}, TypeError, r"configs\[0\] must be a mapping with names as keys; got 'seed'"),
    ("run", {"configs": [{"a": 1}, {1: 2}]}, TypeError, r"configs\[1\] must be a mapping with names as keys"),
    ("run", {"configs": [{"a": 1}, {"a": object()}]}, TypeError, r"configs\[1\] holds a object"),
    ("run", {"configs": [{"a": float("inf")}]}, ValueError, r"configs\[0\] cannot be written as JSON"),
    (
        "run",
        {"configs": [{"a": 1}, {"b": 2}, {"a": np.int64(1)}]},
        ValueError,
        r"configs\[2\] must differ .*'a': 1.* again",
    ),
    ("run", {"workers": 0}, ValueError, "workers must be at least 1; got 0"),
    ("run", {"workers": 1.5}, TypeError, "workers must be an integer"),
    ("run", {"recipe": "new"}, TypeError, "recipe must be an integer"),
    ("run", {"folder": __file__}, ValueError, r"folder must be a directory; .* is a file"),
    ("key", {"config": {"x": np.nan}}, ValueError, "config"),
    ("key", {"config": {"x": object()}}, TypeError, "config holds a object"),
    *[
        ("keep", {"config": CONFIG | {name: value}}, ValueError, rf"config\['{name}'\] is .*; expected")
        for name in CONFIG
        for value in (None, 1.5, "../x", True)
    ],
    *[
        ("keep", {"train": lambda outcome=outcome: outcome}, TypeError, "train returned")
        for outcome in ([1, 2], None, {"w": np.array([object()])}, {"_meta": np.zeros(2)}, {"w": {"nested": 1}})
    ],
    *[
        ("record", {"values": {"x": x}}, ValueError, "values")
        for x in (np.nan, [1.0, np.inf], np.array([np.nan]), np.float32("nan"))
    ],
    ("record", {"values": {"x": 1j}}, TypeError, "values holds a complex"),
    ("record", {"values": {"_run": {}}}, ValueError, "values holds '_run'"),
    # worlds
    *[
        (name, {key: value}, (ValueError, TypeError), f"^{key} must")
        for name, world in worlds.WORLDS.items()
        for key in world().parameters
        for value in (np.nan, "much", None)
    ],
    ("boltzmann", {"beta": 0.0}, ValueError, "beta must be greater than 0; got 0.0"),
    ("leaky_integrator", {"decay": 1.0}, ValueError, "decay must be less than 1; got 1.0"),
    ("leaky_integrator", {"decay": 0.5}, ValueError, "decay must be at least 0.9; got 0.5"),
    ("leaky_integrator", {"gain": 0.0}, ValueError, "gain must be greater than 0"),
    ("dirac", {"mass": -0.1}, ValueError, "mass must be at least 0; got -0.1"),
    ("two_orbitals", {"gap": -0.1}, ValueError, "gap must be at least 0"),
    ("coupled_channels", {"coupling": -0.1}, ValueError, "coupling must be at least 0"),
    ("half_driven_channels", {"coupling": -0.1}, ValueError, "coupling must be at least 0"),
    ("beam", {"stiffness": 0.0}, ValueError, "stiffness must be greater than 0"),
    ("noise", {"seed": -1}, ValueError, "seed must be at least 0"),
    ("noise", {"seed": 0.5}, TypeError, "seed must be an integer"),
    ("simulate", {"world": "dirac"}, TypeError, r"world must be a World, such as worlds.dirac\(\); got 'dirac'"),
    ("simulate", {"n": 0}, ValueError, "n must be at least 1"),
    ("simulate", {"spacing": 0}, ValueError, "spacing must be greater than 0"),
    ("simulate", {"high": -2.0}, ValueError, "high must be greater than low"),
    ("simulate", {"seed": None}, TypeError, "seed must be an integer"),
    ("measure", {"V": [[-0.5, 0.2]]}, ValueError, "V must lie below the energy 0.0 .*; got 0.2"),
    ("measure", {"V": [-0.5, -0.5]}, ValueError, r"V must have 2 axes; got shape \(2,\)"),
    ("measure", {"V": [[-0.5, np.nan]]}, ValueError, r"V must be finite; got nan at index \(0, 1\)"),
    ("measure", {"spacing": 0.0}, ValueError, "spacing must be greater than 0"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where nothing may be written; and no network may be trained."""
    for module in (translator, distiller):
        monkeypatch.setattr(module, "descend", never)
    run = store.Run(tmp_path / "kept")
    monkeypatch.setattr(store, "current", lambda: run)
    return tmp_path / "kept"


@pytest.mark.parametrize(
    ("call", "bad", "error", "says"),
    TABLE,
    ids=[f"{call}-{'-'.join(bad)}-{i}" for i, (call, bad, *_) in enumerate(TABLE)],
)
def test_bad_input_is_named_before_any_work(call, bad, error, says, folder):
    function, good = CALLS[call]
    where = {"folder": folder} if "folder" in inspect.signature(function).parameters else {}
    with pytest.raises(error, match=says):
        function(**(where | good | bad))
    assert not list(folder.rglob("*"))
