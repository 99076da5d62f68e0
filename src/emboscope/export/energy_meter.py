"""Energy that a processor's own counters tell, where they can be read."""

from pathlib import Path

_COUNTERS = Path("/sys/class/powercap")  # of Linux; needs leave to read
_PACKAGES = "intel-rapl:[0-9]*"  # AMD's too; packages and their parts


class EnergyMeter:
    """Reads how much energy the processor has used since the meter was made.

    All packages are counted, with whatever else they did meanwhile.

    Parameters
    ----------
    counters : Path, optional
        Folder of the powercap counters.
    """

    def __init__(self, counters: Path = _COUNTERS) -> None:
        zones = [zone for zone in counters.glob(_PACKAGES) if zone.name.count(":") == 1]
        self._zones = sorted(zones)
        self._begin = self._read()

    def joules(self) -> float | None:
        """Since the meter was made, in J; None where a counter cannot be read.

        A counter may have run over once.
        """
        end = self._read()
        if self._begin is None or end is None:
            return None
        used = 0
        for begin, (now, largest) in zip(self._begin, end, strict=True):
            used += now - begin[0] + (largest if now < begin[0] else 0)
        return used * 1e-6

    def _read(self) -> list[tuple[int, int]] | None:
        """Microjoules of each package, and where its counter runs over."""
        names = ("energy_uj", "max_energy_range_uj")
        try:
            found = [tuple(int((zone / name).read_text()) for name in names)
                     for zone in self._zones]  # fmt: skip
        except (OSError, ValueError):
            return None
        return [(now, largest) for now, largest in found] or None
