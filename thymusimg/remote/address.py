"""An address that travels where a path does: study table, command line, records."""

from __future__ import annotations

import re
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from thymusimg.errors import UnreadableError

if sys.platform == "win32":
    from pathlib import WindowsPath as _Local
else:
    from pathlib import PosixPath as _Local

if TYPE_CHECKING:
    from os import PathLike

SCHEMES = ("s3", "http", "https")
_COLLAPSED = re.compile(r"^(s3|https?):[/\\]+", re.IGNORECASE)  # pathlib makes one slash of two
_ANY_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_LONGEST = 2000


class Address(_Local):
    """The address of an OME-Zarr on a server.

    It is a path so that rows, records and messages need not tell the two apart; nothing of it exists on this
    machine. An address holds no secret: one with a password or a signature in it cannot be made.

    Examples
    --------
    >>> address = Address("https://example.org//slides/a.zarr/")
    >>> str(address), address.name
    ('https://example.org/slides/a.zarr', 'a.zarr')
    """

    _url: str

    def __new__(cls, address: str) -> Address:
        """Check and keep an address."""
        url = check_address(address)
        self = super().__new__(cls, url)
        self._url = url
        return self

    if sys.version_info >= (3, 12):

        def __init__(self, address: str) -> None:
            super().__init__(check_address(address))

    def __str__(self) -> str:
        return self._url

    def __fspath__(self) -> str:
        return self._url

    def __repr__(self) -> str:
        return f"Address({self._url!r})"

    def __reduce__(self) -> Any:
        return Address, (self._url,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and other._url == self._url

    def __hash__(self) -> int:
        return hash(self._url)

    def __truediv__(self, key: Any) -> Address:
        return Address(f"{self._url}/{PurePosixPath(str(key))}")

    @property
    def scheme(self) -> str:
        """``s3``, ``http`` or ``https``."""
        return self._url.split(":", 1)[0]

    @property
    def parent(self) -> Any:
        """Return the address one step up; that of a server or bucket is its own."""
        head, _, _ = self._url.rpartition("/")
        return Address(head) if head.count("/") >= 2 and not head.endswith("/") else self

    def as_posix(self) -> str:
        """Return the address as text."""
        return self._url

    def resolve(self, strict: bool = False) -> Any:
        """Return the address itself: it is absolute."""
        return self

    def absolute(self) -> Any:
        """Return the address itself."""
        return self

    def expanduser(self) -> Any:
        """Return the address itself."""
        return self

    def is_absolute(self) -> bool:
        """Return True."""
        return True

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Return False: there is no such file on this machine."""
        return False

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Return False: there is no such folder on this machine."""
        return False

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Return False: there is no such file on this machine."""
        return False


def located(path: str | PathLike[str]) -> Path:
    """Return an :class:`Address` where the text is one, else a path.

    Raises
    ------
    UnreadableError
        If it is an address of a kind that is not read, or holds a password.

    Examples
    --------
    >>> located("https://example.org/a.zarr")
    Address('https://example.org/a.zarr')
    >>> located("https:/example.org/a.zarr")  # as pathlib leaves it
    Address('https://example.org/a.zarr')
    """
    if isinstance(path, Address):
        return path
    text = str(path)
    return Address(text) if is_address(text) else Path(text)


def is_address(text: str) -> bool:
    """Tell whether a text is an address and no path of this machine."""
    return bool(_COLLAPSED.match(text) or _ANY_SCHEME.match(text))


def check_address(text: str) -> str:
    """Return an address in its plain form.

    Raises
    ------
    UnreadableError
        If its scheme is not read here, it names no server, or it holds a password, a signature or ``..``. What
        is secret in it is not repeated.
    """
    scheme = (_ANY_SCHEME.match(text) or _COLLAPSED.match(text) or [""])[0].rstrip(":/\\").lower()
    if scheme not in SCHEMES:
        raise UnreadableError(
            f"{scheme}://…: addresses of this kind are not read; s3://, http:// and https:// are. "
            "Download the slide."
        )
    rest = re.sub(r"/+", "/", text.split(":", 1)[1].replace("\\", "/")).strip("/")
    host = rest.split("/", 1)[0]
    if "@" in host:
        raise UnreadableError(
            f"{scheme}://…@{host.rpartition('@')[2]}: the address holds a user name or password. Take it out; keys "
            "come from the environment, ~/.aws or ~/.netrc, so that no table and no record shows them."
        )
    if "?" in rest or "#" in rest:
        plain = re.split(r"[?#]", rest, maxsplit=1)[0]
        raise UnreadableError(
            f"{scheme}://{plain}?…: the address holds a query or signature, which is valid for one file; an "
            "OME-Zarr is many. Take it out, or download the slide."
        )
    parts = rest.split("/")
    if not host or any(part in (".", "..") for part in parts) or not rest.isprintable() or len(rest) > _LONGEST:
        raise UnreadableError(
            f"{scheme}://{rest[:60]}: is no plain address; expected {scheme}://SERVER/FOLDER/NAME.zarr"
        )
    return f"{scheme}://{rest}"
