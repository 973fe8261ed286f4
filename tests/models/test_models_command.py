"""``thymusimg models``: what is there, is it whole."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from cli_runner import plain_refusal, thymusimg
from model_folders import small_model, with_right_hash

from thymusimg.models.find import VARIABLE


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "models"))
    return tmp_path / "models"


def test_the_list(place):
    card = small_model(place / "mine")
    said = thymusimg("models")
    assert said.status == 0
    row = next(line for line in said.out.splitlines() if line.startswith("mine "))
    for word in ("cells", "unet", "cd45 [dapi]", "0.5", card.sha256[:12], "BSD-3-Clause"):
        assert word in row
    assert "F1 at IoU 0.5 0.900 (before training: 0.700), on nobody" in said.out
    assert "keratin" in said.out
    assert "classical" in said.out


def test_the_whole_card(place):
    card = small_model(place / "mine")
    said = thymusimg("models", "mine")
    assert said.status == 0
    assert card.sha256 in said.out
    assert str(place / "mine") in said.out
    plain_refusal(thymusimg("models", "yours"), "yours", "mine")


def test_json(place):
    small_model(place / "mine")
    said = thymusimg("models", "mine", "--json", "--verify")
    found = json.loads(said.out)
    assert [model["name"] for model in found["models"]] == ["mine"]
    assert found["models"][0]["verified"] is True
    assert found["methods"]["cells"][-1] == "none"


def test_verify_says_which_is_bad_and_leaves_with_2(place):
    small_model(place / "mine")
    assert thymusimg("models", "mine", "--verify").status == 0
    with_right_hash(place / "mine", b"no weights")
    said = thymusimg("models", "--verify")
    assert said.status == 2
    assert "mine: BAD" in said.out
    assert "Traceback" not in said.out + said.err


def test_a_broken_folder_is_said_in_a_line(place):
    (place / "bad").mkdir(parents=True)
    (place / "bad" / "model.toml").write_text('name = "bad"\n', encoding="utf-8")
    said = thymusimg("models")
    assert said.status == 0
    assert "Broken: " in said.out
    assert "bad" in said.out


def test_listing_needs_no_torch(place):
    small_model(place / "mine")
    code = (
        "import sys; sys.argv = ['thymusimg', 'models']\n"
        "from thymusimg.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False")
