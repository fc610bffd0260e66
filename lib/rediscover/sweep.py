"""Sweeps that outgrow one machine: many trials, one table, and one row on disk for every trial that is finished.

A trial is a pure function: it takes a configuration and returns its result, both JSON-able, and all that decides the
result stands in the configuration, the seed above all. So it does not matter where a trial runs, nor in which order.
"""

from __future__ import annotations

import importlib
import itertools
import json
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from . import _check, store
from ._training import progress


def grid(**axes: Iterable[Any]) -> list[dict[str, Any]]:
    """Combine every value of every axis with every value of the others; the last axis runs fastest.

    Parameters
    ----------
    **axes : iterable
        Values of each entry of the configurations.

    Raises
    ------
    ValueError, TypeError
        If an axis is empty, or a text or single value instead of several.

    Examples
    --------
    >>> grid(law=["schroedinger"], noise=[0.0, 0.01], seed=range(1))
    [{'law': 'schroedinger', 'noise': 0.0, 'seed': 0}, {'law': 'schroedinger', 'noise': 0.01, 'seed': 0}]
    """
    listed = {}
    for name, values in axes.items():
        if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
            raise TypeError(f"axis {name!r} must list its values; got {values!r}")
        listed[name] = list(values)
        if not listed[name]:
            raise ValueError(f"axis {name!r} must have at least one value; got none")
    return [dict(zip(listed, values, strict=True)) for values in itertools.product(*listed.values())]


def run(
    trial: Callable[[dict[str, Any]], Mapping[str, Any]],
    configs: Iterable[Mapping[str, Any]],
    folder: Path | str,
    workers: int | None = None,
    *,
    name: str | None = None,
    recipe: int | Mapping[str, int] = 1,
    scheduler: str | None = None,
    retry_failed: bool = False,
) -> list[dict[str, Any]]:
    """Run the trials that have no row in the folder yet, keep each as soon as it is finished, and give all rows.

    Only this process writes rows, each in one piece. Stop it in whatever way, or lose a worker: the next call runs
    what is missing, and nothing else. Several sweeps may share a folder, but one at a time.

    Parameters
    ----------
    trial : callable
        Takes a configuration (as JSON gives it back: lists, no tuples or arrays) and returns a mapping, JSON-able and
        free of NaN. It has a name at the top level of a module, which workers can import; without workers a notebook
        will do. Networks inside need explicit initialiser seeds. What it raises is recorded, and the sweep goes on.
    configs : iterable of mapping
        JSON-able and all different, for instance from `grid`.
    folder : path-like
        Holds the rows, ``<key>.json``.
    workers : int, optional
        Processes on this machine, of one thread each. None runs one trial after the other in this process, without
        Dask; or, if there is a `scheduler`, on its workers.
    name : str, optional
        What rows call the trial, a part of their keys: give one that stays when the function moves to another module.
        Without, it is the function's own name and that of its module.
    recipe : int or mapping of str to int
        Raise it whenever the code of the trial changes, so that rows of the old code are not taken for new ones. A
        trial that trains names the recipes of what it trains, ``{"translator": translator.RECIPE}`` for instance.
    scheduler : str, optional
        Address of a Dask scheduler; that of the current `store.Run` if nothing is said.
    retry_failed : bool
        Run trials again that failed before. Not the default: a pure function fails every time.

    Returns
    -------
    list of dict
        In the order of `configs`. A row holds ``"trial"`` (its name), ``"recipe"``, ``"config"``, and ``"result"`` or
        ``"error"`` (``"type"``, ``"message"``, ``"traceback"``); unless it killed its worker ``"seconds"`` and
        ``"versions"`` too.

    Raises
    ------
    ValueError, TypeError
        If an argument or the threads of a worker do not fit, or a row on disk is damaged: nothing has run then.
    ImportError
        If Dask is needed and absent, or scheduler or workers cannot import the trial.
    ConnectionError
        If the scheduler does not answer or is lost.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> def trial(config):
    ...     return {"inverse": 1 / config["x"]}
    >>> [row.get("result") for row in run(trial, grid(x=[0, 2]), folder)]
    [None, {'inverse': 0.5}]
    >>> run(trial, grid(x=[0]), folder)[0]["error"]["type"]
    'ZeroDivisionError'
    """
    name, folder = _name(trial) if name is None else name, Path(folder).expanduser()
    address = (scheduler or store.current().scheduler) if workers is None else None
    recipe = (
        {k: _check.integer(f"recipe[{k!r}]", v, 0) for k, v in recipe.items()}
        if isinstance(recipe, Mapping)
        else _check.integer("recipe", recipe, least=0)
    )
    distribute = bool(address) or (workers is not None and _check.integer("workers", workers) > 0)
    if distribute:
        _find(trial)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder must be a directory; {folder} is a file")
    rows: dict[str, dict[str, Any]] = {}
    for i, config in enumerate(configs):
        if not isinstance(config, Mapping) or not all(isinstance(entry, str) for entry in config):
            raise TypeError(f"configs[{i}] must be a mapping with names as keys; got {config!r}")
        config = json.loads(store.to_json(config, f"configs[{i}]"))
        row = {"trial": name, "recipe": recipe, "config": config}
        if (key := _key(row)) in rows:
            raise ValueError(f"configs[{i}] must differ from those before it; got {config} again (is a seed missing?)")
        rows[key] = row
    if not rows:
        raise ValueError("configs must hold at least one configuration; got none")
    done = {key: _read(path) for key in rows if (path := folder / f"{key}.json").exists()}
    done = {key: row for key, row in done.items() if "result" in row or not retry_failed}
    todo = {key: json.dumps(row["config"]) for key, row in rows.items() if key not in done}
    if not todo:
        return [done[key] for key in rows]
    folder.mkdir(parents=True, exist_ok=True)
    failed = sum("error" in row for row in done.values())
    here = ((key, _attempt(text, trial)) for key, text in todo.items())
    outcomes = _on_dask(trial, todo, workers, address) if distribute else here
    with closing(outcomes), progress(initial=len(done), total=len(rows), unit="trial") as bar:
        for key, outcome in outcomes:
            done[key] = rows[key] | outcome
            _keep(done[key], folder / f"{key}.json")
            failed += "error" in outcome
            bar.set_postfix(failed=failed, refresh=False)
            bar.update()
    return [done[key] for key in rows]


