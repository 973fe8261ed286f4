"""OME-Zarr behind http://, from a server on loopback that may fail, stall, cut its answers short or vanish."""

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from thymusimg.errors import MissingExtraError, UnreadableError
from thymusimg.provenance import sha256_of
from thymusimg.remote.address import Address, located
from thymusimg.section.model import Window
from thymusimg.section.readers import open_image


def read_all(image, channel=0):
    return image.read(0, channel, Window(0, image.levels[0].shape[0], 0, image.levels[0].shape[1]))


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("sharded", [False, True])
def test_pixels_and_metadata_are_those_of_the_folder(server, pixels, ome_zarr, zarr_format, sharded):
    if sharded and zarr_format == 2:
        pytest.skip("zarr 2 has no shards")
    folder = ome_zarr(server.folder / "s.zarr", zarr_format=zarr_format, shards=(1, 128, 128) if sharded else None)
    near, far = open_image(folder), open_image(server.url("s.zarr"))
    assert far.channel_names == near.channel_names == ("CD45", "K14", "K8")
    assert (far.levels, far.pixel_size_um, far.dtype) == (near.levels, near.pixel_size_um, near.dtype)
    for channel in range(3):
        np.testing.assert_array_equal(read_all(far, channel), pixels[channel])
    far.close()


def test_opening_reads_no_pixel_and_a_window_only_its_chunks(server, pixels):
    image = open_image(server.url("slide.zarr"))
    assert server.chunks() == []
    np.testing.assert_array_equal(image.read(0, 1, Window(64, 128, 64, 128)), pixels[1, 64:128, 64:128])
    assert server.chunks() == ["GET /slide.zarr/0/c/1/1/1"]


def test_a_shard_is_read_in_parts_and_a_server_without_ranges_gives_the_same(server, pixels, ome_zarr):
    ome_zarr(server.folder / "s.zarr", shards=(1, 128, 128))
    for server.ranges in (True, False):
        image = open_image(server.url("s.zarr"))
        np.testing.assert_array_equal(image.read(0, 2, Window(10, 40, 70, 120)), pixels[2, 10:40, 70:120])


@pytest.mark.parametrize("fault", [503, 500, 429, "cut", "stall"])
def test_a_fault_that_passes_is_not_seen(server, pixels, fault):
    server.fail = lambda path, count: fault if path.endswith("/c/0/0/0") and count <= 2 else None
    np.testing.assert_array_equal(read_all(open_image(server.url("slide.zarr"))), pixels[0])


@pytest.mark.parametrize(
    ("fault", "words"),
    [(503, "HTTP 503; asked 3 times"), ("stall", "no answer within 0.2 s"), (403, "refuses it (HTTP 403")],
)
def test_a_fault_that_stays_is_one_plain_error(server, monkeypatch, fault, words):
    monkeypatch.setenv("THYMUSIMG_REMOTE_SECONDS", "0.2")
    monkeypatch.setenv("THYMUSIMG_REMOTE_ATTEMPTS", "3")
    image = open_image(server.url("slide.zarr"))
    server.fail = lambda path, count: fault if path.endswith("/c/0/2/1") else None
    with pytest.raises(UnreadableError) as told:
        read_all(image)
    assert words in str(told.value)
    assert f"{server.url('slide.zarr')}/0/c/0/2/1" in str(told.value)
    assert "\n" not in str(told.value)


def test_a_server_that_vanishes(server, monkeypatch):
    monkeypatch.setenv("THYMUSIMG_REMOTE_ATTEMPTS", "2")
    image = open_image(server.url("slide.zarr"))
    image.read(0, 0, Window(0, 10, 0, 10))
    server.vanish()
    with pytest.raises(UnreadableError, match=r"no connection|connection broke.*asked 2 times"):
        image.read(0, 1, Window(0, 10, 0, 10))
    with pytest.raises(UnreadableError, match="cannot be read"):
        open_image(server.url("slide.zarr"))


def test_no_store_there(server):
    with pytest.raises(UnreadableError, match=r"there is no OME-Zarr at this address \(there is no zarr.json"):
        open_image(server.url("other.zarr"))
    server.fail = lambda path, count: 403
    with pytest.raises(UnreadableError, match="the server forbids to read it"):
        open_image(server.url("slide.zarr"))


def test_a_chunk_that_is_not_stored_is_empty_but_a_forbidden_one_is_an_error(server, pixels):
    (server.folder / "slide.zarr/0/c/0/0/0").unlink()
    image = open_image(server.url("slide.zarr"))
    assert not image.read(0, 0, Window(0, 64, 0, 64)).any()


