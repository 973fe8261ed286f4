"""Which channel plays which role: from the user's word, else from the channels' names; never from a colour."""

from __future__ import annotations

import difflib
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thymusimg.channels.markers import (
    BLUE_DYES,
    FAR_RED_NUCLEAR,
    Reading,
    read_name,
    role_name,
    says,
    stand_in,
    term,
)
from thymusimg.errors import CallError, RoleError
from thymusimg.section.model import ROLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thymusimg.section.model import Image

NEEDED = ("k14", "k8")
"""Without the two keratins there are no compartments; without CD45 the cells are skipped."""

_COMPOSITE = {"red": "cd45", "green": "k8", "blue": "k14"}
_BLUE_NM = (400.0, 500.0)


@dataclass(frozen=True)
class RoleFinding:
    """What was found for one role.

    Attributes
    ----------
    role : str
    channel : int or None
        The channel, or None where none is settled.
    candidates : tuple of int
        Channels that came into question.
    why : str
        Why the channel plays the role, or why none does; a plain sentence.
    problem : bool
        True where the user must decide: several channels, a doubtful name, or a conflict.
    """

    role: str
    channel: int | None
    candidates: tuple[int, ...]
    why: str
    problem: bool = False


@dataclass(frozen=True)
class Proposal:
    """The roles that a slide's channel names suggest, for ``thymusimg inspect``.

    Attributes
    ----------
    channels : tuple of str
        Names as the file has them.
    findings : mapping of str to RoleFinding
        One a role.
    hint : str
        The options to type (``--channel k14=…``), or ``""`` where nothing is left to say.
    """

    channels: tuple[str, ...]
    findings: Mapping[str, RoleFinding]
    hint: str = ""

    @property
    def roles(self) -> dict[str, int]:
        """Channel of every role that is settled."""
        return {role: f.channel for role, f in self.findings.items() if f.channel is not None}

    @property
    def complete(self) -> bool:
        """True when a section can be opened without naming a channel."""
        return all(role in self.roles for role in NEEDED) and not any(f.problem for f in self.findings.values())


def propose_roles(image: Image) -> Proposal:
    """Say which role every channel's name suggests, and what the user must decide.

    Parameters
    ----------
    image : Image

    Returns
    -------
    Proposal
    """
    names = image.channel_names
    findings = _from_names(image, taken={}, skipped=())
    open_roles = [r for r in ROLES if findings[r].problem or (r in NEEDED and findings[r].channel is None)]
    return Proposal(names, findings, _options(image, findings, open_roles) if open_roles else "")


def resolve_roles(
    image: Image, channels: Mapping[str, str | int] | None = None, need: Sequence[str] = NEEDED
) -> tuple[dict[str, int], dict[str, str]]:
    """Settle which channel plays which role.

    Parameters
    ----------
    image : Image
    channels : mapping of str to str or int, optional
        Role to channel name (any case, or a whole word of it), 0-based index, or ``"none"`` to leave a role out.
        Roles that are not mapped are looked for among the names of the channels left.
    need : sequence of str
        Roles without which the section is refused.

    Returns
    -------
    roles : dict of str to int
        Channel index of every role that is present.
    markers : dict of str to str
        What stands in each role, as the channel's name has it, without fluorophores.

    Raises
    ------
    RoleError
        If a needed role is missing, a name is doubtful, one channel would play two roles, or a channel is mapped by
        a name that says another role (its index insists, and leaves a warning).
    CallError
        If ``channels`` names a role that does not exist.
    """
    wanted = dict(channels or {})
    unknown = sorted(set(wanted) - set(ROLES))
    if unknown:
        raise CallError(f"there is no role '{unknown[0]}'; the roles are {', '.join(ROLES)}")
    mapped = {role: _find(image, role, value) for role, value in wanted.items()}
    taken = {role: channel for role, channel in mapped.items() if channel is not None}
    _refuse_shared(image, taken)
    _refuse_swapped(image, wanted, taken)
    skipped = tuple(role for role, channel in mapped.items() if channel is None)
    findings = _from_names(image, taken, skipped)
    for role in ROLES:
        if findings[role].problem:
            raise RoleError(_refusal(image, findings, findings[role].why))
    missing = [role for role in need if findings[role].channel is None]
    if missing:
        why = "; ".join(findings[role].why for role in missing)
        raise RoleError(_refusal(image, findings, why, missing))
    roles = {role: f.channel for role, f in findings.items() if f.channel is not None}
    return roles, {role: marker_name(image, channel) for role, channel in roles.items()}


