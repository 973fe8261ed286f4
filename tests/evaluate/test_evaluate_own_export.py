"""What ``thymusimg export --to geojson`` writes is read back, whatever a person changed in it."""

from __future__ import annotations

import json

import pytest

from thymusimg.compartments.model import Compartment
from thymusimg.errors import UnreadableError
from thymusimg.evaluate.outlines import read_shapes

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [8, 0], [8, 8], [0, 8], [0, 0]]]}
LINE = {"type": "MultiLineString", "coordinates": [[[0, 0], [8, 8]]]}


def write(path, *features):
    drawn = [{"type": "Feature", "geometry": g, "properties": {"classification": {"name": n}}} for n, g in features]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": drawn}), encoding="utf-8")
    return path


def test_islets_and_the_junction_are_passed_over(tmp_path):
    path = write(
        tmp_path / "a.geojson", ("Medulla", SQUARE), ("Islet", SQUARE), ("Corticomedullary junction", LINE)
    )
    (shape,) = read_shapes(path)
    assert shape.what is Compartment.MEDULLA


def test_other_classes_are_still_refused(tmp_path):
    path = write(tmp_path / "a.geojson", ("Medulla", SQUARE), ("Islets of Langerhans", SQUARE))
    with pytest.raises(UnreadableError, match="Islets of Langerhans"):
        read_shapes(path)
