"""The folder of a training: whose it is, what is kept in it, and whether it may be gone on with."""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import re
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from thymusimg.errors import CallError, ModelError, OutputError
from thymusimg.models.card import CARD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

REQUEST = "training.json"
CHECKPOINT = "checkpoint.pt"
OURS = (
    REQUEST, CHECKPOINT, "checkpoint.part", CARD, "README.md", "history.csv", "history.png", "metrics.csv",
    "before_after.png", "weights.pt", "forest.npz", ".lock",
)  # fmt: skip
"""Every file that a training leaves; a folder that holds another is somebody else's."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Claim:
    """A folder that is this training's.

    Attributes
    ----------
    kept : list of dict
        Rows of the epochs that an earlier call has finished; empty at a fresh start.
    trained : bool
        The weights are there, and only what goes beside them is missing.
    finished : bool
        The same training was carried to its end here.
    """

    folder: Path
    kept: tuple[dict[str, float], ...] = ()
    trained: bool = False
    finished: bool = False


@contextmanager
def claimed(folder: Path, request: Mapping[str, Any], *, restart: bool = False) -> Iterator[Claim]:
    """Hold a folder for a training.

    Parameters
    ----------
    folder : Path
        New, empty, or left by the same request.
    request : mapping
        Plain values of everything that the training was asked for.
    restart : bool
        Remove what an earlier training left here.

    Raises
    ------
    CallError
        If another request was begun here; the message says in what it differs.
    ModelError
        If the checkpoint cannot be read.
    OutputError
        If the folder cannot be written, holds other files, or another training writes into it.
    """
    _check_name(folder)
    _make(folder)
    with (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise OutputError(
                f"{folder}: another training is writing here. Wait for it, or choose another --out."
            ) from None
        if restart:
            for name in OURS:
                if name != ".lock":
                    (folder / name).unlink(missing_ok=True)
        _same_request(folder, request)
        trained = (folder / CARD).is_file() and not (folder / CHECKPOINT).exists()
        yield Claim(folder, _kept(folder / CHECKPOINT), trained, trained and (folder / "README.md").is_file())


def is_model_name(name: str) -> bool:
    """Tell whether a model may be called so."""
    return _NAME.fullmatch(name) is not None


def _check_name(folder: Path) -> None:
    if not is_model_name(folder.resolve().name):
        raise CallError(
            f"--out {folder}: the folder's name becomes the model's; use letters, digits, '.', '_' and '-' only."
        )


def _make(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; a training needs a folder. Choose another --out.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = sorted(p.name for p in folder.iterdir() if p.name not in OURS)
        probe = folder / f".probe-{os.getpid()}"
        if not foreign:
            probe.write_bytes(b"thymusimg")
            probe.unlink()
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror or error}). Choose another folder with --out."
        ) from None
    known = (folder / REQUEST).is_file()
    others = foreign or ([CARD] if (folder / CARD).exists() and not known else [])
    if others:
        raise OutputError(
            f"{folder}: is not empty and holds something else ({others[0]}). Choose a new or an empty folder."
        )


def _same_request(folder: Path, request: Mapping[str, Any]) -> None:
    path = folder / REQUEST
    wanted = json.loads(json.dumps(request))
    if path.is_file():
        try:
            begun = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise OutputError(f"{path}: cannot be read ({error}). Begin anew with --restart.") from None
        changed = [key for key in {**begun, **wanted} if begun.get(key) != wanted.get(key)]
        if changed:
            key = changed[0]
            raise CallError(
                f"{folder}: a training with other data or settings was begun here ({key}: {begun.get(key)} then, "
                f"{wanted.get(key)} now). Use --restart to begin anew, or another --out."
            )
        return
    path.write_text(json.dumps(wanted, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _kept(checkpoint: Path) -> tuple[dict[str, float], ...]:
    if not checkpoint.exists():
        return ()
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        return tuple({str(key): float(value) for key, value in row.items()} for row in content["history"])
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, TypeError, AttributeError,
            pickle.UnpicklingError, zipfile.BadZipFile):  # fmt: skip
        raise ModelError(
            f"{checkpoint}: is no whole checkpoint of a training. Remove it, or begin anew with --restart."
        ) from None
