"""A whole day of I/Q: time and memory of a scan, beside a plain pass of two transforms.

    python benchmarks/long_recording.py --hours 24 --folder day

Writes a simulated WAV of so many hours (kept, and used again), scans it in a process of its own,
and prints the peak memory, the factor over real time on one core and on two (two copies of half
the length), the ratio to `scipy.signal.ShortTimeFFT` (window 64, hop 16, the same blocks) and to
`scipy.fft` on strided frames, all over the same samples in this run. Exits with 1 where the scan
needs 400 MB, or more time than one pass of ShortTimeFFT. Run it with OMP_NUM_THREADS=1.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.fft import fft
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from emboscope.signal.readers import open_source

BLOCK_S = 30.0
LIMIT_MB = 400

SCAN = """
import resource, sys, time
from pathlib import Path
from emboscope.workflows.scan import ScanOptions, Workers, scan
began = time.perf_counter()
result = scan([Path(p) for p in sys.argv[3:]], Path(sys.argv[1]), ScanOptions(carrier_mhz=2.0),
              workers=Workers(int(sys.argv[2])))
print(time.perf_counter() - began,
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
      sum(sum(row.counts.values()) for row in result.rows))
"""


def simulate(path: Path, hours: float, seed: int) -> None:
    """Write the recording with the command, and say how long it took and how much it needed."""
    began = time.perf_counter()
    folder = path.with_suffix("")
    subprocess.run(
        [sys.executable, "-m", "emboscope.cli", "simulate", str(folder), "--patients", "1",
         "--minutes", str(60 * hours), "--seed", str(seed), "--rate-factor", "1", "--quiet"],
        check=True,
    )  # fmt: skip
    (folder / "sim-001.wav").replace(path)
    (folder / "sim-001.json").replace(path.with_suffix(".json"))
    folder.rmdir()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    seconds = time.perf_counter() - began
    print(f"simulated {hours:g} h in {seconds:.0f} s, peak {peak:.0f} MB, "
          f"{path.stat().st_size / 1e9:.2f} GB")  # fmt: skip


def scanned(out: Path, jobs: int, *paths: Path) -> tuple[float, float, int]:
    """Seconds, peak MB and number of events of a scan in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", SCAN, str(out), str(jobs), *map(str, paths)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    seconds, peak, events = done.stdout.split()
    return float(seconds), float(peak), int(events)


def passed(path: Path, transform: Callable[[np.ndarray], object]) -> float:
    """Seconds of a transform of every block, reading included."""
    source = open_source(path)
    step = round(BLOCK_S * source.sfreq)
    began = time.perf_counter()
    for start in range(0, source.n_times, step):
        block = source.read(start, min(start + step, source.n_times))[0]
        if block.size >= 64:
            transform(block)
    return time.perf_counter() - began


def halves(path: Path, folder: Path) -> list[Path]:
    """Two recordings of half the length, for two cores."""
    from emboscope.signal.writers import WavWriter

    source = open_source(path)
    parts = []
    for k in range(2):
        part = folder / f"half-{k + 1}.wav"
        first, last = k * source.n_times // 2, (k + 1) * source.n_times // 2
        with WavWriter(part, source.sfreq, 2, "PCM_16", last - first) as writer:
            for start in range(first, last, 2**20):
                writer.write(source.read(start, min(start + 2**20, last)))
        parts.append(part)
    return parts


def main() -> int:
    """Print the figures; 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--folder", type=Path, default=Path("day"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / f"day-{options.hours:g}h.wav"
    if not path.is_file():
        simulate(path, options.hours, options.seed)
    length_s = open_source(path).n_times / open_source(path).sfreq
    one, peak, events = scanned(options.folder / "events", 1, path)
    transform = ShortTimeFFT(hann(64, sym=False), 16, 1.0, fft_mode="centered")
    window = hann(64, sym=False).astype(np.float32)
    short_time = passed(path, transform.stft)
    strided = passed(
        path,
        lambda x: fft(np.lib.stride_tricks.sliding_window_view(x, 64)[::16] * window, axis=1),
    )
    two, _, _ = scanned(options.folder / "events-2", 2, *halves(path, options.folder))
    print(f"one core: {length_s / one:.0f} x real time ({one:.0f} s), {events} events, "
          f"peak {peak:.0f} MB of {LIMIT_MB}")  # fmt: skip
    print(f"two cores, two halves: {length_s / two:.0f} x real time ({two:.0f} s)")
    print(f"ShortTimeFFT: {short_time:.0f} s; the scan costs {one / short_time:.2f} passes")
    print(f"scipy.fft on strided frames: {strided:.0f} s; the scan costs {one / strided:.2f}")
    return int(peak >= LIMIT_MB or one > short_time)


if __name__ == "__main__":
    sys.exit(main())