def test_the_fingerprint_tells_contents_apart(server, ome_zarr, pixels):
    url = server.url("slide.zarr")
    first = sha256_of(Address(url))
    assert first == sha256_of(Path(url))  # as pathlib collapses it
    chunk = server.folder / "slide.zarr/0/c/0/1/1"
    before = chunk.stat()
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(chunk, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
    assert sha256_of(Address(url)) != first
    chunk.write_bytes(content)
    os.utime(chunk, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert sha256_of(Address(url)) == first
    chunk.unlink()
    assert sha256_of(Address(url)) != first


def test_the_fingerprint_of_a_server_that_tells_nothing_is_of_the_bytes(server):
    server.tags = False
    address = Address(server.url("slide.zarr"))
    first = sha256_of(address)
    server.head = False
    assert sha256_of(address) == first
    chunk = server.folder / "slide.zarr/0/c/0/1/1"
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert sha256_of(address) != first


def test_the_fingerprint_asks_no_pixels_where_the_server_has_tags(server):
    sha256_of(Address(server.url("slide.zarr")))
    assert all(name.startswith("HEAD") for name in server.chunks())
    assert len(server.chunks()) == 3 * (5 * 4 + 3 * 2)


def test_a_missing_library_is_one_plain_line(server, monkeypatch):
    monkeypatch.setattr("thymusimg.remote.store.NEEDED", {"http": "no_such_library_for_http"})
    with pytest.raises(MissingExtraError, match=r"Type: pip install 'thymusimg\[remote\]'"):
        open_image(server.url("slide.zarr"))


def test_series_are_found_without_a_listing(server, ome_zarr, pixels):
    import zarr

    folder = server.folder / "raw.zarr"
    zarr.open_group(str(folder), mode="w").attrs.update({"ome": {"version": "0.5", "bioformats2raw.layout": 3}})
    for index in (0, 1):
        ome_zarr(folder / str(index), pixels + index)
    np.testing.assert_array_equal(read_all(open_image(server.url("raw.zarr"), scene=1)), pixels[0] + 1)
    assert sha256_of(Address(server.url("raw.zarr")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://user:s3cret@host/a.zarr", "user name or password"),
        ("https://host/a.zarr?X-Amz-Signature=s3cret", "query or signature"),
        ("ftp://host/a.zarr", "addresses of this kind"),
        ("file:///etc/passwd", "addresses of this kind"),
        ("https://host/../../s3cret", "no plain address"),
        ("https://", "no plain address"),
    ],
)
def test_addresses_hold_no_secret_and_are_plain(text, words):
    with pytest.raises(UnreadableError, match=words) as told:
        open_image(text)
    assert "X-Amz" not in str(told.value)
    assert "user:s3cret" not in str(told.value)


def test_an_address_travels_like_a_path():
    address = Address("s3://bucket/folder//a.ome.zarr/")
    assert str(address) == os.fspath(address) == "s3://bucket/folder/a.ome.zarr"
    assert located(Path(str(address))) == address == pickle.loads(pickle.dumps(address))  # noqa: S301  our own
    assert (address.name, address.resolve(), address.is_file()) == ("a.ome.zarr", address, False)
    assert str(address.parent) == "s3://bucket/folder"
    assert address / "0" == Address("s3://bucket/folder/a.ome.zarr/0")
    assert located("C:/slides/a.tif") == Path("C:/slides/a.tif")
    assert isinstance(located("a.tif"), Path)
    assert {address: 1}[Address(str(address))] == 1


def test_inspect_shows_an_address(server):
    from typer.testing import CliRunner

    from thymusimg.cli.app import app

    shown = CliRunner().invoke(app, ["inspect", server.url("slide.zarr")])
    assert shown.exit_code == 0, shown.output
    assert server.url("slide.zarr") in shown.output
    assert "CD45" in shown.output


def test_a_study_table_names_addresses(server, tmp_path):
    from thymusimg.errors import StudyTableError
    from thymusimg.study.design import load_study

    table = tmp_path / "study.csv"
    table.write_text(f"section_id,path,animal,group\na,{server.url('slide.zarr')},1,x\n")
    row = load_study(table).rows[0]
    assert row.files == (Address(server.url("slide.zarr")),)
    table.write_text("section_id,path,animal,group\na,https://me:s3cret@h/a.zarr,1,x\nb,ftp://h/a.zarr,2,x\n")
    with pytest.raises(StudyTableError, match="row 2, column 'path'") as told:
        load_study(table)
    assert "s3cret" not in str(told.value)


def test_a_folder_hash_follows_links(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far/chunk").write_bytes(b"1")
    (tmp_path / "near").mkdir()
    (tmp_path / "near/0").symlink_to(tmp_path / "far")
    (tmp_path / "near/loop").symlink_to(tmp_path / "near")
    first = sha256_of(tmp_path / "near")
    (tmp_path / "far/chunk").write_bytes(b"2")
    assert sha256_of(tmp_path / "near") != first
    plain = shutil.copytree(tmp_path / "far", tmp_path / "copy")
    assert sha256_of(plain) == sha256_of(tmp_path / "far")
