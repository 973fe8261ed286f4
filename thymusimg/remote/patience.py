"""Asking a server again: how often, how long, and what is said when it ends."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from thymusimg.errors import SettingsError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

T = TypeVar("T")

ENV_SECONDS, ENV_ATTEMPTS = "THYMUSIMG_REMOTE_SECONDS", "THYMUSIMG_REMOTE_ATTEMPTS"
FIRST_WAIT_S = 0.5
PASSING_STATUS = (408, 425, 429, 500, 502, 503, 504)
"""Answers of a server that may be another one a moment later."""
FORBIDDEN_STATUS = (401, 403, 407)


@dataclass(frozen=True)
class Patience:
    """How a server is asked.

    Attributes
    ----------
    attempts : int
        Times that one thing is asked for.
    seconds : float
        Limit of one attempt, in s.
    first_wait_s : float
        Pause after the first attempt, in s; doubled after each.
    """

    attempts: int = 5
    seconds: float = 60.0
    first_wait_s: float = FIRST_WAIT_S

    @classmethod
    def of_environment(cls) -> Patience:
        """Return the patience that ``THYMUSIMG_REMOTE_SECONDS`` and ``…_ATTEMPTS`` ask for.

        Raises
        ------
        SettingsError
            If one of them is no positive number.
        """
        attempts = max(1, int(_number(ENV_ATTEMPTS, cls.attempts)))
        return cls(attempts, _number(ENV_SECONDS, cls.seconds), FIRST_WAIT_S)


def _number(name: str, otherwise: float) -> float:
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else otherwise
    except ValueError:
        value = -1.0
    if not 0 < value < 1e6:
        raise SettingsError(f"the environment variable {name} is {text!r}; expected a positive number")
    return value


async def patiently(ask: Callable[[], Awaitable[T]], what: str, patience: Patience) -> T:
    """Ask until there is an answer.

    ``FileNotFoundError`` and errors of ours pass at once: asking again would not change them.

    Parameters
    ----------
    ask : callable
        Begins one attempt.
    what : str
        The address, for the message.

    Raises
    ------
    UnreadableError
        If the server forbids it, or every attempt failed.
    """
    reason = ""
    for attempt in range(patience.attempts):
        if attempt:
            await asyncio.sleep(patience.first_wait_s * 2 ** (attempt - 1))
        try:
            return await asyncio.wait_for(ask(), patience.seconds)
        except (UnreadableError, FileNotFoundError):
            raise
        except TimeoutError:
            reason = f"no answer within {patience.seconds:g} s"
        except passing_errors() as error:
            reason = reason_of(error)
            if is_lasting(error):
                raise UnreadableError(
                    f"{what}: the server refuses it ({reason}). Check the address and your right to read it; keys "
                    "come from the environment, ~/.aws or ~/.netrc."
                ) from None
    raise UnreadableError(
        f"{what}: cannot be read ({reason}; asked {patience.attempts} times). Check the network and the server and "
        "run again: what is finished is kept."
    ) from None


async def all_of(asked: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return every answer in order; once one fails, the others stop asking and its error is raised."""
    tasks = [asyncio.ensure_future(one) for one in asked]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def passing_errors() -> tuple[type[Exception], ...]:
    """Return what the network's libraries raise; only those that are loaded are asked."""
    found: list[type[Exception]] = [OSError, EOFError]
    for module, names in (("aiohttp", ("ClientError",)), ("botocore.exceptions", ("BotoCoreError", "ClientError"))):
        loaded = sys.modules.get(module)
        found += [getattr(loaded, name) for name in names if loaded is not None]
    return tuple(found)


def is_lasting(error: Exception) -> bool:
    """Tell whether asking again cannot help: no right, or an answer that says so."""
    status = getattr(error, "status", None)
    if isinstance(status, int) and status:
        return status not in PASSING_STATUS
    return isinstance(error, PermissionError) or type(error).__name__ in ("NoCredentialsError", "InvalidURL")


def is_forbidden(error: Exception) -> bool:
    """Tell whether the server says that it may not be read."""
    return getattr(error, "status", None) in FORBIDDEN_STATUS or isinstance(error, PermissionError)


def reason_of(error: Exception) -> str:
    """Word a network error without addresses, headers or keys, which the libraries' own texts may hold."""
    status = getattr(error, "status", None)
    if isinstance(status, int) and status:
        return f"HTTP {status}"
    if isinstance(error, PermissionError):
        return "no permission"
    if isinstance(error, ConnectionRefusedError) or type(error).__name__ == "ClientConnectorError":
        return "no connection"
    return {
        "NoCredentialsError": "no keys were found",
        "EndpointConnectionError": "no connection",
        "ServerDisconnectedError": "the connection broke",
        "ClientPayloadError": "the answer was cut short",
        "ClientConnectorDNSError": "the server's name is not known",
    }.get(type(error).__name__, type(error).__name__)
