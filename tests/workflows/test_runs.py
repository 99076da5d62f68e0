"""Runs: killed and resumed, evaluated once, compressed, exported; and what they refuse."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from emboscope.cli.app import app


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
    X = 50 * waves + 20 * rng.standard_normal((160, 178))
    np.savez(path, X=X, y=y, groups=groups, sfreq=173.61)
    return path


OPTIONS = ["--model", "cnn1d_compact", "--folds", 2, "--set", "epochs=3", "--set", "batch=16",
           "--threads", 1, "-q"]  # fmt: skip


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    done = run("train", data, *OPTIONS, "--out", out)
    assert done.exit_code == 0, done.output
    return out


def test_killed_in_mid_epoch_and_resumed_equals_never_killed(data, trained, tmp_path):
    """Kill -9 as soon as the second fold's first epoch is kept: the second epoch is under way."""
    command = [sys.executable, "-m", "emboscope.cli", "train", *map(str, [data, *OPTIONS, "--out",
               tmp_path / "run"])]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    kept = tmp_path / "run" / "fold-01" / "checkpoint.json"
    deadline = time.monotonic() + 120
    while not kept.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    weights = "fold-{:02d}/weights.safetensors"
    assert not (tmp_path / "run" / weights.format(1)).exists()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    for fold in range(2):
        resumed = (tmp_path / "run" / weights.format(fold)).read_bytes()
        assert resumed == (trained / weights.format(fold)).read_bytes()


def test_finished_run_is_not_trained_again(data, trained):
    again = run("train", data, *OPTIONS, "--out", trained)
    assert again.exit_code == 2
    assert "finished already. Pass --force" in again.stderr


def test_evaluation_reads_the_test_parts_once(data, trained):
    first = run("evaluate", trained, "--on", data, "--json", "-q")
    assert first.exit_code == 0, first.output
    figures = json.loads((trained / "metrics.json").read_text())
    assert figures["scores"]["mcc"]["mean"] > 0.8
    assert len(figures["scores"]["mcc"]["values"]) == 2
    assert set(figures["scores"]) == {"mcc", "f1_macro", "balanced_accuracy", "accuracy"}
    (trained / "fold-00" / "weights.safetensors").rename(trained / "fold-00" / "w")
    second = run("evaluate", trained)
    (trained / "fold-00" / "w").rename(trained / "fold-00" / "weights.safetensors")
    assert second.exit_code == 0
    assert "the test parts were read once before" in second.stdout
    assert json.loads(first.stdout)["scores"]["cnn1d_compact"]["mcc"]["mean"] == pytest.approx(
        figures["scores"]["mcc"]["mean"]
    )


def test_compressed_run_is_a_run_and_exports_to_onnx(data, trained, tmp_path):
    small = run("compress", trained, "--on", data, "--out", tmp_path / "small", "--json", "-q")
    assert small.exit_code == 0, small.output
    costs = json.loads(small.stdout)["folds"]
    assert all(cost["bits"] < cost["bits_before"] / 3 for cost in costs)
    shown = run("evaluate", tmp_path / "small", "--on", data, "-q")
    assert shown.exit_code == 0, shown.output
    exported = run("export", tmp_path / "small", "--out", tmp_path / "x", "--json", "-q")
    assert exported.exit_code == 0, exported.output
    check = json.loads(exported.stdout)
    assert check["inputs checked"] == 256
    assert check["largest difference"] <= check["tolerance"]
    assert (tmp_path / "x" / "manifest.json").is_file()
    options = ["--on", data, "--target", "onnx", "--target", "c", "--weights", "ternary", "--json"]
    exported = run("export", tmp_path / "small", "--out", tmp_path / "y", "-q", *options)
    assert exported.exit_code == 0, exported.output
    shown = json.loads(exported.stdout)
    assert shown["onnx: inputs"] == shown["c: inputs"] == "real"
    assert shown["onnx: weights"] == "ternary"
    assert json.loads((tmp_path / "y" / "manifest.json").read_text())["calibration"] is None
    assert shown["onnx: kB"] < shown["onnx: kB in float"]
    assert shown["onnx: MCC × 100"] == shown["onnx: MCC × 100 in PyTorch"]


