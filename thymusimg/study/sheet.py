"""The study table as text: which encoding, which separator, which rows."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thymusimg.errors import StudyTableError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

MAX_BYTES = 50_000_000
SEPARATORS = (",", ";", "\t")

_BOOKS = {b"PK\x03\x04": "an Excel or LibreOffice workbook", b"\xd0\xcf\x11\xe0": "an old Excel workbook"}
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


@dataclass(frozen=True)
class Row:
    """One row of the table: its number as a spreadsheet shows it (the header is row 1), and its cells."""

    number: int
    cells: Mapping[str, str]
    surplus: tuple[str, ...] = ()
    """Cells under no header."""


@dataclass(frozen=True)
class Sheet:
    """A table read as text: headers in lower case, cells stripped, blank rows left out."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    separator: str
    warnings: tuple[str, ...] = ()


def read_sheet(path: Path, known: Collection[str]) -> Sheet:
    """Read a CSV as spreadsheets write it.

    Commas, semicolons or tabs; UTF-8 with or without a byte order mark, UTF-16, or the Windows code page 1252
    (said in ``warnings``); Excel's ``sep=`` line; blank rows; spaces round headers and cells.

    Parameters
    ----------
    path
        The table.
    known
        Names of columns, by which the separator is recognised.

    Raises
    ------
    StudyTableError
        If the file is missing, unreadable, empty, a folder, a workbook or not text.
    """
    text, warnings = read_text(path)
    text, declared = _without_sep_line(text)
    if not any(not sign.isspace() and sign not in ',;"' for sign in text):
        raise StudyTableError(f"{path}: the table is empty; expected a header row and one row a section")
    # the separator under which the header has most names that are known, else most cells
    records = {mark: _records(path, text, mark) for mark in ([declared] if declared else SEPARATORS)}
    separator = max(records, key=lambda mark: _score(records[mark], known))
    filled = [(n, cells) for n, cells in enumerate(records[separator], start=1) if any(cells)]
    columns = tuple(name.casefold() for name in filled[0][1])
    rows = tuple(_row(number, cells, columns) for number, cells in filled[1:])
    return Sheet(path, columns, rows, separator, warnings)


def read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    """Read a text file whatever its encoding; the second value says where the encoding was assumed.

    Raises
    ------
    StudyTableError
        If the file is missing, unreadable, a folder, a workbook or not text.
    """
    return _decode(path, _bytes(path))


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise StudyTableError(
            f"{path} is a folder; expected a study table (CSV) or a study.toml. "
            "'thymusimg init FOLDER' writes both from a folder of slides"
        )
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise StudyTableError(f"{path}: has {size / 1e6:.0f} MB; a study table of 100,000 sections has 20")
        return path.read_bytes()
    except FileNotFoundError:
        raise StudyTableError(f"{path}: no such file; expected a study table (CSV) or a study.toml") from None
    except OSError as error:
        raise StudyTableError(f"{path}: cannot be read ({error.strerror or error})") from None


def _decode(path: Path, data: bytes) -> tuple[str, tuple[str, ...]]:
    book = next((name for magic, name in _BOOKS.items() if data.startswith(magic)), None)
    if book or path.suffix.lower() in {".xlsx", ".xls", ".xlsm", ".ods"}:
        raise StudyTableError(
            f"{path} is {book or 'a workbook by its name'}; expected a CSV. "
            "Open it in the spreadsheet program and save it as 'CSV UTF-8'"
        )
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if encoding is None and b"\0" in data[:200]:
        # UTF-16 without its mark: Latin letters leave every other byte empty, and which one tells the byte order
        encoding = "utf-16-le" if data[1:200:2].count(0) > data[0:200:2].count(0) else "utf-16-be"
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        if encoding is not None:
            raise StudyTableError(
                f"{path}: begins like {encoding} text but is not; save it as 'CSV UTF-8'"
            ) from None
        return _decode_windows(path, data)
    return _refuse_binary(path, text), ()


def _decode_windows(path: Path, data: bytes) -> tuple[str, tuple[str, ...]]:
    try:
        text = data.decode("cp1252")
        name = "Windows-1252"
    except UnicodeDecodeError:
        text = data.decode("latin-1")
        name = "Latin-1"
    note = f"{path.name}: not UTF-8, read as {name}; check accents and µ, or save it as 'CSV UTF-8'"
    return _refuse_binary(path, text), (note,)


def _refuse_binary(path: Path, text: str) -> str:
    if any(ord(sign) < 32 and sign not in "\t\r\n\f\x0b" for sign in text[:4000]):
        raise StudyTableError(f"{path}: not a text file; expected a study table (CSV) or a study.toml")
    return text


def _without_sep_line(text: str) -> tuple[str, str]:
    """Take off Excel's ``sep=;`` line, which a spreadsheet does not show as a row."""
    first, _, rest = text.partition("\n")
    declared = first.strip().removeprefix("sep=")
    if first.strip().startswith("sep=") and declared in SEPARATORS:
        return rest, declared
    return text, ""


def _records(path: Path, text: str, separator: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        return [[cell.strip() for cell in cells] for cells in reader]
    except csv.Error as error:
        raise StudyTableError(f"{path}, line {reader.line_num}: not a CSV ({error})") from None


def _score(records: list[list[str]], known: Collection[str]) -> tuple[int, int]:
    header = next(cells for cells in records if any(cells))
    return sum(cell.casefold() in known for cell in header), len(header)


def _row(number: int, cells: list[str], columns: tuple[str, ...]) -> Row:
    headers = [*columns, *[""] * (len(cells) - len(columns))]
    filled = [*cells, *[""] * (len(columns) - len(cells))]
    pairs = list(zip(headers, filled, strict=True))
    named = {header: cell for header, cell in pairs if header}
    return Row(number, named, tuple(cell for header, cell in pairs if cell and not header))
