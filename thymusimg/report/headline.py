"""All primary comparisons in two or three plain sentences: which group, in what, which way, and how sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thymusimg.report.words import counted, listed, within

if TYPE_CHECKING:
    from thymusimg.report.answer import Contrast

VERY_FEW, FEW = 4, 10
"""Animals in the smaller group below which a finding is not believed, or its size is known only roughly."""

WAYS = {
    "cd45_area_fraction": ("a larger area of human CD45⁺ cells", "a smaller area of human CD45⁺ cells"),
    "cd45_density_per_mm2": ("more human CD45⁺ cells per mm²", "fewer human CD45⁺ cells per mm²"),
    "cd45_log_ratio_cortex_medulla": ("human cells more in the cortex", "human cells more in the medulla"),
    "cd45_empty_tile_fraction": ("more tissue without human cells", "less tissue without human cells"),
    "segregation_index_50um": ("cortex and medulla more cleanly apart", "cortex and medulla less cleanly apart"),
    "cortical_coverage": ("more of the capsule lined with cortex", "less of the capsule lined with cortex"),
    "medulla_fraction": ("a larger share of medulla", "a smaller share of medulla"),
    "cortical_thickness_um": ("a thicker cortex", "a thinner cortex"),
    "cmj_width_um": ("a more blurred corticomedullary junction", "a sharper corticomedullary junction"),
    "islets_per_mm2": ("more medullary islets per mm²", "fewer medullary islets per mm²"),
    "largest_islet_share": ("a medulla more in one piece", "a medulla more in pieces"),
    "double_positive_fraction": ("more K8⁺K14⁺ tissue", "less K8⁺K14⁺ tissue"),
}
"""What is seen where an endpoint is higher, and where it is lower."""


def headline(contrasts: list[Contrast]) -> list[str]:
    """Return the sentences on all primary comparisons together; none where none was declared or tested."""
    primary = [c for c in contrasts if c.primary]
    tested = [c for c in primary if c.verdict != "refused"]
    if not tested:
        return []
    by_verdict = {verdict: [c for c in tested if c.verdict == verdict] for verdict in ("differs", "hints", "open")}
    said = []
    if by_verdict["differs"]:
        said += [f"Compared with {tested[0].reference}, {group}." for group in _groups(by_verdict["differs"])]
    if by_verdict["hints"]:
        said.append(f"Hints that did not hold up to all checks: {'; '.join(_groups(by_verdict['hints']))}.")
    if by_verdict["open"]:
        said.append(_unsettled(by_verdict["open"], alone=len(said) == 0))
    said.append(_how_sure(tested, found=bool(by_verdict["differs"] or by_verdict["hints"])))
    if len(tested) < len(primary):
        said.append(f"{counted(len(primary) - len(tested), 'comparison')} could not be tested.")
    return [sentence for sentence in said if sentence]


def seen(contrast: Contrast) -> str:
    """Return what is seen in a group against its reference, in the words of the bench.

    An endpoint without words of its own is called by its name.
    """
    ways = WAYS.get(contrast.endpoint, (f"a higher “{contrast.title}”", f"a lower “{contrast.title}”"))
    return ways[0] if contrast.up else ways[1]


def _groups(found: list[Contrast]) -> list[str]:
    names = dict.fromkeys(c.group for c in found)
    return [f"the group {name} has {listed([seen(c) for c in found if c.group == name])}" for name in names]


def _unsettled(found: list[Contrast], *, alone: bool) -> str:
    names = dict.fromkeys(c.group for c in found)
    parts = []
    for name in names:
        endpoints = listed([within(c.title) for c in found if c.group == name], "or")
        parts.append(f"{endpoints} between {name} and {found[0].reference}")
    words = f"No difference was shown in {'; nor in '.join(parts)}"
    return f"{words}, which does not show that there is none." if alone else f"{words}: not settled."


def _how_sure(tested: list[Contrast], *, found: bool) -> str:
    sizes = [n for c in tested for n in (c.n_group, c.n_reference)]
    low, high = min(sizes), max(sizes)
    rests = f"This rests on {low if low == high else f'{low} to {high}'} animals a group"
    if low >= FEW:
        return f"{rests}."
    if not found:
        return f"{rests}: only large differences could have been found."
    if low < VERY_FEW:
        return f"{rests}: so few that it needs repeating before it is believed."
    return f"{rests}: few, so how large a difference is, is known only roughly."