def sums(*runs):
    """Of the weights of both folds of each run."""
    return [
        json.loads((folder / f"fold-0{fold}" / "network.json").read_text())["weights_sha256"]
        for folder in runs
        for fold in (0, 1)
    ]


def test_a_stopped_compression_goes_on_with_the_fold_it_was_in(data, trained, tmp_path):
    options = ["--on", data, "--set", "training.epochs=1", "--json", "-q", "--threads", 1]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run("compress", trained, *options, "--out", whole).exit_code == 0
    shutil.copytree(whole, parts)
    shutil.rmtree(parts / "fold-01")
    kept = (parts / "fold-00" / "weights.safetensors").stat().st_mtime_ns
    request = json.loads((parts / "run.json").read_text())
    settings = json.loads((whole / "fold-00" / "compression.json").read_text())["settings"]
    begun = {**request, "finished": False, "compression": settings, "models": sums(trained)}
    (parts / "run.json").write_text(json.dumps(begun))
    other = run("compress", trained, *options, "--method", "int8", "--out", parts)
    assert other.exit_code == 2
    assert "begun with other compression" in other.stderr
    again = run("compress", trained, *options, "--out", parts)
    assert again.exit_code == 0, again.output
    assert (parts / "fold-00" / "weights.safetensors").stat().st_mtime_ns == kept
    for file in ("fold-00", "fold-01"):
        weights = (whole / file / "weights.safetensors").read_bytes()
        assert (parts / file / "weights.safetensors").read_bytes() == weights
    assert json.loads((parts / "run.json").read_text()) == request
    third = run("compress", trained, *options, "--out", parts)
    assert third.exit_code == 2
    assert "finished already. Choose another folder." in third.stderr


def test_a_teacher_is_a_run_on_the_same_folds(data, trained, tmp_path):
    options = ["--on", data, "--set", "training.epochs=1", "--set", "teacher.weight=0.5", "-q"]
    done = run("compress", trained, *options, "--set", f"teacher.model={trained}",
               "--out", tmp_path / "taught")  # fmt: skip
    assert done.exit_code == 0, done.output
    summary = json.loads((tmp_path / "taught" / "fold-01" / "compression.json").read_text())
    assert Path(summary["settings"]["teacher"]["model"]) == trained / "fold-01"
    other = shutil.copytree(trained, tmp_path / "other")
    request = json.loads((other / "run.json").read_text())
    request["settings"]["seed"] += 5  # other weights, the same folds
    (other / "run.json").write_text(json.dumps(request))
    done = run("compress", trained, *options, "--set", f"teacher.model={other}",
               "--out", tmp_path / "seed")  # fmt: skip
    assert done.exit_code == 0, done.output
    hashed, request["data_hash"] = request["data_hash"], "0" * 16
    request["settings"]["views"] = {"low": {"kind": "waveform"}}
    (other / "run.json").write_text(json.dumps(request))
    refused = run("compress", trained, *options, "--set", f"teacher.model={other}",
                  "--out", tmp_path / "none")  # fmt: skip
    assert refused.exit_code == 2
    assert 'it reads views of the profile corrected and {"low": {"kind": "waveform"}}' in (
        refused.stderr
    )
    request["settings"]["views"] = {}
    (other / "run.json").write_text(json.dumps(request))
    refused = run("compress", trained, *options, "--set", f"teacher.model={other}",
                  "--out", tmp_path / "none")  # fmt: skip
    assert "trained on other data than this" in refused.stderr
    request["data_hash"] = hashed
    request["settings"]["folds"] += 1
    (other / "run.json").write_text(json.dumps(request))
    refused = run("compress", trained, *options, "--set", f"teacher.model={other}",
                  "--out", tmp_path / "none")  # fmt: skip
    assert refused.exit_code == 2
    assert "so that it has not seen what is tested" in refused.stderr
    assert not (tmp_path / "none").exists()


