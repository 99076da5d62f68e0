"""The search of thresholds: its front, what it keeps, and what it refuses."""

import csv
import json
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from emboscope.cli.app import app
from emboscope.workflows.threshold_search import front

OPTIONS = ["--method", "pttq", "--set", "training.epochs=1", "--set", "training.batch=32",
           "--threads", 1, "-q"]  # fmt: skip


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two folds on signals of two frequencies."""
    folder = tmp_path_factory.mktemp("search")
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 4)
    y = groups % 2
    times = np.arange(178) / 173.61
    waves = np.sin(2 * np.pi * (5 + 15 * y[:, None]) * times + rng.uniform(0, 6, (160, 1)))
    np.savez(folder / "own.npz", X=50 * waves + 20 * rng.standard_normal((160, 178)), y=y,
             groups=groups, sfreq=173.61)  # fmt: skip
    done = run("train", folder / "own.npz", "--model", "cnn2d_compact", "--folds", 2, "--set",
               "epochs=3", "--set", "batch=16", "--threads", 1, "-q", "--out",
               folder / "run")  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder / "run", "--on", folder / "own.npz"


def test_the_front_of_the_worked_example():
    points = np.array([[0.9, 0.1], [0.8, 0.5], [0.8, 0.4], [0.7, 0.5], [0.1, 0.9], [0.9, 0.1]])
    assert front(points).tolist() == [True, True, False, False, True, True]
    assert front(np.array([[np.nan, 1.0], [0.2, 0.3]])).tolist() == [False, True]


def test_the_front_is_what_is_left_when_every_pair_is_compared(rng):
    points = rng.integers(0, 6, (40, 2)).astype(float)
    slow = [
        not any((q >= p).all() and (q > p).any() for q in points)
        for p in points
    ]  # fmt: skip
    assert front(points).tolist() == slow


def test_a_search_that_goes_on_ends_as_one_that_was_not_stopped(trained, tmp_path):
    pytest.importorskip("optuna")
    for out, steps in (("whole", (4,)), ("parts", (2, 4))):
        for n_trials in steps:
            done = run(
                "compress", *trained, *OPTIONS, "--search", n_trials, "--out", tmp_path / out
            )
            assert done.exit_code == 0, done.output
    tables = [(tmp_path / out / "trials.csv").read_text() for out in ("whole", "parts")]
    assert tables[0] == tables[1]
    rows = list(csv.DictReader(tables[0].splitlines()))
    assert len({row["t_min"] for row in rows}) == 4
    points = np.array([[float(row["validation_mcc"]), float(row["sparsity"])] for row in rows])
    assert [row["best"] == "1" for row in rows] == front(points).tolist()
    row = rows[-1]
    pair = [part for name in ("t_min", "t_max") for part in ("--set", f"{name}={row[name]}")]
    assert run("compress", *trained, *OPTIONS, *pair, "--out", tmp_path / "run").exit_code == 0
    alone = json.loads((tmp_path / "run" / "fold-00" / "compression.json").read_text())
    assert alone["sparsity"] == pytest.approx(float(row["sparsity"]), abs=2e-3)  # six digits
    assert alone["gain"] == pytest.approx(float(row["gain"]), abs=2e-3)
    assert (tmp_path / "whole" / "tradeoff.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "whole" / "run.json").exists()


def test_a_search_prints_its_trials_and_refuses_the_folder_of_another(trained, tmp_path):
    pytest.importorskip("optuna")
    done = run("compress", *trained, *OPTIONS, "--search", 1, "--out", tmp_path / "a", "--json")
    (trial,) = json.loads(done.stdout)["trials"]
    assert trial["best"] is True
    assert 0.1 <= trial["t_min"] <= 4.0
    other = ("--set", "steepness=10", "--search", 1, "--out", tmp_path / "a")
    refused = run("compress", *trained, *OPTIONS, *other)
    assert refused.exit_code == 2
    assert "of another run or other settings" in refused.output
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "note.txt").write_text("mine")
    refused = run("compress", *trained, *OPTIONS, "--search", 1, "--out", tmp_path / "b")
    assert refused.exit_code == 2
    assert "the folder is not empty" in refused.output


def test_a_method_without_thresholds_is_refused_before_anything_is_written(trained, tmp_path):
    pytest.importorskip("optuna")
    out = tmp_path / "out"
    refused = run("compress", *trained, "--method", "int8", "--search", 1, "--out", out, "-q")
    assert refused.exit_code == 2
    assert "method with thresholds 'int8': unknown" in refused.output
    assert not out.exists()


def test_without_optuna_the_remedy_is_named(trained, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    refused = run("compress", *trained, *OPTIONS, "--search", 1, "--out", tmp_path / "out")
    assert refused.exit_code == 2
    assert "emboscope[search]" in refused.output
