"""The vocabulary of channel names: which words name which stain, and which only seem to.

Patterns are regular expressions in which a blank stands for any run of separators (space, ``_ - . /``), or none.
They match whole words, without regard to case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_GAP = r"[\s_\-./]*"
_KERATIN = r"(?:anti )?(?:h|hu|human|m|mouse)? ?(?:cyto ?keratin|keratin|krt|ck|ker|k)"

# Antibody clones and genes that name one role without doubt.
NAMES: dict[str, tuple[str, ...]] = {
    "cd45": (
        r"(?:anti )?(?:human|hum|hu|hs|h)? ?cd ?45(?!\.[12](?!\d))(?! r[abco]?(?![a-z0-9]))",
        r"(?:human|hum|hu|hs|h)? ?ptprc",
        r"leu[ck]ocyte common antigen",
        r"hi ?30",
        r"hle 1",
    ),
    "k14": (r"ll ?00[12]", r"poly ?(?:9060|19053)", r"af ?64", r"sp ?53", r"epr ?17350", r"rck ?107", r"ckb ?1"),
    "k8": (r"troma (?:1|i)", r"ep ?1628 ?y", r"le ?41", r"35 ?beta ?h ?11"),
    "dapi": (
        r"dapi",
        r"hoechst(?: ?3\d{4})?",
        r"h ?33[23]42",
        r"nuclei",
        r"nucleus",
        r"nuclear(?: (?:stain|dye|counterstain))?",
        r"nuc ?blue",
        r"nuc ?spot\w*",
        r"dna",
        r"draq ?[57]",
        r"sytox(?: \w+)?",
        r"to ?pro ?3",
        r"yo ?pro ?1",
        r"propidium iodide",
    ),
}

MOUSE_CD45 = (
    r"(?:anti )?(?:mouse|murine|mur|mu|ms|mm|m) ?(?:cd ?45|ptprc)",
    r"cd ?45 \(? ?(?:mouse|murine)",
    r"cd ?45\.[12]",
    r"ly ?5(?:\.[12])?",
    r"30 ?f ?11",
)
PAN_KERATIN = (
    r"pan ?(?:cyto)? ?(?:keratin|ck)",
    r"(?:cyto)?keratin pan",
    r"ae ?1(?: ?ae ?3)?",
    r"mnf ?116",
    r"pck ?26",
    r"34 ?beta ?e ?12",
    r"wide spectrum (?:cyto)?keratin",
)
K8_18 = (r"cam ?5 ?2",)
BLUE_DYES = (
    r"dapi",
    r"hoechst(?: ?3\d{4})?",
    r"bv ?421",
    r"brilliant violet ?421",
    r"(?:alexa ?(?:fluor)?|af|a) ?(?:350|405)",
    r"(?:cf|dylight|atto) ?(?:350|390|405\w?)",
    r"e ?fluor ?450",
    r"pac(?:ific)? ?blue",
    r"cascade blue",
    r"amca",
    r"opal ?(?:polaris)? ?480",
    r"405(?: ?nm)?",
)
FAR_RED_NUCLEAR = (r"draq ?[57]", r"to ?pro ?3", r"sytox (?:deep red|red)", r"propidium iodide", r"nuc ?spot\w*")

STAND_INS: dict[str, tuple[tuple[str, str], ...]] = {
    "k14": (("K5", r"k5"), ("UEA-1", r"uea ?(?:1|i)"), ("CD11c", r"cd ?11 ?c|itgax"), ("AIRE", r"aire")),
    "k8": (
        ("CD205", r"cd ?205|dec ?205|ly ?75"),
        ("Ly51", r"ly ?51|bp ?1|enpep"),
        ("β5t", r"(?:beta|β) ?5 ?t|psmb ?11"),
        ("K18", r"k18"),
    ),
}
"""Markers of the same compartment, which may stand in when the user maps them: only ever suggested."""

_WAVELENGTH = r"(?:3[5-9]\d|[4-7]\d\d|8[0-5]\d)"
_FLUOROPHORE = "|".join(
    (
        rf"alexa ?(?:fluor)? ?(?:plus)? ?{_WAVELENGTH}(?: ?plus)?",
        rf"(?:af|a) ?{_WAVELENGTH}",
        rf"(?:cf|dy ?light|dy|atto|e ?fluor|ef|opal(?: ?polaris)?) ?{_WAVELENGTH}\w{{0,2}}",
        rf"(?:q ?dot|irdye|janelia fluor|jf) ?{_WAVELENGTH}\w{{0,2}}",
        rf"(?:buv|bv|bb|brilliant (?:ultra ?)?violet|brilliant blue|super ?bright|spark \w+) ?{_WAVELENGTH}",
        r"(?:pe|apc|per ?cp) ?(?:cy(?:anine)? ?\d(?:\.5)?|fire ?\d{3})",
        r"cy(?:anine)? ?[2357](?:\.5)?",
        r"fitc|tritc|te?x(?:as)? ?red(?: x)?|tx ?red|apc|per ?cp|pe",
        r"pac(?:ific)? ?(?:blue|orange)|cascade blue|amca",
        r"rhodamine(?: red)?(?: x)?|rrx|e?gfp|e?yfp|e?cfp|rfp|m ?cherry|td ?tomato",
        rf"{_WAVELENGTH} ?(?:nm)?",
    )
)


_COLOUR = r"red|green|blue|gr[ae]y|yellow|cyan|magenta|orange|violet|white"
_NO_STAIN = re.compile(
    rf"(channel|chan|ch|c|track|t|camera|cam|filter|band|{_COLOUR})?[\s_-]*\d*([\s_-]*t\d+)?", re.IGNORECASE
)


def names_stain(marker: str) -> bool:
    """Tell whether a marker's name says anything of an antibody or dye: ``Ch2``, ``T1`` and ``Track 3`` do not.

    Examples
    --------
    >>> names_stain("CD205"), names_stain("T1"), names_stain("Ch2-T1"), names_stain("Red"), names_stain("")
    (True, False, False, False, False)
    """
    return not _NO_STAIN.fullmatch(marker.strip())


def term(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of the vocabulary: whole words, blanks as any separator."""
    return _term(pattern)


