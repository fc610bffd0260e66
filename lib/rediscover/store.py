"""Trained artefacts and results on disk: written atomically, and never without knowing where they came from.

Everything that a chapter trains goes through `load_or_train`, everything that it measures through `record`. A run
writes below ``_build/<tier>/`` only; ``book/artifacts`` and ``book/results`` hold what is shipped with the book.
"""

import hashlib
import json
import os
import platform
import re
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

__all__ = [
    "TIERS",
    "Artifact",
    "atomic_write",
    "key",
    "library_versions",
    "load_or_train",
    "record",
    "results",
    "tier",
    "to_json",
]

TIERS = ("smoke", "standard")
ROOT = Path(__file__).resolve().parents[2]
_STARTED = time.perf_counter()
_META = "_meta"


@dataclass(frozen=True)
class Artifact:
    """What a training left behind, and how it came to be.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Whatever the training returned, mostly weights.
    config : dict
        The configuration that identifies it, with its seed and recipe.
    seconds : float
        Measured training time in seconds (of the original training, also when loaded).
    versions : dict
        Versions of Python and the libraries that trained it.
    fresh : bool
        True if it was trained by this very call, False if it was read from disk.

    Examples
    --------
    >>> Artifact({"w": np.zeros(2)}, {"kind": "demo"}, 0.5, {}, fresh=False).arrays["w"].shape
    (2,)
    """

    arrays: dict[str, np.ndarray]
    config: dict[str, Any]
    seconds: float
    versions: dict[str, str]
    fresh: bool


def tier() -> str:
    """Size of this run: ``"smoke"`` (tiny, trains for real) or ``"standard"`` (what the published pages show).

    Returns
    -------
    str
        The environment variable ``REDISCOVER_TIER``, or ``"standard"`` if it is not set.

    Raises
    ------
    ValueError
        If the variable holds anything else.

    Examples
    --------
    >>> tier() in TIERS
    True
    """
    value = os.environ.get("REDISCOVER_TIER", "standard")
    if value not in TIERS:
        raise ValueError(f"environment variable REDISCOVER_TIER is {value!r}; expected one of {', '.join(TIERS)}")
    return value


def key(config: Mapping[str, Any]) -> str:
    """Name of a configuration: the first 16 hexadecimal digits of the SHA-256 of its canonical JSON.

    Parameters
    ----------
    config : mapping
        JSON-able; NumPy scalars and arrays count as numbers and lists, and the order of the entries does not matter.

    Raises
    ------
    TypeError, ValueError
        If the configuration cannot be written as JSON, for instance because it holds a NaN.

    Examples
    --------
    >>> key({"seed": 0, "units": 64}) == key({"units": np.int64(64), "seed": 0})
    True
    """
    return hashlib.sha256(to_json(config, "config").encode()).hexdigest()[:16]


@contextmanager
def atomic_write(path: Path | str) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when it is complete.

    Parameters
    ----------
    path : path-like
        Where the file is to be; missing folders are created. If the block raises, whatever was there before stays.

    Yields
    ------
    binary file

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with atomic_write(path) as file:
    ...     _ = file.write(b"whole")
    >>> path.read_text()
    'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_or_train(
    config: Mapping[str, Any], train: Callable[[], Mapping[str, np.ndarray]], folder: Path | str | None = None
) -> Artifact:
    """Read the artefact of a configuration, or train it and keep it.

    It is looked for among the artefacts of this run (``_build/<tier>/artifacts``), then among the shipped ones
    (``book/artifacts``; not if the environment variable ``REDISCOVER_RETRAIN`` is 1). Loading runs no code.

    Parameters
    ----------
    config : mapping
        Everything that decides the outcome. Must hold ``"kind"`` (str, the file-name prefix), ``"seed"`` (int) and
        ``"recipe"`` (int), the number that is raised whenever the training code changes.
    train : callable
        Takes nothing and returns the arrays by name. Only called if there is no artefact yet.
    folder : path-like, optional
        Look and keep here, and nowhere else.

    Returns
    -------
    Artifact

    Raises
    ------
    ValueError
        If the configuration is incomplete, or if the file found is corrupt or belongs to another configuration.
    TypeError
        If `train` returns something other than numeric arrays by name. Nothing is kept then.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> config = {"kind": "demo", "seed": 0, "recipe": 1}
    >>> [load_or_train(config, lambda: {"w": np.arange(3)}, folder).fresh for _ in range(2)]
    [True, False]
    """
    config = json.loads(to_json(config, "config"))
    _check_config(config)
    name = f"{config['kind']}-{key(config)}.npz"
    if folder is not None:
        home, places = Path(folder), [Path(folder)]
    else:
        home = _build() / "artifacts"
        places = [home] if os.environ.get("REDISCOVER_RETRAIN") == "1" else [home, ROOT / "book" / "artifacts"]
    found = next((place / name for place in places if (place / name).exists()), None)
    artifact = _train(config, train, home / name) if found is None else _load(config, found)
    if folder is None:  # `make chapters` ships what the run used, and nothing else
        _build().mkdir(parents=True, exist_ok=True)
        with open(_build() / "used.txt", "a", encoding="utf-8") as used:
            used.write(f"{name} {artifact.seconds}\n")
    return artifact


