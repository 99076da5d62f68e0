"""`emboscope monitor` as a user types it, nonsense included."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from emboscope.cli.app import app
from emboscope.signal.writers import write_wav
from hits_models import tiny_export


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_export(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sim")
    made = run("simulate", folder, "--patients", 1, "--minutes", 0.5, "--seed", 3, "-q")
    assert made.exit_code == 0, made.output
    return folder / "sim-001.wav"


def one_sentence(done, code):
    assert done.exit_code == code, done.output
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_events_and_report_are_written_and_the_model_is_named(recording, tiny, tmp_path):
    done = run("monitor", recording, "--model", tiny, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert "Events by recording" in done.stdout
    assert "Model: model, trained on: it does not tell" in done.stdout
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["sim-001.events.csv", "sim-001.events.json", "sim-001.report.html"]


def test_json_is_one_object_with_the_model_and_the_counts(recording, tiny, tmp_path):
    done = run("monitor", recording, "--model", tiny, "--out", tmp_path, "--json", "-q",
               "--no-report")  # fmt: skip
    shown = json.loads(done.stdout)
    assert done.stderr == ""
    assert shown["model"]["name"] == "model"
    assert set(shown["recordings"][0]["labels"]) == {"artifact", "gaseous", "solid", "unknown"}
    assert not list(tmp_path.glob("*.html"))


def test_without_a_model_the_shipped_one_is_taken_and_says_its_origin(recording, tmp_path):
    done = run("monitor", recording, "--out", tmp_path, "--no-report")
    assert done.exit_code == 0, done.output
    assert "Model: shipped, trained on: simulated patients alone" in done.stdout


def nonsense(tmp_path, kind):
    path = tmp_path / "p01.wav"
    if kind == "text":
        path.write_text("Dear colleague, please find enclosed\n" * 50)
    elif kind == "empty":
        path.touch()
    elif kind == "mono":
        soundfile.write(path, np.zeros(9000), 4385)
    elif kind == "nan":
        soundfile.write(path, np.full((9000, 2), np.nan), 4385, "FLOAT")
    elif kind == "hdf5":
        path = tmp_path / "p01.h5"
        path.write_text("Dear colleague")
    return path


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "mono", "nan", "hdf5"])
@pytest.mark.parametrize("cut", [(), ("--cut",)])
def test_a_file_that_is_no_recording_is_one_sentence(tmp_path, tiny, kind, cut):
    path = nonsense(tmp_path, kind)
    done = run("monitor", path, "--model", tiny, "--out", tmp_path / "out", "-q", *cut)
    assert path.name in one_sentence(done, 3)
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def test_a_recording_without_flow_is_written_and_exits_3(tmp_path, tiny):
    path = tmp_path / "p.wav"
    soundfile.write(path, np.zeros((50000, 2)), 4385)
    done = run("monitor", path, "--model", tiny, "--out", tmp_path / "out", "-q", "--json")
    assert done.exit_code == 3
    assert "nothing could be judged" in done.stderr
    assert (tmp_path / "out" / "p.events.csv").read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--model", "nowhere"), 3, "model 'nowhere': no such folder"),
        (("--least-probability", "2"), 2, "--least-probability 2"),
        (("--language", "de"), 2, "unknown; expected en, es, fr"),
        (("--cut", "--language", "de"), 2, "unknown; expected en, es, fr"),
        (("--set", "treshold_db=4"), 2, "threshold_db"),
        (("--flow", "up"), 2, "--flow 'up'"),
        (("--cut", "--pseudonyms", "key"), 2, "--pseudonyms: of recordings alone"),
    ],
)
def test_a_wrong_option_is_one_sentence(recording, tiny, tmp_path, arguments, code, said):
    model = () if "--model" in arguments else ("--model", tiny)
    done = run("monitor", recording, *model, "--out", tmp_path / "out", "-q", *arguments)
    assert said in one_sentence(done, code)


def test_the_folder_of_results_is_asked_for(recording, tiny):
    done = run("monitor", recording, "--model", tiny, "-q")
    assert "--out: missing" in one_sentence(done, 2)


def test_a_run_folder_in_place_of_an_export_is_refused(recording, tmp_path):
    (tmp_path / "run").mkdir()
    done = run("monitor", recording, "--model", tmp_path / "run", "--out", tmp_path / "o", "-q")
    assert "manifest.json" in one_sentence(done, 3)


def test_two_recordings_of_one_name_are_refused(recording, tiny, tmp_path):
    write_wav(tmp_path / recording.name, np.zeros(9000, complex), 4385.0)
    done = run("monitor", recording, tmp_path / recording.name, "--model", tiny,
               "--out", tmp_path / "out", "-q")  # fmt: skip
    assert "two are named 'sim-001'" in one_sentence(done, 3)


def test_an_empty_folder_is_refused(tiny, tmp_path):
    (tmp_path / "nothing").mkdir()
    done = run("monitor", tmp_path / "nothing", "--model", tiny, "--out", tmp_path / "out", "-q")
    assert "no recording in it" in one_sentence(done, 3)


def test_ctrl_c_is_130_and_says_how_to_go_on(recording, tiny, tmp_path, monkeypatch):
    import emboscope.workflows.classes as classes

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(classes.Judge, "probabilities", stopped)
    done = run("monitor", recording, "--model", tiny, "--out", tmp_path / "out", "-q")
    assert done.exit_code == 130
    assert "Repeat the same command to go on" in done.stderr
    assert not list((tmp_path / "out").glob("*.csv"))


def test_monitor_answers_help_without_torch():
    code = (
        "import sys; import emboscope.workflows.monitor, emboscope.workflows.scan; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