def table(place: Path | str) -> list[dict[str, Any]]:
    """Read all rows of a folder, sorted by trial, recipe and the entries of the configuration in alphabetical order.

    Parameters
    ----------
    place : path-like
        The folder where `run` keeps them, or a file from `pack`.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such folder or file; if a row is damaged.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> def trial(config):
    ...     return {"square": config["x"] ** 2}
    >>> _ = run(trial, grid(x=[10, 2]), folder)
    >>> [(row["config"]["x"], row["result"]["square"]) for row in table(folder)]
    [(2, 4), (10, 100)]
    """

    def order(row: dict[str, Any]) -> tuple:  # numbers by size, everything else by its JSON
        entries = sorted(row["config"].items())
        ranked = [(k, 0, v, "") if isinstance(v, int | float) else (k, 1, 0, json.dumps(v)) for k, v in entries]
        return row["trial"], json.dumps(row["recipe"], sort_keys=True), ranked

    place = Path(place)
    if place.is_file():
        lines = enumerate(place.read_text(encoding="utf-8").splitlines(), 1)
        return sorted((_parse(line, f"{place}, line {number}") for number, line in lines), key=order)
    if not place.is_dir():
        raise FileNotFoundError(f"no folder or file {place}: run the sweep first")
    return sorted((_read(path) for path in sorted(place.glob("*.json"))), key=order)


def pack(rows: Iterable[Mapping[str, Any]], path: Path | str) -> Path:
    """Write rows into one file, a line of JSON each, complete or not at all: a finished sweep, ready to be shipped.

    Parameters
    ----------
    rows : iterable of mapping
        From `run` or `table`.
    path : path-like

    Raises
    ------
    ValueError, TypeError
        If a row is none: nothing is written then.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> def trial(config):
    ...     return {"square": config["x"] ** 2}
    >>> path = pack(run(trial, grid(x=[10, 2]), folder), Path(folder) / "squares.jsonl")
    >>> [row["result"]["square"] for row in table(path)]
    [4, 100]
    """
    path, lines = Path(path), [store.to_json(dict(row), f"rows[{i}]", sort_keys=False) for i, row in enumerate(rows)]
    for number, line in enumerate(lines):
        _parse(line, f"rows[{number}]")
    with store.atomic_write(path) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())
    return path


def unpack(path: Path | str, folder: Path | str) -> int:
    """Write the rows of a packed file into a folder, where `run` finds them and goes on; those that are there stay.

    Parameters
    ----------
    path : path-like
        From `pack`.
    folder : path-like

    Returns
    -------
    int
        How many rows were written.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file; if a row is damaged.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> def trial(config):
    ...     return {"square": config["x"] ** 2}
    >>> path = pack(run(trial, grid(x=[10, 2]), folder / "rows"), folder / "squares.jsonl")
    >>> unpack(path, folder / "again"), unpack(path, folder / "again")
    (2, 0)
    """
    written = 0
    for row in table(Path(path)):
        if not (target := Path(folder) / f"{_key(row)}.json").exists():
            _keep(row, target)
            written += 1
    return written


def _key(row: Mapping[str, Any]) -> str:
    """Name of a row: what a trial was given decides it, not what came out."""
    return store.key({name: row[name] for name in ("trial", "recipe", "config")})


