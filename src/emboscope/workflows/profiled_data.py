"""The views of a data set in another form: as published, or by other representations."""

from collections.abc import Mapping
from dataclasses import replace

from emboscope.datasets.dataset import Dataset
from emboscope.errors import SettingsError
from emboscope.learning.architecture import Profile
from emboscope.representations.front_end import FrontEnd
from emboscope.representations.views import SpectrogramSettings, WaveformSettings


def in_profile(data: Dataset, profile: Profile) -> Dataset:
    """The data set with views of a profile; as it is for `corrected`.

    `paper` scales rows to [0, 1] one by one and clips images at [μ, μ + 9σ]; `released` also takes
    the real part of the spectrum alone, in doubled decibels.

    Raises
    ------
    SettingsError
        If the views are not a waveform and a spectrogram of single signals.
    """
    if profile == "corrected":
        return data
    waveform = data.front_end.views.get("waveform")
    spectrogram = data.front_end.views.get("spectrogram")
    if (
        data.front_end.n_channels != 1
        or not isinstance(waveform, WaveformSettings)
        or not isinstance(spectrogram, SpectrogramSettings)
    ):
        raise SettingsError(
            f"data set '{data.name}': no {profile} form; expected waveform and spectrogram of one "
            "channel. Leave the profile out."
        )
    views = {
        "waveform": WaveformSettings(scaling="min_max"),
        "spectrogram": spectrogram.model_copy(update={"profile": profile, "scaling": "min_max"}),
    }
    front_end = data.front_end.model_copy(update={"views": views})
    signal = data.front_end.signal_of(data.views["waveform"])
    return replace(data, views=front_end.compute(signal), front_end=front_end)


def with_views(data: Dataset, views: Mapping[str, Mapping[str, object]]) -> Dataset:
    """The data set with further views, or others in place of its own.

    A view that came with the data, as the vendor's pictures, stays: it is what others stand in for.

    Parameters
    ----------
    data : Dataset
    views : mapping of name to mapping
        Settings of a representation, with `kind`, its name in `REPRESENTATIONS`.

    Raises
    ------
    SettingsError
        For an unknown kind or setting, or a signal that `waveform` does not tell.
    """
    if not views:
        return data
    settings = data.front_end.model_dump(mode="json")
    settings["views"] = {**settings["views"], **views}
    front_end = FrontEnd.parse(settings, "views")
    brought = set(data.views) - set(data.front_end.views)
    kept = {name: each for name, each in front_end.views.items() if name not in brought}
    front_end = front_end.model_copy(update={"views": kept})
    views = {name: each for name, each in views.items() if name in kept}
    new = front_end.model_copy(update={"views": {name: front_end.views[name] for name in views}})
    made = new.compute(data.front_end.signal_of(data.views["waveform"]))
    return replace(data, views={**data.views, **made}, front_end=front_end)
