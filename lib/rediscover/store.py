"""Trained artefacts and results on disk: written atomically, and never without knowing where they came from.

Everything that a chapter trains goes through `load_or_train`, everything that it measures through `record`. Where they
read and write, and how large things are, is told by one `Run`, made once by `current`.
"""

import functools
import hashlib
import json
import logging
import os
import platform
import re
import stat
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import platformdirs
from filelock import FileLock, Timeout

TIERS = ("smoke", "standard")
_ROOT = Path(__file__).resolve().parents[2]  # of the book, if this is a checkout of it
_STARTED = time.perf_counter()  # put off by all the time that is spent waiting for other processes
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


@dataclass(frozen=True)
class Run:
    """Where a run reads and writes, and how it goes about it.

    Attributes
    ----------
    home : Path
        What the run itself makes: ``artifacts/``, ``results/`` and ``images/``.
    shipped : Path, optional
        Where artefacts and results may be read besides: the folder ``book`` of a checkout.
    tier : {"standard", "smoke"}
        What the published pages show, or tiny sizes that train for real.
    retrain : bool
        Whether shipped artefacts are passed over.
    quiet : bool
        Whether progress bars are left out of notebooks, since their output is kept.
    scheduler : str, optional
        Address of a Dask scheduler on which sweeps run that are not told where to.
    used : Path, optional
        File to which a line is added for every artefact that is asked for: its name, the seconds of its training, and
        those that were spent waiting for another process to train it.

    Raises
    ------
    ValueError
        If the tier is neither.

    Examples
    --------
    >>> Run(Path("somewhere"), tier="smoke").places("results")
    [PosixPath('somewhere/results')]
    """

    home: Path
    shipped: Path | None = None
    tier: str = "standard"
    retrain: bool = False
    quiet: bool = False
    scheduler: str | None = None
    used: Path | None = None

    def __post_init__(self) -> None:
        if self.tier not in TIERS:
            raise ValueError(f"tier must be one of {', '.join(TIERS)}; got {self.tier!r}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], root: Path = _ROOT) -> "Run":
        """Read a run off environment variables: the only place where the library looks at them.

        ``REDISCOVER_TIER``, ``REDISCOVER_RETRAIN`` and ``REDISCOVER_QUIET`` (1 for yes), ``REDISCOVER_USED`` (a path),
        ``DASK_SCHEDULER_ADDRESS``. In a checkout of the book everything is written below its ``_build/<tier>``; if the
        library is installed, or the checkout cannot be written, in the user's cache folder, and if that cannot be
        either, in a temporary one.

        Parameters
        ----------
        environment : mapping
            Such as ``os.environ``.
        root : Path
            First folder of the checkout, if it is one.

        Raises
        ------
        ValueError
            If the tier is neither; the message names the variable.

        Warns
        -----
        UserWarning
            If the first of these places cannot be written; the message says which one is.

        Examples
        --------
        >>> Run.from_environment({"REDISCOVER_TIER": "smoke"}).tier
        'smoke'
        """
        tier = environment.get("REDISCOVER_TIER", "standard")
        if tier not in TIERS:
            raise ValueError(f"environment variable REDISCOVER_TIER is {tier!r}; expected one of {', '.join(TIERS)}")
        checkout = (root / "book" / "artifacts").is_dir()
        places = [root / "_build" / tier] if checkout else []
        places.append(platformdirs.user_cache_path("rediscover") / tier)
        home = next((place for place in places if _writable(place)), None) or Path(tempfile.mkdtemp("", "rediscover-"))
        if home != places[0]:
            what = f"{places[0]} cannot be written: what this run trains and measures is kept in {home}"
            warnings.warn(what, stacklevel=2)
        return cls(
            home,
            root / "book" if checkout else None,
            tier,
            retrain=environment.get("REDISCOVER_RETRAIN") == "1",
            quiet=environment.get("REDISCOVER_QUIET") == "1",
            scheduler=environment.get("DASK_SCHEDULER_ADDRESS"),
            used=Path(environment["REDISCOVER_USED"]) if environment.get("REDISCOVER_USED") else None,
        )

    def places(self, part: str) -> list[Path]:
        """Folders in which to look for a part, ``"artifacts"`` or ``"results"``, the run's own first."""
        own = [self.home / part]
        passed_over = self.shipped is None or (self.retrain and part == "artifacts")
        return own if passed_over else [*own, self.shipped / part]


@functools.cache
def current() -> Run:
    """Give the run that this process is part of, as its environment described it when it was first asked.

    Examples
    --------
    >>> current().tier in TIERS, current() is current()
    (True, True)
    """
    return Run.from_environment(os.environ)


def _writable(folder: Path) -> bool:
    """Whether a folder, or the nearest one above it that exists, lets us write."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


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
    path = Path(path).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    # no name made of the process id: containers that share a folder have the same ones, and threads do
    number, temporary = tempfile.mkstemp(".tmp", f".{path.name}.", path.parent)
    try:
        with open(number, "wb") as file:
            yield file
        os.chmod(temporary, stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o644)  # mkstemp's is private
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def load_or_train(
    config: Mapping[str, Any],
    train: Callable[[], Mapping[str, np.ndarray]],
    folder: Path | str | None = None,
    data: Mapping[str, np.ndarray] | None = None,
) -> Artifact:
    """Read the artefact of a configuration, or train it and keep it.

    It is looked for among the artefacts of the current `Run`, then among the shipped ones. Loading runs no code. If
    another process is training it already, this one waits, and loads what comes out. In a configuration data have a
    name only, so an artefact also remembers a digest of them, and is given for no others.

    Parameters
    ----------
    config : mapping
        Everything that decides the outcome. Must hold ``"kind"`` (str, the file-name prefix), ``"seed"`` (int) and
        ``"recipe"`` (int), the number that is raised whenever the training code changes.
    train : callable
        Takes nothing and returns the arrays by name. Only called if there is no artefact yet.
    folder : path-like, optional
        Look and keep here, and nowhere else.
    data : mapping of str to array, optional
        What is learned from. Their last bits may differ, as those of a simulation do on another machine.

    Returns
    -------
    Artifact

    Raises
    ------
    ValueError
        If the configuration is incomplete, or if the file found is corrupt, belongs to another configuration, or was
        trained on other data that have the same name.
    TypeError
        If `train` returns something other than numeric arrays by name. Nothing is kept then.
    FloatingPointError
        If the training diverged: an array holds NaN or infinity. Nothing is kept then.
    OSError
        If the folder cannot be written; before anything is trained.

    Warns
    -----
    UserWarning
        If what was trained could not be kept after all, on a full disk for instance. It is returned nevertheless.

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
    run = current() if folder is None else None
    places = run.places("artifacts") if run else [Path(folder).expanduser()]

    def find() -> Path | None:
        return next((place / name for place in places if (place / name).exists()), None)

    waited, digest = 0.0, _digest(data or {})
    with ExitStack() as stack:
        if (found := find()) is None:
            waited = stack.enter_context(_alone(places[0] / name))
            found = find()  # who held the lock may just have kept it
        artifact = _train(config, train, places[0] / name, digest) if found is None else _load(config, found, digest)
    if run and run.used:  # `make chapters` ships what the run used, and nothing else
        with open(run.used, "a", encoding="utf-8") as used:
            used.write(f"{name} {artifact.seconds} {waited:.3f}\n")
    return artifact


def record(chapter: str, values: Mapping[str, Any], folder: Path | str | None = None) -> Path:
    """Write the numbers of a chapter to ``results/<chapter>.json``, with the run that they came from.

    Parameters
    ----------
    chapter : str
        Name of the chapter's notebook without its suffix.
    values : mapping
        JSON-able; NumPy scalars and arrays become numbers and lists. ``"_run"`` is added: tier, versions, date and the
        seconds since this module was imported, without those spent waiting for what other processes trained.
    folder : path-like, optional
        Write here instead of among the results of the current `Run`.

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
        "tier": current().tier,
        "versions": library_versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - _STARTED, 1),
    }
    text = to_json({**values, "_run": run}, "values", indent=1, sort_keys=False)
    path = (current().home / "results" if folder is None else Path(folder)) / f"{chapter}.json"
    with atomic_write(path) as file:
        file.write(f"{text}\n".encode())
    return path


def results(chapter: str, folder: Path | str | None = None) -> dict[str, Any]:
    """Read the numbers of a chapter: those of the current `Run` if there are any, else the shipped ones.

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
    places = current().places("results") if folder is None else [Path(folder)]
    for place in places:
        if (place / f"{chapter}.json").exists():
            return json.loads((place / f"{chapter}.json").read_text(encoding="utf-8"))
    raise FileNotFoundError(f"no {chapter}.json in {' or '.join(map(str, places))}: run chapter {chapter} first")


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


def _digest(data: Mapping[str, np.ndarray]) -> dict[str, dict[str, list]]:
    """Shape, mean, spread and projections of every array: one entry that moves shows in them, and last bits do not."""

    def draw(rows: int, seed: int) -> np.ndarray:  # of NumPy's random numbers raw bits alone are promised to stay
        return np.random.PCG64(seed).random_raw((rows, 8)) * 2.0**-63 - 1

    digest = {}
    for name, array in data.items():
        rows = np.reshape(array, (len(array), -1)).astype(float)
        mean = rows.mean()
        rows -= mean
        projected = np.einsum("nk,nk->k", draw(len(rows), 0), rows @ draw(rows.shape[1], 1))
        numbers = [*(np.sqrt(rows.size) * np.array([mean, np.abs(rows).mean()])), *projected]
        digest[name] = {"shape": list(np.shape(array)), "numbers": [float(x) for x in numbers]}
    return digest


def _difference(kept: Mapping[str, dict], given: Mapping[str, dict]) -> str | None:
    """Say in what data differ from those that an artefact was trained on, or None if they do in rounding at most."""
    if kept.keys() != given.keys():
        return f"it knew {' and '.join(kept) or 'no data'}, and is given {' and '.join(given) or 'none'}"
    for name in given:
        before, now = kept[name]["shape"], given[name]["shape"]
        if before != now:
            return f"{name} had shape {tuple(before)}, and has {tuple(now)}"
        before, now = np.array(kept[name]["numbers"]), np.array(given[name]["numbers"])
        if np.abs(before - now).max() > 1e-13 * abs(now[0]) + 1e-8 * now[1]:
            return f"{name} holds other numbers"
    return None


@contextmanager
def _alone(path: Path) -> Iterator[float]:
    """Hold the lock of a file, which is freed with the process whatever becomes of it; gives the seconds of waiting."""
    global _STARTED
    path.parent.mkdir(parents=True, exist_ok=True)
    if not _writable(path.parent):  # said now, and not after an hour
        raise PermissionError(f"folder must be one that can be written; got {path.parent}")
    lock, waited = FileLock(path.with_name(f".{path.name}.lock")), 0.0
    try:
        lock.acquire(timeout=0)
    except Timeout:
        begin = time.perf_counter()
        if not current().quiet:
            logging.getLogger(__name__).warning("%s is being trained by another process: waiting for it", path.name)
        lock.acquire()
        waited = time.perf_counter() - begin
        _STARTED += waited
    try:
        yield waited
    finally:
        if os.name == "posix":  # elsewhere the lock does so itself, and what is open cannot be deleted
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _train(
    config: dict[str, Any], train: Callable[[], Mapping[str, np.ndarray]], path: Path, digest: dict[str, dict]
) -> Artifact:
    start = time.perf_counter()
    trained = train()
    seconds = round(time.perf_counter() - start, 3)
    if not isinstance(trained, Mapping):
        raise TypeError(f"train returned a {type(trained).__name__}; expected a mapping of names to arrays")
    arrays = {name: np.asarray(value) for name, value in trained.items()}
    for name, array in arrays.items():
        if name == _META or array.dtype.kind not in "biufcU":
            raise TypeError(f"train returned {name!r} of type {array.dtype}; expected numbers, not named {_META!r}")
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            raise FloatingPointError(
                f"training diverged: {name!r} holds {array[~np.isfinite(array)][0]}, so nothing was kept. Try a smaller"
                " learning rate, a longer schedule or another seed, and look at the data for a few huge values"
            )
    versions = library_versions()
    meta = {"config": config, "seconds": seconds, "versions": versions, "arrays": sorted(arrays), "data": digest}
    packed = np.frombuffer(to_json(meta, "config").encode(), np.uint8)
    try:
        with atomic_write(path) as file:
            np.savez_compressed(file, **{_META: packed}, **arrays)
    except OSError as error:
        warnings.warn(f"trained, but not kept: {path} cannot be written ({error})", stacklevel=2)
    return Artifact(arrays, config, seconds, versions, fresh=True)


def _load(config: dict[str, Any], path: Path, digest: dict[str, dict]) -> Artifact:
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
        found, kept = meta["config"], meta.get("data", {})
    except (KeyError, TypeError, ValueError) as error:
        raise refuse("foreign, it holds no configuration of this library") from error
    if found != config:
        raise refuse(f"foreign, it holds the configuration {found} instead of {config}")
    if sorted(arrays) != expected:
        raise refuse(f"corrupt, it holds the arrays {sorted(arrays)} instead of {expected}")
    if difference := _difference(kept, digest):
        raise ValueError(
            f"{path}: trained on other data of the same name: {difference}. Give these a name of their own, a Dataset"
            " by dataclasses.replace(data, density=..., origin={}), windows by another identity; or delete the file, if"
            " nobody needs those any more"
        )
    return Artifact(arrays, config, seconds, versions, fresh=False)
