"""What a TIFF says of its channels and pixel size, in each of its dialects."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thymusimg.errors import UnreadableError, UnsupportedFormatError
from thymusimg.section.pixel_size import to_um
from thymusimg.section.readers.ome_xml import found, number, ome_images, parse_xml

if TYPE_CHECKING:
    from collections.abc import Mapping

PRINT_UM = 10.0
"""A pixel larger than this in a bare resolution tag is a print or screen setting (2540 dpi and less)."""

FORMATS = {
    "ome": "OME-TIFF",
    "imagej": "ImageJ TIFF",
    "qpi": "QPTIFF",
    "svs": "SVS",
    "scn": "SCN",
    "ndpi": "NDPI",
    "bif": "BIF",
    "lsm": "LSM",
    "stk": "MetaMorph STK",
    "mmstack": "Micro-Manager TIFF",
    "philips": "Philips TIFF",
}


@dataclass(frozen=True)
class TiffMetadata:
    """Names, wavelengths (nm), pixel size (µm) and greatest value; empty or None where the file is silent."""

    names: tuple[str, ...] = ()
    emission_nm: tuple[float | None, ...] = ()
    pixel_size_um: tuple[float, float] | None = None
    greatest: float | None = None
    warnings: tuple[str, ...] = ()


def read_metadata(path: str, tiff: Any, series: Any, index: int) -> TiffMetadata:
    """Read what the file says of one series.

    Parameters
    ----------
    path : str
        For messages.
    tiff : tifffile.TiffFile
    series : tifffile.TiffPageSeries
    index : int
        Position of the series in the file.

    Raises
    ------
    UnreadableError
        If the XML is unsafe or broken.
    UnsupportedFormatError
        If the file is a part of a set that another file describes.
    """
    readers = {
        "ome": _ome,
        "imagej": _imagej,
        "qpi": _qpi,
        "svs": _svs,
        "scn": _scn,
        "shaped": _shaped,
        "lsm": _lsm,
        "mmstack": _micromanager,
    }
    reader = readers.get(series.kind)
    said = reader(path, tiff, series, index) if reader else TiffMetadata()
    size, warnings = said.pixel_size_um, said.warnings
    if size is None and series.kind not in ("ome", "imagej"):
        size, remark = _resolution(series.keyframe)
        warnings = (*warnings, *([remark] if remark else []))
    greatest = said.greatest or _max_sample_value(series.keyframe)
    return TiffMetadata(said.names, said.emission_nm, size, greatest, warnings)


def _ome(path: str, tiff: Any, series: Any, index: int) -> TiffMetadata:
    images = ome_images(path, tiff.pages[0].description)
    if len(images) != len(tiff.series):
        named = [image for image in images if image.name == series.name]
        images = named if len(named) == 1 else []
        index = 0
    if index >= len(images):
        return TiffMetadata(warnings=("its OME-XML does not match its images: names and pixel size are not known",))
    image = images[index]
    return TiffMetadata(
        image.names,
        image.emission_nm,
        image.pixel_size_um,
        2.0**image.significant_bits - 1 if image.significant_bits else None,
        image.warnings,
    )


def _imagej(path: str, tiff: Any, series: Any, index: int) -> TiffMetadata:
    said: Mapping[str, Any] = tiff.imagej_metadata or {}
    unit = str(said.get("unit", ""))
    y_unit = str(said.get("yunit", unit))
    per = _per_unit(series.keyframe)
    size = None
    warnings: list[str] = []
    if per and unit.strip().lower() not in ("", "pixel", "pixels"):
        y, x = (to_um(1 / per[0], y_unit), to_um(1 / per[1], unit))
        if y and x and min(y, x) <= PRINT_UM:
            size = (y, x)
        elif y and x:
            warnings.append(f"its resolution ({25400 / x:.0f} dpi) is a print setting and was ignored")
        else:
            warnings.append(f"the unit of its pixel size, '{unit}', is no length")
    elif per and per != (1.0, 1.0):
        remark = _resolution(series.keyframe)[1]
        warnings.append(remark or "its resolution tag has no unit and was ignored")
    return TiffMetadata(_labels(said, series), pixel_size_um=size, warnings=tuple(warnings))


def _labels(said: Mapping[str, Any], series: Any) -> tuple[str, ...]:
    labels = said.get("Labels")
    sizes = dict(zip(series.axes, series.shape, strict=True))
    channels = sizes.get("C", 1)
    if not isinstance(labels, (list, tuple)) or len(labels) < channels or sizes.get("T", 1) > 1:
        return ()
    # ImageJ counts channels fastest, so the first labels are the channels of the first z plane.
    names = [re.sub(r"^\s*([czt]:\d+/\d+\s*)+(-\s*)?", "", str(label)).strip() for label in labels[:channels]]
    return tuple(names) if len(set(names)) == channels else ()


def _qpi(path: str, tiff: Any, series: Any, index: int) -> TiffMetadata:
    names = []
    for page in series.pages:
        text = getattr(page, "description", "") or ""
        root = parse_xml(path, text) if "<" in text else None
        said = {
            key: next((e.text or "" for e in found(root, key) if (e.text or "").strip()), "")
            if root is not None
            else ""
            for key in ("Biomarker", "Name")
        }
        names.append((said["Biomarker"] or said["Name"]).strip())
    return TiffMetadata(tuple(names))


def _svs(path: str, tiff: Any, series: Any, index: int) -> TiffMetadata:
    match = re.search(r"\bMPP\s*=\s*([0-9.]+)", series.keyframe.description or "")
    value = number(match[1]) if match else None
    return TiffMetadata(pixel_size_um=(value, value) if value else None)


def _scn(path: str, tiff: Any, series: Any, index: int) -> TiffMetadata:
    images = list(found(parse_xml(path, tiff.pages[0].description), "image"))
    if index >= len(images):
        return TiffMetadata()
    image = images[index]
    names = [channel.get("name", "") for channel in found(image, "channel")]
    view, pixels = next(found(image, "view"), None), next(found(image, "pixels"), None)
    size = None
    if view is not None and pixels is not None:
        sides = [
            (number(view.get(key)) or 0) / (number(pixels.get(key)) or 1) / 1000 for key in ("sizeY", "sizeX")
        ]  # the view is in nm
        size = (sides[0], sides[1]) if min(sides) > 0 else None
    return TiffMetadata(tuple(names), pixel_size_um=size)


def _shaped(path: str, tiff: Any, series: Any, index: int) -> TiffMetadata:
    all_said = tiff.shaped_metadata or ()
    said: Mapping[str, Any] = all_said[index] if index < len(all_said) else {}
    sides = []
    for axis in ("Y", "X"):
        value = said.get(f"PhysicalSize{axis}")
        unit = said.get(f"PhysicalSize{axis}Unit", said.get("unit", "µm"))
        sides.append(to_um(float(value), str(unit)) if isinstance(value, (int, float)) else None)
    channel = said.get("Channel")
    names = channel.get("Name", ()) if isinstance(channel, dict) else said.get("channel_names", ())
    return TiffMetadata(
        tuple(str(name) for name in names) if isinstance(names, (list, tuple)) else (),
        pixel_size_um=(sides[0], sides[1]) if sides[0] and sides[1] else None,
    )


def _lsm(path: str, tiff: Any, series: Any, index: int) -> TiffMetadata:
    said: Mapping[str, Any] = tiff.lsm_metadata or {}
    y, x = (to_um(float(said.get(f"VoxelSize{axis}") or 0), "m") for axis in "YX")
    colours = said.get("ChannelColors")
    names = colours.get("ColorNames", ()) if isinstance(colours, dict) else ()
    return TiffMetadata(tuple(str(n) for n in names), pixel_size_um=(y, x) if y and x else None)


def _micromanager(path: str, tiff: Any, series: Any, index: int) -> TiffMetadata:
    said = (tiff.micromanager_metadata or {}).get("Summary") or {}
    names, size = said.get("ChNames"), said.get("PixelSize_um")
    side = float(size) if isinstance(size, (int, float)) and size > 0 else None
    return TiffMetadata(
        tuple(str(n) for n in names) if isinstance(names, list) else (),
        pixel_size_um=(side, side) if side else None,
    )


def _per_unit(key: Any) -> tuple[float, float] | None:
    """Return pixels per unit, (y, x), from the resolution tags."""
    sides = []
    for name in ("YResolution", "XResolution"):
        tag = key.tags.get(name)
        value = tag.value if tag is not None else None
        ratio = value[0] / value[1] if isinstance(value, tuple) and len(value) == 2 and value[1] else None
        if not ratio:
            return None
        sides.append(float(ratio))
    return sides[0], sides[1]


def _resolution(key: Any) -> tuple[tuple[float, float] | None, str]:
    """Return the pixel size of the resolution tags, or why they are none."""
    per = _per_unit(key)
    tag = key.tags.get("ResolutionUnit")
    unit = {2: 25_400.0, 3: 10_000.0}.get(int(tag.value) if tag is not None else 2)
    if per is None or unit is None:
        return None, ""
    y, x = unit / per[0], unit / per[1]
    if min(y, x) > PRINT_UM:
        return (
            None,
            f"its resolution ({25400 / x:.0f} dpi) is a screen or print setting, no pixel size, and was ignored",
        )
    return (round(y, 9), round(x, 9)), ""


def _max_sample_value(key: Any) -> float | None:
    tag = key.tags.get("MaxSampleValue")
    value = tag.value if tag is not None else None
    value = max(value) if isinstance(value, tuple) and value else value
    # Some writers put the brightest pixel here; only 2ⁿ − 1 speaks of the camera.
    if isinstance(value, int) and value >= 255 and (value + 1) & value == 0:
        return float(value)
    return None


def check_companions(path: str, description: str) -> None:
    """Refuse a set of files of which one is named outside the set's folder.

    The names are opened as they stand; a path could lead to any file, a device, or another machine's share.

    Raises
    ------
    UnreadableError
    """
    for match in re.finditer(r"FileName\s*=\s*(\"[^\"]*\"|'[^']*')", description):
        name = html.unescape(match[1][1:-1])
        if re.search(r"[/\\:]", name) or name in ("", ".", "..") or not name.isprintable():
            raise UnreadableError(
                f"{path}: its description names a file outside its folder ({name[:60]!r}); refused. Keep all files "
                "of the set in one folder and save the set again."
            )


def check_not_part(path: str, description: str) -> None:
    """Refuse one file of a set whose description lies in another file.

    Raises
    ------
    UnsupportedFormatError
    """
    if "<BinaryOnly" in description[:4096]:
        match = re.search(r'MetadataFile="([^"]+)"', description)
        other = f"'{match[1]}'" if match else "another file"
        raise UnsupportedFormatError(
            f"{path}: is one part of a set that {other} describes. Save the set as one OME-TIFF file."
        )
