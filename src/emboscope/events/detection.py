"""Detection over a whole recording, block by block, in constant memory."""

from collections.abc import Callable

import numpy as np

from emboscope.errors import DataError
from emboscope.events.block import Acquisition
from emboscope.events.chirps import fractional_fourier
from emboscope.events.event import Event
from emboscope.events.gates import judge_by_delay
from emboscope.events.hbr import Detector
from emboscope.events.settings import DetectionSettings
from emboscope.events.statistics import (
    cumulative_sum,
    energy_kurtosis,
    filter_bank,
    fixed_energy,
    hits_to_blood,
    two_pass_energy,
)
from emboscope.events.stream import Detection, Stream
from emboscope.events.wavelets import directional_wavelet, dwt_fuzzy, wavelet_packet
from emboscope.progress import Progress, silent
from emboscope.registry import Registry
from emboscope.signal.recording import Recording

DETECTORS: Registry[Detector] = Registry("detector")
DETECTORS["hbr_recursive"] = Detector(hits_to_blood)
DETECTORS["energy"] = Detector(fixed_energy)
DETECTORS["energy_two_pass"] = Detector(two_pass_energy)
DETECTORS["cusum"] = Detector(cumulative_sum)
DETECTORS["kurtosis"] = Detector(energy_kurtosis)
DETECTORS["filter_bank"] = Detector(filter_bank)
DETECTORS["dwt_fuzzy"] = Detector(dwt_fuzzy)
DETECTORS["wavelet_packet"] = Detector(wavelet_packet)
DETECTORS["directional_wavelet"] = Detector(directional_wavelet)
DETECTORS["fractional_fourier"] = Detector(fractional_fourier)
DETECTORS["two_gate"] = Detector(hits_to_blood, judge_by_delay, n_gates=2)


class StreamingDetector(Stream):
    """Finds events while samples arrive, by the name of a detector; see `Stream`.

    Parameters
    ----------
    acquisition : Acquisition
        Sampling and carrier frequency, angle, declared flow side.
    settings : DetectionSettings, optional
        One set of defaults serves all recordings.
    detector : str
        A name in `DETECTORS`.

    Examples
    --------
    >>> import numpy as np
    >>> stream = StreamingDetector(Acquisition(sfreq=4385.0))
    >>> stream.push(np.zeros(43850, complex))
    []
    >>> stream.finish().flags
    ('no signal',)
    """

    def __init__(
        self,
        acquisition: Acquisition,
        settings: DetectionSettings | None = None,
        detector: str = "hbr_recursive",
    ) -> None:
        super().__init__(acquisition, settings or DetectionSettings(), DETECTORS[detector])


Read = Callable[[int, int], np.ndarray]
Keep = Callable[[dict], None]


def detect(
    read: Read,
    n_times: int,
    acquisition: Acquisition,
    settings: DetectionSettings | None = None,
    detector: str = "hbr_recursive",
    progress: Progress = silent,
) -> Detection:
    """Find events in a signal that is read block by block.

    Parameters
    ----------
    read, n_times
        Samples of a range, as I + jQ, (n_times,) or (n_gates, n_times); how many there are.
    acquisition : Acquisition
        Sampling and carrier frequency, angle, declared flow side.
    settings : DetectionSettings, optional
        One set of defaults serves all recordings.
    detector : str
        A name in `DETECTORS`.

    Raises
    ------
    DataError
        If the signal is shorter than a second or not finite.
    """
    stream = StreamingDetector(acquisition, settings, detector)
    return run(stream, read, n_times, progress)


def run(
    stream: Stream, read: Read, n_times: int, progress: Progress = silent, keep: Keep | None = None
) -> Detection:
    """Push a signal through a detector, from where it stands to the end.

    Parameters
    ----------
    keep : callable, optional
        Given what `Stream.save` returns after every block, to go on from there another day.
    """
    sfreq = stream.acquisition.sfreq
    step = round(stream.settings.block_s * sfreq)
    for start in range(stream.position, n_times, step):
        stop = min(start + step, n_times)
        stream.push(read(start, stop))
        if keep is not None and stop < n_times:
            keep(stream.save())
        progress("scanning", round(stop / sfreq), round(n_times / sfreq))
    return stream.finish()


def detect_events(
    recording: Recording, settings: DetectionSettings | None = None, channel: int = 0
) -> list[Event]:
    """Events of one channel of a Doppler recording in memory.

    Raises
    ------
    DataError
        If the recording is not complex.
    """
    if not np.iscomplexobj(recording.samples):
        raise DataError(
            f"recording '{recording.name}': real samples; expected complex I/Q. "
            "Read it as a stereo I/Q file."
        )
    acquisition = Acquisition(
        recording.sfreq, recording.carrier_hz, recording.angle_deg, recording.sound_speed_m_s
    )
    signal = recording.samples[channel]
    return list(detect(lambda a, b: signal[a:b], signal.size, acquisition, settings).events)
