"""The machine's only data: pairs of potential and density, reproducible, and whole on disk or not there at all."""

import copy
import json
import pickle
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest

from rediscover import dataset, potentials, simulator
from rediscover.dataset import Dataset, simulate

DATA = simulate(20, sites=6, seed=3)


def test_simulate_is_the_experiment_announced():
    data = simulate(5, sites=8, spacing=0.3, energy=0.1, low=-2.0, high=-0.5, correlation=2.0, seed=7)
    assert np.array_equal(data.potential, potentials.random(5, 8, low=-2.0, high=-0.5, correlation=2.0, seed=7))
    assert np.array_equal(data.density, simulator.propagate(data.potential, 0.3, 0.1).density)
    assert (len(data), data.spacing, data.energy) == (5, 0.3, 0.1)
    other = simulate(5, sites=8, propagator="leapfrog")
    assert np.array_equal(other.density, simulator.leapfrog(other.potential, 0.4).density)


def test_the_machine_is_not_given_the_wave_function():
    assert {f.name for f in fields(Dataset)} == {"potential", "density", "spacing", "energy", "origin", "initial"}
    assert not [name for name in dir(DATA) if "psi" in name]


def test_origin_identifies_the_data():
    assert simulate(20, sites=6, seed=3).origin == DATA.origin == json.loads(json.dumps(DATA.origin))
    for change in ({"seed": 4}, {"energy": 0.1}, {"spacing": 0.3}, {"propagator": "leapfrog"}, {"high": -0.2}):
        assert simulate(20, **({"sites": 6, "seed": 3} | change)).origin != DATA.origin
    by_generator = simulate(20, sites=6, seed=np.random.default_rng(3))
    assert np.array_equal(by_generator.potential, DATA.potential) and list(by_generator.origin) == ["sha256"]
    measured = replace(DATA, density=DATA.density + 1e-9, origin={})
    assert measured.origin != replace(DATA, origin={}).origin
    assert simulate(np.int64(20), sites=6, seed=np.int64(3)).origin == DATA.origin


def test_split_is_in_order_and_disjoint():
    train, test = DATA.split(12, 5)
    assert (len(train), len(test)) == (12, 5)
    assert np.array_equal(np.concatenate([train.potential, test.potential]), DATA.potential[:17])
    assert np.array_equal(test.density, DATA.density[12:17])
    assert test.origin == DATA.origin | {"slice": [12, 17]}
    assert test.spacing == DATA.spacing and test.energy == DATA.energy
    assert test.split(2, 3)[1].origin["slice"] == [14, 17]  # rows of the uncut data, however they were reached


def test_standardisation():
    data = simulate(20, sites=6, seed=3, current=(0.1, 0.5))
    scalings = data.standardisation()
    assert list(scalings) == ["potential", "density", "initial"] and list(DATA.standardisation()) == list(scalings)[:2]
    for name, scaling in scalings.items():
        values = getattr(data, name)
        z = scaling.to(values)
        assert z.mean() == pytest.approx(0, abs=1e-12) and scaling.back(z) == pytest.approx(values, rel=1e-12)
        assert z.std() == pytest.approx(1) if name != "initial" else z.std(0) == pytest.approx([0, 0, 1])


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_standardisation_of_numbers_whose_squares_are_none(size):
    scalings = replace(DATA, potential=size * DATA.potential, density=size * DATA.density).standardisation()
    assert scalings["potential"].scale == pytest.approx(size * DATA.potential.std())
    assert scalings["density"].to(size * DATA.density).std() == pytest.approx(1)


@pytest.mark.parametrize(("constant", "scale"), [(0.0, 1.0), (-0.3, 0.3), (1e30, 1e30)])
def test_what_is_told_of_all_chains_alike_becomes_zero(constant, scale):
    initial = np.column_stack([np.full(20, constant), np.arange(20.0), np.ones(20)])
    scaling = replace(DATA, initial=initial, origin={}).standardisation()["initial"]
    assert scaling.scale[0] == pytest.approx(scale) and np.abs(scaling.to(initial)[:, [0, 2]]).max() < 1e-12


@pytest.mark.parametrize("offset", [1e8, -1e8])
def test_a_range_is_enough_however_far_from_zero(offset):
    scaling = replace(DATA, potential=DATA.potential + offset).standardisation()["potential"]
    assert scaling.to(DATA.potential + offset) == pytest.approx(
        DATA.standardisation()["potential"].to(DATA.potential), abs=1e-6
    )


def test_arrays_are_contiguous_doubles_and_fields_are_fixed():
    data = Dataset(np.ones((3, 2), "f4").T, np.ones((2, 3), int), spacing=1)
    assert data.potential.flags.c_contiguous and data.potential.dtype == data.density.dtype == np.float64
    with pytest.raises(FrozenInstanceError):
        data.spacing = 2.0


def test_what_the_caller_changes_afterwards_does_not_change_the_data():
    x, y, z, origin = np.ones((4, 3)), np.ones((4, 3)), np.ones((4, 3)), {"camera": {"gain": [1, 2]}}
    data = Dataset(x, y, 0.4, 0.0, origin, z)
    for array in (x, y, z):
        array[:] = 7.0
    origin["camera"]["gain"][0] = 7
    assert np.all(data.potential == 1) and np.all(data.density == 1) and np.all(data.initial == 1)
    assert data.origin == {"camera": {"gain": [1, 2]}}


ARRAYS = ("potential", "density", "initial")


