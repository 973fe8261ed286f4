"""What 'thymusimg inspect' says of a slide."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from thymusimg.channels.roles import propose_roles
from thymusimg.section.readers import open_image

if TYPE_CHECKING:
    from pathlib import Path

    from thymusimg.section.model import Image


def inspect_slide(
    path: Path, *, scene: str | None = None, projection: str | None = None, as_json: bool = False
) -> str:
    """Return what a slide holds, as lines for a reader or as JSON.

    Raises
    ------
    SectionError
        If the slide cannot be read, or a scene or projection must be chosen first.
    """
    image = open_image(path, scene=scene, projection=projection)
    try:
        facts = _facts(image)
    finally:
        image.close()
    return json.dumps(facts, indent=1, ensure_ascii=False) if as_json else "\n".join(_lines(facts))


def _facts(image: Image) -> dict[str, Any]:
    proposal = propose_roles(image)
    size = image.pixel_size_um
    return {
        "path": image.path,
        "format": image.format,
        "height_px": image.levels[0].shape[0],
        "width_px": image.levels[0].shape[1],
        "dtype": str(image.dtype),
        "levels": [{"shape": list(v.shape), "downsample": v.downsample} for v in image.levels],
        "tile_px": list(image.tile_shape),
        "pixel_size_um": None if size is None else list(size),
        "channels": [
            {"index": i, "name": name, "emission_nm": image.emission_nm[i]}
            for i, name in enumerate(image.channel_names)
        ],
        "semi_quantitative": image.semi_quantitative,
        "lossy": image.lossy,
        "roles": {
            role: {"channel": finding.channel, "why": finding.why} for role, finding in proposal.findings.items()
        },
        "hint": proposal.hint,
        "complete": proposal.complete,
        "warnings": list(image.warnings),
    }


def _lines(facts: dict[str, Any]) -> list[str]:
    levels = ", ".join(f"{v['shape'][1]} × {v['shape'][0]}" for v in facts["levels"])
    lossy = f", lossy: {facts['lossy']}" if facts["lossy"] else ""
    display = ", display export (semi-quantitative)" if facts["semi_quantitative"] else ""
    lines = [
        f"{facts['path']}",
        f"  format      {facts['format']}, {facts['dtype']}{lossy}{display}",
        f"  size        {facts['width_px']} × {facts['height_px']} px (levels: {levels})",
        f"  pixel size  {_size(facts['pixel_size_um'])}",
        "  channels",
    ]
    for channel in facts["channels"]:
        emission = f", emission {channel['emission_nm']:g} nm" if channel["emission_nm"] else ""
        lines.append(f"    {channel['index']}  {channel['name'] or '(no name)'}{emission}")
    lines.append("  proposed roles")
    for role, finding in facts["roles"].items():
        channel = "-" if finding["channel"] is None else finding["channel"]
        lines.append(f"    {role:<5} {channel}  {finding['why']}")
    if facts["hint"]:
        lines.append(f"  to decide   {facts['hint']}")
    lines += [f"  warning     {w}" for w in facts["warnings"]]
    return lines


def _size(size: list[float] | None) -> str:
    if size is None:
        return "not recorded: give --pixel-size UM"
    height, width = size
    return f"{width:.4g} µm" if height == width else f"{width:.4g} × {height:.4g} µm (width × height)"