def _refuse_swapped(image: Image, wanted: Mapping[str, str | int], taken: Mapping[str, int]) -> None:
    """Refuse ``k14=KRT8``: a slip of the hand that gives numbers which look right."""
    for role, channel in taken.items():
        named, by_index = _reading(image, channel).roles, str(wanted[role]).strip().isdecimal()
        # "DAPI" is also the name of a filter, through which K14 may be seen
        if named and named != ("dapi",) and role not in named and not by_index:
            raise RoleError(
                f"{image.path}: {role}={wanted[role]}: the name '{image.channel_names[channel]}' says "
                f"{role_name(named[0])}, not {role_name(role)}. If the name is wrong, insist with the index: "
                f"--channel {role}={channel}"
            )


def role_warnings(image: Image, roles: Mapping[str, int]) -> tuple[str, ...]:
    """Say what is odd about settled roles: no CD45, or a mapping against the channel's own name."""
    found = []
    if "cd45" not in roles:
        found.append("no CD45 channel: human cells are not looked for")
    for role, channel in roles.items():
        name, reading = image.channel_names[channel], _reading(image, channel)
        if reading.roles and role not in reading.roles:
            found.append(f"{role_name(role)} was mapped to channel {channel} '{name}', whose name says otherwise")
        elif role in reading.doubtful_roles:
            found.append(f"{role_name(role)} was mapped to channel {channel} '{name}', which {reading.doubt}")
    return tuple(found)


def marker_name(image: Image, channel: int) -> str:
    """Return what a channel shows, as its name has it without fluorophores; ``channel N`` where it has none."""
    return _reading(image, channel).marker or f"channel {channel}"


def _reading(image: Image, channel: int) -> Reading:
    return read_name(image.channel_names[channel])


