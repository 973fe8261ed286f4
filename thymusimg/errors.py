"""The error tree: every error that thymusimg raises on purpose.

::

    ThymusimgError
    ├── CallError(ValueError)            the call or the study table is wrong: exit status 2
    │   ├── SettingsError                unknown key, value out of range
    │   └── StudyTableError              every bad row, named at once
    ├── SectionError                     one section cannot be analysed; the others go on
    │   ├── UnreadableError(OSError)     missing, truncated, no permission, not an image
    │   ├── UnsupportedFormatError       a known format that nothing installed here can read
    │   ├── SceneError(LookupError)      several scenes and none chosen, or no such scene
    │   ├── ProjectionError(ValueError)  a z-stack or time series, and no projection chosen
    │   ├── PixelSizeError(ValueError)   missing or implausible pixel size
    │   ├── RoleError(LookupError)       a stain is missing, ambiguous or mapped twice
    │   ├── PixelValueError(ValueError)  NaN, constant or otherwise impossible pixels
    │   ├── TissueError(ValueError)      no tissue on the section
    │   └── CellsError(ValueError)       cells cannot be counted here: their columns are undefined, with the reason
    │       └── GateError                no lawful CD45 threshold can be set
    ├── MissingExtraError(ImportError)   an optional library is needed; carries the pip line
    ├── ModelError(LookupError)          no such model, or its hash is wrong
    ├── DeviceError(RuntimeError)        the device that was asked for is not there
    ├── OutputError(OSError)             disk full, read-only, folder in use
    └── CancelledError                   the user pressed cancel

A message says what was found, where, what was expected and what to do, in one or two plain lines.
"""

from __future__ import annotations


class ThymusimgError(Exception):
    """Base of every error that thymusimg raises on purpose."""

    def __str__(self) -> str:
        # KeyError and LookupError quote their argument; OSError hides it behind an errno.
        return str(self.args[0]) if self.args else type(self).__name__


class CallError(ThymusimgError, ValueError):
    """The call is wrong and nothing was run."""


class SettingsError(CallError):
    """A setting is unknown or out of its range."""


class StudyTableError(CallError):
    """The study table is wrong; the message names every bad row."""


class SectionError(ThymusimgError):
    """One section cannot be analysed; other sections are not affected."""


class UnreadableError(SectionError, OSError):
    """A file is missing, truncated, forbidden, or is not the image that its name says."""


class UnsupportedFormatError(SectionError):
    """A known format that nothing installed here can read."""


class SceneError(SectionError, LookupError):
    """The file holds several scenes and none was chosen, or the chosen one does not exist."""


class ProjectionError(SectionError, ValueError):
    """The image has a z or time axis and no projection was chosen."""


class PixelSizeError(SectionError, ValueError):
    """The pixel size is missing, anisotropic or outside 0.05-5 µm."""


class RoleError(SectionError, LookupError):
    """A stain is missing, ambiguous, or one channel was given two roles."""


class PixelValueError(SectionError, ValueError):
    """The pixels cannot be a fluorescence image: NaN, infinite or constant."""


class TissueError(SectionError, ValueError):
    """No tissue was found on the section."""


class CellsError(SectionError, ValueError):
    """Cells cannot be counted on the section; its compartments still can."""


class GateError(CellsError):
    """No CD45 threshold can lawfully be set for the section."""


class MissingExtraError(ThymusimgError, ImportError):
    """An optional library is needed; the message carries the line to type."""


class ModelError(ThymusimgError, LookupError):
    """There is no such model, or its weights do not have the recorded hash."""


class DeviceError(ThymusimgError, RuntimeError):
    """The device that was asked for is not available."""


class OutputError(ThymusimgError, OSError):
    """The output cannot be written: disk full, read-only, or in use by another run."""


class CancelledError(ThymusimgError):
    """The user cancelled the work; what was finished is kept."""
