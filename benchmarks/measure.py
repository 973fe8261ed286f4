"""Run a command and measure it from outside: wall time and the peak memory of the process and its children."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Cost:
    """Wall seconds and peak resident memory (process tree, shared pages counted once a process) in GB."""

    seconds: float
    peak_gb: float
    output: str


def run(command: list[str]) -> Cost:
    """Run a command to its end.

    Raises
    ------
    RuntimeError
        If it fails; its output is in the message.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak = [0]
    watch = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
    watch.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{output}")
    return Cost(seconds, peak[0] / 1e9, output)


def _watch(pid: int, peak: list[int]) -> None:
    try:
        parent = psutil.Process(pid)
        while True:
            family = [parent, *parent.children(recursive=True)]
            peak[0] = max(peak[0], sum(p.memory_info().rss for p in family))
            time.sleep(0.01)
    except psutil.Error:  # the process has ended
        return
