"""The fourteen items that every study of microembolic signals reports, after the consensus."""

from collections.abc import Mapping

from emboscope.languages import marked
from emboscope.report.session import NOT_RECORDED
from emboscope.report.wording import Wording

SOURCE = "Ringelstein et al., Stroke 1998;29:725–729, doi 10.1161/01.str.29.3.725"

# name in NAME.events.json: how it is called, unit, factor to that unit, decimals; in their order
ITEMS: dict[str, tuple[str, str, float, int]] = {
    "ultrasound_device": (marked("ultrasound device"), "", 1, 0),
    "transducer": (marked("transducer type and size"), "", 1, 0),
    "artery": (marked("insonated artery"), "", 1, 0),
    "insonation_depth_mm": (marked("insonation depth"), "mm", 1, 0),
    "intensity_algorithm": (marked("algorithm for signal intensity measurement"), "", 1, 0),
    "scale_settings": (marked("scale settings"), "", 1, 0),
    "detection_threshold_db": (marked("detection threshold"), "dB", 1, 1),
    "sample_volume_mm": (marked("axial extension of the sample volume"), "mm", 1, 0),
    "fft_points": (marked("FFT size"), marked("points"), 1, 0),
    "fft_length_ms": (marked("FFT length"), "ms", 1, 1),
    "fft_overlap": (marked("FFT overlap"), "%", 100, 0),
    "carrier_hz": (marked("transmitted ultrasound frequency"), "MHz", 1e-6, 2),
    "high_pass_hz": (marked("high-pass filter setting"), "Hz", 1, 0),
    "recording_time_s": (marked("recording time"), "min", 1 / 60, 2),
}
ALGORITHM = marked("10 log10 of band power over a recursive background (HBR)")


def item_rows(items: Mapping[str, str | float], words: Wording) -> tuple[tuple[str, str, str], ...]:
    """Number, name and value of all fourteen, in the order of the consensus."""
    return tuple(
        (str(number), words.say(name), item_text(items, key, words))
        for number, (key, (name, *_)) in enumerate(ITEMS.items(), start=1)
    )


def item_text(items: Mapping[str, str | float], key: str, words: Wording) -> str:
    """An item with its unit; a text as it is, or that it is not recorded."""
    value = items.get(key, NOT_RECORDED)
    _, unit, factor, decimals = ITEMS[key]
    try:
        figure = float(value)
    except ValueError:
        return words.say(ALGORITHM) if value == ALGORITHM else words.name(str(value))
    return words.quantity(factor * figure, words.say(unit) if unit else "", decimals)
