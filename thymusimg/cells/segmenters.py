"""The segmenters that other packages bring: registered by entry point, found by name.

A package registers one in its ``pyproject.toml``; the entry point's name is what ``--cells`` calls it::

    [project.entry-points."thymusimg.segmenters"]
    my-cells = "my_package.cells:segmenter"

It names a :class:`Segmenter`, most simply a function under :func:`segmenter`.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points

from thymusimg.cells.segmentation import detect_with_segmenter
from thymusimg.cells.segmenter import Segmenter, load_segmenter, segmenter
from thymusimg.errors import ModelError

__all__ = [
    "GROUP",
    "Segmenter",
    "detect_with_segmenter",
    "find_segmenter",
    "installed_segmenters",
    "load_segmenter",
    "segmenter",
    "segmenter_names",
]

GROUP = "thymusimg.segmenters"
"""Group of the entry points."""

OURS = ("classical", "network", "cellpose", "none")
"""Names of ``--cells`` that nobody else can take."""


def segmenter_names() -> list[str]:
    """Return the names under which packages register segmenters, without importing one."""
    return sorted({point.name for point in entry_points(group=GROUP)} - set(OURS))


def installed_segmenters() -> tuple[list[Segmenter], list[str]]:
    """Return the segmenters that are registered, sorted by name, and what is wrong with the others.

    Their packages are imported, but no weights are loaded.
    """
    found: list[Segmenter] = []
    faults: list[str] = []
    for name in sorted({point.name for point in entry_points(group=GROUP)}):
        try:
            found.append(find_segmenter(name))
        except ModelError as error:
            faults.append(str(error))
    return found, faults


def find_segmenter(name: str) -> Segmenter:
    """Return the segmenter that is registered under a name.

    Raises
    ------
    ModelError
        If there is none, several packages register it, it cannot be imported, or it is no segmenter.
    """
    points = [point for point in entry_points(group=GROUP) if point.name == name]
    if not points:
        names = ", ".join(segmenter_names()) or "none"
        raise ModelError(f"--cells {name}: no package registers a segmenter of that name (registered: {names}).")
    packages = sorted({_package(point) for point in points})
    if name in OURS:
        raise ModelError(f"segmenter '{name}' ({', '.join(packages)}): the name is taken; rename its entry point.")
    if len({point.value for point in points}) > 1:
        raise ModelError(
            f"segmenter '{name}' is registered more than once ({', '.join(packages)}); uninstall all but one."
        )
    return _loaded(points[0])


def _loaded(point: EntryPoint) -> Segmenter:
    try:
        found = point.load()
    except ModelError as error:
        raise ModelError(f"{error} It is registered by {_package(point)} as {point.value}.") from None
    except Exception as error:  # an import runs whatever the package likes
        raise ModelError(
            f"segmenter '{point.name}' ({_package(point)}) cannot be imported from {point.value} "
            f"({type(error).__name__}: {error})."
        ) from error
    if not isinstance(found, Segmenter):
        raise ModelError(
            f"segmenter '{point.name}' ({_package(point)}): {point.value} is {type(found).__name__}, no Segmenter; "
            "declare the function with @thymusimg.cells.segmenters.segmenter(channels=…, pixel_size_um=…)."
        )
    return replace(found, name=point.name, version=found.version or _package(point))


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "unknown package"