def test_a_compression_does_not_go_on_with_a_teacher_that_was_trained_anew(data, trained, tmp_path):
    teacher = shutil.copytree(trained, tmp_path / "teacher")
    small = tmp_path / "small"
    changes = ("training.epochs=1", "teacher.weight=0.5", f"teacher.model={teacher}")
    options = [part for change in changes for part in ("--set", change)]
    command = ["compress", trained, "--on", data, "--out", small, "-q", *options]
    assert run(*command).exit_code == 0
    request = json.loads((small / "run.json").read_text())
    begun = json.loads((small / "fold-00" / "compression.json").read_text())["settings"]
    begun["teacher"]["model"] = str(teacher)
    whole = sums(trained, teacher)
    stopped = {**request, "finished": False, "compression": begun, "models": whole}
    (small / "run.json").write_text(json.dumps(stopped))
    assert run(*command).exit_code == 0  # goes on, as nothing was changed
    (small / "run.json").write_text(json.dumps({**stopped, "models": [*whole[:3], "0" * 64]}))
    refused = run(*command)
    assert refused.exit_code == 2
    assert "models that were trained anew since. Choose another folder." in refused.stderr


def test_weights_that_were_changed_are_refused(data, trained, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(trained, damaged)
    (damaged / "metrics.json").unlink(missing_ok=True)
    path = damaged / "fold-01" / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(bytes(content))
    for command in (["evaluate"], ["compress", "--out", tmp_path / "small"]):
        refused = run(command[0], damaged, *command[1:], "--on", data, "-q")
        assert refused.exit_code == 3
        assert "damaged, their sum differs. Train again." in refused.stderr
    assert not (tmp_path / "small").exists()


def test_stored_figures_are_not_those_of_other_data(data, trained, tmp_path):
    assert run("evaluate", trained, "--on", data, "-q").exit_code == 0
    content = dict(np.load(data))
    np.savez(tmp_path / "other.npz", **{**content, "X": content["X"] + 1})
    refused = run("evaluate", trained, "--on", tmp_path / "other.npz", "-q")
    assert refused.exit_code == 3
    assert "trained on other data than this" in refused.stderr
    unnamed = run("compress", trained, "--out", tmp_path / "small", "-q")
    assert unnamed.exit_code == 3
    assert "trained on the file '" in unnamed.stderr
    assert "Name it with --on." in unnamed.stderr


def test_a_run_that_was_refused_before_its_first_fold_is_begun_anew(data, tmp_path):
    out = tmp_path / "run"
    refused = run("train", data, *OPTIONS, "--set", "loss=foo", "--out", out)
    assert refused.exit_code == 2
    run("train", data, *OPTIONS, "--set", "loss=bar", "--out", out)
    begun = json.loads((out / "run.json").read_text())
    assert begun["settings"]["training"]["loss"] == "bar"
    mended = run("train", data, *OPTIONS, "--set", "epochs=1", "--out", out)
    assert mended.exit_code == 0, mended.output
    assert f"Next: emboscope evaluate {out} --on {data}\n" in mended.stdout
    named = [*OPTIONS, "--set", "epochs=1", "--sfreq", 173.61, "--force"]
    again = run("train", data, *named, "--out", out)
    assert f"evaluate {out} --on {data} --sfreq 173.61\n" in again.stdout


def test_an_export_leaves_no_file_of_another_model(data, trained, tmp_path):
    for targets in (["c", "onnx"], ["onnx"]):
        named = [each for target in targets for each in ("--target", target)]
        assert run("export", trained, *named, "--out", tmp_path, "-q").exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "model.onnx",
        "check.json",
        "manifest.json",
    }


def test_int8_with_the_front_end_is_calibrated_on_the_training_part(data, trained, tmp_path):
    options = ["--weights", "int8", "--front-end", "--on", data, "--json", "-q"]
    exported = run("export", trained, "--out", tmp_path, *options)
    assert exported.exit_code == 0, exported.output
    shown = json.loads(exported.stdout)
    assert (shown["weights"], shown["front end inside"], shown["inputs"]) == ("int8", "yes", "real")
    assert shown["kB"] < 0.6 * shown["kB in float"]
    assert abs(shown["MCC × 100"] - shown["MCC × 100 in PyTorch"]) < 5
    assert 0 < shown["largest difference"] < 0.5


