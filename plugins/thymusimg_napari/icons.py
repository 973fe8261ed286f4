"""Icons that follow napari's theme: one drawing, in the colour of the theme's own icons."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from qtpy.QtCore import QByteArray, QSize
from qtpy.QtGui import QIcon, QPainter, QPixmap
from qtpy.QtSvg import QSvgRenderer

FOLDER = Path(__file__).parent / "resources"
_SIZE = 48


def icon(name: str, theme: str) -> QIcon:
    """Return ``resources/NAME.svg`` in the icon colour of a theme (``viewer.theme``)."""
    from napari.utils.theme import get_theme

    return QIcon(_drawn(name, get_theme(theme).icon.as_hex()))


@cache
def _text(name: str) -> str:
    return (FOLDER / f"{name}.svg").read_text(encoding="utf-8")


def _drawn(name: str, colour: str) -> QPixmap:
    renderer = QSvgRenderer(QByteArray(_text(name).replace("currentColor", colour).encode()))
    pixmap = QPixmap(QSize(_SIZE, _SIZE))
    pixmap.fill("transparent")
    painter = QPainter(pixmap)
    renderer.render(painter)
    painter.end()
    return pixmap


def themed(button: Any, name: str, viewer: Any) -> None:
    """Give a button an icon that changes with the theme."""

    def draw(_event: object = None) -> None:
        button.setIcon(icon(name, viewer.theme))

    draw()
    viewer.events.theme.connect(draw)
    button.destroyed.connect(lambda: viewer.events.theme.disconnect(draw))