@pytest.mark.parametrize(
    "made",
    [
        lambda data: data,
        lambda data: data.split(2, 3)[1],
        lambda data: replace(data, spacing=0.3),
        lambda data: copy.deepcopy(data),
        lambda data: pickle.loads(pickle.dumps(data)),
    ],
    ids=["new", "split", "replaced", "copied", "pickled"],
)
def test_arrays_cannot_be_changed_in_place(made):
    data = made(Dataset(*np.arange(48.0).reshape(2, 6, 4), 0.4, initial=np.ones((6, 3))))
    for array in (getattr(data, name) for name in ARRAYS):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 7.0
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True


def test_parts_and_replacements_share_memory_with_the_whole_and_with_nobody_else():
    data = simulate(6, sites=4, current=0.3)
    for other in (*data.split(2, 4), replace(data, spacing=0.3)):
        assert all(np.shares_memory(getattr(other, name), getattr(data, name)) for name in ARRAYS)
    mine = data.potential.copy()
    mine.flags.writeable = False  # its owner may unlock it again
    for given in (mine, mine[1:]):
        assert not np.shares_memory(Dataset(given, given, 0.4).potential, mine)


def test_digest_is_that_of_what_is_kept():
    x, y, z = np.arange(6.0).reshape(2, 3), np.ones((2, 3)), np.ones((2, 3))
    origins = [Dataset(given, y, 0.4, initial=z).origin for given in (x, np.asfortranarray(x), x.astype(">f4"))]
    assert origins[0] == origins[1] == origins[2] == Dataset(x.tolist(), y, 0.4, initial=z).origin
    others = [Dataset(x.T, y.T, 0.4), Dataset(x.reshape(1, 6), y.reshape(1, 6), 0.4), Dataset(y, x, 0.4)]
    found = [data.origin["sha256"] for data in (Dataset(x, y, 0.4), Dataset(x, y, 0.4, initial=z), *others)]
    assert len(set(found)) == len(found), "the same bytes in another shape, or by another name, are other data"


def test_save_and_load_round_trip(tmp_path):
    path = DATA.save(tmp_path / "pairs.npz")
    back = Dataset.load(path)
    assert np.array_equal(back.potential, DATA.potential) and np.array_equal(back.density, DATA.density)
    assert (back.spacing, back.energy, back.origin) == (DATA.spacing, DATA.energy, DATA.origin)
    assert [p.name for p in tmp_path.iterdir()] == ["pairs.npz"]


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = DATA.save(tmp_path / "pairs.npz")
    before = path.read_bytes()

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(dataset.np, "savez_compressed", fail)
    with pytest.raises(OSError, match="disk full"):
        simulate(3).save(path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path = DATA.save(tmp_path / "pairs.npz")
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[200] ^= 0xFF
    np.savez(tmp_path / "other.npz", w=np.ones(3))
    np.save(tmp_path / "array.npy", np.ones(3))
    np.savez(tmp_path / "pickle.npz", potential=np.array([{}]), density=np.ones((1, 1)), setup="{}")
    np.savez(tmp_path / "setup.npz", potential=np.ones((1, 1)), density=np.ones((1, 1)), setup="not JSON")
    content = {
        "cut.npz": whole[: len(whole) // 2],
        "flipped.npz": bytes(flipped),
        "empty.npz": b"",
        "text.npz": b"hello",
    }
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    for name in (*content, "other.npz", "array.npy", "pickle.npz", "setup.npz"):
        with pytest.raises(ValueError, match=rf"{name} is damaged or not a saved Dataset"):
            Dataset.load(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.npz"):
        Dataset.load(tmp_path / "nowhere.npz")


def test_an_experiment_that_overflows_says_where():
    with pytest.raises(ValueError, match=r"density of sample . overflows at site"):
        simulate(2, sites=900, energy=-3.0)


# --- states that carry a current


def test_currents_are_given_by_turns_and_told_at_the_left_end():
    data = simulate(7, sites=6, seed=3, current=(0.0, 0.5, 1.0))
    j = np.array([0.0, 0.5, 1.0, 0.0, 0.5, 1.0, 0.0])
    wave = simulator.propagate(data.potential, data.spacing, data.energy, (1.0, 1j * j))
    assert data.density == pytest.approx(wave.density)
    assert wave.current == pytest.approx(np.repeat(j[:, None], 6, 1))
    psi, dpsi = wave.psi[:, 0], wave.dpsi[:, 0]
    known = np.stack([np.abs(psi) ** 2, (psi.conj() * dpsi).real, np.abs(dpsi) ** 2], -1)
    assert data.initial == pytest.approx(known)
    assert data.origin["current"] == [0.0, 0.5, 1.0]


def test_without_a_current_nothing_is_told_and_nothing_changes():
    assert DATA.initial is None
    assert "current" not in DATA.origin
    assert simulate(20, sites=6, seed=3, current=0.0).density == pytest.approx(DATA.density)


def test_what_is_told_is_cut_kept_and_part_of_the_identity(tmp_path):
    data = simulate(6, sites=4, current=(0.2, 0.9))
    _, second = data.split(1, 3)
    assert second.initial == pytest.approx(data.initial[1:4])
    assert Dataset.load(second.save(tmp_path / "pairs.npz")).initial == pytest.approx(second.initial)
    bare = replace(data, origin={}, initial=None)
    assert replace(bare, origin={}, initial=data.initial).origin != bare.origin
