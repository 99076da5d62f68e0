"""What is simulated."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from emboscope.errors import SettingsError
from emboscope.registry import Registry
from emboscope.settings import Settings
from emboscope.simulation.groups import INDICATIONS

SECOND_CARRIER_RATIO = 2.5 / 2.0  # of the two carriers of a dual-frequency probe
FIRST_CARRIER_HZ = 2.0e6  # of that probe


@dataclass(frozen=True)
class Preset:
    """Where patients are examined.

    Attributes
    ----------
    artifacts : float
        Artifact rates over those of a patient who moves about.
    dropouts_h : tuple of float
        Smallest and largest rate of short dropouts, an hour.
    losses_h : float
        Rate of longer losses of contact, an hour.
    emboli : bool
        Whether there are any.
    """

    artifacts: float
    dropouts_h: tuple[float, float]
    losses_h: float
    emboli: bool


PRESETS: Registry[Preset] = Registry("preset")
PRESETS["ambulatory"] = Preset(1.0, (2.0, 6.0), 1.2, True)
PRESETS["clinic"] = Preset(0.25, (0.0, 0.0), 0.0, True)
PRESETS["blood"] = Preset(0.0, (0.0, 0.0), 0.0, False)


class SimulationSettings(Settings):
    """What is simulated."""

    n_patients: PositiveInt = 12
    minutes: PositiveFloat = 10.0
    preset: str = "ambulatory"
    sfreq: float = Field(default=4385.0, ge=2000, le=10000)
    carrier_hz: float | None = Field(default=None, ge=1e6, le=4e6)  # None: 1.5 or 2 MHz, by center
    indication: str | None = None  # None: by the case mix of the center
    rate_factor: NonNegativeFloat = 10.0  # of the embolus rates, up to 360 an hour
    gates: Literal[1, 2] = 1
    second_carrier: bool = False  # 2.0 and 2.5 MHz at once; derived, not measured
    gas_law: Literal["ratio", "size"] = "ratio"  # EBR of gas from its own law, or from diameters
    limiter: Literal["hard", "soft"] = "hard"
    fault: Literal["none", "swap", "q_negative", "dead_i", "dead_q"] = "none"
    seed: int = Field(default=0, ge=0)


def check_settings(settings: SimulationSettings) -> None:
    """Refuse what the types let through.

    Raises
    ------
    SettingsError
        For an unknown preset or indication, or for options that exclude each other.
    """
    PRESETS[settings.preset]
    if settings.indication is not None:
        INDICATIONS[settings.indication]
    if settings.second_carrier and settings.gates == 2:
        raise SettingsError(
            "gates 2 with a second carrier: simulated one at a time. Leave one of them out."
        )
    if settings.second_carrier and settings.carrier_hz not in {None, FIRST_CARRIER_HZ}:
        raise SettingsError(
            f"carrier {settings.carrier_hz:g} Hz with a second carrier: expected 2 MHz, "
            "beside which 2.5 MHz is simulated. Leave the carrier out."
        )
