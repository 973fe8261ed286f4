"""Weights in files: written as tensors only, and read without ever running code that a file brings."""

from __future__ import annotations

import hashlib
import io
import pickle
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import torch

from thymusimg.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def save_weights(path: Path, state: Mapping[str, torch.Tensor]) -> tuple[str, int]:
    """Write tensors, the floating ones in half precision; return the file's sha256 and size."""
    small = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in state.items()
    }
    stream = io.BytesIO()
    torch.save(small, stream)
    content = stream.getvalue()
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest(), len(content)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read tensors, in single precision; a file that needs code to be read is refused.

    Raises
    ------
    ModelError
        If the file holds anything but tensors, is truncated, would unpack to more than its size, or is no file of
        weights.
    """
    _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that are refused anyway, torch also warns
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ModelError(
            f"{path}: is no file of plain weights: reading it would run code of its own. "
            "Save the state dict alone, with torch.save(model.state_dict(), path)."
        ) from None
    except (OSError, RuntimeError, ValueError, EOFError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path}: cannot be read as weights ({_first_line(error)}). Copy the file again."
        ) from None
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ModelError(f"{path}: holds something other than a mapping of names to tensors.")
    for name, value in content.items():
        if value.numel() * value.element_size() > path.stat().st_size:
            raise ModelError(f"{path}: '{name}' is larger than the file; these are no weights as torch saves them.")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ModelError(
                f"{path}: '{name}' holds values that are no numbers. Copy the file again, or train anew."
            )
    return {name: value.float() if value.is_floating_point() else value for name, value in content.items()}


def _check_archive(path: Path) -> None:
    """Refuse what ``torch.save`` does not write, before anything is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [entry.filename for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError):
        raise ModelError(
            f"{path}: is no file of weights as torch.save writes them, or is cut off. Copy the file again."
        ) from None
    if packed:
        raise ModelError(
            f"{path}: its content is compressed ('{packed[0]}'), which torch.save never does; it is not unpacked."
        )


def fill(module: torch.nn.Module, state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Put weights into a network; every tensor must be there and fit.

    Raises
    ------
    ModelError
        If the weights are those of another network.
    """
    try:
        module.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        raise ModelError(f"{path}: are the weights of another network ({_first_line(error)}).") from None


def _first_line(error: Any) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
