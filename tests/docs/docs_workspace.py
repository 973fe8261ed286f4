"""A folder in which the documentation's commands find the slides, studies and tables that they name."""

from __future__ import annotations

import csv
import shutil
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from thymusimg.phantom import PhantomSpec, make_phantom, write_ome_tiff
from thymusimg.phantom.truth_bundle import write_truth

if TYPE_CHECKING:
    from pathlib import Path

    from thymusimg.phantom import Phantom

SPEC = PhantomSpec(
    area_mm2=0.05, islets=1, medulla_fraction=0.3, indeterminate_fraction=0.05, order=0.95, cyst_fraction=0.0,
    cd45_cortex_per_mm2=3000.0, cd45_medulla_per_mm2=800.0,
)  # fmt: skip
PIXEL_UM = 0.65
GROUPS = ("untreated", "untreated", "CD34", "CD34", "progenitors", "progenitors")
STUDY = """[study]
table = "study.csv"
reference = "CD34"
primary = ["cd45_area_fraction"]
"""


def tiny(seed: int, *, human: bool = True, area_mm2: float = 0.05) -> Phantom:
    """A small lobe."""
    none = {} if human else {"cd45_cortex_per_mm2": 0.0, "cd45_medulla_per_mm2": 0.0}
    spec = SPEC.model_copy(update={"area_mm2": area_mm2, **none})
    return make_phantom(spec, seed=seed, pixel_size_um=PIXEL_UM)


def write_study(folder: Path) -> Path:
    """Six sections of six animals in three groups, with a table and a study.toml; return the study.toml."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "study.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("section_id", "path", "animal", "group", "negative_control"))
        for i, group in enumerate(GROUPS):
            write_ome_tiff(tiny(i, human=group != "untreated"), folder / f"S0{i + 1}.ome.tif")
            writer.writerow(
                (f"S0{i + 1}", f"S0{i + 1}.ome.tif", f"m{i + 1}", group, "yes" if group == "untreated" else "")
            )
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    return folder / "study.toml"


def fill_in(folder: Path) -> None:
    """Do what the reader is told to do after ``thymusimg init``: animal, group, reference, primary endpoints."""
    path = folder / "study.csv"
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    for i, row in enumerate(rows):
        row["animal"], row["group"] = f"m{i + 1}", GROUPS[2:][i % 4]
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    toml = folder / "study.toml"
    text = toml.read_text(encoding="utf-8").replace("# primary =", "primary =")
    toml.write_text(text.replace('# reference = "GROUP"', f'reference = "{GROUPS[2]}"'), encoding="utf-8")


def write_named(path: Path, phantom: Phantom, names: dict[str, str]) -> None:
    """An OME-TIFF whose channels have the given names, by role."""
    tifffile.imwrite(
        path, np.stack([phantom.plane(role) for role in names]), photometric="minisblack", tile=(256, 256),
        metadata={
            "axes": "CYX", "Channel": {"Name": list(names.values())},
            "PhysicalSizeX": PIXEL_UM, "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": PIXEL_UM, "PhysicalSizeYUnit": "µm",
        }, ome=True,
    )  # fmt: skip


def write_figure(path: Path, phantom: Phantom) -> None:
    """A red, green and blue export with 8 bits, as in a paper: CD45 red, K8 green, K14 blue."""
    planes = [phantom.plane(role).astype(float) for role in ("cd45", "k8", "k14")]
    shown = [np.clip(255 * (p - np.median(p)) / np.quantile(p - np.median(p), 0.999), 0, 255) for p in planes]
    tifffile.imwrite(path.with_suffix(".tif"), np.stack(shown, -1).astype(np.uint8), photometric="rgb")
    from PIL import Image

    Image.fromarray(np.stack(shown, -1).astype(np.uint8)).save(path)


ROI = """{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {},
"geometry": {"type": "Polygon", "coordinates": [[[5, 5], [%d, 5], [%d, %d], [5, %d], [5, 5]]]}}]}"""


def build(folder: Path) -> None:
    """Everything that a page may name: slides, a folder of slides, a study, a table, a figure, annotations."""
    write_study(folder)
    (folder / "TRUTH" / "sections").mkdir(parents=True)
    slides = folder / "FOLDER"
    slides.mkdir()
    for i in range(3, 7):
        shutil.copyfile(folder / f"S0{i}.ome.tif", slides / f"S0{i}.ome.tif")
    # large enough at half the pixel size, which one page gives
    slide = tiny(2, area_mm2=0.12)
    # formats are told by what is in a file, not by its name
    write_named(folder / "slide.czi", slide, {"k14": "AF405", "k8": "AF488", "cd45": "AF594"})
    write_named(folder / "slide.ome.tif", slide, {"k14": "KRT14", "k8": "KRT8", "cd45": "hCD45"})
    for role in ("k14", "k8", "cd45"):
        tifffile.imwrite(folder / f"S01_{role}.tif", slide.plane(role))
    write_figure(folder / "figure.png", slide)
    height, width = slide.plane("k14").shape
    (folder / "outline.geojson").write_text(ROI % (width - 5, width - 5, height - 5, height - 5), encoding="utf-8")
    weights = folder / ".thymusimg" / "models" / "my-cpsam"
    weights.mkdir(parents=True)
    (weights / "cpsam").write_bytes(bytes(1000))
    write_truth(tiny(2), folder / "TRUTH" / "sections" / "S03.zarr", "S03")
