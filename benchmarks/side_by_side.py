"""``python -m benchmarks.side_by_side PROGRAM OUT SLIDE…``: a process a slide, all at once, none knowing of the others.

What the machine itself gives for a second process: memory and caches are shared, whatever a program does.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main(program: str, out: Path, slides: list[str]) -> int:
    """Run the program on every slide and return how many failed."""
    out.mkdir(parents=True)
    settings = out / "one_thread.toml"
    settings.write_text("[compute]\nthreads = 1\n", encoding="utf-8")
    running = [subprocess.Popen(_command(program, slide, out / str(i), settings)) for i, slide in enumerate(slides)]
    return sum(process.wait() != 0 for process in running)


def _command(program: str, slide: str, out: Path, settings: Path) -> list[str]:
    if program == "plain":
        return [sys.executable, "-m", "benchmarks.plain_pipeline", slide]
    ours = [sys.executable, "-m", "thymusimg", "section", slide]
    return [*ours, "--settings", str(settings), "--out", str(out)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