@pytest.mark.parametrize("inside", [(), ("--front-end",)])
def test_ranges_can_be_set_without_any_data(data, trained, inside, tmp_path):
    """With the data named they are checked, and not set, by it."""
    options = ["--target", "onnx", "--target", "c", "--weights", "int8", "--integer", *inside]
    by_noise = [*options, "--calibration", "simulated", "--json", "-q"]
    alone = run("export", trained, "--out", tmp_path / "alone", *by_noise)
    assert alone.exit_code == 0, alone.output
    assert (
        json.loads((tmp_path / "alone" / "manifest.json").read_text())["calibration"] == "simulated"
    )
    checked = run("export", trained, "--out", tmp_path / "checked", *by_noise, "--on", data)
    shown = json.loads(checked.stdout)
    for target in ("onnx", "c"):
        apart = shown[f"{target}: MCC × 100"] - shown[f"{target}: MCC × 100 in PyTorch"]
        assert abs(apart) < 10
    for file in ("model.emb", "model.onnx"):
        content = [(tmp_path / name / file).read_bytes() for name in ("alone", "checked")]
        assert content[0] == content[1]
    told = run("export", trained, "--out", tmp_path / "told", *options, "--on", data, "-q")
    assert told.exit_code == 0, told.output
    for file in ("model.emb", "model.onnx"):
        content = [(tmp_path / name / file).read_bytes() for name in ("alone", "told")]
        assert content[0] != content[1]


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["--weights", "int9"], 2, "form of weights 'int9': unknown"),
        (["--weights", ""], 2, "form of weights ''"),
        (["--target", "onnx", "--target", "cc"], 2, "target 'cc': unknown"),
        (["--target", "c", "--weights", "int8"], 2, "expected --target onnx"),
        (["--integer"], 2, "expected --target c"),
        (["--weights", "ternary"], 2, "no layer of this model has ternary weights"),
        (["--weights", "int8", "--on", "nowhere.npz"], 3, "nowhere.npz"),
        (["--weights", "int8", "--calibration", "real"], 2, "calibration 'real': unknown"),
        (["--calibration", "simulated"], 2, "nothing to calibrate; expected whole numbers"),
        (["--fold", "7"], 2, "has no such fold"),
        (["--fold", "-1"], 2, "--fold"),
    ],
)
def test_impossible_exports_are_one_sentence(trained, tmp_path, options, code, text):
    done = run("export", trained, "--out", tmp_path / "x", "-q", *options)
    assert done.exit_code == code, done.output
    assert text in done.stderr
    assert not (tmp_path / "x" / "manifest.json").exists()


def test_an_export_is_checked_on_the_data_of_the_run_alone(trained, tmp_path, rng):
    other = tmp_path / "other.npz"
    np.savez(other, X=rng.standard_normal((60, 178)), y=np.arange(60) % 2, sfreq=173.61)
    done = run("export", trained, "--out", tmp_path / "x", "-q", "--on", other)
    assert done.exit_code == 3
    assert "trained on other data than this" in done.stderr


def test_a_further_view_is_made_in_training_and_evaluation(data, tmp_path):
    out, members = tmp_path / "run", 'members=["cnn1d_compact", "mlp"]'
    changes = ["--set", "views.found.kind=measures", "--set", members.replace("mlp", "mlp:found")]
    done = run("train", data, *OPTIONS[2:], "--model", "hybrid_late", *changes, "--out", out)
    assert done.exit_code == 0, done.output
    shown = run("evaluate", out, "--on", data, "-q")
    assert shown.exit_code == 0, shown.output
    assert (out / "figures" / "saliency.png").is_file()
    missing = run("train", data, *OPTIONS[2:], "--out", tmp_path / "r", "--set", members)
    assert missing.exit_code == 3
    assert "expected the view 'measures'" in missing.stderr
    wrong = run("train", data, *OPTIONS, "--out", tmp_path / "w", "--set", "views.a.kind=measure")
    assert wrong.exit_code == 2
    assert "views.a" in wrong.stderr


