from __future__ import annotations

import numpy as np
import pytest
import tifffile

from thymusimg.channels.open import open_section
from thymusimg.errors import RoleError


@pytest.fixture
def slide(tmp_path):
    path = tmp_path / "s.ome.tif"
    metadata = {"axes": "CYX", "Channel": {"Name": ["hCD45", "KRT14", "KRT8"]}}
    tifffile.imwrite(path, np.zeros((3, 8, 8), np.uint16), photometric="minisblack", metadata=metadata)
    return path


def test_a_swap_by_name_is_refused(slide):
    with pytest.raises(RoleError, match=r"'KRT8' says K8, not K14.*--channel k14=2"):
        open_section(slide, channels={"k14": "KRT8", "k8": "KRT14"}, pixel_size_um=0.5)


def test_an_index_insists_and_leaves_a_warning(slide):
    section = open_section(slide, channels={"k14": 2, "k8": 1}, pixel_size_um=0.5)
    assert section.roles["k14"] == 2
    assert sum("says otherwise" in warning for warning in section.warnings) == 2
