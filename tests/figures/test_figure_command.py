from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
from cli_runner import plain_refusal, thymusimg


@pytest.fixture(scope="module")
def run(figure_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of its own, into which figures may be written."""
    folder = tmp_path_factory.mktemp("command") / "run"
    shutil.copytree(figure_run, folder)
    return folder


def test_a_section_into_the_run(run: Path) -> None:
    said = thymusimg("figure", "section", run, "a2_s1", "--panels", "merge", "--width", "single", "--format", "png")
    assert said.status == 0, said.err
    assert "85 × " in said.out
    for suffix in ("png", "txt", "json"):
        assert (run / "figures" / f"section_a2_s1.{suffix}").is_file()


def test_one_section_a_group_says_which(run: Path, tmp_path: Path) -> None:
    said = thymusimg(
        "figure", "sections", run, "--groups", "--group", "NSG & <b>", "--width", "single", "--palette", "safe",
        "--out", tmp_path / "r.svg",
    )  # fmt: skip
    assert said.status == 0, said.err
    assert "NSG & <b>: a2_s1 (animal a2)" in said.out
    assert (tmp_path / "r.svg").is_file()


def test_groups(run: Path, tmp_path: Path) -> None:
    said = thymusimg("figure", "groups", run, "medulla_fraction", "--out", tmp_path / "g.pdf", "--no-sentences")
    assert said.status == 0, said.err
    assert (tmp_path / "g.pdf").read_bytes().startswith(b"%PDF")
    assert "do not settle" in (tmp_path / "g.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("section", "RUN", "a2_s"), "did you mean 'a2_s1'"),
        (("section", "RUN", "a2_s1", "--inset", "1,2"), "X,Y,SIZE"),
        (("section", "RUN", "a2_s1", "--inset", "1,2,inf"), "a side of 10 to 2000"),
        (("section", "RUN", "a2_s1", "--limits", "cd45=9,3"), "BLACK below WHITE"),
        (("section", "RUN", "a2_s1", "--limits", "cd45=1,3", "--auto-contrast"), "contradict"),
        (("section", "RUN", "a2_s1", "--panels", "merge,k41"), "did you mean 'k14'"),
        (("section", "RUN", "a2_s1", "--palette", "rainbow"), "field, safe"),
        (("section", "RUN", "a2_s1", "--width", "wide"), "single (85)"),
        (("section", "RUN", "a2_s1", "--dpi", "10"), "300 or 600"),
        (("section", "RUN", "a2_s1", "--format", "docx"), "svg, pdf, png, tiff"),
        (("section", "RUN", "a2_s1", "--scale-bar", "-5"), "above 0"),
        (("section", "RUN", "a2_s1", "--scale-bar", "5000"), "shorter bar"),
        (("groups", "RUN", "medula_fraction"), "did you mean 'medulla_fraction'"),
        (("groups", "RUN", "--letters", "roman"), "upper, lower, none"),
        (("sections", "RUN", "--by", "nothing_like_it"), "tables/dictionary.csv"),
        (("sections", "NOWHERE"), "thymusimg run"),
        (("section", "NOWHERE", "a"), "thymusimg run"),
    ],
)
def test_refusals_are_plain(run: Path, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    named = {"RUN": run, "NOWHERE": tmp_path}
    plain_refusal(thymusimg("figure", *(named.get(word, word) for word in words)), said)


def test_the_help_stands_without_the_heavy_libraries() -> None:
    import subprocess

    code = (
        "import sys; sys.argv = ['thymusimg', 'figure', 'section', '--help']\n"
        "from thymusimg.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert not {'matplotlib', 'torch', 'zarr'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--auto-contrast" in done.stdout
