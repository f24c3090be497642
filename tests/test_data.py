"""The datasets: the published samples, offline, cached and checked."""

import os
import random
import socket
import stat

import numpy as np
import pytest

import lib.data
from lib.data import digits, mnist1d


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache of its own that already holds a small dataset."""
    folder = tmp_path_factory.mktemp("data")
    lib.data.CACHE, before = folder, lib.data.CACHE
    mnist1d(80, 20)
    yield folder
    lib.data.CACHE = before


@pytest.fixture
def generated(monkeypatch):
    """Counts how often the generator runs."""
    calls = []
    original = lib.data._generate
    monkeypatch.setattr(lib.data, "_generate", lambda *args: calls.append(args) or original(*args))
    return calls


def test_the_course_dataset():
    data = mnist1d()
    assert (len(data), len(data.x_test), data.num_features, data.num_classes) == (10_000, 2_500, 40, 10)
    assert data.checksum() == lib.data.PUBLISHED[10_000, 2_500, 42]
    assert np.bincount(data.y_train).min() == 986 and np.bincount(data.y_train).max() == 1_020


def test_generated_without_a_network_and_without_touching_global_random_state(cache, monkeypatch, generated):
    def refuse(*args):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    np.random.seed(5), random.seed(5)
    before = np.random.get_state()[1].tolist(), random.getstate()
    mnist1d(60, 20)
    assert len(generated) == 1
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before


def test_cached(cache, generated):
    first, second = mnist1d(80, 20), mnist1d(80, 20)
    assert generated == []
    assert first.checksum() == second.checksum()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:1_000]),
        lambda path: path.write_bytes(b"not an archive"),
        lambda path: path.write_bytes(path.read_bytes().replace(path.read_bytes()[700:704], b"\1\2\3\4", 1)),
        lambda path: np.savez(path, x_train=np.zeros(3)),
        lambda path: np.savez(path, **{**np.load(path), "y_test": np.zeros(20, np.int64)}),
    ],
)
def test_a_damaged_cache_is_named_and_made_again(cache, generated, damage):
    good = mnist1d(80, 20).checksum()
    damage(cache / "mnist1d-80-20-42.npz")
    with pytest.warns(UserWarning, match="mnist1d-80-20-42.npz is damaged"):
        assert mnist1d(80, 20).checksum() == good
    assert len(generated) == 1
    mnist1d(80, 20)
    assert len(generated) == 1


def test_other_samples_than_the_published_ones_are_refused(cache, monkeypatch):
    monkeypatch.setitem(lib.data.PUBLISHED, (30, 10, 42), "another checksum")
    with pytest.raises(RuntimeError, match="other samples than the published ones"):
        mnist1d(30, 10)


def test_without_a_writable_cache(cache, monkeypatch):
    monkeypatch.setattr(lib.data, "CACHE", cache / "mnist1d-80-20-42.npz" / "impossible")
    assert len(mnist1d(40, 10)) == 40


def test_a_larger_set_is_as_good(cache):
    assert len(mnist1d(200, 50, seed=7)) == 200


def test_first():
    data = digits().first(100)
    assert len(data) == 100 and len(data.x_test) == 297
    with pytest.raises(ValueError, match="num_samples is 0"):
        data.first(0)


def test_digits():
    data = digits()
    assert (len(data), data.num_features, data.num_classes) == (1_500, 64, 10)
    assert 0 <= data.x_train.min() and data.x_train.max() == 1
    assert len(digits(num_test=97)) == 1_700


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: mnist1d(0), "num_train is 0"),
        (lambda: mnist1d(100.0), "num_train is 100.0"),
        (lambda: mnist1d(101, 20), "a multiple of 10"),
        (lambda: mnist1d(80, 20, seed=-1), "seed is -1"),
        (lambda: digits(num_test=1_797), "num_test is 1797"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_the_cache_may_be_read_by_other_users(cache):
    before = os.umask(0o022)
    try:
        mnist1d(90, 20)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(cache / "mnist1d-90-20-42.npz").st_mode) == 0o644
    assert not [path for path in cache.iterdir() if path.suffix != ".npz"]


def test_numpy_integers_are_whole_numbers(cache, generated):
    assert mnist1d(np.int64(80), np.uint8(20), np.int32(42)).checksum() == mnist1d(80, 20).checksum()
    assert generated == [] and len(digits(np.int64(297)).x_test) == 297
