"""Small studies for tests."""

import numpy as np

from emboscope.events.event import Event
from emboscope.store import RecordingInfo

SETTINGS = {"n_times": 3}


def event(peak_s, **changes):
    values = {
        "onset_s": peak_s - 0.01, "duration_s": 0.04, "peak_s": peak_s, "hbr_db": 9.0,
        "direction_db": 12.0, "frequency_hz": 500.0, "velocity_cm_s": None, "saturated": False,
        "aliased": True, "verdict": "embolus",
    }  # fmt: skip
    return Event(**values | changes)


def info(name="r1", subject="s1", **changes):
    values = {
        "name": name, "subject": subject, "path": f"/raw/{name}.wav", "copied": False,
        "sha256": f"hash of {name}", "sfreq": 4385.0, "duration_s": 60.0, "evaluable_s": 50.0,
        "flags": ("short_background",), "items": {"artery": "MCA", "fft_points": 64.0},
    }  # fmt: skip
    return RecordingInfo(**values | changes)


def add(study, name="r1", subject="s1", n=4):
    """A recording with n events; segments[i] is filled with the peak."""
    study.assign_splits([subject], share=0.0, seed=0)
    events = [event(float(peak)) for peak in range(1, n + 1)]
    segments = np.arange(1, n + 1, dtype=np.float32)[:, None] * np.ones(3, np.float32)
    made = {"segments": (segments, SETTINGS), "spectrogram": (-segments, {"of": SETTINGS})}
    return study.add_recording(info(name, subject), events, made)
