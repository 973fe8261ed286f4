"""Optional libraries: imported when a file needs them, and named with the line to type when they are not there."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from thymusimg.errors import MissingExtraError

if TYPE_CHECKING:
    from pathlib import Path


def need(module: str, path: Path, format_name: str, install: str = "pip install 'thymusimg[formats]'") -> Any:
    """Import an optional library.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{path}: is a {format_name} file; reading it needs the library '{module.split('.')[0]}' ({error}). "
            f"Type: {install}"
        ) from error
