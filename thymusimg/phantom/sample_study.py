"""The sample study: a recipe that ships as data, and the images made from it at first use."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

from thymusimg.errors import OutputError, UnreadableError
from thymusimg.phantom.recipe import read_recipes
from thymusimg.phantom.spec import CameraSpec
from thymusimg.phantom.study import write_study
from thymusimg.progress import Progress, silent

CAMERA = CameraSpec(bit_depth=12, gain_dn_per_e=0.25)
"""A quarter of a grey level an electron: the same photons, and files half as large."""


def find_sample_data() -> Path:
    """Return the folder of the recipe: inside an installed package, or ``sample_data`` of a clone.

    Raises
    ------
    UnreadableError
        If it is in neither place.
    """
    package = Path(str(files("thymusimg")))
    for folder in (package / "_sample_data", package.parent / "sample_data"):
        if (folder / "recipe.csv").is_file():
            return folder
    raise UnreadableError(
        f"sample data: no recipe.csv in {package / '_sample_data'} or {package.parent / 'sample_data'}; "
        "reinstall thymusimg"
    )


def write_sample_study(folder: str | Path, progress: Progress = silent) -> Path:
    """Write the sample study into ``folder`` and return the path of its ``study.toml``.

    Three groups (untreated NSG, CD34, progenitors), two sections an animal. Synthetic, hence a proof of code and
    not of biology. The same bytes every time.
    """
    recipe = find_sample_data()
    root = Path(folder)
    write_study(
        root,
        read_recipes(recipe / "recipe.csv"),
        images="images",
        changes={"camera": CAMERA},
        progress=progress,
    )
    try:
        shutil.copyfile(recipe / "study.toml", root / "study.toml")
    except OSError as error:
        raise OutputError(f"sample data: cannot write {root / 'study.toml'}: {error.strerror or error}") from error
    return root / "study.toml"
