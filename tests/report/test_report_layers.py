from __future__ import annotations

import base64
import json

import cv2
import numpy as np
import pytest

from thymusimg.compartments.model import Compartment
from thymusimg.report.layers import INDEX, LABELS, STAINS
from thymusimg.report.viewer import island


@pytest.fixture(scope="module")
def index(layers):
    return json.loads(layers[INDEX])


def test_layers_are_of_one_size_and_no_stain_bleeds_into_another(layers, index) -> None:
    stains = cv2.imdecode(np.frombuffer(layers[STAINS], np.uint8), cv2.IMREAD_UNCHANGED)
    assert stains.shape == (3 * index["height"], index["width"])
    labels = cv2.imdecode(np.frombuffer(layers[LABELS], np.uint8), cv2.IMREAD_UNCHANGED)
    assert labels.shape == (index["height"], index["width"])
    level = dict(zip([s["role"] for s in index["stains"]], np.split(stains, 3), strict=True))
    medulla, cortex = labels == Compartment.MEDULLA, labels == Compartment.CORTEX
    # of the outer half of the cortex no K14 was drawn
    assert level["k14"][medulla].mean() > 20 * level["k14"][cortex].mean()


def test_cells_lie_where_the_table_has_them(index, analysed) -> None:
    packed = index["cells"]
    xy = np.frombuffer(base64.b64decode(packed["xy"]), "<u2").reshape(-1, 2) / packed["per_px"] - 0.5
    um = xy[:, ::-1] * index["um_per_px"] + np.array(index["origin_um"])
    table = analysed.cells.table.iloc[:: packed["step"]]
    assert packed["total"] == len(analysed.cells.table)
    assert np.abs(um - table[["y_um", "x_um"]].to_numpy()).max() < index["um_per_px"] / packed["per_px"]


@pytest.mark.parametrize("evil", ["</script><script>x", "<!--", "\u2028&amp;"])
def test_nothing_in_an_island_can_end_it(evil) -> None:
    text = str(island({"id": evil}))
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"id": evil}
