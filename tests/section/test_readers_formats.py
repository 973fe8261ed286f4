"""OME-Zarr, PNG, JPEG, LIF, the real files, and everything that is no image."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
import zarr

from thymusimg.errors import (
    PixelSizeError,
    ProjectionError,
    SceneError,
    SectionError,
    UnreadableError,
    UnsupportedFormatError,
)
from thymusimg.section.model import Image, Window
from thymusimg.section.pixel_size import check_pixel_size
from thymusimg.section.readers import open_image

if TYPE_CHECKING:
    from collections.abc import Sequence

RNG = np.random.default_rng(11)
CYX = RNG.integers(0, 4000, (3, 90, 70), dtype=np.uint16)
REAL = Path(__file__).parents[2].parent / "shared" / "data"
real_data = pytest.mark.real_data
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the real images are not in {REAL}")


def whole(image: Image, channel: int = 0, level: int = 0) -> Any:
    height, width = image.levels[level].shape
    return image.read(level, channel, Window(0, height, 0, width))


def write_zarr(
    path: Path,
    data: Any,
    axes: str,
    version: str = "0.5",
    unit: str | None = "micrometer",
    scale: float = 0.5,
    names: Sequence[str] = (),
    levels: int = 2,
) -> Path:
    group = zarr.open_group(str(path), mode="w", zarr_format=3 if version == "0.5" else 2)
    datasets = []
    for level in range(levels):
        step = 2**level
        at = tuple(slice(None, None, step) if axis in "yx" else slice(None) for axis in axes)
        chunks = tuple(32 if axis in "yx" else 1 for axis in axes)
        array = group.create_array(str(level), shape=data[at].shape, chunks=chunks, dtype=data.dtype)
        array[...] = data[at]
        factors = [scale * step if axis in "yx" else 1.0 for axis in axes]
        datasets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": factors}]})
    kinds = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
    entry = {
        "name": "lobe",
        "axes": [{"name": a, "type": kinds[a]} | ({"unit": unit} if unit and a in "zyx" else {}) for a in axes],
        "datasets": datasets,
    }
    ome: dict[str, Any] = {"multiscales": [entry]}
    if names:
        ome["omero"] = {"channels": [{"label": name} for name in names]}
    if version == "0.5":
        group.attrs["ome"] = {"version": "0.5", **ome}
    else:
        entry["version"] = version
        group.attrs.update(ome)
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["cyx", "tczyx", "yx"])
def test_ome_zarr(tmp_path: Path, version: str, axes: str) -> None:
    data = {"cyx": CYX, "tczyx": CYX[None, :, None], "yx": CYX[0]}[axes]
    names = ("hCD45", "K14", "K8") if "c" in axes else ("K14",)
    image = open_image(write_zarr(tmp_path / "a b é.zarr", data, axes, version, names=names))
    assert isinstance(image, Image)
    assert image.format == f"OME-Zarr {version}"
    assert image.channel_names == names
    assert image.pixel_size_um == (0.5, 0.5)
    assert [level.downsample for level in image.levels] == [1, 2]
    assert image.tile_shape == (32, 32)
    last = len(names) - 1
    np.testing.assert_array_equal(whole(image, last), CYX[last])
    np.testing.assert_array_equal(whole(image, last, 1), CYX[last, ::2, ::2])
    np.testing.assert_array_equal(image.read(0, last, Window(5, 60, 31, 33)), CYX[last, 5:60, 31:33])


@pytest.mark.parametrize(("unit", "scale"), [("nanometer", 325.0), ("millimeter", 0.000325)])
def test_ome_zarr_units(tmp_path: Path, unit: str, scale: float) -> None:
    image = open_image(write_zarr(tmp_path / "a.zarr", CYX, "cyx", unit=unit, scale=scale))
    assert image.pixel_size_um == pytest.approx((0.325, 0.325))


def test_ome_zarr_without_a_unit_has_no_pixel_size(tmp_path: Path) -> None:
    image = open_image(write_zarr(tmp_path / "a.zarr", CYX, "cyx", unit=None, scale=0.325))
    with pytest.raises(PixelSizeError, match=r"0\.325\) has no unit.*--pixel-size"):
        check_pixel_size(image)


def test_ome_zarr_stacks_series_and_plates(tmp_path: Path) -> None:
    stack = write_zarr(tmp_path / "z.zarr", CYX, "zyx", levels=1)
    with pytest.raises(ProjectionError, match="z-stack of 3"):
        open_image(stack)
    np.testing.assert_array_equal(whole(open_image(stack, projection="max")), CYX.max(axis=0))
    root = tmp_path / "slide.zarr"
    group = zarr.open_group(str(root), mode="w", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    for index in range(2):
        write_zarr(root / str(index), CYX[:, index * 10 :], "cyx", "0.4")
    with pytest.raises(SceneError, match=r"0 '0' \(70 × 90 px\), 1 '1' \(70 × 80 px\)"):
        open_image(root)
    np.testing.assert_array_equal(whole(open_image(root, scene=1), 2), CYX[2, 10:])
    group.attrs["plate"] = {"wells": []}
    with pytest.raises(UnsupportedFormatError, match="plate"):
        open_image(root)


def test_broken_zarrs(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(UnreadableError, match=r"no OME-Zarr.*it holds nothing"):
        open_image(folder)
    zarr.open_group(str(tmp_path / "bare.zarr"), mode="w")
    with pytest.raises(UnreadableError, match="holds no image"):
        open_image(tmp_path / "bare.zarr")
    path = write_zarr(tmp_path / "a.zarr", CYX, "cyx")
    chunk = path / "0" / "c" / "1" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:10])
    image = open_image(path)
    with pytest.raises(UnreadableError, match=r"channel 1, level 0.*cannot be decoded"):
        whole(image, 1)
    (path / "zarr.json").write_text("{ broken")
    with pytest.raises(UnreadableError, match="metadata are broken"):
        open_image(path)


def test_png(tmp_path: Path) -> None:
    rgb = RNG.integers(0, 255, (40, 50, 4), dtype=np.uint8)
    path = tmp_path / "Figure 1é.png"
    path.write_bytes(imagecodecs.png_encode(rgb))
    image = open_image(path)
    assert image.channel_names == ("red", "green", "blue")
    assert image.semi_quantitative
    assert not image.lossy
    assert any("alpha" in warning for warning in image.warnings)
    np.testing.assert_array_equal(image.read(0, 2, Window(3, 9, 4, 50)), rgb[3:9, 4:50, 2])
    path.write_bytes(imagecodecs.png_encode(CYX[0]))
    grey = open_image(path)
    assert grey.channel_names == ("",)
    assert grey.dtype == np.uint16
    assert not grey.semi_quantitative
    np.testing.assert_array_equal(whole(grey), CYX[0])
    path.write_bytes(imagecodecs.png_encode(CYX[0])[:-2000])
    with pytest.raises(UnreadableError, match="cannot be decoded"):
        whole(open_image(path))
    header = b"IHDR" + struct.pack(">IIBBBBB", 2_000_000, 2_000_000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + bytes(40))
    with pytest.raises(UnreadableError, match="2000000 × 2000000 px"):
        open_image(path)


def test_jpeg(tmp_path: Path) -> None:
    rgb = np.full((40, 56, 3), 90, dtype=np.uint8)
    rgb[:20, :, 1] = 180
    path = tmp_path / "a.jpg"
    path.write_bytes(imagecodecs.jpeg_encode(rgb, level=95))
    image = open_image(path)
    assert image.lossy == "JPEG"
    assert image.semi_quantitative
    assert image.levels[0].shape == (40, 56)
    assert abs(int(whole(image, 1)[5, 5]) - 180) < 5
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(UnreadableError, match="truncated"):
        open_image(path)


def lif_bytes(data: Any, side_m: float, names: Sequence[str]) -> bytes:
    """Write a (C, Y, X) uint16 array as Leica does."""
    height, width = data.shape[1:]
    channels = "".join(
        f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="12" NameOfMeasuredQuantity="" Min="0" '
        f'Max="1" '
        f'Unit="" LUTName="{name}" IsLUTInverted="0" BytesInc="{i * height * width * 2}" BitInc="0"/>'
        for i, name in enumerate(names)
    )
    dimensions = "".join(
        f'<DimensionDescription DimID="{key}" NumberOfElements="{n}" Origin="0" Length="{side_m * (n - 1)}" '
        f'Unit="m" '
        f'BitInc="0" BytesInc="{step}"/>'
        for key, n, step in ((1, width, 2), (2, height, 2 * width))
    )
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="slide" Visibility="1">'
        '<Data><Experiment Path=""/></Data>'
        '<Memory Size="0" MemoryBlockID="MemBlock_0"/><Children><Element Name="lobe 1" Visibility="1"><Data><Image>'
        f"<ImageDescription><Channels>{channels}</Channels><Dimensions>{dimensions}</Dimensions></ImageDescription>"
        f'</Image></Data><Memory Size="{data.nbytes}" MemoryBlockID="MemBlock_1"/></Element></Children></Element>'
        "</LMSDataContainerHeader>"
    )
    text = xml.encode("utf-16-le")
    head = struct.pack("<IIBI", 0x70, 5 + len(text), 0x2A, len(xml)) + text
    blocks = b""
    for name, content in (("MemBlock_0", b""), ("MemBlock_1", data.astype("<u2").tobytes())):
        label = name.encode("utf-16-le")
        blocks += (
            struct.pack("<IIBQBI", 0x70, 14 + len(label), 0x2A, len(content), 0x2A, len(name)) + label + content
        )
    return head + blocks


def test_lif(tmp_path: Path) -> None:
    pytest.importorskip("liffile")
    path = tmp_path / "slide.lif"
    path.write_bytes(lif_bytes(CYX, 0.65e-6, ("Red", "Blue", "Green")))
    image = open_image(path)
    assert image.format == "LIF"
    assert image.channel_names == ("Red", "Blue", "Green")
    assert image.pixel_size_um == pytest.approx((0.65, 0.65))
    assert image.max_value == 4095
    np.testing.assert_array_equal(whole(image, 2), CYX[2])
    image.close()
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UnreadableError, match="LIF"):
        open_image(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.tif", b"", "empty \\(0 bytes\\)"),
        ("text.tif", "Überschrift; Wert\n".encode(), "is text"),
        ("latin.tif", "Überschrift; Wert\n".encode("latin-1"), "is text"),
        ("zeros.tif", bytes(600), "zeros only"),
        ("noise.tif", bytes(range(128, 200)) * 9, "first bytes are 80 81 82"),
        ("cut.czi", b"ZISRAWFILE" + bytes(200), "broken or incomplete CZI"),
        ("cut.nd2", b"\xda\xce\xbe\x0a" + bytes(200), "ND2.* (broken|incomplete)"),
        ("cut.lif", b"\x70\0\0\0" + bytes(200), "broken or incomplete LIF"),
        ("head.tif", b"II*\0", "broken|without an image"),
        ("loop.tif", b"II*\0\x08\0\0\0" + bytes(100), "broken|without an image|incomplete"),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=words) as caught:
        open_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.zip", b"PK\x03\x04" + bytes(50), "ZIP archive"),
        ("a.tif", b"PK\x03\x04" + bytes(50), "ZIP archive"),
        ("a.vsi", b"II*\0" + bytes(50), "Olympus VSI.*OME-TIFF"),
        ("a.oir", b"OLYMPUSRAWFORMAT" + bytes(50), "Olympus OIR"),
        ("a.ims", b"\x89HDF\r\n" + bytes(50), "Imaris"),
        ("a.gif", b"GIF89a" + bytes(50), "GIF"),
        ("a.pdf", b"%PDF-1.7", "PDF"),
    ],
)
def test_known_formats_are_refused_by_name(
    tmp_path: Path, name: str, content: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thymusimg.section.readers.other.find_spec", lambda module: None)
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnsupportedFormatError, match=words):
        open_image(path)


def test_a_missing_file_and_a_forbidden_one(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="no such file"):
        open_image(tmp_path / "none.tif")
    with pytest.raises(UnreadableError, match=r"cannot be read|no such file"):
        open_image("a\0b.tif")
    path = tmp_path / "secret.tif"
    path.write_bytes(b"II*\0")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")
    with pytest.raises(UnreadableError, match="permission"):
        open_image(path)


def test_a_missing_library_names_its_pip_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from thymusimg.errors import MissingExtraError
    from thymusimg.section.readers import extras

    def missing(module: str) -> Any:
        raise ModuleNotFoundError(f"No module named '{module}'")

    monkeypatch.setattr(extras, "import_module", missing)
    path = tmp_path / "a.czi"
    path.write_bytes(b"ZISRAWFILE")
    with pytest.raises(MissingExtraError, match=r"CZI.*pip install 'thymusimg\[formats\]'"):
        open_image(path)


@real_data
@needs_real
@pytest.mark.parametrize(
    ("file", "options", "shape", "names", "pixel"),
    [
        ("formats/0T-4C-0Z.czi", {}, (32, 32), ("AF647", "AF568", "AF488", "DAPI"), 0.6205),
        ("formats/0T-4C-0Z-7pos.czi", {"scene": "P3"}, (32, 32), ("AF647", "AF568", "AF488", "DAPI"), 0.6205),
        ("formats/0T-4C-5Z.czi", {"projection": "max"}, (32, 32), ("AF647", "AF568", "AF488", "DAPI"), 0.6205),
        ("formats/PGC_20X.czi", {}, (2755, 3675), ("TL Phase Gradient",), 0.227),
        ("formats/ND2_dims_rgb.nd2", {}, (64, 64), ("red", "green", "blue"), 0.342857),
        ("formats/cells3d2ch_legacy.tiff", {"projection": "mean"}, (66, 85), ("membrane", "nuclei"), 1.0),
        ("formats/RGB_bad_metadata.tiff", {}, (1440, 1920), ("red", "green", "blue"), None),
        ("membrane/instanseg_membrane_nuclei.tif", {}, (450, 450), ("", ""), None),
        (
            "thymus_wildtype/section1_CD11c_PDGFRb_CD205.ome.tif",
            {},
            (4166, 2084),
            ("CD11c", "PDGFRb", "CD205"),
            1.29,
        ),
        ("thymus_wildtype/section1_compartments.tif", {}, (4166, 2084), ("",), 1.29),
    ],
)
def test_real_files(file: str, options: Any, shape: Any, names: Any, pixel: float | None) -> None:
    image = open_image(REAL / file, **options)
    assert image.levels[0].shape == shape
    assert image.channel_names == names
    if pixel is None:
        assert image.pixel_size_um is None
    else:
        assert image.pixel_size_um == pytest.approx((pixel, pixel), rel=1e-3)
    assert whole(image, len(names) - 1).shape == shape
    image.close()


@real_data
@needs_real
@pytest.mark.parametrize(
    ("file", "error", "words"),
    [
        ("formats/0T-4C-0Z-7pos.czi", SceneError, "0 'P5'.*6 'P7'"),
        ("formats/3T-4C-3Z-2pos.czi", SceneError, "2 scenes"),
        ("formats/10T-4C-0Z.czi", ProjectionError, "10 time points"),
        ("formats/0T-4C-5Z.czi", ProjectionError, "z-stack of 5"),
        ("formats/cells3d2ch_legacy.tiff", ProjectionError, "z-stack of 60"),
        ("nuclei_dsb2018/images_and_masks.zip", UnsupportedFormatError, "ZIP archive"),
        ("nuclei_dsb2018/index.csv", UnreadableError, "is text"),
    ],
)
def test_real_files_that_are_refused(file: str, error: type[SectionError], words: str) -> None:
    with pytest.raises(error, match=words):
        open_image(REAL / file)


@real_data
@needs_real
def test_czi_windows_agree_with_the_whole() -> None:
    image = open_image(REAL / "formats/PGC_20X.czi")
    plane = whole(image)
    np.testing.assert_array_equal(image.read(0, 0, Window(700, 1300, 2000, 3675)), plane[700:1300, 2000:])


def test_json_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_text(json.dumps({"a": 1}))
    with pytest.raises(UnreadableError, match="is text"):
        open_image(path)