def _keep(row: Mapping[str, Any], path: Path) -> None:
    with store.atomic_write(path) as file:
        file.write(f"{store.to_json(row, 'row', indent=1, sort_keys=False)}\n".encode())


def _name(trial: Callable) -> str:
    name = getattr(trial, "__qualname__", "")
    if not callable(trial) or not name.isidentifier():  # lambda, closure, method: something hidden decides with them
        raise TypeError(f"trial must be a function with a name at the top level of a module; got {trial!r}")
    return f"{trial.__module__}.{name}"


def _find(trial: Callable) -> None:
    where = trial.__module__
    if where == "__main__" or getattr(importlib.import_module(where), trial.__qualname__, None) is not trial:
        raise ValueError(f"trial must be defined in a module that workers can import; got {trial!r} of {where}")


def _read(path: Path) -> dict[str, Any]:
    return _parse(path.read_bytes(), f"{path}", path.stem, "; delete the file to run its trial again")


def _parse(text: str | bytes, where: str, key: str | None = None, help: str = "") -> dict[str, Any]:
    try:
        row = json.loads(text)
        if _key(row) != key and key is not None:
            raise ValueError("another configuration")
        if ("result" in row) == ("error" in row):
            raise ValueError("neither a result nor an error")
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{where}: corrupt or foreign ({error!r}){help}") from error
    return row


def _attempt(text: str, trial: Callable) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        result = trial(json.loads(text))
        if not isinstance(result, Mapping):
            raise TypeError(f"trial returned a {type(result).__name__}; expected a mapping")
        outcome = {"result": json.loads(store.to_json(result, "result"))}
    except (Exception, SystemExit) as error:
        lines = traceback.format_exception(type(error), error, error.__traceback__.tb_next)
        outcome = {"error": {"type": type(error).__name__, "message": str(error), "traceback": "".join(lines)}}
    return outcome | {"seconds": round(time.perf_counter() - started, 3), "versions": store.library_versions()}


def _on_dask(
    trial: Callable, todo: dict[str, str], workers: int | None, address: str | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        from distributed import Client, KilledWorker, LocalCluster, as_completed
    except ImportError:
        raise ImportError("workers need Dask: pip install 'dask[distributed]>=2026.8', the extra [scale]") from None

    def collect(keys: Iterable[str]) -> Iterator[tuple[str, dict[str, Any] | None]]:
        # Tuples as names: Dask sees one large group, and hands a worker no more of it than it is about to run.
        named = {"key": [(_name(trial), key) for key in keys], "trial": trial}
        futures = client.map(_attempt, [todo[key] for key in keys], **named)
        finished = as_completed(futures, loop=client.loop, with_results=True, raise_errors=False)
        del futures  # and below: a result that is still referred to runs again if it is lost with its worker
        for future, outcome in finished:
            future.release()
            error = outcome[1] if isinstance(outcome, tuple) else outcome
            if isinstance(error, Exception) and not isinstance(error, KilledWorker):
                raise ConnectionError(f"the cluster lost a trial ({error!r}); run again to go on") from error
            yield future.key[1], None if isinstance(error, KilledWorker) else outcome

    with ExitStack() as stack:
        if workers:
            # As many threads as trials: Dask sees to OpenMP, MKL and OpenBLAS, these are for TensorFlow.
            single = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
            where = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
            address = stack.enter_context(LocalCluster(n_workers=workers, threads_per_worker=1, env=single, **where))
        try:
            client = stack.enter_context(Client(address, set_as_default=False))
        except (OSError, ValueError) as error:
            raise ConnectionError(f"no scheduler answers at {address}: {error}") from error
        _inspect(client, trial)
        suspects = []
        for key, outcome in collect(todo):
            if outcome is None:
                suspects.append(key)
            else:
                yield key, outcome
        for suspect in suspects:  # Dask blames all that waited on a worker that died: whoever did it does it alone, too
            for key, outcome in collect([suspect]):
                message = "every worker died that ran this trial, even alone on the cluster (out of memory?)"
                yield key, outcome or {"error": {"type": "KilledWorker", "message": message, "traceback": ""}}


def _inspect(client: Any, trial: Callable) -> None:
    if not client.nthreads():
        warnings.warn("no worker has registered with the scheduler yet: waiting for the first", stacklevel=2)
        client.wait_for_workers(1)
    crowded = {address: threads for address, threads in client.nthreads().items() if threads > 1}
    if crowded:  # their trials would share what Keras and NumPy keep for the whole process
        raise ValueError(f"workers must have one thread each (--nthreads 1); got {crowded}")
    try:
        client.run(_find, trial), client.run_on_scheduler(_find, trial)
    except Exception as error:
        raise ImportError(f"scheduler or workers cannot import {_name(trial)}: {error!r}") from error
