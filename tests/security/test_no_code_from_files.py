"""Nothing that is read can run code: no pickle, no eval, and tensors only."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "thymusimg").rglob("*.py")) + sorted((ROOT / "plugins").rglob("*.py"))
# the window hands a study to the process that it started itself, through a pipe
OWN_PIPE = {"plugins/thymusimg_napari/running.py"}
RUNS_CODE = {"eval", "exec", "compile", "marshal.load", "marshal.loads", "shelve.open", "os.system", "os.popen"}
UNPICKLES = {
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "joblib.load",
    "pd.read_pickle",
    "pandas.read_pickle",
}


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def faults(path: Path) -> list[str]:
    place = path.relative_to(ROOT).as_posix()
    found = []
    for name, call in calls(ast.parse(path.read_text(encoding="utf-8"))):
        said = {word.arg: ast.unparse(word.value) for word in call.keywords}
        if (
            name in RUNS_CODE
            or (name in UNPICKLES and place not in OWN_PIPE)
            or said.get("allow_pickle", "False") != "False"
            or said.get("shell", "False") != "False"
            or (name == "torch.load" and said.get("weights_only") != "True")
        ):
            found.append(f"{place}:{call.lineno}: {name}")
    return found


def test_no_source_reads_code():
    assert len(SOURCES) > 100
    assert [fault for path in SOURCES for fault in faults(path)] == []


def test_an_array_file_with_a_pickle_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([{"code": print}], dtype=object))
    with np.load(tmp_path / "a.npz") as found, pytest.raises(ValueError, match="allow_pickle=False"):
        found["a"]
