"""What decides the models of a run."""

from emboscope.learning.architecture import NetworkSettings, Profile
from emboscope.learning.settings import TrainSettings
from emboscope.settings import Settings


class RunSettings(Settings):
    """All that decides the weights of a run, with the data."""

    model: str = "hybrid_late"
    split: str = "patient"
    folds: int = 5
    seed: int = 0
    profile: Profile = "corrected"  # of the views
    network: NetworkSettings = NetworkSettings()  # of a network, like the next
    training: TrainSettings = TrainSettings()
