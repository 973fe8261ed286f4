"""How much is stored of a slide, and so how much memory its analysis takes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from thymusimg.batch.executor import section_bytes
from thymusimg.errors import ThymusimgError
from thymusimg.remote.address import Address, located

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MOST_ASKED = 2000
"""Of a folder with more files, evenly chosen ones are asked for their size: a network disk takes its time."""


def largest_bytes(files: Mapping[str, int]) -> int:
    """Return the bytes of the largest slide.

    Parameters
    ----------
    files : mapping of str to int
        As :attr:`thymusimg.batch.probe.Requirement.files`. Folders and addresses are looked into; a server that
        does not answer is not asked again, and its slides are not counted: each fails later, with its reason.
    """
    found, silent = [0], False
    for name, size in files.items():
        path = located(name)
        if size:
            found.append(size)
        elif not isinstance(path, Address):
            found.append(folder_bytes(path))
        elif not silent:
            from thymusimg.remote.size import stored_bytes

            try:
                found.append(stored_bytes(path))
            except ThymusimgError:
                silent = True
    return max(found)


def folder_bytes(folder: Path) -> int:
    """Return about how many bytes lie in a folder; 0 if it cannot be read."""
    try:
        names = sorted(os.path.join(here, name) for here, _, files in os.walk(folder) for name in files)  # noqa: PTH118
        step = -(-len(names) // MOST_ASKED) or 1
        asked = [os.stat(name).st_size for name in names[::step]]  # noqa: PTH116
    except OSError:
        return 0
    return round(sum(asked) * len(names) / len(asked)) if asked else 0


def memory_words(job: object, files: Mapping[str, int], free: Iterable[float]) -> str:
    """Say how much memory a section takes and how much its workers had; "" where neither is known.

    Parameters
    ----------
    job : object
        With a ``row`` of the study table, if it is a section.
    files : mapping of str to int
        Sizes of the slides.
    free : iterable of float
        Bytes that each of its workers could take; 0: not known.

    Examples
    --------
    >>> memory_words(None, {}, [3.1e9])
    '; 3.1 GB of memory were free to it'
    """
    known = [size for size in free if size]
    had = f"{min(known) / 1e9:.1f} GB of memory were free to it" if known else ""
    row = getattr(job, "row", None)
    named = () if row is None else row.files
    local = [file.resolve() for file in named if not isinstance(file, Address)]
    sizes = [files.get(str(file), 0) or folder_bytes(file) for file in local]
    takes = f"the section takes about {section_bytes(sum(sizes)) / 1e9:.1f} GB" if any(sizes) else ""
    words = ", ".join(word for word in (takes, had) if word)
    return f"; {words}" if words else ""
