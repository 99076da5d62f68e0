"""Items of the acceptance list that are figures on short signals."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from emboscope.events.settings import DetectionSettings
from emboscope.signal.doppler import velocity
from emboscope.signal.spectrum import decibel, stft

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from doppler_signals import (
    SFREQ,
    add_embolus,
    blood,
    emboli,
    scan,
    tone_burst,
)
from real_taps import CARRIER as REAL_CARRIER
from real_taps import SFREQ as REAL_SFREQ
from real_taps import real_recordings, with_embolus

Result = tuple[bool, str]


def rng_of(seed: int) -> np.random.Generator:
    """Random numbers of one item."""
    return np.random.default_rng([4242, seed])


def decibel_truth() -> Result:
    """1: HBR of emboli of 5, 10, 20 dB against 10 log10(1 + EBR) and the bias of a peak."""
    rng, parts, good = rng_of(1), [], True
    for ebr_db, expected in ((5, 6.7), (10, 10.8), (20, 20.4)):
        samples, peaks = blood(rng, seconds=100), np.arange(12, 98, 2.0)
        for peak_s in peaks:
            add_embolus(samples, peak_s, ebr_db, rng)
        settings = DetectionSettings(threshold_db=3.5)
        events = scan(samples, settings=settings).events
        near = [min(events, key=lambda event, at=at: abs(event.peak_s - at)) for at in peaks]
        measured = [
            e.hbr_db for e, at in zip(near, peaks, strict=True) if abs(e.peak_s - at) < 0.05
        ]
        mean = float(np.mean(measured))
        good &= abs(mean - expected) <= 1.0
        parts.append(f"{ebr_db} dB reads {mean:.1f} ({expected}; {len(measured)}/{peaks.size})")
    return good, ", ".join(parts) + "; within 1.0 dB"


def complex_transform() -> Result:
    """2: a tone at 600 Hz is one line, constant, and its mirror is empty."""
    times = np.arange(8000) / SFREQ
    spectrum = stft(np.exp(2j * np.pi * 600 * times).astype(np.complex64), SFREQ, window="blackman")
    level = 10 * np.log10(spectrum.power + 1e-30)
    top = spectrum.freqs[level.mean(axis=1).argmax()]
    row = level[level.mean(axis=1).argmax()]
    mirror = level[np.abs(spectrum.freqs + 600).argmin()].max() - row.max()
    step = spectrum.freqs[1] - spectrum.freqs[0]
    good = abs(top - 600) <= step and np.ptp(row) < 0.1 and mirror <= -60
    return good, f"line at {top:.0f} Hz, varies {np.ptp(row):.4f} dB, mirror {mirror:.0f} dB"


def direction() -> Result:
    """3: swapping I and Q or negating Q flips the side; reverse transients are no emboli."""
    rng = rng_of(3)
    samples = blood(rng)
    add_embolus(samples, 20.0, 15.0, rng)
    sides = [scan(s).flow_side for s in (samples, samples.conj(), samples.imag + 1j * samples.real)]
    against = np.zeros_like(samples)
    for peak_s in range(12, 38, 2):
        add_embolus(against, peak_s, 25.0, rng)
    reported = len(emboli(scan(blood(rng) + against.conj())))
    good = sides == ["towards", "away", "away"] and reported == 0
    return good, f"sides {', '.join(sides)}; {reported} of 13 reverse transients of 25 dB reported"


def aliasing() -> Result:
    """6: 2 MHz, 110 cm/s: a systolic embolus is forward after the shift; else it is said."""
    scale, rng = 2 * 2e6 / 154000, rng_of(6)
    samples = blood(rng, largest_cm_s=110, hz_per_cm_s=scale)
    add_embolus(samples, 20.0, 15.0, rng, largest_cm_s=110, hz_per_cm_s=scale)
    found = emboli(scan(samples, carrier=2e6))
    flags = scan(samples, settings=DetectionSettings(baseline="none"), carrier=2e6).flags
    top = velocity(SFREQ, 2e6)
    good = len(found) == 1 and found[0].aliased and "the flow aliases" in flags
    speed, db = found[0].velocity_cm_s, found[0].direction_db
    return (
        good,
        f"{speed:.0f} cm/s, direction {db:.0f} dB, axis to {top:.0f} cm/s; without: {flags}",
    )


def saturation() -> Result:
    """7: an embolus clipped by 20 dB is flagged, bounded from below, and stays an embolus."""
    rng = rng_of(7)
    samples = blood(rng)
    add_embolus(samples, 20.0, 40.0, rng)
    samples *= 10 / np.abs(samples).max()
    clip = np.clip(samples.real, -1, 1) + 1j * np.clip(samples.imag, -1, 1)
    event = max(scan(clip, scale=1.0).events, key=lambda event: event.hbr_db)
    good = event.saturated and event.verdict == "embolus"
    return good, f"saturated {event.saturated}, HBR >= {event.hbr_db:.1f} dB of 40, {event.verdict}"


def durations() -> Result:
    """13: 10, 100, 290 ms are accepted, 310 ms and 2 s are long."""
    verdicts = []
    for duration_s in (0.01, 0.1, 0.29, 0.31, 2.0):
        samples = blood(rng_of(13))
        tone_burst(samples, 20.0, duration_s, 3.0)
        near = [e.verdict for e in scan(samples).events if 19.9 < e.peak_s < 20.1 + duration_s]
        verdicts.append("+".join(near) or "none")
    return verdicts == ["embolus"] * 3 + ["too_long"] * 2, ", ".join(verdicts)


def gain() -> Result:
    """14: a tenth of the gain, a 6 dB step, a slow drift: the same events, HBR within 0.5 dB."""
    rng = rng_of(14)
    samples = blood(rng, seconds=80)
    for peak_s in (12.0, 25.0, 55.0, 70.0):
        add_embolus(samples, peak_s, 15.0, rng)
    plain = emboli(scan(samples))
    times = np.arange(samples.size) / SFREQ
    stepped = samples * np.where(times > 40, 2, 1)
    changed = {
        "x 0.1": scan(0.1 * samples),
        "drift": scan(samples * 10 ** (3 * np.sin(2 * np.pi * times / 300) / 20)),
        "step": scan(stepped),
    }
    worst, good = 0.0, True
    for detection in changed.values():
        found = emboli(detection)
        good &= len(found) == len(plain)
        for a, b in zip(plain, found, strict=False):
            worst = max(worst, abs(a.hbr_db - b.hbr_db))
    storm = sum(40 <= event.peak_s < 52 for event in changed["step"].events)
    text = f"{len(plain)} emboli in each, HBR within {worst:.2f} dB"
    return good and worst <= 0.5 and storm <= 1, f"{text}; {storm} event in 12 s after a step"


def power_rule() -> Result:
    """15: doubling the amplitude raises every power by 6.02 dB; silence is not evaluable."""
    samples = blood(rng_of(15), seconds=2)
    rise = decibel(stft(2 * samples, SFREQ).power) - decibel(stft(samples, SFREQ).power)
    silent = scan(np.zeros(30000, complex))
    good = np.allclose(rise, 6.0206, atol=1e-3) and silent.evaluable_s == 0
    lowest = decibel(np.zeros(1))[0]
    return good, f"{rise.mean():.4f} dB; silence reads {lowest:.0f} dB, flags {silent.flags}"


def unusable() -> Result:
    """16: dropouts, lost flow and saturation over 1 s are listed and leave the denominator."""
    rng = rng_of(16)
    samples = 0.05 * blood(rng, seconds=60)
    samples[round(10 * SFREQ) : round(13 * SFREQ)] = 0
    noise = rng.standard_normal((round(6 * SFREQ), 2)) @ (1, 1j)
    samples[round(20 * SFREQ) : round(26 * SFREQ)] = 0.002 * noise
    samples[round(40 * SFREQ) : round(43 * SFREQ)] *= 100
    samples = np.clip(samples.real, -1, 1) + 1j * np.clip(samples.imag, -1, 1)
    found = scan(samples, scale=1.0)
    listed = ", ".join(f"{u.reason} {u.start_s:.1f}-{u.stop_s:.1f} s" for u in found.unusable)
    good = {u.reason for u in found.unusable} == {"dropout", "no flow", "saturated"}
    return good and abs(found.evaluable_s - 48) < 1, f"{found.evaluable_s:.1f} of 60 s; {listed}"


def velocities() -> Result:
    """18: 1 kHz reads 38.5 (2 MHz), 51.3 (1.5 MHz), 54.4 cm/s (2 MHz, 45°)."""
    found = [velocity(1000, 2e6), velocity(1000, 1.5e6), velocity(1000, 2e6, 45)]
    return np.allclose(found, (38.5, 51.33, 54.45), atol=0.05), ", ".join(f"{v:.2f}" for v in found)


def shower() -> Result:
    """21: 50 bubbles in 5 s are counted as 30 or more; the background does not follow them."""
    counts, late = [], []
    for seed in range(5):
        rng = np.random.default_rng([4242, 21, seed])
        samples = blood(rng, seconds=60)
        for peak_s in rng.uniform(20, 25, 50):
            add_embolus(samples, peak_s, 18.0, rng)
        add_embolus(samples, 40.0, 15.0, rng)
        found = emboli(scan(samples))
        counts.append(sum(19.9 < event.peak_s < 25.1 for event in found))
        late += [event.hbr_db for event in found if abs(event.peak_s - 40) < 0.05]
    good = np.mean(counts) >= 30 and len(late) == 5 and abs(np.mean(late) - 15.1) < 1.0
    return good, f"{counts} of 50; a later embolus of 15 dB reads {np.mean(late):.1f} dB"


def on_real_recordings() -> Result:
    """R: taps flagged, no embolus; emboli of 7-20 dB put in at 40 places, four times."""
    recordings = real_recordings()
    if recordings is None:
        return False, "EMBOSCOPE_DATA has no tcd_dwl_hits.npz"

    def events(samples: np.ndarray):
        from emboscope.events.block import Acquisition
        from emboscope.events.detection import detect

        acquisition = Acquisition(REAL_SFREQ, REAL_CARRIER)
        return detect(lambda a, b: samples[a:b], samples.size, acquisition).events

    taps = sum(
        any(abs(e.peak_s - t) < 0.05 and e.verdict == "artifact" for e in events(samples))
        for samples, times in recordings
        for t in times
    )
    total = sum(len(times) for _, times in recordings)
    reported = sum(e.verdict == "embolus" for samples, _ in recordings for e in events(samples))
    found, errors = [], []
    for seed in range(4):
        rng, hits = np.random.default_rng(seed), 0
        for n in range(40):
            samples, times = recordings[n % len(recordings)]
            ebr_db = rng.uniform(7, 20)
            blended, peak_s = with_embolus(samples, times, ebr_db, rng)
            near = [
                e.hbr_db for e in events(blended)
                if e.verdict == "embolus" and abs(e.peak_s - peak_s) < 0.05
            ]  # fmt: skip
            hits += bool(near)
            errors += [abs(near[0] - 10 * np.log10(1 + 10 ** (ebr_db / 10)))] if near else []
        found.append(hits)
    good = taps == total and reported == 0 and min(found) >= 34 and np.median(errors) <= 1.5
    return good, (
        f"{taps} of {total} taps judged artifacts, {reported} emboli reported; put in: {found} of "
        f"40 found (at least 34), median HBR error {np.median(errors):.2f} dB (at most 1.5)"
    )


ITEMS: dict[str, Callable[[], Result]] = {
    "1 dB truth": decibel_truth,
    "2 complex transform": complex_transform,
    "3 direction": direction,
    "6 aliasing": aliasing,
    "7 saturation": saturation,
    "13 duration": durations,
    "14 level and gain": gain,
    "15 dB scale": power_rule,
    "16 unusable time": unusable,
    "18 velocity": velocities,
    "21 showers": shower,
}
