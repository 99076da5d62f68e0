"""Runs of classical models: the same folder, no weights, and a fit that repeats itself."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from emboscope.cli.app import app
from emboscope.learning.classical import CLASSICAL


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Forty patients, four segments each; the classes differ in frequency."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 4)
    y = groups % 2
    times = np.arange(178) / 173.61
    waves = np.sin(2 * np.pi * (5 + 15 * y[:, None]) * times + rng.uniform(0, 6, (160, 1)))
    path = tmp_path_factory.mktemp("data") / "own.npz"
    X = 50 * waves + 60 * rng.standard_normal((160, 178))
    np.savez(path, X=X, y=y, groups=groups, sfreq=173.61)
    return path


def trained(data, out, model):
    done = run("train", data, "--model", model, "--folds", 2, "--out", out, "-q", "--threads", 1)
    assert done.exit_code == 0, done.output
    return out


@pytest.mark.parametrize("model", [name for name, each in CLASSICAL.items() if each.other])
def test_run_is_trained_and_evaluated_like_that_of_a_network(data, tmp_path, model):
    out = trained(data, tmp_path / "run", model)
    names = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert names == {"run.json", "settings.toml", "metrics.jsonl", "fold-00/classical.json",
                     "fold-01/classical.json"}  # fmt: skip
    shown = run("evaluate", out, "--on", data, "-q")
    assert shown.exit_code == 0, shown.output
    figures = json.loads((out / "metrics.json").read_text())
    assert figures["scores"]["mcc"]["mean"] > 0.7
    assert "stored: the test parts were read once" in run("evaluate", out, "-q").stdout


def test_fit_that_gives_another_score_is_refused(data, tmp_path):
    out = trained(data, tmp_path / "run", "tree")
    path = out / "fold-00" / "classical.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "validation_mcc": -0.25}))
    done = run("evaluate", out, "--on", data, "-q")
    assert done.exit_code == 3
    assert "when fitted again; expected -0.2500" in done.stderr


@pytest.mark.parametrize("command", ["compress", "export"])
def test_what_needs_weights_refuses_a_classical_run(data, tmp_path, command):
    out = trained(data, tmp_path / "run", "naive_bayes")
    on = ["--on", data] if command == "compress" else []
    done = run(command, out, *on, "--out", tmp_path / "o", "-q")
    assert done.exit_code == 2
    assert "naive_bayes, which has no weights; expected a network" in done.stderr


def test_chain_for_doppler_refuses_eeg_before_it_leaves_a_model(data, tmp_path):
    done = run("train", data, "--model", "guepie_chain", "--out", tmp_path / "r", "-q")
    assert done.exit_code == 2
    assert "expected I and Q of at least 256" in done.stderr
