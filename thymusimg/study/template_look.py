"""What a slide says of itself, for the first study table: scenes, channels, pixel size. Pixels are not read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thymusimg.channels.roles import propose_roles
from thymusimg.errors import MissingExtraError, ProjectionError, SceneError, ThymusimgError
from thymusimg.section.model import ROLES
from thymusimg.section.readers import open_image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from thymusimg.section.model import Image

NEEDED = ("cd45", "k14", "k8")
ASK = "?"
"""Stands in a cell that only a person can fill in; a run refuses it and names the cell."""
_MOST_SCENES = 200


@dataclass(frozen=True)
class Looked:
    """What one scene of a slide says.

    Attributes
    ----------
    scene : str
        "" where the file holds one only.
    channels : tuple of str
        Names as the file has them.
    roles : mapping of str to str
        What to type in the role's column: the channel that its name settles, ``?`` where a person must say.
    pixel_size : str
        "" where the file says it, else ``?``.
    projection : str
        "" for a single plane, ``?`` for a z-stack.
    size_um : float or None
        µm a pixel, where the file says it.
    error : str
        Why the slide cannot be opened, "" where it can.
    """

    scene: str = ""
    channels: tuple[str, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    pixel_size: str = ""
    projection: str = ""
    size_um: float | None = None
    error: str = ""


def look_at(path: Path) -> list[Looked]:
    """Open a slide without reading its pixels; one entry a scene, one with its error where it cannot be opened."""
    try:
        return [_look(path, None)]
    except SceneError:
        return _scenes(path)
    except ThymusimgError as error:
        return [_failed(path, error)]


def _scenes(path: Path) -> list[Looked]:
    found: list[Looked] = []
    for index in range(_MOST_SCENES):
        try:
            found.append(_look(path, index))
        except SceneError:
            break
        except ThymusimgError as error:
            found.append(_failed(path, error, str(index)))
    names = [looked.scene for looked in found]
    if len(set(names)) < len(names):  # a name that two scenes share says nothing
        found = [_renamed(looked, str(index)) for index, looked in enumerate(found)]
    return found or [Looked(error=f"{path.name}: its scenes cannot be opened")]


def _renamed(looked: Looked, scene: str) -> Looked:
    return Looked(**{**vars(looked), "scene": scene})


def _look(path: Path, scene: int | None) -> Looked:
    projection = ""
    try:
        image = open_image(path, scene=scene)
    except ProjectionError:
        image, projection = open_image(path, scene=scene, projection="max"), ASK
    try:
        size = image.pixel_size_um
        known = size is not None and size[0] == size[1]
        name = "" if scene is None else str(getattr(image, "scene", "") or scene)
        return Looked(
            name, tuple(_plain(n) for n in image.channel_names), _roles(image), "" if known else ASK, projection,
            size[0] if size is not None and known else None,
        )  # fmt: skip
    finally:
        image.close()


def _roles(image: Image) -> dict[str, str]:
    findings = propose_roles(image).findings
    said = {}
    for role in ROLES:
        channel = findings[role].channel
        if channel is not None:
            said[role] = _spelled(image, channel)
        elif role in NEEDED:
            said[role] = ASK
    return said


def _spelled(image: Image, channel: int) -> str:
    """Return a channel's name where it means this channel only in a table, else its number."""
    name = _plain(image.channel_names[channel])
    alike = [n for n in image.channel_names if name and _plain(n).casefold() == name.casefold()]
    odd = name.isdecimal() or name.casefold() in {"none", ASK} or name[:1] in "=+-@"
    return name if len(alike) == 1 and name == image.channel_names[channel] and not odd else str(channel)


def _failed(path: Path, error: ThymusimgError, scene: str = "") -> Looked:
    text = str(error).splitlines()[0].replace(str(path), path.name)
    return Looked(
        scene, error=text if isinstance(error, MissingExtraError) or path.name in text else f"{path.name}: {text}"
    )


def _plain(name: str) -> str:
    """Return a channel's name on one line, without what a text file cannot hold."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", name).strip()
