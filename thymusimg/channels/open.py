"""Open a section: an image whose stains and pixel size are known."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from thymusimg.channels.roles import resolve_roles, role_warnings
from thymusimg.errors import CallError, RoleError, ThymusimgError
from thymusimg.section.model import ROLES, Section, Subject
from thymusimg.section.pixel_size import check_pixel_size
from thymusimg.section.readers import open_composite, open_image
from thymusimg.section.roi import read_roi

if TYPE_CHECKING:
    import os

    from thymusimg.section.model import Image

    AnyPath = str | os.PathLike[str]

_SUFFIX = re.compile(
    r"(\.ome)?\.(tiff?|btf|tf[28]|zarr|czi|nd2|lif|png|jpe?g|svs|scn|qptiff|vsi|oir|ims)$", re.IGNORECASE
)


def open_section(
    path_or_paths: AnyPath | Mapping[str, AnyPath],
    *,
    channels: Mapping[str, str | int] | None = None,
    pixel_size_um: float | None = None,
    scene: str | int | None = None,
    projection: str | None = None,
    roi: AnyPath | None = None,
    subject: Subject | None = None,
    section_id: str | None = None,
) -> Section:
    """Open a section lazily; no pixel is read.

    Parameters
    ----------
    path_or_paths : path, or mapping of str to path
        A slide, or one file a stain (``{"k14": "a.tif", "k8": "b.tif"}``).
    channels : mapping of str to str or int, optional
        Role to channel name or 0-based index; roles that are left out are looked for among the channel names.
        Not with one file a stain, where the files say it.
    pixel_size_um : float, optional
        Side of a pixel in µm, in place of what the file says.
    scene : str or int, optional
        Which scene of a file that holds several.
    projection : str, optional
        How a z-stack is flattened (``max``); without it a stack is refused.
    roi : path, optional
        GeoJSON outlines that bound the section on a shared slide.
    subject : Subject, optional
        Animal, group and the rest of the study table's row.
    section_id : str, optional
        Name of the section; from ``subject``, else from the file's name.

    Returns
    -------
    Section

    Raises
    ------
    CallError
        If the arguments contradict each other or name a role that does not exist.
    SectionError
        If the file cannot be read, or its stains, scene, stack or pixel size are not settled.

    Examples
    --------
    >>> open_section("slide.czi", channels={"cd45": "AF594", "k14": 0, "k8": 1})  # doctest: +SKIP
    """
    image = _open(path_or_paths, channels, scene, projection)
    try:
        # One file a stain: the roles are said by the files.
        files = dict(path_or_paths) if isinstance(path_or_paths, Mapping) else {}
        roles, markers = resolve_roles(image, {role: i for i, role in enumerate(files)} if files else channels)
        size_um = check_pixel_size(image, pixel_size_um)
        outlines = () if roi is None else tuple(read_roi(Path(roi), size_um))
    except ThymusimgError:
        image.close()
        raise
    first = str(next(iter(files.values()))) if files else str(path_or_paths)
    name = section_id or (subject.section_id if subject else name_section(first, scene))
    who = Subject(name) if subject is None else subject
    if who.section_id != name:
        raise CallError(
            f"section_id '{name}' and the subject's section_id '{who.section_id}' differ; give one of them"
        )
    return Section(who, image, roles, markers, size_um, outlines, (*image.warnings, *role_warnings(image, roles)))


def name_section(path: str, scene: str | int | None = None) -> str:
    """Return a section's name from its file's: without the suffix, safe as a folder's name.

    Examples
    --------
    >>> name_section("/data/Souris n°3 été.ome.tif"), name_section("a.czi", scene=2)
    ('Souris_n3_ete', 'a_2')
    """
    stem = _SUFFIX.sub("", PurePath(path.rstrip("/\\")).name)
    text = stem if scene is None else f"{stem}_{scene}"
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "_", plain).strip("._-") or "section"


def _open(
    source: AnyPath | Mapping[str, AnyPath],
    channels: Mapping[str, str | int] | None,
    scene: str | int | None,
    projection: str | None,
) -> Image:
    if isinstance(source, Mapping):
        if channels:
            raise RoleError(
                "one file a stain and a channel mapping were both given; the files say the stains already"
            )
        unknown = sorted(set(source) - set(ROLES))
        if unknown:
            raise CallError(f"there is no role '{unknown[0]}'; the roles are {', '.join(ROLES)}")
        return open_composite(source, scene=scene, projection=projection)
    return open_image(source, scene=scene, projection=projection)
