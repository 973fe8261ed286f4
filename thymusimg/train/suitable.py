"""Whether a model may be trained further on what somebody annotated: its channels and its pixel sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thymusimg.errors import ModelError
from thymusimg.train.annotated import AnnotatedCells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.models.card import ModelCard
    from thymusimg.train.annotated import AnnotatedCompartments

WAY_OUT = "Leave the section out, or begin with another model (--from)."


def refuse_unsuitable(
    card: ModelCard, sections: Sequence[AnnotatedCells] | Sequence[AnnotatedCompartments]
) -> None:
    """Refuse sections that a model was not made for.

    Raises
    ------
    ModelError
        If a section lacks a channel that the model needs, or its pixels are too fine or too coarse for it.
    """
    needed = [role for role in card.channels if role not in card.optional_channels]
    for section in sections:
        if missing := [role for role in needed if role not in section.planes]:
            raise ModelError(
                f"{section.section_id}: has no {' and no '.join(missing)}; '{card.name}' takes "
                f"{', '.join(needed)}. {WAY_OUT}"
            )
        pixel_um = section.pixel_um if isinstance(section, AnnotatedCells) else section.grid.pixel_um
        if not card.finest_pixel_um <= pixel_um <= card.coarsest_pixel_um:
            raise ModelError(
                f"{section.section_id}: has pixels of {pixel_um:.3g} µm; '{card.name}' is for "
                f"{card.finest_pixel_um:g} to {card.coarsest_pixel_um:g} µm. {WAY_OUT}"
            )
