"""Validation: the whole protocol on synthetic sections, beside what people script today."""

from __future__ import annotations

from thymusimg.validate.protocol import validate

__all__ = ["validate"]
