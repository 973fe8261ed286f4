"""What was read, with what, and when: hashes, versions and the key under which a result may be reused."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from datetime import UTC, datetime
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thymusimg._version import __version__
from thymusimg.errors import UnreadableError
from thymusimg.remote.address import Address, located
from thymusimg.remote.mounted import patiently_read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LIBRARIES = (
    "numpy", "scipy", "opencv-python-headless", "numba", "scikit-image", "scikit-learn", "tifffile", "imagecodecs",
    "zarr", "pandas", "pyarrow", "statsmodels", "dask", "connected-components-3d", "fill-voids",
)  # fmt: skip
_BLOCK = 1 << 22


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder's files in the order of their relative paths.

    Links are followed: what is hashed is what a reader reads. Of an address the hash is that of
    :func:`thymusimg.remote.fingerprint.fingerprint`.

    Raises
    ------
    UnreadableError
        If a file cannot be read.
    """
    path = located(path)
    if isinstance(path, Address):
        from thymusimg.remote.fingerprint import fingerprint

        return fingerprint(path)
    digest = hashlib.sha256()
    try:
        for file in sorted(_files_under(path)) if path.is_dir() else [path]:
            if path.is_dir():
                digest.update(file.relative_to(path).as_posix().encode() + b"\0")
            digest = patiently_read(partial(_with_file, digest, file), str(file))
    except UnreadableError:
        raise
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read ({error.strerror or error})") from None
    return digest.hexdigest()


def _with_file(digest: hashlib._Hash, file: Path) -> hashlib._Hash:
    """Return what the digest is with a file behind it; the digest itself stays, for another attempt."""
    longer = digest.copy()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            longer.update(block)
    return longer


def _files_under(folder: Path) -> Iterator[Path]:
    """Yield every file of a folder, through links too; a link to a folder that holds it ends there."""
    seen: set[tuple[int, int]] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        status = os.stat(parent)  # noqa: PTH116
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        yield from (file for name in files if (file := Path(parent, name)).is_file())


def result_key(inputs: Iterable[str], request: dict[str, Any]) -> str:
    """Return the hash under which a section's result may be reused.

    ``inputs`` are the hashes of the files, ``request`` everything else that the numbers depend on (settings,
    roles, pixel size). The version of thymusimg is part of the key: another version measures again.
    """
    body = {"inputs": list(inputs), "request": request, "thymusimg": __version__}
    return hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of thymusimg, Python, the platform and the libraries that compute."""
    own = {"thymusimg": __version__, "python": platform.python_version(), "platform": sys.platform}
    return own | {name: _version_of(name) for name in _LIBRARIES}


@lru_cache
def _version_of(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:  # a library that another build of the same package stands in for
        return "not recorded"


def now() -> str:
    """Return the time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
