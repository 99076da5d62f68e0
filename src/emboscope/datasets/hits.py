"""HITS of simulated patients: segments around the candidates of the default detector."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from emboscope.datasets.dataset import DATASETS, Dataset
from emboscope.datasets.folders import cache_folder, keep_arrays
from emboscope.errors import SettingsError
from emboscope.events.block import Acquisition
from emboscope.events.detection import detect
from emboscope.events.settings import DetectionSettings
from emboscope.progress import Progress, silent
from emboscope.representations.front_end import FrontEnd
from emboscope.representations.views import HITS224, SpectrogramSettings, WaveformSettings
from emboscope.settings import Settings
from emboscope.simulation.patient import N_CENTERS, SIMULATOR_VERSION
from emboscope.simulation.recording import SimulatedRecording, SimulationSettings, simulate

SFREQ = 4385.0
CLASSES = ("artifact", "gaseous", "solid")
FORMAT_VERSION = 1
HITS48 = SpectrogramSettings(reference="background", n_fft=64, hop=28, window="hann")
_TEST_SHARE = 12 / 51  # of the patients of each center
_COHORT_PATIENTS, _COHORT_TEST_SHARE = 90, 0.4  # more to test on than a fold has


class HitsSettings(Settings):
    """Which patients are simulated, and what is cut out of their recordings."""

    simulation: SimulationSettings = SimulationSettings(n_patients=51, minutes=20, rate_factor=60)
    threshold_db: PositiveFloat = 3.0  # of a candidate
    tolerance_s: PositiveFloat = 0.05  # of a candidate to a true event
    most: PositiveInt = 60  # of a class and patient


@dataclass(frozen=True)
class Hits:
    """Segments of one patient or of several.

    Attributes
    ----------
    segments : ndarray of float32, shape (n, 2, 1400)
        I and Q, the peak at sample 700.
    y : ndarray of int64, shape (n,)
        True classes.
    votes : ndarray of int8, shape (n, 3)
        What the simulated raters say.
    groups : ndarray of int64, shape (n,)
        Patients.
    peaks_s : ndarray, shape (n,)
        In the recording.
    """

    segments: np.ndarray
    y: np.ndarray
    votes: np.ndarray
    groups: np.ndarray
    peaks_s: np.ndarray

    @property
    def soft_labels(self) -> np.ndarray:
        """Share of the raters for each class, (n, 3)."""
        return (self.votes[:, :, None] == np.arange(len(CLASSES))).mean(axis=1)

    @property
    def expert(self) -> np.ndarray:
        """Majority of the raters; the first rater where all differ."""
        counts = (self.votes[:, :, None] == np.arange(len(CLASSES))).sum(axis=1)
        return np.where(counts.max(axis=1) > 1, counts.argmax(axis=1), self.votes[:, 0])


def front_end(image: SpectrogramSettings = HITS48) -> FrontEnd:
    """Segments of 319 ms at 4385 Hz, their I and Q, and dB over background, 64 × 48 by default."""
    return FrontEnd(
        sfreq=SFREQ,
        n_channels=2,
        n_times=1400,
        peak_sample=700,
        high_pass_hz=150.0,
        views={"waveform": WaveformSettings(scaling="none"), "spectrogram": image},
    )


def cut_hits(simulated: SimulatedRecording, group: int, settings: HitsSettings) -> Hits:
    """Candidates of one simulated recording, with their true class.

    A candidate within `tolerance_s` of the peak of an embolus takes its class and its raters; any
    other is an artifact, of which the raters are sure unless it is one that was put in.
    """
    recording = simulated.recording
    if recording.sfreq != SFREQ:
        raise SettingsError(
            f"hits: simulated at {recording.sfreq:g} Hz; expected {SFREQ:g}. Leave sfreq out."
        )
    samples = recording.samples[0]
    found = detect(
        lambda start, stop: samples[start:stop],
        samples.size,
        Acquisition(recording.sfreq, recording.carrier_hz, recording.angle_deg),
        DetectionSettings(threshold_db=settings.threshold_db),
    )
    peaks = np.array([event.peak_s for event in found.events])
    y, votes = np.zeros(peaks.size, np.int64), np.zeros((peaks.size, 3), np.int8)
    taken = np.zeros(peaks.size, bool)
    for event in sorted(simulated.events, key=lambda each: each.label == "artifact"):
        distance = np.abs(peaks - event.peak_s) + 1e6 * taken
        if distance.size == 0 or distance.min() > settings.tolerance_s:
            continue
        nearest = int(distance.argmin())
        taken[nearest] = True
        y[nearest] = CLASSES.index(event.label)
        votes[nearest] = [CLASSES.index(name) for name in event.raters]
    rng = np.random.default_rng([settings.simulation.seed, group])
    kept = np.sort(np.concatenate([_some(np.flatnonzero(y == c), settings, rng) for c in range(3)]))
    segments = front_end().cut(recording.samples, np.round(peaks[kept] * SFREQ).astype(int))
    return Hits(segments, y[kept], votes[kept], np.full(kept.size, group), peaks[kept])


def _some(rows: np.ndarray, settings: HitsSettings, rng: np.random.Generator) -> np.ndarray:
    """At most `most` of the rows."""
    return rows if rows.size <= settings.most else rng.choice(rows, settings.most, replace=False)


def simulated_hits(settings: HitsSettings, progress: Progress = silent) -> Hits:
    """HITS of all patients; made once, then read from the cache folder."""
    return kept_hits("hits", settings, lambda: cut_all(settings, progress))


def kept_hits(name: str, settings: HitsSettings, make: Callable[[], Hits]) -> Hits:
    """What is in the cache folder under a name and these settings; made where it is not."""
    path = cache_folder() / f"{name}-{_key(settings)}.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as content:
            return Hits(**{each: content[each] for each in content.files})
    hits = make()
    keep_arrays(path, vars(hits))
    return hits


def cut_all(settings: HitsSettings, progress: Progress = silent) -> Hits:
    """Candidates of all patients, simulated one after the other."""
    parts = []
    for patient in range(settings.simulation.n_patients):
        parts.append(cut_hits(simulate(settings.simulation, patient), patient, settings))
        progress("simulating patients", patient + 1, settings.simulation.n_patients)
    return Hits(**{
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in Hits.__dataclass_fields__
    })


def held_patients(settings: HitsSettings, share: float = _TEST_SHARE) -> np.ndarray:
    """The patients of the fixed test part, ascending: 12 of 51, as many of each center.

    Drawn by the seed of the simulation alone, so that the segments stay what they are.
    """
    rng = np.random.default_rng([settings.simulation.seed, settings.simulation.n_patients])
    held = []
    for center in range(N_CENTERS):
        patients = np.arange(center, settings.simulation.n_patients, N_CENTERS)
        held.append(rng.choice(patients, round(share * len(patients)), replace=False))
    return np.sort(np.concatenate(held))


def _key(settings: HitsSettings) -> str:
    """Hash of all that the content depends on."""
    content = [FORMAT_VERSION, SIMULATOR_VERSION, settings.model_dump(mode="json")]
    content.append(DetectionSettings().model_dump(mode="json"))
    content.append(front_end().model_dump(mode="json"))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def dataset_of(
    hits: Hits,
    name: str = "hits",
    test_groups: np.ndarray | None = None,
    image: SpectrogramSettings = HITS48,
) -> Dataset:
    """Hits as a data set: both views, true classes, soft labels of the raters, patients."""
    soft = hits.soft_labels
    return segments_dataset(name, hits.segments, hits.y, hits.groups, soft, test_groups, image)


def segments_dataset(
    name: str,
    segments: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    soft_labels: np.ndarray | None,
    test_groups: np.ndarray | None,
    image: SpectrogramSettings = HITS48,
) -> Dataset:
    """Segments (n, 2, 1400), as the front end of `hits` cuts them, as a data set of patients."""
    chain = front_end(image)
    return Dataset(
        name=name,
        views=chain.compute(segments),
        y=y,
        groups=groups,
        sfreq=SFREQ,
        classes=CLASSES,
        front_end=chain,
        group_kind="patient",
        soft_labels=soft_labels,
        test_groups=test_groups,
    )


def load_hits(progress: Progress = silent) -> Dataset:
    """HITS of 51 simulated patients of three centers; 12 of them are the fixed test part."""
    settings = HitsSettings()
    return dataset_of(simulated_hits(settings, progress), test_groups=held_patients(settings))


def load_cohort(number: int, progress: Progress = silent) -> Dataset:
    """HITS of 90 simulated patients that no other cohort has; 36 of them are the test part.

    Parameters
    ----------
    number : int
        Of the cohort, from 0; `hits` is none of them.
    """
    simulation = SimulationSettings(
        n_patients=_COHORT_PATIENTS, minutes=20, rate_factor=60, seed=number + 1
    )
    settings = HitsSettings(simulation=simulation)
    held = held_patients(settings, _COHORT_TEST_SHARE)
    return dataset_of(simulated_hits(settings, progress), test_groups=held)


def load_hits224(progress: Progress = silent) -> Dataset:
    """The segments of `hits` with a spectrogram of 224 × 96, the size of the published images."""
    settings = HitsSettings()
    hits = simulated_hits(settings, progress)
    return dataset_of(hits, "hits224", held_patients(settings), HITS224)


DATASETS["hits"] = load_hits
DATASETS["hits224"] = load_hits224
