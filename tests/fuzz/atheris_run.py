"""Fuzz one target by coverage, by hand: ``python tests/fuzz/atheris_run.py tiff -max_total_time=300``.

Needs ``pip install atheris``. The corpus is copied, so that what is found does not grow the repository; a crash is
written to the working folder: put it under ``tests/fuzz/regressions/TARGET/`` when it is mended.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
from pathlib import Path

import atheris

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

with atheris.instrument_imports(include=["thymusimg", "tifffile", "liffile", "zarr.core.metadata"]):
    import fuzz_targets

    for module in ("tiff", "zarr", "rgb", "lif"):
        __import__(f"thymusimg.section.readers.{module}")


def main() -> None:
    name = sys.argv.pop(1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**28, 2**28))
    corpus = Path(tempfile.mkdtemp()) / name
    shutil.copytree(HERE / "corpus" / name, corpus)
    atheris.Setup(
        [sys.argv[0], str(corpus), "-timeout=10", "-rss_limit_mb=2048", "-max_len=20000", *sys.argv[1:]],
        fuzz_targets.TARGETS[name],
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