@lru_cache(maxsize=512)
def _term(pattern: str) -> re.Pattern[str]:
    spaced = pattern.replace(" ?", _GAP).replace(" ", _GAP)
    return re.compile(rf"(?<![a-z0-9])(?:{spaced})(?![a-z0-9])", re.IGNORECASE)


_HOST = term(r"(?:mouse|ms|rat|rabbit|rb|goat|hamster|donkey|chicken|sheep|guinea pig) (?=anti)")
_KERATINS = re.compile(
    term(_KERATIN + r" ?(\d{1,2})").pattern.removesuffix("(?![a-z0-9])")
    + rf"((?:\s*(?:[/+&,]|and|{_GAP})\s*(?:(?:cyto{_GAP})?keratin|krt|ck|k){_GAP}\d{{1,2}}"
    + r"|\s*[/+&,]\s*\d{1,2}|[\s_\-](?:18|19|14|8))*)(?![0-9a-z])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Reading:
    """What a channel's name says.

    Attributes
    ----------
    roles : tuple of str
        Roles that the name states without doubt; more than one is a contradiction.
    doubt : str
        Why the name does not settle a role although it seems to, or ``""``.
    doubtful_roles : tuple of str
        The roles that the doubt is about.
    marker : str
        The name without fluorophores, as a person would call the stain.
    blue : bool
        The name tells of a blue fluorophore.
    """

    roles: tuple[str, ...] = ()
    doubt: str = ""
    doubtful_roles: tuple[str, ...] = ()
    marker: str = ""
    blue: bool = False


def read_name(name: str) -> Reading:
    """Read a channel's name.

    Examples
    --------
    >>> read_name("AF594-hCD45").roles, read_name("AF594-hCD45").marker
    (('cd45',), 'hCD45')
    >>> read_name("CK8/18").roles
    ()
    """
    text = _HOST.sub("", name)
    marker, blue = clean(name), says(name, BLUE_DYES)
    if says(text, MOUSE_CD45) or re.search(r"(?<![A-Za-z])Ptprc", text):
        doubt = "names mouse CD45, which is not human CD45"
        return Reading((), doubt, ("cd45",), marker, blue)
    if says(text, PAN_KERATIN):
        return Reading((), "names a pan-keratin, which marks both compartments", ("k14", "k8"), marker, blue)
    keratins = keratin_numbers(text)
    if says(text, K8_18):
        keratins |= {8, 18}
    if len(keratins) > 1 and keratins & {8, 14}:
        mixed = " and ".join(f"K{number}" for number in sorted(keratins))
        wanted = tuple(role for role, number in (("k14", 14), ("k8", 8)) if number in keratins)
        return Reading((), f"names {mixed} together", wanted, marker, blue)
    found = {role for role, patterns in NAMES.items() if says(text, patterns)}
    found |= {role for role, number in (("k14", 14), ("k8", 8)) if number in keratins}
    roles = tuple(role for role in NAMES if role in found)
    if len(roles) > 1:
        return Reading((), f"names {' and '.join(role_name(r) for r in roles)} at once", roles, marker, blue)
    return Reading(roles, "", (), marker, blue)


def says(text: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether a name holds any of the vocabulary's patterns."""
    return any(term(pattern).search(text) for pattern in patterns)


def keratin_numbers(text: str) -> set[int]:
    """Return the keratins that a name lists: ``CK8/18`` is {8, 18}."""
    numbers: set[int] = set()
    for match in _KERATINS.finditer(text):
        numbers |= {int(number) for number in re.findall(r"\d{1,2}", match.group(0))}
    return numbers


def stand_in(role: str, name: str) -> str:
    """Return the marker in a name that may stand in for a role, or ``""``."""
    numbers = {f"K{number}" for number in keratin_numbers(name)}
    for marker, pattern in STAND_INS.get(role, ()):
        if marker in numbers or term(pattern).search(name):
            return marker
    return ""


def clean(name: str) -> str:
    """Strip fluorophores, wavelengths and stray separators from a channel's name.

    Examples
    --------
    >>> clean("Alexa Fluor 488 - KRT8"), clean("Cy5 CK14"), clean("FITC")
    ('KRT8', 'CK14', 'FITC')
    """
    bare = term(_FLUOROPHORE).sub(" ", name)
    bare = re.sub(r"\(\s*\)|\[\s*\]", " ", bare)
    bare = re.sub(r"\s+", " ", bare).strip(" _-./,;:|+")
    return bare if re.search(r"[^\W_]", bare) else name.strip()


def role_name(role: str) -> str:
    """Return a role as people write it."""
    return {"cd45": "CD45", "k14": "K14", "k8": "K8", "dapi": "DAPI"}[role]
