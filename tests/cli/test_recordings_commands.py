"""The commands on recordings as a user types them, nonsense included."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from emboscope.cli.app import app


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """A small simulated study, scanned."""
    folder = tmp_path_factory.mktemp("study")
    made = run("simulate", folder / "sim", "--patients", 2, "--minutes", 2, "--seed", 3)
    assert made.exit_code == 0, made.output
    found = run("scan", folder / "sim", "--out", folder / "events", "--json")
    assert found.exit_code == 0, found.output
    return folder, json.loads(found.stdout)


def test_help_answers_without_heavy_imports():
    code = (
        "import sys; import emboscope.cli.app; print(sorted({'torch', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_scan_imports_no_torch():
    code = "import sys; import emboscope.workflows.scan; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_scan_writes_a_csv_and_a_json_a_recording(scanned):
    folder, result = scanned
    assert [row["name"] for row in result["rows"]] == ["sim-001", "sim-002"]
    details = json.loads((folder / "events" / "sim-001.events.json").read_text())
    lines = (folder / "events" / "sim-001.events.csv").read_text().splitlines()
    assert len(lines) == 1 + len(details["events"])
    assert lines[0].startswith("onset_s,duration_s,peak_s,hbr_db,direction_db,frequency_hz")
    assert len(details["acquisition"]) == 14
    assert details["notice"].startswith("Research use only")


def test_same_command_gives_the_same_bytes(scanned, tmp_path):
    folder, _ = scanned
    run("scan", folder / "sim", "--out", tmp_path, "-q")
    for name in ("sim-001.events.csv", "sim-002.events.json"):
        assert (tmp_path / name).read_bytes() == (folder / "events" / name).read_bytes()


def test_score_prints_the_total_and_the_bands(scanned):
    folder, _ = scanned
    shown = run("score", folder / "events", folder / "sim")
    assert shown.exit_code == 0
    assert "all" in shown.stdout
    assert "5 to 7 dB" in shown.stdout
    total = json.loads(run("score", folder / "events", folder / "sim", "--json").stdout)["total"]
    truths = [json.loads(path.read_text()) for path in (folder / "sim").glob("*.json")]
    emboli = [each for one in truths for each in one["events"] if each["label"] != "artifact"]
    assert total["hits"] + total["misses"] == len(emboli) > 0
    assert total["hits"] >= 2


def test_simulated_folder_is_not_overwritten(scanned):
    folder, _ = scanned
    again = run("simulate", folder / "sim", "--patients", 1, "--minutes", 1)
    assert again.exit_code == 2
    assert "sim-001.wav is already there" in again.stderr


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
    elif kind == "short":
        soundfile.write(path, np.zeros((900, 2)), 4385)
    return path


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "mono", "nan", "short"])
def test_unusable_recording_is_one_sentence_and_exit_code_3(tmp_path, kind):
    done = run("scan", nonsense(tmp_path, kind), "--out", tmp_path / "out", "-q")
    assert done.exit_code == 3
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "p01.wav" in done.stderr
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


@pytest.mark.parametrize("kind", ["missing", "text", "empty"])
@pytest.mark.parametrize("which", ["events", "reference"])
def test_unusable_score_input_is_one_sentence_and_exit_code_3(scanned, tmp_path, kind, which):
    folder, _ = scanned
    bad = nonsense(tmp_path, kind)
    good = {"events": folder / "events" / "sim-001.events.csv",
            "reference": folder / "sim" / "sim-001.json", which: bad}  # fmt: skip
    done = run("score", good["events"], good["reference"], "-q")
    assert (done.exit_code, done.stdout) == (3, "") or (kind == "empty" and which == "events")
    if done.exit_code == 3:
        assert done.stderr.count("\n") == 1


def test_two_recordings_of_one_name_are_refused(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "p.wav", np.zeros((9000, 2)), 4385)
    done = run("scan", tmp_path / "a" / "p.wav", tmp_path / "b" / "p.wav", "--out", tmp_path, "-q")
    assert done.exit_code == 3
    assert "two are named 'p'" in done.stderr


@pytest.mark.parametrize(
    "options",
    [["--flow", "up"], ["--detector", "magic"], ["--q-sign", "x"], ["--threshold-db", "99"]],
)
def test_impossible_options_are_usage_errors(scanned, tmp_path, options):
    folder, _ = scanned
    done = run("scan", folder / "sim" / "sim-001.wav", "--out", tmp_path / "o", "-q", *options)
    assert done.exit_code == 2
    assert "Traceback" not in done.stderr


def test_interrupt_ends_with_130(monkeypatch, tmp_path):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("emboscope.workflows.simulate.simulate_folder", interrupt)
    done = run("simulate", tmp_path / "x")
    assert done.exit_code == 130
    assert "Repeat the same command" in done.stderr


def test_music_is_refused_and_what_was_found_is_still_written(tmp_path):
    times = np.arange(8000 * 12) / 8000
    music = 0.2 * np.sin(2 * np.pi * 440 * times) * (np.sin(4 * np.pi * times) > 0)
    soundfile.write(tmp_path / "song.wav", np.stack([music, 0.9 * music], axis=1), 8000)
    done = run("scan", tmp_path / "song.wav", "--out", tmp_path / "out", "-q")
    assert done.exit_code == 3
    assert "'song': nothing could be judged" in done.stderr
    assert "no Doppler flow" in done.stderr
    details = json.loads((tmp_path / "out" / "song.events.json").read_text())
    assert details["events"] == []


def test_a_scan_with_a_report_opens_no_connection(scanned, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    folder, _ = scanned
    done = run("scan", folder / "sim" / "sim-001.wav", "--out", tmp_path, "-q", "--report")
    assert done.exit_code == 0, done.output
