"""How events are found: every default of the search."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from emboscope.events.background import BackgroundSettings
from emboscope.events.criteria import CriteriaSettings
from emboscope.settings import Settings


class DetectionSettings(Settings):
    """How events are found. One set of defaults serves all recordings."""

    highpass_hz: PositiveFloat = Field(default=150.0, ge=50, le=300)
    window: int = Field(default=64, ge=16, le=1024)
    hop: PositiveInt = 16
    smooth_frames: PositiveInt = 3  # of the measures
    search_s: PositiveFloat = 0.026  # smoothing of the search: about an embolus' dwell
    threshold_db: PositiveFloat = 5.0  # an event opens above this
    close_db: PositiveFloat = 3.0  # and ends below this
    gap_s: PositiveFloat = 0.015  # for so long
    baseline: Literal["auto", "none"] = "auto"  # auto: moved past the fastest flow
    side_margin_db: PositiveFloat = 6.0  # between the flow sides, else both are searched
    minimum_snr_db: PositiveFloat = 3.0  # of the flow, else nothing can be judged
    loss_db: PositiveFloat = 6.0  # a fall this deep, with the direction lost, is lost flow
    circularity: PositiveFloat = 0.5  # above: I and Q are no quadrature pair
    change_s: PositiveFloat = 1.5  # a time of this length that is ...
    change_share: PositiveFloat = 0.8  # ... over `close_db` for this share is one long event
    part_db: PositiveFloat = 4.0  # by which the members of a shower stand out of a long run
    block_s: float = Field(default=30.0, ge=5, le=600)
    overlap_s: float = Field(default=1.0, ge=0.5)
    background: BackgroundSettings = BackgroundSettings()
    criteria: CriteriaSettings = CriteriaSettings()

    @property
    def spread_samples(self) -> int:
        """How much the analysis widens an event: half a window and the smoothing."""
        return self.window // 2 + (self.smooth_frames - 1) * self.hop // 2 + self.hop // 2
