from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import fromstring

import numpy as np
import pandas as pd
import pytest
from figure_fixtures import ANIMALS, write_run

from thymusimg.errors import CallError
from thymusimg.figures import group_figure, save
from thymusimg.figures.palettes import PALETTES

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "{http://www.w3.org/2000/svg}text"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path / "run", bundles=False)
    return tmp_path / "run"


def test_every_animal_and_section_is_drawn(run: Path) -> None:
    dots, _ = group_figure(run, ["medulla_fraction"]).figure.axes
    drawn = [np.sort(np.asarray(c.get_offsets())[:, 1]) for c in dots.collections]
    for place, group in enumerate(("NSG & <b>", "CD34")):
        values = [v for (g, _), v in ANIMALS.items() if g == group]
        np.testing.assert_allclose(drawn[2 * place], np.sort(np.ravel(values)))
        np.testing.assert_allclose(drawn[2 * place + 1], np.sort(np.mean(values, axis=1)))


def test_the_interval_is_that_of_the_table(run: Path) -> None:
    _, differences = group_figure(run, []).figure.axes
    lines = [np.asarray(line.get_ydata()) for line in differences.lines]
    assert any(np.allclose(line, (-0.3, 0.7)) for line in lines)


def test_text_is_text_and_bytes_repeat(run: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        drawing = group_figure(run, ["medulla_fraction"], width_mm=85.0)
        save(drawing, tmp_path / name / "g", ("svg", "pdf", "png"))
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name
    tree = fromstring((tmp_path / "one" / "g.svg").read_text(encoding="utf-8"))  # noqa: S314  our own
    texts = [" ".join("".join(node.itertext()).split()) for node in tree.iter(TEXT)]
    assert "Medulla fraction" in texts
    assert "n = 3" in " ".join(texts)
    assert "NSG & <b>" in texts
    assert not list(tree.iter("{http://www.w3.org/2000/svg}image"))
    assert drawing.size_mm[0] == pytest.approx(85.0)


def test_the_caption_says_the_test_and_no_more(run: Path) -> None:
    caption = group_figure(run, []).caption
    for words in ("SYNTHETIC", "n = 3", "difference 0.2 (−0.3 to 0.7)", "do not settle", "not evidence"):
        assert words in caption


def test_ratios_and_differences_have_axes_of_their_own(run: Path) -> None:
    file = run / "tables" / "comparisons.csv"
    table = pd.read_csv(file)
    other = table.assign(group="third", scale="log", difference=2.0, ci_low=1.2, ci_high=3.3)
    pd.concat([table, other]).to_csv(file, index=False)
    axes = group_figure(run, [], width_mm=174.0).figure.axes
    assert [a.get_ylabel() for a in axes[1:]] == ["difference to NSG & <b>", "ratio to NSG & <b>"]
    assert axes[2].get_yscale() == "log"


def test_a_column_that_was_not_compared_is_drawn_all_the_same(run: Path) -> None:
    (run / "tables" / "comparisons.csv").unlink()
    drawing = group_figure(run, ["medulla_fraction"])
    assert len(drawing.figure.axes) == 1
    assert "not compared" in drawing.caption


def test_refusals(run: Path, tmp_path: Path) -> None:
    with pytest.raises(CallError, match="did you mean 'medulla_fraction'"):
        group_figure(run, ["medulla_fractoin"])
    with pytest.raises(CallError, match="holds no number"):
        group_figure(run, ["islet_count"])
    with pytest.raises(CallError, match="expected 40 to 400 mm"):
        group_figure(run, [], width_mm=5.0)
    with pytest.raises(CallError, match="thymusimg run"):
        group_figure(tmp_path, [])


def test_the_safe_palette_is_safe() -> None:
    """Its colours stay apart as Machado, Oliveira and Fernandes (2009) simulate it; red and green do not."""
    matrices = {
        "protan": [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        "deutan": [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        "tritan": [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    }

    def apart(palette: str) -> float:
        from skimage.color import rgb2lab

        linear = (np.array(list(PALETTES[palette].values())) / 255) ** 2.2
        least = np.inf
        for matrix in matrices.values():
            seen = np.clip(linear @ np.array(matrix).T, 0, 1) ** (1 / 2.2)
            lab = rgb2lab(seen[None])[0]
            least = min(least, *(float(np.linalg.norm(lab[i] - lab[j])) for i, j in ((0, 1), (0, 2), (1, 2))))
        return least

    assert apart("safe") > 40
    assert apart("safe") > apart("field")
