import gc
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from loopback import Loopback

RNG = np.random.default_rng(7)
PIXELS = RNG.integers(1, 60_000, (3, 300, 200)).astype(np.uint16)


def write_ome_zarr(folder, pixels=PIXELS, *, shards=None, zarr_format=3, side=0.5):
    """Write an OME-Zarr of two levels, one chunk of (1, 64, 64) a piece."""
    import zarr

    root = zarr.open_group(str(folder), mode="w", zarr_format=zarr_format)
    arrays = []
    for level, step in enumerate((1, 2)):
        data = pixels[:, ::step, ::step]
        array = root.create_array(
            str(level), shape=data.shape, chunks=(1, 64, 64), shards=shards, dtype=data.dtype, fill_value=0
        )
        array[...] = data
        arrays.append((str(level), step))
    axes = [{"name": "c", "type": "channel"}] + [{"name": n, "type": "space", "unit": "micrometer"} for n in "yx"]
    datasets = [
        {"path": key, "coordinateTransformations": [{"type": "scale", "scale": [1.0, side * step, side * step]}]}
        for key, step in arrays
    ]
    said = {
        "multiscales": [{"name": "slide", "axes": axes, "datasets": datasets, "version": "0.4"}],
        "omero": {"channels": [{"label": name} for name in ("CD45", "K14", "K8")]},
    }
    root.attrs.update(said if zarr_format == 2 else {"ome": {"version": "0.5", **said}})
    return folder


@pytest.fixture(autouse=True)
def no_connection_outlives_a_test():
    """Connections are kept for the process; here they end with the test that opened them, not in another."""
    yield
    import fsspec.implementations.http
    import s3fs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fsspec.implementations.http.HTTPFileSystem.clear_instance_cache()
        s3fs.S3FileSystem.clear_instance_cache()
        gc.collect()


@pytest.fixture
def pixels():
    return PIXELS


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("THYMUSIMG_REMOTE_SECONDS", "0.5")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr("thymusimg.remote.patience.FIRST_WAIT_S", 0.02)
    (tmp_path / "www").mkdir()
    found = Loopback(tmp_path / "www")
    write_ome_zarr(found.folder / "slide.zarr")
    yield found
    found.vanish()


@pytest.fixture
def ome_zarr():
    return write_ome_zarr
