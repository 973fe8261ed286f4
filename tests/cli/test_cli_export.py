from __future__ import annotations

from typing import TYPE_CHECKING

from cli_runner import plain_refusal, thymusimg

if TYPE_CHECKING:
    from pathlib import Path


def test_export_refuses_what_is_no_run(tmp_path: Path) -> None:
    plain_refusal(thymusimg("export", tmp_path, "--to", "geojson"), str(tmp_path), "thymusimg run")


def test_export_refuses_an_unknown_format(tmp_path: Path) -> None:
    plain_refusal(thymusimg("export", tmp_path, "--to", "docx"), "docx", "geojson", "spatialdata")
