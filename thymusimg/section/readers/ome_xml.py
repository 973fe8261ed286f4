"""OME-XML and its kin: names, wavelengths and pixel sizes, read with care for hostile text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from thymusimg.errors import UnreadableError
from thymusimg.section.pixel_size import to_um

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_XML_BYTES = 50 * 2**20
"""No slide's description is longer; a longer one is refused before it is parsed."""

MAX_XML_TAGS = 2_000_000


@dataclass(frozen=True)
class OmeImage:
    """What OME-XML says of one image."""

    name: str
    names: tuple[str, ...]
    emission_nm: tuple[float | None, ...]
    pixel_size_um: tuple[float, float] | None
    significant_bits: int | None
    warnings: tuple[str, ...] = ()


def check_xml(path: str, text: str) -> None:
    """Refuse XML that is too long or declares entities, which can grow without bound.

    Raises
    ------
    UnreadableError
    """
    if len(text) > MAX_XML_BYTES:
        raise UnreadableError(f"{path}: its XML description has {len(text):,} bytes, more than any slide needs.")
    if text.count("<") > MAX_XML_TAGS:
        raise UnreadableError(f"{path}: its XML description has millions of elements, more than any slide needs.")
    check_entities(path, text)


def check_entities(path: str, text: str) -> None:
    """Refuse text that declares entities.

    Raises
    ------
    UnreadableError
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UnreadableError(
            f"{path}: its XML description declares entities (<!DOCTYPE or <!ENTITY); refused as unsafe."
        )


def parse_xml(path: str, text: str) -> ElementTree.Element:
    """Parse XML after :func:`check_xml`.

    Raises
    ------
    UnreadableError
        If it is unsafe or no XML.
    """
    check_xml(path, text)
    try:
        return ElementTree.fromstring(text.strip().strip("\0"))  # noqa: S314 - entities were refused above
    except (ElementTree.ParseError, ValueError) as error:
        raise UnreadableError(f"{path}: its XML description is broken ({error}).") from error


def tag_of(element: ElementTree.Element) -> str:
    """Return an element's name without its namespace."""
    return element.tag.rsplit("}", 1)[-1]


def found(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    """Yield every descendant called ``name``, whatever its namespace."""
    return (child for child in element.iter() if tag_of(child) == name)


def number(text: str | None) -> float | None:
    """Return a finite number, or None."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def ome_images(path: str, text: str) -> list[OmeImage]:
    """Read every ``Image`` of an OME-XML text, in order.

    Raises
    ------
    UnreadableError
        If the XML is unsafe or broken.
    """
    return [_image(image) for image in found(parse_xml(path, text), "Image")]


def _image(image: ElementTree.Element) -> OmeImage:
    pixels = next(found(image, "Pixels"), None)
    if pixels is None:
        return OmeImage(image.get("Name", ""), (), (), None, None)
    names: list[str] = []
    emission: list[float | None] = []
    for channel in found(pixels, "Channel"):
        samples = int(number(channel.get("SamplesPerPixel")) or 1)
        name = channel.get("Name") or channel.get("Fluor") or ""
        names += [name] * samples
        emission += [_nm(channel)] * samples
    size, warning = _pixel_size(pixels)
    bits = number(pixels.get("SignificantBits"))
    return OmeImage(
        name=image.get("Name", ""),
        names=tuple(names),
        emission_nm=tuple(emission),
        pixel_size_um=size,
        significant_bits=int(bits) if bits else None,
        warnings=(warning,) if warning else (),
    )


def _nm(channel: ElementTree.Element) -> float | None:
    value = number(channel.get("EmissionWavelength"))
    um = to_um(value, channel.get("EmissionWavelengthUnit", "nm")) if value else None
    return round(um * 1000, 6) if um else None


def _pixel_size(pixels: ElementTree.Element) -> tuple[tuple[float, float] | None, str]:
    sides: list[float] = []
    for axis in ("Y", "X"):
        value = number(pixels.get(f"PhysicalSize{axis}"))
        if value is None:
            return None, ""
        unit = pixels.get(f"PhysicalSize{axis}Unit", "µm")
        side = to_um(value, unit)
        if side is None:
            return None, f"the pixel size {value:g} has the unit '{unit}', which is no length"
        sides.append(side)
    return (sides[0], sides[1]), ""
