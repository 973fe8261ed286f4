"""Which device networks run on. A device that was asked for and is not there is an error, never another one."""

from __future__ import annotations

from importlib.util import find_spec

from thymusimg.errors import DeviceError


def resolve_device(wanted: str) -> str:
    """Return ``cpu`` or ``cuda:N`` for ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    DeviceError
        If a CUDA device is asked for and is not there.
    """
    if wanted == "cpu":
        return "cpu"
    count = count_devices()
    if wanted == "auto":
        return "cuda:0" if count else "cpu"
    number = int(wanted.partition(":")[2] or 0)
    if number >= count:
        found = f"{count} CUDA device{'s' * (count != 1)}" if find_spec("torch") else "torch is not installed"
        raise DeviceError(f"--device {wanted}: not available ({found}). Use --device cpu, or auto.")
    return f"cuda:{number}"


def count_devices() -> int:
    """Return how many CUDA devices torch sees here; 0 without torch."""
    if find_spec("torch") is None:
        return 0
    import torch

    return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0
