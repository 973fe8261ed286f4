from __future__ import annotations

import pytest

from thymusimg.errors import SettingsError
from thymusimg.settings import Settings


def test_toml_round_trip(tmp_path):
    file = tmp_path / "study.toml"
    settings = Settings.from_mapping({"study": {"reference": "CD34"}, "compute": {"tile_px": 512}})
    file.write_text(settings.to_toml(), encoding="utf-8")
    assert Settings.from_toml(file) == settings


def test_unknown_keys_are_named():
    with pytest.raises(SettingsError, match=r"unknown key 'cells.diametre'; unknown key 'colour'"):
        Settings.from_mapping({"cells": {"diametre": 6}, "colour": 1})


def test_values_out_of_range_are_named():
    with pytest.raises(SettingsError, match=r"'compute.tile_px' = 3"):
        Settings.from_mapping({"compute": {"tile_px": 3}})


def test_at_most_three_primaries():
    with pytest.raises(SettingsError, match="primary"):
        Settings.from_mapping({"study": {"primary": ["a", "b", "c", "d"]}})


def test_not_toml(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text("reference == CD34", encoding="utf-8")
    with pytest.raises(SettingsError, match="not a TOML file"):
        Settings.from_toml(file)


def test_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Settings().compute.threads = 4


def test_every_setting_says_what_it_is():
    for name, stage in Settings.model_fields.items():
        for key, field in stage.annotation.model_fields.items():
            assert field.description, f"{name}.{key}"
