"""What was read, with what, and when: hashes, versions and the key under which a result may be reused."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from thymusimg._version import __version__
from thymusimg.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_LIBRARIES = (
    "numpy", "scipy", "opencv-python-headless", "numba", "scikit-image", "scikit-learn", "tifffile", "imagecodecs",
    "zarr", "pandas", "pyarrow", "statsmodels", "dask", "connected-components-3d", "fill-voids",
)  # fmt: skip
_BLOCK = 1 << 22


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder's files in the order of their relative paths.

    Raises
    ------
    UnreadableError
        If a file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            if path.is_dir():
                digest.update(file.relative_to(path).as_posix().encode() + b"\0")
            with file.open("rb") as stream:
                while block := stream.read(_BLOCK):
                    digest.update(block)
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read ({error.strerror or error})") from None
    return digest.hexdigest()


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
