"""Mutations of valid files, and every input that once crashed: read as declared, or refused in our words."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from fuzz_targets import TARGETS, any_file, table  # noqa: E402

SEEDS = sorted(path for path in (HERE / "corpus").rglob("*") if path.is_file())
CRASHES = sorted(path for path in (HERE / "regressions").rglob("*") if path.is_file())
FEW = settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
# what libraries say of broken files is theirs to say
pytestmark = pytest.mark.filterwarnings("ignore")


@st.composite
def mutations(draw, seed: bytes):
    """Change, cut, double or replace some bytes, mostly near the start, where headers are."""
    data = bytearray(seed)
    for _ in range(draw(st.integers(1, 4))):
        top = max(1, min(len(data), draw(st.sampled_from((16, 256, 10**6)))))
        at = draw(st.integers(0, top - 1))
        kind = draw(st.integers(0, 4))
        if kind == 0:
            data[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif kind == 1:
            del data[at : at + draw(st.integers(1, 64))]
        elif kind == 2:
            data[at:at] = draw(st.binary(min_size=1, max_size=16))
        elif kind == 3:
            size = draw(st.sampled_from((2, 4, 8)))
            data[at : at + size] = draw(
                st.sampled_from((b"\xff" * size, bytes(size), b"\x7f" + b"\xff" * (size - 1)))
            )
        else:
            del data[at:]
    return bytes(data)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_seeds_and_their_mutations(seed):
    check, content = TARGETS[seed.parent.name], seed.read_bytes()
    check(content)

    @FEW
    @given(mutations(content))
    def mutated(data):
        check(data)

    mutated()


@pytest.mark.parametrize("crash", CRASHES, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_what_once_crashed(crash):
    TARGETS[crash.parent.name](crash.read_bytes())


@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_are_no_image(data):
    any_file(data)


IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.sampled_from(
    (
        "../../x",
        "/etc/x",
        "..",
        ".",
        "CON",
        "con.txt",
        "lpt1",
        "a" * 300,
        "C:x",
        "a\\b",
        "Straße",
        "STRASSE",
        "ﬁ",
        "é",
        "e\u0301",
    )
)


@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(st.lists(IDS, min_size=1, max_size=4))
def test_ids_that_are_accepted_name_folders_of_their_own(ids):
    lines = ["section_id,path,animal,group"]
    lines += ['"{}",a.tif,{},x'.format(name.replace('"', '""'), i) for i, name in enumerate(ids)]
    table("\n".join(lines).encode())
