from __future__ import annotations

import numpy as np
import pytest
import tifffile

import thymusimg
from thymusimg.channels.open import name_section, open_section
from thymusimg.errors import CallError, PixelSizeError, RoleError
from thymusimg.section.model import Subject, Window


def write_slide(path, names=("K14", "KRT8", "AF594-hCD45"), pixel_um=0.5):
    pixels = np.random.default_rng(0).integers(0, 4000, (len(names), 64, 80)).astype(np.uint16)
    metadata = {"axes": "CYX", "Channel": {"Name": list(names)}}
    if pixel_um:
        metadata |= {"PhysicalSizeX": pixel_um, "PhysicalSizeY": pixel_um}
    tifffile.imwrite(path, pixels, ome=True, metadata=metadata)
    return pixels


def test_a_slide_whose_names_say_it_all(tmp_path):
    pixels = write_slide(tmp_path / "Mouse 3.ome.tif")
    section = thymusimg.open_section(tmp_path / "Mouse 3.ome.tif")
    assert section.section_id == "Mouse_3"
    assert dict(section.roles) == {"k14": 0, "k8": 1, "cd45": 2}
    assert dict(section.markers) == {"k14": "K14", "k8": "KRT8", "cd45": "hCD45"}
    assert section.pixel_size_um == 0.5
    window = Window(3, 9, 10, 30)
    np.testing.assert_array_equal(section.read("k8", window), pixels[1][window.slices])
    section.image.close()


def test_a_mapping_and_a_subject(tmp_path):
    write_slide(tmp_path / "a.ome.tif", names=("CD11c", "PDGFRb", "CD205"), pixel_um=None)
    path = tmp_path / "a.ome.tif"
    with pytest.raises(RoleError):
        open_section(path, pixel_size_um=1.29)
    with pytest.raises(PixelSizeError):
        open_section(path, channels={"k14": "CD11c", "k8": "CD205"})
    section = open_section(
        path, channels={"k14": "CD11c", "k8": "CD205"}, pixel_size_um=1.29, subject=Subject("m1s1", "m1", "WT")
    )
    assert section.section_id == "m1s1"
    assert section.subject.group == "WT"
    assert any("no CD45" in warning for warning in section.warnings)
    section.image.close()


def test_one_file_a_stain(tmp_path):
    paths = {}
    for role in ("k8", "k14"):
        paths[role] = tmp_path / f"{role}.ome.tif"
        write_slide(paths[role], names=("x",))
    section = open_section(paths)
    assert dict(section.roles) == {"k8": 0, "k14": 1}
    assert section.section_id == "k8"
    section.image.close()
    with pytest.raises(RoleError, match="both given"):
        open_section(paths, channels={"k8": 0})
    with pytest.raises(CallError, match="no role 'k9'"):
        open_section({"k9": paths["k8"]})


def test_two_names_for_one_section(tmp_path):
    write_slide(tmp_path / "a.ome.tif")
    with pytest.raises(CallError, match="differ"):
        open_section(tmp_path / "a.ome.tif", subject=Subject("one"), section_id="two")


@pytest.mark.parametrize(
    ("path", "scene", "name"),
    [
        ("/x/Souris n° 3 été.ome.tif", None, "Souris_n_3_ete"),
        ("slide.OME.TIFF", None, "slide"),
        ("a/b/slide.zarr/", None, "slide"),
        ("s.czi", "Scene 2", "s_Scene_2"),
        ("日本.tif", None, "section"),
        ("v1.2 k8.tif", None, "v1.2_k8"),
        ("C:/data/.hidden.png", None, "hidden"),
    ],
)
def test_names_from_files(path, scene, name):
    assert name_section(path, scene) == name
