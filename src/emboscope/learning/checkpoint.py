"""Weights and the state of training on disk: written aside, flushed, renamed; never pickled."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from emboscope.errors import DataError

FORMAT_VERSION = 2
_STATE = "checkpoint.safetensors"
_SUMMARY = "checkpoint.json"


@dataclass(frozen=True)
class Progressed:
    """How far a training had come.

    Attributes
    ----------
    epoch : int
        Epochs that are done.
    fingerprint : str
        Of the settings, the seed and the data; training goes on only where it agrees.
    history : list of dict
        One entry an epoch.
    """

    epoch: int
    fingerprint: str
    history: list[dict[str, float]]


@dataclass(frozen=True)
class Checkpoint:
    """What a training goes on from.

    Attributes
    ----------
    states : dict of name to state dict
    progressed : Progressed
    """

    states: dict[str, dict[str, Tensor]]
    progressed: Progressed


def write_atomic(path: Path, content: bytes) -> None:
    """Write aside, flush to the disk, rename: a reader sees the old file or the new one."""
    aside = path.with_name(path.name + ".part")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def weights_bytes(network: nn.Module) -> bytes:
    """The state of a network as safetensors."""
    return save(_plain(network.state_dict()))


def load_weights(path: Path, network: nn.Module, sha256: str | None = None) -> None:
    """Read the state of a network that was built alike, from a file of that sum.

    Raises
    ------
    DataError
        If the file is missing, unreadable, damaged, or of another network.
    """
    tensors, _ = _read(path)
    if sha256 is not None and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise DataError(f"weights '{path}': damaged, their sum differs. Train again.")
    _load_network(path, network, tensors)


def save_checkpoint(
    folder: Path,
    states: Mapping[str, Mapping[str, Tensor]],
    optimizer: Optimizer,
    progressed: Progressed,
) -> None:
    """Write states and optimizer to `checkpoint.safetensors`, with all that resuming needs.

    `checkpoint.json` repeats epoch and history for people; only the first file is read back, so
    that a kill between the two does no harm.

    Parameters
    ----------
    folder : Path
    states : mapping of name to mapping of name to Tensor
        State dicts; no name of a state holds a dot, and none is `optimizer`.
    optimizer : Optimizer
    progressed : Progressed
    """
    tensors = {
        f"{name}.{key}": value for name, state in states.items() for key, value in state.items()
    }
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            tensors[f"optimizer.{index}.{key}"] = value
    summary = json.dumps({"format_version": FORMAT_VERSION, **vars(progressed)})
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / _STATE, save(_plain(tensors), {"progressed": summary}))
    write_atomic(folder / _SUMMARY, summary.encode())


def load_checkpoint(folder: Path, optimizer: Optimizer) -> Checkpoint | None:
    """Bring the optimizer to where it was, and give the other states; None without a checkpoint."""
    path = folder / _STATE
    if not path.exists():
        return None
    tensors, metadata = _read(path)
    summary = json.loads(metadata.get("progressed", "{}"))
    if summary.pop("format_version", None) != FORMAT_VERSION:
        raise DataError(
            f"checkpoint '{path}': unknown format; expected version {FORMAT_VERSION}. Delete it "
            "and train again."
        )
    states: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        state, _, key = name.partition(".")
        states.setdefault(state, {})[key] = value
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in states.pop("optimizer", {}).items():
        index, key = name.split(".")
        moments.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    return Checkpoint(states, Progressed(**summary))


def remove_checkpoint(folder: Path) -> None:
    """Delete what only an unfinished training needs."""
    for name in (_STATE, _SUMMARY):
        (folder / name).unlink(missing_ok=True)


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU, contiguous."""
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors and the metadata of a file."""
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise DataError(f"weights '{path}': unreadable ({error}). Train again.") from error


def _load_network(path: Path, network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """All tensors of the network, none missing, none left over."""
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(
            f"weights '{path}': of another network; expected the one in the settings. Train again."
        ) from error