def _find(image: Image, role: str, value: str | int) -> int | None:
    """Return the channel that the user means, None for ``none``."""
    names, count = image.channel_names, len(image.channel_names)
    text = str(value).strip()
    exact = [i for i, name in enumerate(names) if name.strip().casefold() == text.casefold() and text]
    is_index = not isinstance(value, bool) and (isinstance(value, int) or text.lstrip("-").isdecimal())
    if is_index and (isinstance(value, int) or not exact):
        if 0 <= int(text) < count:
            return int(text)
        raise RoleError(f"{image.path}: {role}={text}: there are channels 0 to {count - 1}; {_listing(image)}")
    if is_index and exact != [int(text)]:
        raise RoleError(
            f"{image.path}: {role}={text} is both the name of channel {exact[0]} and an index; "
            f"{_listing(image)}. Map another name, or rename the channel"
        )
    if not exact and text.casefold() == "none":
        return None
    words = term(r"[\s_\-./]*".join(_escaped_words(text))) if _escaped_words(text) else None
    matches = exact or [i for i, name in enumerate(names) if words is not None and words.search(name)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        which = ", ".join(str(i) for i in matches)
        raise RoleError(
            f"{image.path}: {role}={text} fits the channels {which}; {_listing(image)}. Give the index, "
            f"e.g. --channel {role}={matches[0]}"
        )
    near = difflib.get_close_matches(text.casefold(), [n.casefold() for n in names if n], n=1)
    guess = f" (did you mean '{next(n for n in names if n.casefold() == near[0])}'?)" if near else ""
    raise RoleError(f"{image.path}: {role}={text}: there is no such channel{guess}; {_listing(image)}")


def _escaped_words(text: str) -> list[str]:
    return [re.escape(word) for word in re.split(r"[\s_\-./]+", text) if word]


def _refuse_shared(image: Image, taken: Mapping[str, int]) -> None:
    for channel in sorted(set(taken.values())):
        roles = [role for role, own in taken.items() if own == channel]
        if len(roles) > 1:
            raise RoleError(
                f"{image.path}: channel {channel} '{image.channel_names[channel]}' was mapped to "
                f"{' and '.join(roles)}; one channel plays one role. {_listing(image)}"
            )


def _from_names(image: Image, taken: Mapping[str, int], skipped: Sequence[str]) -> dict[str, RoleFinding]:
    """Find every role: the mapped ones as they are, the others among the names of the channels left."""
    free = [i for i in range(len(image.channel_names)) if i not in taken.values()]
    readings = {i: _reading(image, i) for i in free}
    findings = {}
    for role in ROLES:
        if role in taken:
            findings[role] = RoleFinding(role, taken[role], (taken[role],), "mapped by the user")
        elif role in skipped:
            findings[role] = RoleFinding(role, None, (), f"{role_name(role)} was left out by the user")
        else:
            findings[role] = _by_name(image, role, readings)
    if "k14" not in taken:
        conflict = _blue_conflict(image, findings)
        if conflict:
            k14 = findings["k14"]
            findings["k14"] = RoleFinding("k14", None, k14.candidates, conflict, problem=True)
    return findings


def _by_name(image: Image, role: str, readings: Mapping[int, Reading]) -> RoleFinding:
    names, said = image.channel_names, role_name(role)
    clear = tuple(i for i, reading in readings.items() if role in reading.roles)
    doubtful = tuple(i for i, reading in readings.items() if role in reading.doubtful_roles)
    if len(clear) == 1:
        return RoleFinding(role, clear[0], clear, f"the name '{names[clear[0]]}' says {said}")
    if clear:
        which = " and ".join(f"{i} '{names[i]}'" for i in clear)
        return RoleFinding(role, None, clear, f"{said} is named by several channels: {which}", problem=True)
    if doubtful:
        which = "; ".join(f"channel {i} '{names[i]}' {readings[i].doubt}" for i in doubtful)
        return RoleFinding(role, None, doubtful, f"{said} is not settled: {which}", problem=True)
    others = [(i, stand_in(role, names[i])) for i in readings]
    hints = [f"'{names[i]}' ({marker}) may stand in if you map it" for i, marker in others if marker]
    why = f"no channel is named {said}" + (f"; {' or '.join(hints)}" if hints else "")
    return RoleFinding(role, None, tuple(i for i, marker in others if marker), why)


def _blue_conflict(image: Image, findings: Mapping[str, RoleFinding]) -> str:
    """Say why K14 and a blue nuclear stain cannot both be what their names say, or ``""``."""
    k14, dapi = findings["k14"].channel, findings["dapi"].channel
    if k14 is None or dapi is None:
        return ""
    if says(image.channel_names[dapi], FAR_RED_NUCLEAR) or not _is_blue(image, dapi, nuclear=True):
        return ""
    if not _is_blue(image, k14, nuclear=False):
        return ""
    return (
        f"K14 (channel {k14} '{image.channel_names[k14]}') and the nuclei (channel {dapi} "
        f"'{image.channel_names[dapi]}') are both in the blue range and cannot be told apart"
    )


def _is_blue(image: Image, channel: int, *, nuclear: bool) -> bool:
    emission = image.emission_nm[channel]
    if emission is not None:
        return _BLUE_NM[0] <= emission <= _BLUE_NM[1]
    return nuclear or says(image.channel_names[channel], BLUE_DYES)


def _refusal(
    image: Image, findings: Mapping[str, RoleFinding], why: str, missing: Sequence[str] | None = None
) -> str:
    roles = list(missing or [r for r, f in findings.items() if f.problem])
    return f"{image.path}: {why}. {_listing(image)}. {_options(image, findings, roles)}"


def _listing(image: Image) -> str:
    named = ", ".join(f"{i} '{name}'" if name else f"{i} (no name)" for i, name in enumerate(image.channel_names))
    return f"Channels: {named}"


def _options(image: Image, findings: Mapping[str, RoleFinding], roles: Sequence[str]) -> str:
    """Write the options to type; an example where nothing in the names helps, said to be one."""
    lowered = [name.strip().casefold() for name in image.channel_names]
    if set(_COMPOSITE) <= set(lowered):
        given = " ".join(f"--channel {role}={colour}" for colour, role in _COMPOSITE.items())
        return f"A colour does not name a stain: say which is which, e.g. if it is so: {given}"
    parts = []
    for role in roles:
        candidates = findings[role].candidates
        parts.append(f"--channel {role}={_spelled(image, candidates[0]) if candidates else 'NAME_OR_INDEX'}")
    return f"Say which is which, e.g. {' '.join(parts)}"


def _spelled(image: Image, channel: int) -> str:
    name = image.channel_names[channel].strip()
    unique = [n.strip().casefold() for n in image.channel_names].count(name.casefold()) == 1
    return shlex.quote(name) if name and unique else str(channel)
