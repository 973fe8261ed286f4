"""The house's one law: imports point one way only, and heavy libraries stay out of the door."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "thymusimg"
ORDER = (
    ("errors", "progress", "_version"),
    ("remote",),
    ("settings", "provenance", "device"),
    ("models",),
    ("section",),
    ("networks",),
    ("channels",),
    ("compartments",),
    ("cells",),
    ("measurements",),
    ("study",),
    ("report",),
    ("pipeline",),
    ("batch",),
    ("export", "figures"),
    ("train",),
    ("validate",),
    ("cli",),
    ("__main__",),
)
RANK = {room: i for i, rooms in enumerate(ORDER) for room in rooms}
# may use what lies below; only the command line and the validation may use them
BESIDE = {"phantom": RANK["measurements"], "evaluate": RANK["study"]}
USERS = {"cli", "train", "validate"}
FORBIDDEN = {"napari", "qtpy", "PySide6", "thymusimg_napari"}
NETWORK_LIBRARIES = {"torch", "cellpose"}
# the rooms that run networks, the one that asks whether a device is there, and the adapter of foreign weights
MAY_USE_NETWORKS = {"networks", "train", "device", "cells/cellpose"}


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def rooms(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imported(path) if name.startswith("thymusimg.")}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    room = room_of(path)
    assert room in RANK or room in BESIDE, f"'{room}' has no place in the order"
    for other in rooms(path) - {room}:
        if room in BESIDE:
            assert RANK.get(other, 99) <= BESIDE[room], f"{room} imports {other}"
        elif other in BESIDE:
            assert room in USERS, f"{room} imports {other}"
        else:
            assert RANK[other] < RANK[room], f"{room} imports {other}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_viewer_and_no_network_library(path):
    used = {name.split(".")[0] for name in imported(path)}
    assert not FORBIDDEN & used
    place = path.relative_to(PACKAGE).with_suffix("").as_posix()
    if not {room_of(path), place} & MAY_USE_NETWORKS:
        assert not NETWORK_LIBRARIES & used


def test_import_is_light():
    code = "import sys, thymusimg; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "napari", "cellpose", "numpy", "pandas", "zarr", "distributed"} & set(loaded)


def test_every_room_says_what_it_is_for():
    for init in PACKAGE.glob("*/__init__.py"):
        assert ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))), init
