"""One cell of the study table: its text, what it means, and what is wrong with it."""

from __future__ import annotations

import math
import os
import re
import unicodedata
from typing import TYPE_CHECKING

from thymusimg.errors import UnreadableError
from thymusimg.remote.address import is_address, located

if TYPE_CHECKING:
    from pathlib import Path

TRUE_WORDS = frozenset({"yes", "true", "1", "x"})
FALSE_WORDS = frozenset({"no", "false", "0", ""})
PIXEL_SIZE_LIMITS_UM = (0.05, 5.0)

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_FORMULA = re.compile(r"[=@]|[+-].*[(|!]", re.DOTALL)
_MAX_ID_BYTES = 120


def truth(text: str) -> bool:
    """Read yes/no, true/false, 1/0, x or nothing.

    Raises
    ------
    ValueError
        If the word is another.
    """
    word = text.casefold()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ValueError(f"'{text}' is neither yes nor no; write yes, no, true, false, 1, 0, x or nothing")


def pixel_size_um(text: str, decimal_comma: bool) -> float | None:
    """Read a pixel size in µm; None where the cell is empty.

    Raises
    ------
    ValueError
        If it is not a number between 0.05 and 5.
    """
    if not text:
        return None
    number = text.replace(",", ".") if decimal_comma and text.count(",") == 1 and "." not in text else text
    try:
        size = float(number)
    except ValueError:
        raise ValueError(f"'{text}' is not a number; write µm per pixel with a decimal point, like 0.325") from None
    low, high = PIXEL_SIZE_LIMITS_UM
    if not (math.isfinite(size) and low <= size <= high):
        raise ValueError(f"{text} µm per pixel is not plausible; expected {low:g} to {high:g}")
    return size


def channel(text: str) -> str | int:
    """Read a channel: a 0-based index of one or two digits, else a name (``488`` is a name)."""
    return int(text) if re.fullmatch(r"[0-9]{1,2}", text) else text


def check_id(text: str) -> None:
    """Refuse a section id that cannot name a folder on every system.

    Raises
    ------
    ValueError
        If it is empty, holds a sign that Windows or Linux forbids, or is a name that Windows reserves.
    """
    if not text:
        raise ValueError("empty; every section needs an id of its own")
    if text.startswith(".") or text.endswith("."):
        raise ValueError(f"'{text}' begins or ends with a dot; an id names a folder, use letters, digits, - and _")
    if found := _FORBIDDEN.search(text):
        raise ValueError(f"'{text}' holds {found[0]!r}; an id names a folder, use letters, digits, - and _")
    if hidden := [sign for sign in text if unicodedata.category(sign) in _HIDDEN]:
        raise ValueError(
            f"{text!a} holds a sign that is not seen (U+{ord(hidden[0]):04X}); two ids could look alike, use "
            "letters, digits, - and _"
        )
    if _RESERVED.fullmatch(text):
        raise ValueError(f"'{text}' is a name that Windows reserves; choose another")
    if len(text.encode()) > _MAX_ID_BYTES:
        raise ValueError(f"'{text[:20]}…' is too long for a folder's name; at most {_MAX_ID_BYTES} bytes")


def check_no_formula(text: str) -> None:
    """Refuse text that a spreadsheet program would run.

    The tables of results carry a study's words as they are, so that they can be joined; quoting them there would
    change them. Genotypes (``+/+``, ``-/-``, ``-KO``) and negative numbers are no formulas that could do anything.

    Raises
    ------
    ValueError
        If it begins with ``=`` or ``@``, or with a sign and calls something (holds ``(``, ``|``, ``!``).
    """
    if _FORMULA.match(text):
        raise ValueError(
            f"'{text[:40]}' would be run as a formula by a spreadsheet program that opens the results; begin it "
            "with a letter or digit"
        )


def folded(text: str) -> str:
    """Return the form in which names that a file system may take for one another are equal."""
    return unicodedata.normalize("NFC", text).casefold()


def existing_path(text: str, folder: Path) -> Path:
    r"""Find a file that the table names, relative to the table's folder.

    Accents are tried composed and decomposed (macOS writes the latter), and ``\`` as ``/`` (tables from Windows).

    Raises
    ------
    ValueError
        If there is no such file.
    """
    if "\0" in text:
        raise ValueError("holds a NUL character; expected the path of a file")
    if is_address(text):
        raise ValueError(f"'{plain_address(text)}' is an address; expected a file, download it first")
    tries = [text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)]
    tries += [name.replace("\\", "/") for name in tries]
    for name in tries:
        path = folder / name
        if _exists(path):
            return path
    raise ValueError(f"'{text}' does not exist (looked for {folder / text})")


def slide(text: str, folder: Path) -> Path:
    """Find a slide: a file as :func:`existing_path`, or the address of an OME-Zarr, which only opening will try.

    Raises
    ------
    ValueError
        If there is no such file, or the address is not one that can be read.
    """
    if not is_address(text):
        return existing_path(text, folder)
    try:
        return located(text)
    except UnreadableError as error:
        raise ValueError(str(error)) from None


def any_path(text: str, folder: Path) -> Path:
    """Return where a file would lie; it need not be there.

    Raises
    ------
    ValueError
        If it is an address that holds a secret.
    """
    return slide(text, folder) if is_address(text) else folder / text


def plain_address(text: str) -> str:
    """Return an address without what may be secret in it: for messages."""
    return re.sub(r"//[^/]*@", "//…@", re.split(r"[?#]", text, maxsplit=1)[0])


def _exists(path: Path) -> bool:
    try:
        os.stat(path)  # noqa: PTH116 Path.exists hides which error it was
    except PermissionError:
        # it is there or it is not: only reading will tell, and an unreadable file fails its section, not the study
        return True
    except (OSError, ValueError):
        return False
    return True
