from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from figure_fixtures import write_run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def figure_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that tests only read."""
    folder = tmp_path_factory.mktemp("figures") / "run"
    write_run(folder)
    return folder
