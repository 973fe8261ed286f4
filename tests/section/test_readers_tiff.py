"""TIFFs of every dialect: channels, pixel size, windows, pyramids, colour."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from thymusimg.errors import (
    PixelSizeError,
    ProjectionError,
    SceneError,
    UnreadableError,
    UnsupportedFormatError,
)
from thymusimg.section.model import Image, Window
from thymusimg.section.pixel_size import check_pixel_size
from thymusimg.section.readers import open_composite, open_image

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(7)
STACK = RNG.integers(0, 4000, (3, 300, 257), dtype=np.uint16)


def write(path: Path, data: Any, **options: Any) -> Path:
    tifffile.imwrite(path, data, **options)
    return path


def whole(image: Image, channel: int = 0, level: int = 0) -> Any:
    height, width = image.levels[level].shape
    return image.read(level, channel, Window(0, height, 0, width))


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tile": (64, 48)},
        {"tile": (64, 64), "compression": "deflate", "predictor": True},
        {"compression": "deflate", "rowsperstrip": 50},
        {"compression": "zstd", "rowsperstrip": 300},
        {"compression": "lzw", "tile": (128, 128)},
        {"rowsperstrip": 7},
    ],
)
def test_every_storage_gives_the_same_pixels(tmp_path: Path, options: dict[str, Any], byteorder: str) -> None:
    path = write(tmp_path / "a.ome.tif", STACK, ome=True, metadata={"axes": "CYX"}, byteorder=byteorder, **options)
    image = open_image(path)
    assert isinstance(image, Image)
    assert image.dtype == np.uint16
    for channel in range(3):
        np.testing.assert_array_equal(whole(image, channel), STACK[channel])
        for window in (
            Window(0, 1, 0, 1),
            Window(299, 300, 256, 257),
            Window(33, 170, 60, 131),
            Window(10, 290, 5, 9),
        ):
            found = image.read(0, channel, window)
            np.testing.assert_array_equal(found, STACK[channel][window.slices])
            assert found.dtype == np.uint16
            assert found.dtype.isnative
            found[:] = 0  # the caller may change what it got
            np.testing.assert_array_equal(image.read(0, channel, window), STACK[channel][window.slices])
    image.close()


def test_many_threads_read_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.tif",
        STACK,
        tile=(32, 32),
        compression="deflate",
        metadata={"axes": "CYX"},
        photometric="minisblack",
    )
    image = open_image(path)
    windows = [Window(y, y + 40, x, x + 50) for y in range(0, 260, 13) for x in range(0, 200, 17)]
    with ThreadPoolExecutor(8) as pool:
        for window, found in zip(windows, pool.map(lambda w: image.read(0, 1, w), windows), strict=True):
            np.testing.assert_array_equal(found, STACK[1][window.slices])


@pytest.mark.parametrize(
    "window", [Window(-1, 5, 0, 5), Window(0, 301, 0, 5), Window(5, 5, 0, 5), Window(0, 5, 250, 258)]
)
def test_a_window_outside_is_the_callers_fault(tmp_path: Path, window: Window) -> None:
    image = open_image(write(tmp_path / "a.tif", STACK[0]))
    with pytest.raises(IndexError, match="not inside"):
        image.read(0, 0, window)
    with pytest.raises(IndexError, match="no level"):
        image.read(0, 1, Window(0, 1, 0, 1))


def test_ome_names_wavelengths_bits_and_units(tmp_path: Path) -> None:
    metadata = {
        "axes": "CYX",
        "PhysicalSizeX": 325.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.000325,
        "PhysicalSizeYUnit": "mm",
        "SignificantBits": 12,
        "Channel": {"Name": ["hCD45", "K14", "K8"], "EmissionWavelength": [617, 450.5, 520]},
    }
    image = open_image(write(tmp_path / "section é 1.ome.tif", STACK, ome=True, metadata=metadata))
    assert image.format == "OME-TIFF"
    assert image.channel_names == ("hCD45", "K14", "K8")
    assert image.emission_nm == (617.0, 450.5, 520.0)
    assert image.pixel_size_um == pytest.approx((0.325, 0.325))
    assert image.max_value == 4095
    assert check_pixel_size(image, None) == pytest.approx(0.325)
    assert check_pixel_size(image, 0.5) == 0.5


def test_pyramid_in_subifds(tmp_path: Path) -> None:
    path = tmp_path / "p.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(STACK, subifds=2, tile=(64, 64), compression="deflate", metadata={"axes": "CYX"})
        writer.write(STACK[:, ::2, ::2], subfiletype=1, tile=(64, 64))
        writer.write(STACK[:, ::4, ::4], subfiletype=1, tile=(64, 64))
    image = open_image(path)
    assert [level.downsample for level in image.levels] == [1, 2, 4]
    assert image.levels[2].shape == (75, 65)
    np.testing.assert_array_equal(whole(image, 2, 1), STACK[2, ::2, ::2])
    np.testing.assert_array_equal(whole(image, 1, 2), STACK[1, ::4, ::4])


def test_pyramid_of_reduced_pages(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    with tifffile.TiffWriter(path) as writer:
        for step in (1, 2, 4):
            writer.write(STACK[0, ::step, ::step], subfiletype=int(step > 1), metadata=None)
    image = open_image(path)
    assert [level.shape for level in image.levels] == [(300, 257), (150, 129), (75, 65)]
    np.testing.assert_array_equal(whole(image, 0, 2), STACK[0, ::4, ::4])


def test_several_scenes_are_listed_and_chosen(tmp_path: Path) -> None:
    path = tmp_path / "scenes.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(
            STACK, metadata={"axes": "CYX", "Name": "left lobe", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
        )
        writer.write(STACK[:2, :100], metadata={"axes": "CYX", "Name": "right lobe"})
    with pytest.raises(
        SceneError, match=r"0 'left lobe' \(257 × 300 px\), 1 'right lobe' \(257 × 100 px\).*--scene"
    ):
        open_image(path)
    assert open_image(path, scene="right lobe").levels[0].shape == (100, 257)
    assert open_image(path, scene="1").pixel_size_um is None
    first = open_image(path, scene=0)
    assert first.pixel_size_um == (0.5, 0.5)
    assert first.identity != open_image(path, scene=1).identity
    with pytest.raises(SceneError, match="no scene '2'"):
        open_image(path, scene=2)


def test_a_z_stack_needs_a_projection(tmp_path: Path) -> None:
    data = RNG.integers(0, 999, (2, 6, 40, 30), dtype=np.uint16)
    path = write(tmp_path / "z.ome.tif", data, ome=True, metadata={"axes": "CZYX"})
    with pytest.raises(ProjectionError, match=r"z-stack of 6 planes.*--projection max"):
        open_image(path)
    highest, average = open_image(path, projection="max"), open_image(path, projection="mean")
    np.testing.assert_array_equal(whole(highest, 1), data[1].max(axis=0))
    np.testing.assert_array_equal(whole(average, 1), np.rint(data[1].mean(axis=0)).astype(np.uint16))
    assert highest.channel_names == ("", "")
    with pytest.raises(ProjectionError, match="'median' is no projection"):
        open_image(path, projection="median")


def test_a_time_series_is_refused_even_with_a_projection(tmp_path: Path) -> None:
    path = write(tmp_path / "t.ome.tif", STACK, ome=True, metadata={"axes": "TYX"})
    with pytest.raises(ProjectionError, match="3 time points"):
        open_image(path, projection="max")


@pytest.mark.parametrize(("unit", "side"), [("\\u00B5m", 0.65), ("micron", 0.65), ("nm", 650.0), ("mm", 0.00065)])
def test_imagej_units(tmp_path: Path, unit: str, side: float) -> None:
    path = write(
        tmp_path / "ij.tif",
        STACK,
        imagej=True,
        resolution=(1 / side, 1 / side),
        metadata={"axes": "CYX", "unit": unit, "Labels": ["K14", "K8", "CD45"]},
    )
    image = open_image(path)
    assert image.format == "ImageJ TIFF"
    assert image.pixel_size_um == pytest.approx((0.65, 0.65), rel=1e-4)
    assert image.channel_names == ("K14", "K8", "CD45")


def test_imagej_hyperstack_order_and_truncated_pages(tmp_path: Path) -> None:
    data = RNG.integers(0, 999, (4, 3, 20, 30), dtype=np.uint16)
    path = write(tmp_path / "h.tif", data, imagej=True, metadata={"axes": "ZCYX"})
    image = open_image(path, projection="max")
    for channel in range(3):
        np.testing.assert_array_equal(whole(image, channel), data[:, channel].max(axis=0))


@pytest.mark.parametrize("dpi", [72, 96, 300])
def test_print_resolution_is_no_pixel_size(tmp_path: Path, dpi: int) -> None:
    image = open_image(write(tmp_path / "a.tif", STACK[0], resolution=(dpi, dpi), resolutionunit=2))
    assert image.pixel_size_um is None
    assert any(f"{dpi} dpi" in warning for warning in image.warnings)
    with pytest.raises(PixelSizeError, match=r"--pixel-size UM.*pixel_size_um"):
        check_pixel_size(image, None)


def test_resolution_in_cm_is_a_pixel_size(tmp_path: Path) -> None:
    image = open_image(write(tmp_path / "a.tif", STACK[0], resolution=(1e4 / 0.25, 1e4 / 0.25), resolutionunit=3))
    assert image.pixel_size_um == pytest.approx((0.25, 0.25))


@pytest.mark.parametrize("sizes", [(0.04, 0.04), (5.5, 5.5), (0.5, 0.6)])
def test_implausible_pixel_sizes_are_refused(tmp_path: Path, sizes: tuple[float, float]) -> None:
    metadata = {"axes": "YX", "PhysicalSizeX": sizes[0], "PhysicalSizeY": sizes[1]}
    image = open_image(write(tmp_path / "a.ome.tif", STACK[0], ome=True, metadata=metadata))
    with pytest.raises(PixelSizeError, match="--pixel-size"):
        check_pixel_size(image, None)
    with pytest.raises(PixelSizeError, match="outside"):
        check_pixel_size(image, 7.0)


def test_rgb_is_semi_quantitative_and_alpha_is_left_out(tmp_path: Path) -> None:
    rgba = RNG.integers(0, 255, (40, 50, 4), dtype=np.uint8)
    image = open_image(write(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=["unassalpha"]))
    assert image.channel_names == ("red", "green", "blue")
    assert image.semi_quantitative
    assert any("alpha" in warning for warning in image.warnings)
    np.testing.assert_array_equal(whole(image, 2), rgba[:, :, 2])
    planar = open_image(
        write(
            tmp_path / "b.tif",
            np.moveaxis(rgba[:, :, :3], 2, 0),
            photometric="rgb",
            planarconfig="separate",
            compression="deflate",
            tile=(16, 16),
        )
    )
    np.testing.assert_array_equal(whole(planar, 1), rgba[:, :, 1])
    assert not planar.lossy


def test_lossy_compression_is_named(tmp_path: Path) -> None:
    rgb = np.full((64, 64, 3), 100, dtype=np.uint8)
    rgb[20:40] = 30
    image = open_image(write(tmp_path / "a.tif", rgb, photometric="rgb", compression="jpeg", tile=(32, 32)))
    assert image.lossy == "JPEG"
    assert abs(int(whole(image, 0)[10, 10]) - 100) < 4
    grey = open_image(write(tmp_path / "g.tif", STACK[0, :64, :64], compression="jpeg2000", tile=(32, 32)))
    assert grey.lossy == ""  # tifffile writes the reversible wavelet
    np.testing.assert_array_equal(whole(grey), STACK[0, :64, :64])
    lossy = open_image(
        write(
            tmp_path / "l.tif",
            STACK[0, :64, :64],
            compression="jpeg2000",
            tile=(32, 32),
            compressionargs={"level": 40, "reversible": False},
        )
    )
    assert lossy.lossy == "JPEG 2000"


def test_a_stack_of_four_stains_that_says_rgb_keeps_all_four(tmp_path: Path) -> None:
    stack = RNG.integers(0, 4000, (4, 40, 50), dtype=np.uint16)
    image = open_image(write(tmp_path / "a.tif", stack, photometric="rgb", planarconfig="separate"))
    assert len(image.channel_names) == 4
    assert not image.semi_quantitative
    np.testing.assert_array_equal(whole(image, 3), stack[3])


def test_unnamed_pages(tmp_path: Path) -> None:
    few = open_image(write(tmp_path / "a.tif", STACK, photometric="minisblack", metadata=None))
    assert few.channel_names == ("", "", "")
    assert any("no axis name" in warning for warning in few.warnings)
    np.testing.assert_array_equal(whole(few, 2), STACK[2])
    many = np.zeros((12, 20, 20), dtype=np.uint16)
    with pytest.raises(UnsupportedFormatError, match="12 pages without an axis name"):
        open_image(write(tmp_path / "b.tif", many, metadata=None))


def test_pixel_types(tmp_path: Path) -> None:
    for dtype in (np.uint8, np.int16, np.uint32, np.float32):
        data = STACK[0].astype(dtype)
        image = open_image(write(tmp_path / f"{np.dtype(dtype)}.tif", data))
        np.testing.assert_array_equal(whole(image), data)
    assert image.max_value == STACK[0].max()
    with pytest.raises(UnsupportedFormatError, match="1-bit mask"):
        open_image(write(tmp_path / "bool.tif", STACK[0] > 5))
    with pytest.raises(UnsupportedFormatError, match="no intensities"):
        open_image(write(tmp_path / "c.tif", STACK[0].astype(np.complex64)))


def test_palettes(tmp_path: Path) -> None:
    ramp = np.zeros((3, 256), dtype=np.uint16)
    ramp[1] = np.arange(256) * 257
    image = open_image(write(tmp_path / "r.tif", STACK[0].astype(np.uint8), photometric="palette", colormap=ramp))
    assert any("colour table" in warning for warning in image.warnings)
    wild = RNG.integers(0, 65535, (3, 256), dtype=np.uint16)
    with pytest.raises(UnsupportedFormatError, match="indexed colours"):
        open_image(write(tmp_path / "w.tif", STACK[0].astype(np.uint8), photometric="palette", colormap=wild))
    with pytest.raises(UnsupportedFormatError, match="inverted grey"):
        open_image(write(tmp_path / "i.tif", STACK[0], photometric="miniswhite"))


def test_one_pixel_opens(tmp_path: Path) -> None:
    image = open_image(write(tmp_path / "a.tif", np.array([[7]], dtype=np.uint8)))
    assert whole(image).tolist() == [[7]]


def test_sparse_tiles_are_empty(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"

    def tiles() -> Any:
        yield np.full((64, 64), 9, dtype=np.uint16)
        yield from (None for _ in range(3))

    tifffile.imwrite(path, tiles(), shape=(128, 128), dtype=np.uint16, tile=(64, 64))
    image = open_image(path)
    assert whole(image)[:64, :64].min() == 9
    assert whole(image)[64:].max() == 0


def test_one_strip_for_a_large_plane_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from thymusimg.section.readers import blocks, tiff

    monkeypatch.setattr(blocks, "SPILL_BYTES", 1000)
    monkeypatch.setattr(tiff, "SPILLED_BLOCK_BYTES", 1000)
    image = open_image(write(tmp_path / "a.tif", STACK[0], compression="deflate", rowsperstrip=300))
    assert any("temporary file" in warning for warning in image.warnings)
    np.testing.assert_array_equal(image.read(0, 0, Window(100, 140, 3, 9)), STACK[0, 100:140, 3:9])
    np.testing.assert_array_equal(whole(image), STACK[0])


def test_truncation_is_found_at_opening(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", STACK[0], compression="deflate", tile=(64, 64))
    content = path.read_bytes()
    for size in (0, 4, 100, len(content) // 2, len(content) - 500):
        path.write_bytes(content[:size])
        with pytest.raises(UnreadableError, match=r"empty|truncated|broken|text|first bytes"):
            open_image(path)


def test_damage_inside_is_found_at_reading(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", STACK[0], compression="deflate", tile=(64, 64))
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        at = tiff.pages[0].dataoffsets[0]
    content[at : at + 200] = b"\xff" * 200
    path.write_bytes(content)
    image = open_image(path)
    with pytest.raises(UnreadableError, match=r"channel 0, level 0, rows 0-64.*cannot be decoded"):
        image.read(0, 0, Window(0, 64, 0, 64))
    np.testing.assert_array_equal(image.read(0, 0, Window(64, 128, 64, 128)), STACK[0, 64:128, 64:128])


def test_absurd_sizes_and_hostile_xml_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", STACK[0])
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags["ImageWidth"].overwrite(3_000_000_000, dtype="I")
    with pytest.raises(UnreadableError, match=r"3000000000 × 300 px|broken"):
        open_image(path)
    entity = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><OME></OME>'
    bomb = write(tmp_path / "b.ome.tif", STACK[0], description=entity, metadata=None)
    with pytest.raises(UnreadableError, match="entities"):
        open_image(bomb)


def test_one_file_a_stain(tmp_path: Path) -> None:
    paths = {}
    for role, plane in zip(("cd45", "k14", "k8"), STACK, strict=True):
        paths[role] = write(tmp_path / f"{role} stain.tif", plane, resolution=(2e4, 2e4), resolutionunit=3)
    image = open_composite(paths)
    assert isinstance(image, Image)
    assert image.channel_names == ("cd45", "k14", "k8")
    assert image.pixel_size_um == pytest.approx((0.5, 0.5))
    np.testing.assert_array_equal(whole(image, 2), STACK[2])
    paths["k8"] = write(tmp_path / "small.tif", STACK[2, :200])
    with pytest.raises(UnreadableError, match=r"257 × 300 px.*small\.tif has 257 × 200 px"):
        open_composite(paths)
    paths["k8"] = write(tmp_path / "coarse.tif", STACK[2], resolution=(1e4, 1e4), resolutionunit=3)
    with pytest.raises(UnreadableError, match=r"different pixel sizes.*0\.5 µm.*1 µm"):
        open_composite(paths)
    paths["k8"] = write(tmp_path / "many.tif", STACK, photometric="minisblack")
    with pytest.raises(UnreadableError, match="holds 3 channels"):
        open_composite(paths)


def test_a_16_bit_stack_with_the_stains_last_keeps_all_four(tmp_path: Path) -> None:
    stack = RNG.integers(0, 4000, (40, 50, 4), dtype=np.uint16)
    image = open_image(write(tmp_path / "a.tif", stack, photometric="rgb", extrasamples=["unassalpha"]))
    assert image.channel_names == ("", "", "", "")
    np.testing.assert_array_equal(whole(image, 3), stack[:, :, 3])


def test_a_set_of_files_is_read_as_one(tmp_path: Path) -> None:
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0" Name="lobe"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="257" '
        'SizeY="300" SizeC="3" SizeZ="1" SizeT="1" PhysicalSizeX="0.5" PhysicalSizeY="0.5">'
        + "".join(f'<Channel ID="Channel:0:{c}" Name="s{c}" SamplesPerPixel="1"/>' for c in range(3))
        + "".join(
            f'<TiffData FirstC="{c}" IFD="0" PlaneCount="1"><UUID FileName="c{c}.ome.tif">'
            f"urn:uuid:0000000{c}</UUID>"
            "</TiffData>"
            for c in range(3)
        )
        + "</Pixels></Image></OME>"
    )
    for c in range(3):
        own = xml.replace("<OME ", f'<OME UUID="urn:uuid:0000000{c}" ')
        write(tmp_path / f"c{c}.ome.tif", STACK[c], description=own, metadata=None, compression="deflate")
    image = open_image(tmp_path / "c0.ome.tif")
    assert image.channel_names == ("s0", "s1", "s2")
    for c in range(3):
        np.testing.assert_array_equal(whole(image, c), STACK[c])
    (tmp_path / "c1.ome.tif").unlink()
    with pytest.raises(UnreadableError, match=r"missing|broken"):
        open_image(tmp_path / "c0.ome.tif")
