"""Storage that fails for a moment while a slide is opened, hashed or read: the read is tried again."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from thymusimg.errors import UnreadableError
from thymusimg.provenance import sha256_of
from thymusimg.remote import mounted
from thymusimg.remote.mounted import PASSING, WAITS_S, patiently_read
from thymusimg.section.model import Window
from thymusimg.section.readers import blocks, open_image

ALL = Window(0, 64, 0, 64)


@pytest.fixture(autouse=True)
def waited(monkeypatch):
    """Pauses that were made, none of which is waited for."""
    found = []
    monkeypatch.setattr(mounted.time, "sleep", found.append)
    return found


class Failing:
    """A function that fails some times before it does its work."""

    def __init__(self, function, times, number=errno.EIO):
        self.function, self.left, self.number, self.calls = function, times, number, 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        if self.left > 0:
            self.left -= 1
            raise OSError(self.number, os.strerror(self.number))
        return self.function(*args, **kwargs)


def test_a_fault_that_passes_is_waited_for_ever_longer(waited):
    assert patiently_read(Failing(lambda: 7, len(WAITS_S)), "a.tif") == 7
    assert waited == list(WAITS_S)
    assert waited == sorted(waited)


@pytest.mark.parametrize("number", sorted(PASSING))
def test_a_fault_that_lasts_is_said_in_one_line(number):
    with pytest.raises(UnreadableError, match=r"a\.tif: cannot be read \(.*; tried 5 times\)") as caught:
        patiently_read(Failing(None, 99, number), "a.tif")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "x"), PermissionError(errno.EACCES, "x"), ValueError("x")]
)
def test_what_another_attempt_cannot_change_is_not_tried_again(waited, error):
    def read():
        raise error

    with pytest.raises(type(error)):
        patiently_read(read, "a.tif")
    assert not waited


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_pixels_of_a_tiff(slide, waited, monkeypatch, number):
    image = open_image(slide)
    truth = image.read(0, 0, ALL)
    image.close()
    image = open_image(slide)
    monkeypatch.setattr(blocks.os, "pread", Failing(os.pread, 2, number))
    assert np.array_equal(image.read(0, 0, ALL), truth)
    assert len(waited) == 2
    image.close()


def test_a_slide_that_was_exchanged_meanwhile_is_not_gone_on_with(slide, tmp_path, monkeypatch):
    copy = shutil.copyfile(slide, tmp_path / "a.ome.tif")
    image = open_image(copy)
    with copy.open("ab") as file:
        file.write(b"more")
    monkeypatch.setattr(blocks.os, "pread", Failing(os.pread, 1, errno.ESTALE))
    with pytest.raises(UnreadableError, match="was changed while it was read"):
        image.read(0, 0, ALL)
    image.close()


def test_pixels_that_never_come(slide, monkeypatch):
    image = open_image(slide)
    monkeypatch.setattr(blocks.os, "pread", Failing(os.pread, 10**6))
    with pytest.raises(UnreadableError, match=r"cannot be read \(Input/output error; tried 5 times\)") as caught:
        image.read(0, 0, ALL)
    assert slide.name in str(caught.value)
    image.close()


def test_chunks_of_an_ome_zarr(tmp_path, waited, monkeypatch):
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    group.create_array("0", shape=(64, 64), chunks=(32, 32), dtype="u2")[...] = pixels
    entry = {"axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "0"}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [entry]}
    image = open_image(tmp_path / "a.zarr")
    from zarr.storage import LocalStore

    genuine, failing = LocalStore.get, Failing(lambda: None, 2)

    async def get(self, *args, **kwargs):
        failing()
        return await genuine(self, *args, **kwargs)

    monkeypatch.setattr(LocalStore, "get", get)
    assert np.array_equal(image.read(0, 0, ALL), pixels)
    assert failing.left == 0
    assert waited


def test_opening_and_hashing(slide, waited, monkeypatch):
    truth = sha256_of(slide)
    failing = Failing(Path.open, 2)
    monkeypatch.setattr(Path, "open", lambda self, *args, **kwargs: failing(self, *args, **kwargs))
    assert sha256_of(slide) == truth
    assert len(waited) == 2
    failing.left = 1
    open_image(slide).close()
    failing.left = 99
    with pytest.raises(UnreadableError, match=r"tried 5 times\)\. Check the disk"):
        sha256_of(slide)
