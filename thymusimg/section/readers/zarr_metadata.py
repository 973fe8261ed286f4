"""The multiscales metadata of OME-Zarr: axes, levels, scales, units and channel names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from thymusimg.errors import UnreadableError, UnsupportedFormatError
from thymusimg.section.pixel_size import to_um
from thymusimg.section.readers.zarr_bounds import bounded


@dataclass(frozen=True)
class Multiscale:
    """What a group says of its image.

    Attributes
    ----------
    axes : str
        One letter an axis, in the order of the arrays: ``tczyx`` or less.
    arrays : tuple of zarr.Array
        Full resolution first.
    """

    name: str
    version: str
    axes: str
    arrays: tuple[Any, ...]
    names: tuple[str, ...]
    pixel_size_um: tuple[float, float] | None
    warnings: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width at full resolution."""
        sizes = dict(zip(self.axes, self.arrays[0].shape, strict=True))
        return int(sizes["y"]), int(sizes["x"])


def read_multiscale(path: str, ome: dict[str, Any], group: Any) -> Multiscale:
    """Read the first multiscale of a group.

    Raises
    ------
    UnreadableError
        If a level is missing or the axes do not fit the arrays.
    UnsupportedFormatError
        If an axis is no t, c, z, y or x.
    """
    entry = ome["multiscales"][0]
    axes, units = _axes(path, entry)
    datasets = entry["datasets"]
    arrays = []
    for dataset in datasets:
        key = check_inside(path, str(dataset["path"]))
        if key not in group:
            raise UnreadableError(f"{path}: the level '{key}' that its metadata name is missing.")
        arrays.append(bounded(group[key], path))
    if any(len(array.shape) != len(axes) for array in arrays):
        raise UnreadableError(f"{path}: {len(axes)} axes ({axes}) for an array of shape {arrays[0].shape}.")
    size, warnings = _pixel_size(axes, units, datasets[0], entry)
    if len(ome["multiscales"]) > 1:
        warnings = (*warnings, f"holds {len(ome['multiscales'])} multiscales; the first was taken")
    channels = (ome.get("omero") or {}).get("channels") or []
    return Multiscale(
        name=str(entry.get("name") or ""),
        version=str(ome.get("version") or entry.get("version") or "0.4"),
        axes=axes,
        arrays=tuple(arrays),
        names=tuple(str(channel.get("label") or channel.get("name") or "") for channel in channels),
        pixel_size_um=size,
        warnings=warnings,
    )


def check_inside(path: str, key: str) -> str:
    """Refuse a key that leads out of the store.

    Raises
    ------
    UnreadableError
    """
    parts = key.replace("\\", "/").split("/")
    if not key or ".." in parts or key.startswith(("/", "\\")) or ":" in parts[0] or not key.isprintable():
        raise UnreadableError(f"{path}: its metadata name {key[:80]!r}, which leads out of the store; refused.")
    return key


def _axes(path: str, entry: dict[str, Any]) -> tuple[str, dict[str, str]]:
    listed = entry.get("axes") or list("tczyx")
    names, units = [], {}
    for axis in listed:
        name = str(axis["name"] if isinstance(axis, dict) else axis).lower()
        names.append(name)
        units[name] = str(axis.get("unit") or "") if isinstance(axis, dict) else ""
    strange = [name for name in names if name not in ("t", "c", "z", "y", "x")]
    if strange or not {"y", "x"} <= set(names):
        raise UnsupportedFormatError(f"{path}: its axes are {', '.join(names)}; t, c, z, y and x can be read.")
    return "".join(names), units


def _pixel_size(
    axes: str, units: dict[str, str], dataset: dict[str, Any], entry: dict[str, Any]
) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    scale = [1.0] * len(axes)
    found = False
    # A scale of the whole multiscale comes after that of the level.
    for transform in (*_transforms(dataset), *_transforms(entry)):
        if transform.get("type") == "scale" and len(transform.get("scale") or ()) == len(axes):
            scale = [a * float(b) for a, b in zip(scale, transform["scale"], strict=True)]
            found = True
    if not found:
        return None, ()
    unit = units.get("y", ""), units.get("x", "")
    sides = [to_um(scale[axes.index(axis)], units[axis]) for axis in "yx"]
    if not all(unit):
        return None, (f"its scale ({sides[1]:g}) has no unit, so it is no pixel size",)
    if None in sides:
        return None, (f"the unit of its scale, '{unit[0]}', is no length",)
    return _pair(sides), ()


def _pair(sides: list[float | None]) -> tuple[float, float] | None:
    return (sides[0], sides[1]) if sides[0] and sides[1] else None


def _transforms(holder: dict[str, Any]) -> list[dict[str, Any]]:
    return list(holder.get("coordinateTransformations") or ())
