"""What the study table and the image say of a section."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from thymusimg.measurements.families.declare import label
from thymusimg.measurements.schema import Column

if TYPE_CHECKING:
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView


COLUMNS = (
    label("section_id", "Name of the section in every table"),
    label("animal", "Animal that the section comes from: the unit of every comparison"),
    label("group", "Treatment group of the animal"),
    label("donor", "Donor of the human cells"),
    label("batch", "Staining or imaging batch"),
    label("timepoint", "Time after transplantation, as the study table has it"),
    label("level", "Level of the section in the organ, as the study table has it"),
    label("lobe", "Lobe, as the study table has it"),
    label("negative_control", "Whether the section is a negative control of human CD45", "true/false", "bool"),
    label("exclude", "Whether the study leaves the section out of its animal", "true/false", "bool"),
    label("notes", "Notes of the study table"),
    Column("pixel_size_um", "sections", "µm", "Side of a full-resolution pixel", "image", interval="0.05-5"),
    Column(
        "grid_pixel_um", "sections", "µm", "Side of a pixel of the grid of compartments", "image", interval="> 0"
    ),
    Column("k14_marker", "sections", "text", "Marker that stands in the role of Keratin 14", "image", "str"),
    Column("k8_marker", "sections", "text", "Marker that stands in the role of Keratin 8", "image", "str"),
    Column("cd45_marker", "sections", "text", "Marker that stands in the role of human CD45", "image", "str"),
    Column("compartments_method", "sections", "text", "Method that drew the compartments", "settings", "str"),
    Column("cells_method", "sections", "text", "Method that found the cells; none if skipped", "settings", "str"),
)


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns of this family."""
    for name, value in asdict(view.section.subject).items():
        row.put(name, value)
    row.put("pixel_size_um", view.section.pixel_size_um)
    row.put("grid_pixel_um", view.compartments.grid.pixel_um)
    for role in ("k14", "k8", "cd45"):
        row.put(f"{role}_marker", view.section.markers.get(role, ""))
    row.put("compartments_method", view.compartments.method)
    row.put("cells_method", view.cells.method if view.cells is not None else "none")
