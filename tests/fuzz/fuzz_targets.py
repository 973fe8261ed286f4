"""What is fuzzed: bytes in, and either the promised answer or an error of ours comes out."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from thymusimg.errors import ThymusimgError
from thymusimg.evaluate.outlines import read_shapes
from thymusimg.remote.address import located
from thymusimg.section.model import Window
from thymusimg.section.readers import open_image
from thymusimg.section.readers.ome_xml import ome_images
from thymusimg.section.roi import read_roi
from thymusimg.study.design import load_study

MOST_PX = 600
"""Windows read of an image whose header a mutation may have made huge."""

FOLDER = Path(tempfile.mkdtemp(prefix="thymusimg-fuzz-"))


def image(data: bytes, suffix: str = ".tif") -> None:
    """Open, and read the corners of every channel and level: shapes and types are those declared."""
    path = FOLDER / f"a{suffix}"
    path.write_bytes(data)
    with suppress(ThymusimgError):
        look_at(path)


def look_at(path: Path) -> None:
    found = open_image(path, scene=0, projection="max")
    try:
        assert len(found.channel_names) == len(found.emission_nm)
        for level, said in enumerate(found.levels[:3]):
            height, width = said.shape
            y, x = min(height, MOST_PX), min(width, MOST_PX)
            for channel in range(min(3, len(found.channel_names))):
                for window in (Window(0, y, 0, x), Window(height - y, height, width - x, width)):
                    pixels = found.read(level, channel, window)
                    assert pixels.shape == window.shape
                    assert pixels.dtype == found.dtype
    finally:
        found.close()


def tiff(data: bytes) -> None:
    image(data, ".tif")


def picture(data: bytes) -> None:
    image(data, ".png")


def lif(data: bytes) -> None:
    image(data, ".lif")


def any_file(data: bytes) -> None:
    image(data, ".dat")


def zarr_json(data: bytes) -> None:
    """The metadata of an OME-Zarr, with an array of 8 × 8 px below."""
    folder = FOLDER / "a.zarr"
    if not (folder / "0").is_dir():
        import zarr

        array = zarr.open_group(str(folder), mode="w").create_array("0", shape=(8, 8), chunks=(4, 4), dtype="u2")
        array[...] = np.arange(64).reshape(8, 8)
    (folder / "zarr.json").write_bytes(data)
    with suppress(ThymusimgError):
        look_at(folder)


def array_json(data: bytes) -> None:
    """The metadata of the array of an OME-Zarr."""
    folder = FOLDER / "b.zarr"
    if not (folder / "zarr.json").is_file():
        import zarr

        group = zarr.open_group(str(folder), mode="w")
        group.create_array("0", shape=(8, 8), chunks=(4, 4), dtype="u2")[...] = np.arange(64).reshape(8, 8)
        group.attrs["ome"] = {
            "version": "0.5",
            "multiscales": [{"axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "0"}]}],
        }
    (folder / "0/zarr.json").write_bytes(data)
    with suppress(ThymusimgError):
        look_at(folder)


def roi(data: bytes) -> None:
    """GeoJSON as the outline of a section, and as annotations."""
    path = FOLDER / "a.geojson"
    path.write_bytes(data)
    with suppress(ThymusimgError):
        rings = read_roi(path, 0.5, "lobe")
        assert rings
        assert all(ring.ndim == 2 and ring.shape[1] == 2 and np.isfinite(ring).all() for ring in rings)
    with suppress(ThymusimgError):
        read_shapes(path)


def table(data: bytes) -> None:
    """A study table: rows with ids that name one folder each, inside the output folder."""
    (FOLDER / "a.tif").touch()
    path = FOLDER / "study.csv"
    path.write_bytes(data)
    with suppress(ThymusimgError):
        check_ids([row.section_id for row in load_study(path).rows])


def study_toml(data: bytes) -> None:
    path = FOLDER / "study.toml"
    path.write_bytes(data)
    with suppress(ThymusimgError):
        load_study(path)


def check_ids(ids: list[str]) -> None:
    assert len({name.casefold() for name in ids}) == len(ids)
    for name in ids:
        assert (FOLDER / name).resolve().parent == FOLDER.resolve()


def ome_xml(data: bytes) -> None:
    with suppress(ThymusimgError):
        ome_images("a.ome.tif", data.decode("utf-8", errors="replace"))


def address(data: bytes) -> None:
    with suppress(ThymusimgError):
        text = str(located(data.decode("utf-8", errors="replace").replace("\0", "")))
        assert "@" not in text.split("://")[-1].split("/")[0] or "://" not in text


TARGETS = {
    function.__name__: function
    for function in (
        *(tiff, picture, lif, any_file, zarr_json, array_json),
        *(roi, table, study_toml, ome_xml, address),
    )
}
