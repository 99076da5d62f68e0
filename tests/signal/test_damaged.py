"""Damaged and hostile files: samples or one sentence, without a hang and in little memory."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from damaged_recordings import DAMAGES, damaged, frames, outcome, targets
from recording_files import FORMATS, write_recording

TESTS = Path(__file__).parents[1]
KINDS = sorted(set(FORMATS) - {"iq", "bin", "hdf5"})  # which are raw and h5 by another name


@pytest.mark.parametrize("kind", KINDS)
def test_damage_gives_samples_or_one_sentence(tmp_path, kind):
    path = write_recording(tmp_path, kind, frames())
    whole = {file: file.read_bytes() for file in targets(path)}

    @settings(max_examples=12, deadline=None, derandomize=True, database=None)
    @given(st.sampled_from(list(whole)), st.sampled_from(DAMAGES), st.integers(0, 2**32))
    def holds(file, damage, seed):
        file.write_bytes(damaged(whole[file], damage, np.random.default_rng(seed)))
        outcome(path)
        file.write_bytes(whole[file])

    holds()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_500_damaged_files_of_each_format(tmp_path, kind):
    """In 1.5 GiB of memory beyond the start, 20 s a file, with nothing on stderr."""
    done = subprocess.run(
        [sys.executable, str(TESTS / "damaged_recordings.py"), kind, "500", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sum(int(line.split()[0]) for line in done.stdout.splitlines()) == 500


def claim_npz(path):
    with path.open("wb") as file:
        np.savez(file, iq=np.zeros((10, 2), np.int16), sfreq=4385)
    content = path.read_bytes()
    old, new = b"'shape': (10, 2), }         ", b"'shape': (999999999999, 2), "
    assert old in content
    path.write_bytes(content.replace(old, new.replace(b"2), ", b"2), }")[: len(old)]))


def claim_hdf5(path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.create_dataset("iq", (10**12, 2), "i2", chunks=(1024, 2))
        file["sfreq"] = 4385.0


def claim_wav(path):
    soundfile.write(path, np.zeros((100, 2)), 4385, "PCM_16")
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\x00\xff\xff\xff"
    path.write_bytes(content)


def claim_flac(path):
    soundfile.write(path, np.zeros((10000, 2)), 4385, "PCM_16")
    content = bytearray(path.read_bytes())
    content[21:26] = bytes([content[21] | 15, 255, 255, 255, 255])  # 36 bits of total samples
    path.write_bytes(content)


def claim_edf(path):
    write_recording(path.parent, "edf", frames()).rename(path)
    content = bytearray(path.read_bytes())
    content[236:244] = b"99999999"
    path.write_bytes(content)


def claim_wfdb(path):
    written = write_recording(path.parent, "wfdb", frames())
    written.rename(path).write_text(path.read_text().replace(" 8770\n", " 999999999999\n"))


@pytest.mark.parametrize(
    ("suffix", "claim"),
    [
        (".npz", claim_npz),
        (".h5", claim_hdf5),
        (".wav", claim_wav),
        (".flac", claim_flac),
        (".edf", claim_edf),
        (".hea", claim_wfdb),
    ],
)
def test_claim_of_a_trillion_samples_takes_no_memory(tmp_path, suffix, claim):
    claim(tmp_path / f"a{suffix}")
    tracemalloc.start()
    try:
        assert outcome(tmp_path / f"a{suffix}") != "read"
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
