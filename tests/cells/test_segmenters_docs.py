"""Every code block of docs/segmenters.md runs."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from cell_fakes import matched, scattered, scene, surroundings
from scipy import ndimage

from thymusimg.cells.model import Gate
from thymusimg.cells.segmenters import GROUP, Segmenter, detect_with_segmenter
from thymusimg.models.find import list_models, verify
from thymusimg.section.model import Window
from thymusimg.settings import CellSettings

PAGE = (Path(__file__).parents[2] / "docs" / "segmenters.md").read_text(encoding="utf-8")
GATE = Gate(threshold=160.0, background=40.0, background_sd=12.0, source="section")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def run(code):
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102  the page's own code
    return names


def count(by):
    cells = scene(*scattered(12, 80.0), size_um=80.0)
    section = cells.expose()
    correction, compartments = surroundings(section)
    found = detect_with_segmenter(
        section, correction, compartments, GATE, CellSettings(), segmenter=by, device="cpu"
    )
    painted = found.masks.paint(Window(0, section.shape[0], 0, section.shape[1]))
    return matched(cells.labels, painted)


def test_the_page_has_the_blocks_that_are_tested():
    assert len(blocks("python")) == 3
    assert len(blocks("toml")) == 1
    assert PAGE.count("```") == 8


def test_a_segmenter_with_a_model(monkeypatch):
    class Model:
        def predict(self, planes):
            assert planes.shape == (2, 512, 512)
            return ndimage.label(ndimage.binary_fill_holes(planes[0] > 0.25))[0]

    outliner = ModuleType("outliner")
    outliner.load = lambda path, device: Model()
    monkeypatch.setitem(sys.modules, "outliner", outliner)
    names = run(blocks("python")[0])
    declared = names["my_cells"]
    assert isinstance(declared, Segmenter)
    hits, truth, found = count(declared)
    assert (hits, found) == (truth, truth)
    registered = tomllib.loads(blocks("toml")[0])["project"]["entry-points"][GROUP]
    module, name = registered["my-cells"].split(":")
    assert blocks("python")[0].startswith(f"# {module}.py")
    assert name in names


def test_a_function_under_the_decorator():
    hits, truth, found = count(run(blocks("python")[1])["filled_rings"])
    assert (hits, found) == (truth, truth)


def test_a_card_for_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".thymusimg/models/my-cpsam"
    folder.mkdir(parents=True)
    (folder / "cpsam").write_bytes(np.arange(100).tobytes())
    run(blocks("python")[2])
    (model,) = [one for one in list_models()[0] if one.card.name == "my-cpsam"]
    verify(model)
    assert model.card.kind == "cellpose"


DECLARED = ("channels", "optional_channels", "pixel_size_um", "diameter_um", "tile_px", "expand_um")


@pytest.mark.parametrize("name", DECLARED)
def test_the_table_names_what_there_is(name):
    assert f"`{name}`" in PAGE
    assert name in Segmenter.__dataclass_fields__
