"""The examples run, and show what they say."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_runs(path, capsys):
    assert len(path.read_text().splitlines()) <= 60
    found = runpy.run_path(str(path))["main"]()
    assert capsys.readouterr().out
    assert all(0 <= value <= 1 for value in found.values())


def test_fused_views_are_mostly_right():
    path = next(path for path in EXAMPLES if path.stem == "fuse_views")
    found = runpy.run_path(str(path))["main"]()
    assert found["both views"] > 0.85
    assert found["spectrogram alone"] > 0.8
    assert found["right when answered"] >= found["both views"] - 0.05