def record(chapter: str, values: Mapping[str, Any], folder: Path | str | None = None) -> Path:
    """Write the numbers of a chapter to ``results/<chapter>.json``, with the run that they came from.

    Parameters
    ----------
    chapter : str
        Name of the chapter's notebook without its suffix.
    values : mapping
        JSON-able; NumPy scalars and arrays become numbers and lists. ``"_run"`` is added: tier, versions, date and the
        seconds since this module was imported.
    folder : path-like, optional
        Write here instead of ``_build/<tier>/results``.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    TypeError, ValueError
        If a value is not JSON-able, NaN or infinite, or uses the name ``"_run"``. Nothing is written then.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> record("00_demo", {"loss": np.float32(0.5)}, folder).name
    '00_demo.json'
    >>> results("00_demo", folder)["loss"]
    0.5
    """
    if "_run" in values:
        raise ValueError("values holds '_run', which is the name of the entry that record adds")
    run = {
        "tier": tier(),
        "versions": library_versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - _STARTED, 1),
    }
    text = to_json({**values, "_run": run}, "values", indent=1, sort_keys=False)
    path = (_build() / "results" if folder is None else Path(folder)) / f"{chapter}.json"
    with atomic_write(path) as file:
        file.write(f"{text}\n".encode())
    return path


def results(chapter: str, folder: Path | str | None = None) -> dict[str, Any]:
    """Read the numbers of a chapter: those of this tier's last run if there are any, else the shipped ones.

    Parameters
    ----------
    chapter : str
        Name of the chapter's notebook without its suffix.
    folder : path-like, optional
        Look here, and nowhere else.

    Raises
    ------
    FileNotFoundError
        If the chapter was neither run nor shipped.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> _ = record("00_demo", {"elbow": 2}, folder)
    >>> results("00_demo", folder)["elbow"]
    2
    """
    places = [_build() / "results", ROOT / "book" / "results"] if folder is None else [Path(folder)]
    for place in places:
        if (place / f"{chapter}.json").exists():
            return json.loads((place / f"{chapter}.json").read_text(encoding="utf-8"))
    raise FileNotFoundError(f"no {chapter}.json in {' or '.join(map(str, places))}: run chapter {chapter} first")


def _build() -> Path:
    return ROOT / "_build" / tier()


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide about digits; "absent" where one is not installed.

    Examples
    --------
    >>> library_versions()["numpy"] == np.__version__
    True
    """
    versions = {"python": platform.python_version()}
    for package in ("numpy", "scipy", "keras", "tensorflow"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "absent"
    return versions


def to_json(values: Mapping[str, Any], name: str, *, indent: int | None = None, sort_keys: bool = True) -> str:
    """Write JSON as it is kept here: NumPy scalars and arrays as numbers and lists, no NaN, no infinity.

    Parameters
    ----------
    values : mapping
        What to write.
    name : str
        What an error calls it.
    indent, sort_keys
        See `json.dumps`.

    Raises
    ------
    TypeError, ValueError
        If a value cannot be written.

    Examples
    --------
    >>> to_json({"loss": np.float64(0.5)}, "values")
    '{"loss": 0.5}'
    """

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufU":
            return value.tolist()
        if isinstance(value, Mapping):
            return dict(value)
        raise TypeError(f"{name} holds a {type(value).__name__}, which cannot be written as JSON")

    try:
        return json.dumps(values, default=plain, allow_nan=False, sort_keys=sort_keys, indent=indent)
    except ValueError as error:
        raise ValueError(f"{name} cannot be written as JSON: {error}") from None


def _check_config(config: dict[str, Any]) -> None:
    kind = config.get("kind")
    if not isinstance(kind, str) or not re.fullmatch(r"[\w-]+", kind):
        raise ValueError(f"config['kind'] is {kind!r}; expected a name of letters, digits, '-' and '_'")
    for name in ("seed", "recipe"):
        if type(config.get(name)) is not int:
            raise ValueError(f"config[{name!r}] is {config.get(name)!r}; expected an integer")


def _train(config: dict[str, Any], train: Callable[[], Mapping[str, np.ndarray]], path: Path) -> Artifact:
    start = time.perf_counter()
    trained = train()
    seconds = round(time.perf_counter() - start, 3)
    if not isinstance(trained, Mapping):
        raise TypeError(f"train returned a {type(trained).__name__}; expected a mapping of names to arrays")
    arrays = {name: np.asarray(value) for name, value in trained.items()}
    for name, array in arrays.items():
        if name == _META or array.dtype.kind not in "biufcU":
            raise TypeError(f"train returned {name!r} of type {array.dtype}; expected numbers, not named {_META!r}")
    versions = library_versions()
    meta = {"config": config, "seconds": seconds, "versions": versions, "arrays": sorted(arrays)}
    packed = np.frombuffer(to_json(meta, "config").encode(), np.uint8)
    with atomic_write(path) as file:
        np.savez_compressed(file, **{_META: packed}, **arrays)
    return Artifact(arrays, config, seconds, versions, fresh=True)


def _load(config: dict[str, Any], path: Path) -> Artifact:
    def refuse(what: str) -> ValueError:
        return ValueError(f"{path}: {what}; delete the file, or run with RETRAIN=1, to train it again")

    try:
        with np.load(path, allow_pickle=False) as file:  # reading a member checks its CRC
            arrays = {name: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise refuse(f"corrupt, not a readable npz archive ({error})") from error
    try:
        meta = json.loads(arrays.pop(_META).tobytes())
        seconds, versions = float(meta["seconds"]), dict(meta["versions"])
        expected = meta["arrays"]
        found = meta["config"]
    except (KeyError, TypeError, ValueError) as error:
        raise refuse("foreign, it holds no configuration of this library") from error
    if found != config:
        raise refuse(f"foreign, it holds the configuration {found} instead of {config}")
    if sorted(arrays) != expected:
        raise refuse(f"corrupt, it holds the arrays {sorted(arrays)} instead of {expected}")
    return Artifact(arrays, config, seconds, versions, fresh=False)
