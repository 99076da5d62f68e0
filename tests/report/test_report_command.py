"""From a scan to its report as a user types it, nonsense included."""

import json
import os
import re
import shutil

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from emboscope.cli.app import app
from emboscope.errors import DataError
from emboscope.report.pdf import PdfError, check_pdf
from emboscope.workflows.report import (
    ReportRequest,
    ReportSettings,
    report_from_files,
    write_report,
)

SFREQ = 4385
SECONDS = 14


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def flow(rng, seconds):
    """Blood flow from 300 to 900 Hz over noise, with a burst every four seconds."""
    n = seconds * SFREQ
    times = np.arange(n) / SFREQ
    freqs = np.fft.fftfreq(n, 1 / SFREQ)
    white = rng.standard_normal(n) + 1j * rng.standard_normal(n)
    shape = np.where((freqs > 300) & (freqs < 900), 1.0, 0.05)
    samples = 0.02 * np.fft.ifft(np.fft.fft(white) * shape)
    for at in np.arange(3, seconds - 1, 4.0):
        samples += 0.2 * np.exp(2j * np.pi * 600 * times) * np.exp(-(((times - at) / 0.01) ** 2))
    return np.stack([samples.real, samples.imag], axis=1)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """A recording with its sidecar, scanned."""
    folder = tmp_path_factory.mktemp("scan")
    soundfile.write(folder / "p01.wav", flow(np.random.default_rng(1), SECONDS), SFREQ, "PCM_24")
    side = {"carrier_hz": 2e6, "subject_id": "a1b2c3", "indication": "carotid", "depth_mm": 52,
            "patient_name": "Planted Name"}  # fmt: skip
    (folder / "p01.json").write_text(json.dumps(side))
    done = run("scan", folder / "p01.wav", "--out", folder / "events", "-q")
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def files(scanned, tmp_path):
    """Copies that a test may spoil."""
    for name in ("p01.wav", "p01.json", "events/p01.events.json"):
        shutil.copy(scanned / name, tmp_path)
    return tmp_path / "p01.events.json", tmp_path / "p01.wav", tmp_path / "out"


def spoil(path, **changes):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **changes}))


def test_report_tells_what_the_scan_found(files):
    events, recording, out = files
    done = run("report", events, recording, "--out", out)
    assert done.exit_code == 0, done.output
    assert "Report: " in done.stdout
    text = (out / "p01.report.html").read_text(encoding="utf-8")
    found = json.loads(events.read_text())["events"]
    assert len(found) >= 3
    assert text.count("<article>") == text.count("<audio ") == min(len(found), 40)
    for words in ("a1b2c3", "carotid", "52 mm", "2.00 MHz", "hbr_recursive"):
        assert words in text
    assert "Planted Name" not in text
    assert "Simulated" not in text


def test_json_names_the_files_and_nothing_else_is_written(files):
    events, recording, out = files
    done = run("report", events, recording, "--out", out, "--json", "-q")
    assert json.loads(done.stdout) == {"html": str(out / "p01.report.html"), "pdf": None}
    assert os.listdir(out) == ["p01.report.html"]


@pytest.mark.parametrize(
    ("language", "words"), [("es", "Límites del método"), ("fr", "Limites de la méthode")]
)
def test_report_speaks_the_language(files, language, words):
    events, recording, out = files
    path = report_from_files(events, recording, out, language)
    assert words in path.read_text(encoding="utf-8")


def test_same_command_gives_the_same_bytes(files):
    events, recording, out = files
    first = report_from_files(events, recording, out).read_bytes()
    assert report_from_files(events, recording, out / "again").read_bytes() == first


def test_pdf_is_written_beside(files):
    try:
        check_pdf()
    except PdfError as error:
        pytest.skip(str(error))
    events, recording, out = files
    done = run("report", events, recording, "--out", out, "--pdf", "-q", "--json")
    assert json.loads(done.stdout)["pdf"] == str(out / "p01.report.pdf")
    assert (out / "p01.report.pdf").read_bytes().startswith(b"%PDF-")


def test_missing_pdf_library_is_said_before_anything_is_written(files, monkeypatch):
    def missing():
        raise PdfError("PDF: weasyprint is not installed; expected the extra pdf.")

    monkeypatch.setattr("emboscope.workflows.report.check_pdf", missing)
    events, recording, out = files
    done = run("report", events, recording, "--out", out, "--pdf", "-q")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "weasyprint is not installed" in done.stderr
    assert not out.exists()


