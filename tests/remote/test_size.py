"""How much is stored behind an address: what decides how many workers are started."""

from __future__ import annotations

import gc

import aiohttp

from thymusimg.batch.weight import folder_bytes, largest_bytes
from thymusimg.remote.address import Address
from thymusimg.remote.size import stored_bytes


def test_it_is_about_what_lies_there_and_no_pixel_is_fetched(server):
    folder = server.folder / "slide.zarr"
    truth = sum(file.stat().st_size for file in (folder / "0/c").rglob("*") if file.is_file())
    assert truth * 0.7 < stored_bytes(Address(server.url("slide.zarr"))) < truth * 1.4
    assert not [name for name in server.chunks() if name.startswith("GET")]


def test_pieces_that_are_not_there_are_glass(server):
    folder = server.folder / "slide.zarr"
    before = stored_bytes(Address(server.url("slide.zarr")))
    for file in (folder / "0/c/0").rglob("*"):
        if file.is_file():
            file.unlink()
    assert 0.5 * before < stored_bytes(Address(server.url("slide.zarr"))) < 0.8 * before  # two channels of three


def test_a_server_that_is_gone_is_asked_for_one_slide_only(server, monkeypatch):
    monkeypatch.setenv("THYMUSIMG_REMOTE_ATTEMPTS", "1")
    far, near = server.url("slide.zarr"), server.folder / "slide.zarr"
    server.gone = True
    assert largest_bytes({far: 0, server.url("other.zarr"): 0, str(near): 0}) == folder_bytes(near)
    assert not any("other.zarr" in name for name in server.asked)


def open_sessions() -> list[aiohttp.ClientSession]:
    """By exact type: asking an arbitrary object of the process for its class may run its own code."""
    return [thing for thing in gc.get_objects() if type(thing) is aiohttp.ClientSession and not thing.closed]


def test_no_connection_is_left_open(server):
    before = {id(session) for session in open_sessions()}
    stored_bytes(Address(server.url("slide.zarr")))
    assert {id(session) for session in open_sessions()} <= before
