"""OME-TIFF, plain and ImageJ TIFF, and the slide scanners' TIFFs (QPTIFF, SCN, SVS, NDPI)."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from thymusimg.errors import ThymusimgError, UnreadableError, UnsupportedFormatError
from thymusimg.section.model import Level
from thymusimg.section.readers.base import (
    DECODING_ERRORS,
    LazyImage,
    Scene,
    check_dtype,
    check_size,
    choose_scene,
    downsample_of,
)
from thymusimg.section.readers.ome_xml import MAX_XML_BYTES, check_xml
from thymusimg.section.readers.tiff_axes import Axes, read_axes
from thymusimg.section.readers.tiff_colour import Colour, lossy_name, read_colour
from thymusimg.section.readers.tiff_metadata import (
    FORMATS,
    TiffMetadata,
    check_companions,
    check_not_part,
    read_metadata,
)
from thymusimg.section.readers.tiff_pixels import SPILLED_BLOCK_BYTES, LevelPlan, TiffPixels, plan_level

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

AUXILIARY = ("thumbnail", "label", "macro", "map", "overview", "label image", "macro image", "overview image")
"""Pictures of the glass slide that scanners add; never a section."""


def open_tiff(path: Path, scene: str | int | None) -> LazyImage:
    """Open one scene of a TIFF; pixels stay in the file.

    Raises
    ------
    UnreadableError, UnsupportedFormatError, SceneError, ProjectionError
    """
    name = str(path)
    with _remarks() as remarks:
        try:
            with tifffile.TiffFile(path) as tiff:
                _check_description(name, tiff)
                image = _open(name, path, tiff, scene)
        except ThymusimgError:
            raise
        except (tifffile.TiffFileError, *DECODING_ERRORS) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise UnreadableError(f"{name}: is a broken or incomplete TIFF ({reason}). Copy it again.") from error
    return image.with_warnings(*(f"tifffile: {remark}" for remark in dict.fromkeys(remarks)))


def _open(name: str, path: Path, tiff: Any, scene: str | int | None) -> LazyImage:
    candidates, dropped = _scenes(tiff)
    if not candidates:
        raise UnreadableError(f"{name}: is a TIFF without an image.")
    for _, levels in candidates:
        key = levels[0].keyframe
        check_size(name, (key.imagelength, key.imagewidth), key.samplesperpixel, path.stat().st_size)
    chosen = choose_scene(name, [entry for entry, _ in candidates], scene)
    levels = next(levels for entry, levels in candidates if entry.index == chosen.index)
    series = levels[0]
    axes = read_axes(name, series)
    said = read_metadata(name, tiff, series, chosen.index)
    check_dtype(name, np.dtype(series.dtype))
    colour = read_colour(name, series)
    plans = [plan_level(name, level, axes.leading, axes.channel_in_page) for level in _usable(levels)]
    return _image(name, path, series, chosen, plans, axes, said, colour, dropped)


def _image(
    name: str,
    path: Path,
    series: Any,
    chosen: Scene,
    plans: list[LevelPlan],
    axes: Axes,
    said: TiffMetadata,
    colour: Colour,
    dropped: str,
) -> LazyImage:
    full = plans[0]
    names = colour.names * axes.channel_pages if colour.names else said.names
    count = axes.channel_pages * full.samples
    if axes.channel_pages == 1 and len(names) > count:
        names = names[:count]
    source: Any = TiffPixels(name, plans)
    if colour.keep is not None:
        source = _Samples(source, full.samples, colour.keep)
        count = axes.channel_pages * len(colour.keep)
    warnings = [*axes.warnings, *colour.warnings, *said.warnings, dropped]
    if names and len(names) != count:
        warnings.append(f"names {len(names)} channels but holds {count}: the names were ignored")
    if full.block_bytes > SPILLED_BLOCK_BYTES and not full.flat:
        warnings.append(
            f"stores each plane in blocks of {full.block[0]} × {full.block[1]} px: each is decoded whole, into a "
            "temporary file. Tiled files are read faster and with less memory"
        )
    fits = len(names) == count
    emission = said.emission_nm if len(said.emission_nm) == count and not colour.names else (None,) * count
    dtype = full.dtype
    return LazyImage(
        path=name,
        format=FORMATS.get(series.kind, "TIFF"),
        channel_names=tuple(names) if fits else ("",) * count,
        emission_nm=emission,
        dtype=dtype,
        bit_limit=_limit(dtype, said, series.keyframe),
        levels=tuple(Level(plan.shape, downsample_of(full.shape, plan.shape)) for plan in plans),
        tile_shape=full.block,
        source=source,
        pixel_size_um=said.pixel_size_um,
        semi_quantitative=colour.display,
        lossy=lossy_name(series.keyframe),
        warnings=tuple(warning for warning in warnings if warning),
        depth=axes.depth,
        times=axes.times,
        scene=chosen.name or str(chosen.index),
    )


def _limit(dtype: np.dtype[Any], said: TiffMetadata, key: Any) -> float | None:
    if dtype.kind == "f":
        return None
    top = float(np.iinfo(dtype).max)
    bits = int(key.bitspersample)
    if bits < dtype.itemsize * 8:  # packed 10-, 12- or 14-bit samples
        top = 2.0**bits - 1
    return min(top, said.greatest) if said.greatest else top


def _scenes(tiff: Any) -> tuple[list[tuple[Scene, list[Any]]], str]:
    """Return the scenes with their levels, and what was left out, in words."""
    kept: list[tuple[Scene, list[Any]]] = []
    dropped: list[str] = []
    pyramid_base: Any = None
    for index, series in enumerate(tiff.series):
        key = series.keyframe
        shape = (int(key.imagelength), int(key.imagewidth))
        if series.name.strip().lower() in AUXILIARY and len(tiff.series) > 1:
            dropped.append(f"'{series.name}' ({shape[1]} × {shape[0]} px)")
            continue
        if pyramid_base is not None and _is_smaller_copy(pyramid_base, series):
            levels = kept[-1][1]
            if _is_level(pyramid_base, levels[-1], series):
                levels.append(series)
            else:
                dropped.append(f"a reduced copy of {shape[1]} × {shape[0]} px")
            continue
        kept.append(
            (Scene(index, series.name if series.kind in ("ome", "scn") else "", shape), list(series.levels))
        )
        pyramid_base = series if series.kind in ("generic", "uniform", "shaped") else None
    return kept, f"left out {', '.join(dropped)}" if dropped else ""


def _is_smaller_copy(base: Any, series: Any) -> bool:
    """Tell whether a page that no metadata explain shows ``base`` at a lower resolution."""
    a, b = base.keyframe, series.keyframe
    ratio_y, ratio_x = a.imagelength / b.imagelength, a.imagewidth / b.imagewidth
    same = a.dtype == b.dtype and a.samplesperpixel == b.samplesperpixel and len(base.pages) == len(series.pages)
    alike = abs(a.imagelength - b.imagelength * ratio_x) <= 2 * ratio_x
    return bool(same and alike and ratio_y > 1.5 and (b.is_reduced or ratio_y > 1.9))


def _is_level(base: Any, last: Any, series: Any) -> bool:
    """Tell whether a smaller copy continues the pyramid: a power of two below ``base`` and below ``last``."""
    a, b = base.keyframe, series.keyframe
    ratio = downsample_of((a.imagelength, a.imagewidth), (b.imagelength, b.imagewidth))
    power = 2.0 ** round(np.log2(ratio))
    return bool(ratio == power and b.imagelength < last.keyframe.imagelength)


def _usable(levels: Sequence[Any]) -> list[Any]:
    """Leave out levels that do not have the pages and pixels of the first."""
    first = levels[0]
    return [
        level
        for level in levels
        if len(level.pages) == len(first.pages)
        and level.keyframe.samplesperpixel == first.keyframe.samplesperpixel
        and level.keyframe.planarconfig == first.keyframe.planarconfig
        and np.dtype(level.keyframe.dtype) == np.dtype(first.keyframe.dtype)
    ]


def _check_description(name: str, tiff: Any) -> None:
    if not len(tiff.pages):
        raise UnreadableError(f"{name}: is a TIFF without an image.")
    first = tiff.pages[0]
    if first.imagewidth < 1 or first.imagelength < 1:
        raise UnreadableError(f"{name}: is a TIFF without an image. It is damaged or incomplete: copy it again.")
    tag = first.tags.get("ImageDescription")
    if tag is not None and tag.count > MAX_XML_BYTES:
        raise UnreadableError(f"{name}: its description has {tag.count:,} bytes, more than any slide needs.")
    text = first.description or ""
    if "<" in text[:1000]:
        check_xml(name, text)
        check_not_part(name, text)
        check_companions(name, text)
    if first.dtype is None:
        bits, kind = first.bitspersample, first.sampleformat
        raise UnsupportedFormatError(f"{name}: pixels of {bits} bits (sample format {kind}) are no intensities.")


class _Samples:
    """Some samples of an image whose channels count ``samples`` a page (an alpha sample is left out)."""

    def __init__(self, source: TiffPixels, samples: int, keep: tuple[int, ...]) -> None:
        self._source, self._samples, self._keep = source, samples, keep

    def read(self, level: int, channel: int, z: int, window: Any) -> Any:
        page, sample = divmod(channel, len(self._keep))
        return self._source.read(level, page * self._samples + self._keep[sample], z, window)

    def close(self) -> None:
        self._source.close()


@contextmanager
def _remarks() -> Iterator[list[str]]:
    """Collect what tifffile logs, so that it reaches the report and not the terminal."""
    remarks: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING:
                remarks.append(" ".join(record.getMessage().split())[:200])

    logger = logging.getLogger("tifffile")
    handler, propagate = Collector(), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield remarks
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
