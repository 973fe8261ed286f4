"""The journal of a section's edits: small whole files, written every few seconds, found again after a kill.

A journal is a folder: ``state.json`` (edits, values, which arrays belong to it) and one file an array. Arrays are
written first, under a new name, then ``state.json`` is replaced in one step: whatever the moment of a kill, what
it names is whole and belongs together.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from thymusimg.batch.folder import writing
from thymusimg.errors import OutputError
from thymusimg.section.readers.base import DECODING_ERRORS
from thymusimg.section.store import plain
from thymusimg_napari.edits import EditLog

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from thymusimg.study.model import SectionRow

    Array = npt.NDArray[Any]

FOLDER_VARIABLE = "THYMUSIMG_EDITS"
"""Environment variable with the folder of journals, in place of the user's data folder."""
EVERY_S = 2.0
"""How often unsaved edits are written."""


def journal_folder(row: SectionRow) -> Path:
    """Return where the edits of a section are kept: by its files, scene and outline, whatever it is called."""
    files = [str(path.resolve()) for path in row.files]
    text = "|".join([*files, row.scene or "", str(row.roi.resolve()) if row.roi else ""])
    return journal_root() / hashlib.sha256(text.encode()).hexdigest()[:24]


def journal_root() -> Path:
    """Return the folder of all journals."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named)
    from platformdirs import user_data_path  # napari brings it

    return Path(user_data_path("thymusimg")) / "edits"


@dataclass(frozen=True)
class Snapshot:
    """What is kept of the edits: small arrays by name, and plain values.

    Attributes
    ----------
    arrays : mapping of str to array, or to a function that returns one
        ``compartments``, ``scribbles`` …: (Y, X) integers, kept as label TIFFs; they must never change. One that is
        given again is not written again. A function is called by the writer, in its thread.
    values : mapping
        What JSON can hold: edited cells, settings, the widget's state.
    edits : list of mapping
        From :meth:`EditLog.as_records`.
    """

    arrays: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    edits: list[dict[str, Any]] = field(default_factory=list)

    @property
    def log(self) -> EditLog:
        """The edits."""
        return EditLog.from_records(self.edits)


class Journal:
    """The unsaved edits of one section on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._on_disk: dict[str, tuple[Array, str]] = {}

    @property
    def state(self) -> Path:
        """The file that makes a journal whole."""
        return self.folder / "state.json"

    @property
    def pending(self) -> bool:
        """Whether there are edits that were not saved."""
        return self.state.is_file()

    def write(self, snapshot: Snapshot) -> None:
        """Replace the journal by a snapshot, all or nothing. Safe to call from a thread.

        Raises
        ------
        OutputError
            If the disk is full or may not be written.
        """
        with self._lock:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                before = self._state()
                serial = int(before.get("serial", 0)) + 1
                arrays = {name: kept() if callable(kept) else kept for name, kept in snapshot.arrays.items()}
                files = {name: self._put(name, serial, array) for name, array in arrays.items()}
            except OSError as error:
                raise OutputError(
                    f"{self.folder}: edits cannot be kept ({error.strerror or error}). Free some room, or save now."
                ) from None
            record = {"serial": serial, "arrays": files, "values": snapshot.values, "edits": snapshot.edits}
            with writing(self.state) as partial:
                partial.write_text(json.dumps(plain(record), ensure_ascii=False), encoding="utf-8")
            for name in set(before.get("arrays", {}).values()) - set(files.values()):
                (self.folder / name).unlink(missing_ok=True)

    def _put(self, name: str, serial: int, array: Array) -> str:
        written, file = self._on_disk.get(name, (None, ""))
        if written is array and (self.folder / file).is_file():
            return file
        file = f"{name}.{serial}.tif"
        tifffile.imwrite(self.folder / file, array, compression="zstd", predictor=False)
        self._on_disk[name] = array, file
        return file

    def read(self) -> Snapshot | None:
        """Return the unsaved edits, or None where there are none or none that can be read."""
        state = self._state()
        if not state:
            return None
        try:
            arrays = {name: np.asarray(tifffile.imread(self.folder / f)) for name, f in state["arrays"].items()}
        except DECODING_ERRORS:
            return None
        return Snapshot(arrays, state["values"], state["edits"])

    def clear(self) -> None:
        """Forget the unsaved edits: they were saved, or thrown away by the user."""
        with self._lock:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _state(self) -> dict[str, Any]:
        try:
            state = json.loads(self.state.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}
