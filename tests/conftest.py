"""Small synthetic slides that several rooms' tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from thymusimg.phantom import PhantomSpec, make_phantom, write_ome_tiff

if TYPE_CHECKING:
    from pathlib import Path

    from thymusimg.phantom import Phantom

SPEC = PhantomSpec(
    area_mm2=0.1, islets=2, medulla_fraction=0.3, indeterminate_fraction=0.05, order=0.95, cyst_fraction=0.0,
    cd45_cortex_per_mm2=3000.0, cd45_medulla_per_mm2=800.0,
)  # fmt: skip


@pytest.fixture(scope="session")
def lobe_spec() -> PhantomSpec:
    """What the lobe is made of, for tests that change it."""
    return SPEC


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """A synthetic lobe of 0.1 mm² at 0.65 µm a pixel."""
    return make_phantom(SPEC, seed=3, pixel_size_um=0.65)


@pytest.fixture(scope="session")
def slide(phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lobe as an OME-TIFF with channel names and pixel size."""
    path = tmp_path_factory.mktemp("slides") / "lobe é 1.ome.tif"
    write_ome_tiff(phantom, path)
    return path


@pytest.fixture(scope="session")
def untreated_slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lobe without human cells."""
    spec = SPEC.model_copy(update={"cd45_cortex_per_mm2": 0.0, "cd45_medulla_per_mm2": 0.0})
    path = tmp_path_factory.mktemp("untreated") / "untreated.ome.tif"
    write_ome_tiff(make_phantom(spec, seed=4, pixel_size_um=0.65), path)
    return path
