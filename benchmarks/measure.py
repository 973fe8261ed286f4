"""Run a command and measure it from outside: wall time, processor time, and the peak memory of its processes."""

from __future__ import annotations

import resource
import subprocess
import threading
import time
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Cost:
    """What a command cost.

    ``seconds`` by the clock; ``peak_gb`` of resident memory (process tree, shared pages counted once a process);
    ``cpu`` seconds of all cores together, of the command and of the children that it waited for.
    """

    seconds: float
    peak_gb: float
    output: str
    cpu: float = 0.0


def run(command: list[str]) -> Cost:
    """Run a command to its end.

    Raises
    ------
    RuntimeError
        If it fails; its output is in the message.
    """
    start, before = time.perf_counter(), _children()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak = [0]
    watch = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
    watch.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{output}")
    return Cost(seconds, peak[0] / 1e9, output, _children() - before)


def _watch(pid: int, peak: list[int]) -> None:
    try:
        parent = psutil.Process(pid)
        while True:
            family = [parent, *parent.children(recursive=True)]
            peak[0] = max(peak[0], sum(p.memory_info().rss for p in family))
            time.sleep(0.01)
    except psutil.Error:  # the process has ended
        return


def _children() -> float:
    """Return the processor seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
