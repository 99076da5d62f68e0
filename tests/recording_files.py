"""One 16-bit signal written in every format that is read, with a name in every header."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

SFREQ = 4385
NAME = "Roe_Jane_1961"
FORMATS = {
    "wav": ".wav",
    "rf64": ".rf64",
    "w64": ".w64",
    "flac": ".flac",
    "raw": ".raw",
    "iq": ".iq",
    "bin": ".bin",
    "csv": ".csv",
    "txt": ".txt",
    "npz": ".npz",
    "npz_packed": ".npz",
    "h5": ".h5",
    "hdf5": ".hdf5",
    "mat": ".mat",
    "mat73": ".mat",
    "edf": ".edf",
    "bdf": ".bdf",
    "wfdb": ".hea",
}


def write_recording(folder: Path, kind: str, frames: np.ndarray, sfreq: int = SFREQ) -> Path:
    """Write int16 columns I1, Q1, ... and return the path to open."""
    path = folder / f"p01{FORMATS[kind]}"
    writer = WRITERS.get(kind.removesuffix("_packed"))
    if kind in AUDIO:
        _write_audio(path, kind, frames, sfreq)
    else:
        writer(path, frames, sfreq, kind)
    return path


AUDIO = {"wav": "WAV", "rf64": "RF64", "w64": "W64", "flac": "FLAC"}


def _write_audio(path, kind, frames, sfreq):
    with soundfile.SoundFile(
        path, "w", sfreq, frames.shape[1], "PCM_16", format=AUDIO[kind]
    ) as file:
        if kind in {"wav", "flac"}:
            file.title = file.artist = file.comment = NAME
        file.write(frames)


def _write_raw(path, frames, sfreq, kind):
    side = {"sfreq": sfreq, "n_channels": frames.shape[1], "dtype": "int16", "patient": NAME}
    path.with_suffix(".json").write_text(json.dumps(side))
    frames.astype("<i2").tofile(path)


def _write_text(path, frames, sfreq, kind):
    times = np.arange(len(frames)) / sfreq
    separator = "," if kind == "csv" else "\t"
    np.savetxt(path, np.c_[times, frames / 32768], "%.16g", separator, header="t,I,Q", comments="")


def _write_npz(path, frames, sfreq, kind):
    save = np.savez if kind == "npz" else np.savez_compressed
    save(path, iq=frames, sfreq=sfreq, patient=NAME)


def _write_hdf5(path, frames, sfreq, kind):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["iq"], file.attrs["sfreq"], file.attrs["patient"] = frames, sfreq, NAME


def _write_mat(path, frames, sfreq, kind):
    import scipy.io

    scipy.io.savemat(path, {"iq": frames, "sfreq": float(sfreq), "patient": NAME})


def _write_mat73(path, frames, sfreq, kind):
    """Axes reversed, complex numbers as two fields, text of 512 bytes in front."""
    h5py = pytest.importorskip("h5py")
    gates = (frames / 32768).T  # MATLAB's (n_times, n_gates) is (n_gates, n_times) in HDF5
    samples = np.empty(gates[0::2].shape, [("real", "f8"), ("imag", "f8")])
    samples["real"], samples["imag"] = gates[0::2], gates[1::2]
    with h5py.File(path, "w", userblock_size=512) as file:
        file["samples"], file["fs"] = samples, [[float(sfreq)]]
    with path.open("r+b") as file:
        file.write(f"MATLAB 7.3 MAT-file, {NAME}".encode().ljust(124) + b"\x00\x02IM")


def _write_edf(path, frames, sfreq, kind):
    edfio = pytest.importorskip("edfio")
    full = np.concatenate([frames, np.zeros((-len(frames) % sfreq, frames.shape[1]), np.int16)])
    signal, file = (edfio.EdfSignal, edfio.Edf) if kind == "edf" else (edfio.BdfSignal, edfio.Bdf)
    bits = 16 if kind == "edf" else 24
    columns = [
        signal.from_digital(
            column.astype(np.int16) if bits == 16 else column.astype(np.int32) << 8,
            sfreq,
            label=f"D{number}",
            physical_range=(-1, 1 - 2.0 ** (1 - bits)),
            digital_range=(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1),
        )
        for number, column in enumerate(full.T)
    ]
    end = edfio.EdfAnnotation(len(frames) / sfreq, None, "recording ends")
    file(
        columns,
        patient=edfio.Patient(name=NAME),
        recording=edfio.Recording(investigator_technician_code=NAME),
        annotations=[end],
        data_record_duration=1,
    ).write(path)


def _write_wfdb(path, frames, sfreq, kind):
    """Format 16; the header line of a signal is file, format, gain, unit, bits, zero, first."""
    pytest.importorskip("wfdb")
    frames.astype("<i2").tofile(path.with_suffix(".dat"))
    signals = [
        f"{path.stem}.dat 16 32768(0)/NU 16 0 {column[0]} {column.sum(dtype=np.int16)} 0 D{number}"
        for number, column in enumerate(frames.T)
    ]
    lines = [f"{path.stem} {len(signals)} {sfreq} {len(frames)}", *signals, f"# {NAME}"]
    path.write_text("\n".join(lines) + "\n")


WRITERS = {
    "raw": _write_raw,
    "iq": _write_raw,
    "bin": _write_raw,
    "csv": _write_text,
    "txt": _write_text,
    "npz": _write_npz,
    "h5": _write_hdf5,
    "hdf5": _write_hdf5,
    "mat": _write_mat,
    "mat73": _write_mat73,
    "edf": _write_edf,
    "bdf": _write_edf,
    "wfdb": _write_wfdb,
}
