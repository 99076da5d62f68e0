"""What decides the models of a run."""

from typing import Literal

from pydantic import Field

from emboscope.learning.architecture import NetworkSettings, Profile
from emboscope.learning.settings import TrainSettings
from emboscope.settings import Settings

Device = Literal["cpu", "cuda", "mps", "auto"]


class RunSettings(Settings):
    """All that decides the weights of a run, with the data."""

    model: str = "hybrid_late"
    split: str = "patient"
    folds: int = 5
    seed: int = 0
    profile: Profile = "corrected"  # of the views
    views: dict[str, dict[str, object]] = Field(default_factory=dict)  # further ones, by name
    device: Device = "cpu"  # that trains; the same numbers come again on the CPU alone
    network: NetworkSettings = NetworkSettings()  # of a network, like the next
    training: TrainSettings = TrainSettings()