def test_compressed_run_exports_to_c(data, trained, tmp_path):
    options = ["--method", "pttq", "--set", "t_max=1.2", "--set", "training.epochs=1", "-q"]
    small = run("compress", trained, "--on", data, "--out", tmp_path / "small", *options)
    assert small.exit_code == 0, small.output
    summary = json.loads((tmp_path / "small" / "fold-00" / "compression.json").read_text())
    assert summary["method"] == "pttq"
    assert summary["settings"]["quantizer"]["t_max"] == 1.2
    assert 0 < summary["energy"]["honest"]["gain"] < 1
    exported = run("export", tmp_path / "small", "--target", "c", "--out", tmp_path / "x", "--json")
    assert exported.exit_code == 0, exported.output
    check = json.loads(exported.stdout)
    assert check["inputs checked"] == 256
    assert check["largest difference"] == "no compiler here" or (
        check["largest difference"] <= check["tolerance"]
    )
    assert check["RAM, kB"] > 0
    assert "emboscope_predict" in (tmp_path / "x" / "model.c").read_text()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--method", "ptq"], "Did you mean 'pttq'"),
        (["--set", "t_mx=1"], "t_mx"),
        (["--set", "layers=inside"], "rule of layers 'inside'"),
        (["--set", "threshold=2"], "threshold"),
    ],
)
def test_impossible_compressions_are_one_sentence(data, trained, tmp_path, options, text):
    done = run("compress", trained, "--on", data, "--out", tmp_path / "r", "-q", *options)
    assert done.exit_code == 2
    assert text in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_row_split_is_said_in_the_table(data, tmp_path):
    run("train", data, *OPTIONS, "--split", "row", "--out", tmp_path / "r")
    shown = run("evaluate", tmp_path / "r", "--on", data)
    assert "same recordings on both sides" in shown.stdout


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["--split", "recording"], 2, "has no recordings; expected patient or row"),
        (["--set", "epoch=3"], 2, "Did you mean 'epochs'"),
        (["--set", "epochs"], 2, "expected key=value"),
        (["--model", "cnn3d"], 2, "model 'cnn3d': unknown"),
        (["--folds", "400"], 3, "folds"),
    ],
)
def test_impossible_requests_are_one_sentence(data, tmp_path, options, code, text):
    done = run("train", data, "--out", tmp_path / "r", "-q", *options)
    assert done.exit_code == code
    assert text in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_a_device_that_is_not_here_leaves_no_run(data, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    refused = run("train", data, *OPTIONS, "--device", "cuda", "--out", tmp_path / "run")
    assert refused.exit_code == 2
    assert "device 'cuda': 0 here; expected 1. Use 'auto' or 'cpu'." in refused.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["missing", "text", "empty"])
def test_unusable_data_is_one_sentence_and_exit_code_3(tmp_path, kind):
    path = tmp_path / "x.npz"
    if kind != "missing":
        path.write_text("not an archive" if kind == "text" else "")
    done = run("train", path, "--out", tmp_path / "r", "-q")
    assert done.exit_code == 3
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["evaluate", "compress", "export"])
def test_missing_run_is_one_sentence_and_exit_code_3(tmp_path, command):
    out = [] if command == "evaluate" else ["--out", tmp_path / "o"]
    done = run(command, tmp_path / "no", *out, "-q")
    assert done.exit_code == 3
    assert "No such file" in done.stderr


def test_other_data_than_the_run_was_trained_on_is_refused(data, trained, tmp_path):
    with np.load(data) as content:
        changed = {name: content[name] for name in content.files}
    changed["X"] = changed["X"] + 1
    np.savez(tmp_path / "own.npz", **changed)
    done = run("compress", trained, "--on", tmp_path / "own.npz", "--out", tmp_path / "o", "-q")
    assert done.exit_code == 3
    assert "trained on other data" in done.stderr