def test_what_later_scans_add_is_shown(files):
    events, recording, out = files
    spoil(
        events,
        unusable=[[8.0, 10.0, "no flow"], [2.0, 4.0, "dropout"], [3.0, 5.0, "saturated"]],
        evaluable_hours=(SECONDS - 5) / 3600,
        velocity={"mean_cm_s": 23.0, "psv_cm_s": 35.0, "edv_cm_s": None, "pi": 0.9},
        review={"reviewers": 1, "reviewed": 4, "changes": 2},
    )
    text = re.sub(r"<[^>]+>", " ", report_from_files(events, recording, out).read_text("utf-8"))
    text = re.sub(r"\s+", " ", text)
    assert "mean velocity 23 cm/s" in text
    assert "end-diastolic velocity not recorded" in text
    assert "dropout: nothing was recorded 0:00:02" in text
    assert "saturation 0:00:01" in text  # what another reason has not taken
    assert "all 0:00:05 35.7 %" in text
    assert "reviewers: 1; events: 4 of" in text


def test_subject_of_the_events_wins_over_that_of_the_sidecar(files):
    events, recording, out = files
    spoil(events, subject_id="f00d", side="left", recorded_on="2026-11")
    text = report_from_files(events, recording, out).read_text("utf-8")
    assert "a1b2c3" not in text
    for words in ("<dd>f00d</dd>", "<dd>left</dd>", "<dd>2026-11</dd>"):
        assert words in text


def test_recording_whose_q_the_scan_negated_is_shown_as_scanned(files, monkeypatch):
    events, recording, out = files
    seen = []
    monkeypatch.setattr(
        "emboscope.workflows.report.write_report", lambda request: seen.append(request.read(0, 9))
    )
    report_from_files(events, recording, out)
    spoil(events, flags=["Q negated: the flow was on the other side than declared"])
    report_from_files(events, recording, out)
    assert (seen[1] == seen[0].conj()).all()


def test_simulated_recording_is_called_so(files):
    events, recording, out = files
    spoil(recording.with_suffix(".json"), simulated=True)
    assert "Simulated recording" in report_from_files(events, recording, out).read_text("utf-8")


@pytest.mark.slow
def test_forty_loud_events_stay_under_15_megabytes(rng, files):
    events, _, out = files
    content = json.loads(events.read_text())
    row = content["events"][0]
    content["events"] = [{**row, "peak_s": 1 + 0.3 * n, "onset_s": 1 + 0.3 * n} for n in range(60)]
    noise = rng.standard_normal((2, SFREQ)).astype(np.float32)
    request = ReportRequest(
        out=out, name="p01", content=content, n_times=SECONDS * SFREQ, sfreq=SFREQ, carrier_hz=2e6,
        read=lambda start, stop: (noise[0] + 1j * noise[1]).repeat(2)[: stop - start],
    )  # fmt: skip
    path = write_report(request)
    text = path.read_text(encoding="utf-8")
    assert text.count("<article>") == 40
    assert "40 of 60 events" in text
    assert path.stat().st_size < 15e6


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sfreq": 5000.0}, "at 5000 Hz; expected 14.000 s at 4385 Hz"),
        ({"duration_s": 20.0}, "of 20.000 s at 4385 Hz; expected 14.000 s"),
        ({"format_version": 99}, "format_version is not"),
        (
            {"events": [{"peak_s": 1}]},
            "events.0.onset_s: field required; expected what scan writes",
        ),
        ({"events": "none"}, "events of 'p01': events: input should be a valid tuple"),
        ({"evaluable_hours": -1}, "evaluable_hours: input should be greater than or equal to 0"),
        ({"flow_side": "up"}, "flow_side: input should be 'towards' or 'away'"),
    ],
)
def test_events_that_are_none_or_of_another_recording_are_refused(files, changes, sentence):
    events, recording, out = files
    spoil(events, **changes)
    done = run("report", events, recording, "--out", out, "-q")
    assert (done.exit_code, done.stdout) == (3, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("content", [None, "", "Dear colleague", "[]", "{}"])
@pytest.mark.parametrize("which", [0, 1])
def test_nonsense_is_one_sentence_and_exit_code_3(files, which, content):
    *inputs, out = files
    inputs[which].unlink()
    if content is not None:
        inputs[which].write_text(content)
    done = run("report", *inputs, "--out", out, "-q")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert not out.exists()


def test_unknown_language_is_a_usage_error(files):
    events, recording, out = files
    done = run("report", events, recording, "--out", out, "--language", "de", "-q")
    assert done.exit_code == 2
    assert "--language 'de': unknown; expected en, es, fr" in done.stderr


def test_settings_limit_the_gallery(files):
    events, _, out = files
    settings = ReportSettings.parse({"gallery": {"most": 1}})
    content = json.loads(events.read_text())
    samples = np.zeros(SECONDS * SFREQ, np.complex64)
    request = ReportRequest(out, "p01", content, lambda a, b: samples[a:b], samples.size, SFREQ,
                            settings=settings)  # fmt: skip
    assert write_report(request).read_text(encoding="utf-8").count("<article>") == 1
    with pytest.raises(DataError, match="events of 'p01': duration_s: field required"):
        write_report(ReportRequest(out, "p01", {}, request.read, request.n_times, SFREQ))
