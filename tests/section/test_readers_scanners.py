"""Slide scanners' TIFFs, written after their published layout: what is a level, a label, a name, a pixel size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from thymusimg.errors import UnsupportedFormatError
from thymusimg.section.model import Window
from thymusimg.section.readers import open_image

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(3)
STACK = RNG.integers(0, 4000, (3, 512, 384)).astype(np.uint16)
RGB = RNG.integers(0, 255, (512, 384, 3)).astype(np.uint8)
QPI = (
    '<?xml version="1.0" encoding="utf-16"?><PerkinElmer-QPI-ImageDescription>'
    "<DescriptionVersion>2</DescriptionVersion><AcquisitionSoftware>VectraScan 1.0.0</AcquisitionSoftware>"
    "<ImageType>{kind}</ImageType><Identifier>1</Identifier><Objective>20x</Objective><Name>{name}</Name>{marker}<Color>255,0,0</Color></PerkinElmer-QPI-ImageDescription>"
)


def whole(image, channel=0, level=0):
    height, width = image.levels[level].shape
    return image.read(level, channel, Window(0, height, 0, width))


@pytest.mark.parametrize("compression", ["lzw", "jpeg2000", None])
def test_qptiff(tmp_path: Path, compression: str | None) -> None:
    """Akoya QPTIFF: a page a stain at full resolution, an RGB thumbnail, the reduced pages, a label."""
    path = tmp_path / "a.qptiff"
    options = {"tile": (128, 128), "compression": compression, "photometric": "minisblack", "metadata": None}
    names = (("Opal 570", "CD45"), ("Opal 690", "K14"), ("DAPI", ""))
    per_cm = (10_000 / 0.5, 10_000 / 0.5)
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for level in (1, 2):
            for plane, (name, marker) in zip(STACK, names, strict=True):
                text = QPI.format(
                    kind="FullResolution" if level == 1 else "ReducedResolution",
                    name=name,
                    marker=f"<Biomarker>{marker}</Biomarker>" if marker else "",
                )
                writer.write(
                    plane[::level, ::level],
                    description=text,
                    subfiletype=int(level > 1),
                    software="PerkinElmer-QPI",
                    resolution=(per_cm[0] / level, per_cm[1] / level),
                    resolutionunit="CENTIMETER",
                    **options,
                )
            if level == 1:
                thumbnail = QPI.format(kind="Thumbnail", name="", marker="")
                writer.write(
                    RGB[:64, :48],
                    description=thumbnail,
                    photometric="rgb",
                    software="PerkinElmer-QPI",
                    metadata=None,
                )
        label = QPI.format(kind="Label", name="", marker="")
        writer.write(RGB[:50, :60], description=label, photometric="rgb", software="PerkinElmer-QPI", metadata=None)
    image = open_image(path)
    assert image.format == "QPTIFF"
    assert image.channel_names == ("CD45", "K14", "DAPI")
    assert image.pixel_size_um == pytest.approx((0.5, 0.5))
    assert [level.downsample for level in image.levels] == [1, 2]
    for channel in range(3):
        np.testing.assert_array_equal(whole(image, channel), STACK[channel])
        np.testing.assert_array_equal(whole(image, channel, 1), STACK[channel, ::2, ::2])


def test_svs(tmp_path: Path) -> None:
    """Aperio SVS: the slide, a stripped thumbnail, reduced levels, a label and a macro; red, green and blue."""
    path = tmp_path / "a.svs"
    head = "Aperio Image Library v12.0.15\r\n512x384 [0,0 384x512] (240x240) JPEG/RGB Q=70|AppMag = 20|MPP = 0.4990"
    options = {"photometric": "rgb", "metadata": None, "software": None}
    with tifffile.TiffWriter(path, bigtiff=False) as writer:
        writer.write(RGB, tile=(128, 128), description=head, compression="jpeg", **options)
        writer.write(RGB[::8, ::8], description=f"{head} -> 48x64 - |", rowsperstrip=16, **options)
        writer.write(
            RGB[::4, ::4],
            tile=(128, 128),
            description=f"{head} -> 96x128 JPEG/RGB Q=70",
            compression="jpeg",
            **options,
        )
        for name in ("label", "macro"):
            writer.write(
                RGB[:60, :80],
                description=f"Aperio\r\n{name} 80x60",
                subfiletype=1 if name == "label" else 9,
                **options,
            )
    image = open_image(path)
    assert image.format == "SVS"
    assert image.semi_quantitative
    assert image.lossy.startswith("JPEG")
    assert image.pixel_size_um == (0.499, 0.499)
    assert image.channel_names == ("red", "green", "blue")
    assert image.levels[0].shape == (512, 384)
    np.testing.assert_array_equal(whole(image, 1), tifffile.imread(path, series=0, level=0)[:, :, 1])


def test_scn(tmp_path: Path) -> None:
    """Leica SCN: a collection of an overview and a scan; channels and resolutions are pages that XML lists."""
    place = '<view sizeX="{x}" sizeY="{y}" offsetX="0" offsetY="0"/>'
    names = ("CD45", "K14", "K8")
    pages = "".join(
        f'<dimension sizeX="{384 >> r}" sizeY="{512 >> r}" r="{r}" c="{c}" ifd="{1 + 3 * r + c}"/>'
        for r in (0, 1)
        for c in range(3)
    )
    channels = "".join(f'<channel index="{c}" name="{name}"/>' for c, name in enumerate(names))
    xml = (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">'
        '<collection name="c" sizeX="26000000" sizeY="76000000">'
        '<image name="overview"><pixels sizeX="48" sizeY="64">'
        '<dimension sizeX="48" sizeY="64" r="0" ifd="0"/></pixels>'
        f"{place.format(x=26000000, y=76000000)}</image>"
        f'<image name="scan"><pixels sizeX="384" sizeY="512">{pages}</pixels>'
        f"{place.format(x=384 * 500, y=512 * 500)}"
        f"<scanSettings><channelSettings>{channels}</channelSettings></scanSettings></image></collection></scn>"
    )
    options = {"tile": (128, 128), "photometric": "minisblack", "metadata": None, "software": None}
    with tifffile.TiffWriter(tmp_path / "a.scn", bigtiff=True) as writer:
        writer.write(RGB[:64, :48], description=xml, photometric="rgb", metadata=None, software=None)
        for level in (1, 2):
            for plane in STACK:
                writer.write(plane[::level, ::level], **options)
    image = open_image(tmp_path / "a.scn", scene="scan")
    assert (image.format, image.channel_names) == ("SCN", names)
    assert image.pixel_size_um == pytest.approx((0.5, 0.5))
    assert [level.downsample for level in image.levels] == [1, 2]
    for channel in range(3):
        np.testing.assert_array_equal(whole(image, channel), STACK[channel])
        np.testing.assert_array_equal(whole(image, channel, 1), STACK[channel, ::2, ::2])


def test_vsi_is_refused_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A VSI wears a TIFF's head, but its pixels lie in .ets files beside it: it is no thumbnail to be read."""
    from thymusimg.section.readers import other

    monkeypatch.setattr(other, "find_spec", lambda name: None)
    tifffile.imwrite(tmp_path / "a.vsi", RGB[:64, :48], photometric="rgb")
    with pytest.raises(UnsupportedFormatError) as told:
        open_image(tmp_path / "a.vsi")
    assert "is Olympus VSI, which is not read here. Export it as OME-TIFF" in str(told.value)
