"""The floor: read and decompress every pixel with tifffile in two threads."""

from __future__ import annotations

import sys

import tifffile

if __name__ == "__main__":
    with tifffile.TiffFile(sys.argv[1]) as slide:
        print(slide.series[0].asarray(maxworkers=2).shape)
