"""The one training loop: resumable at each epoch, bit by bit."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.metrics import mcc
from emboscope.learning.architecture import Encoder, Network
from emboscope.learning.augmentation import AUGMENTATIONS
from emboscope.learning.checkpoint import Progressed, load_checkpoint, save_checkpoint
from emboscope.learning.front_end import TorchFrontEnd
from emboscope.learning.fusion import LateFusion
from emboscope.learning.losses import LOSSES, balanced_weights
from emboscope.progress import Progress, silent
from emboscope.registry import Registry
from emboscope.settings import Settings

_FIRST_RATE = 1 / 25  # of the peak rate
_LAST_RATE = 1e-4
_READ_BATCH = 512  # rows of one pass without gradient

Views = dict[str, Tensor]


class TrainSettings(Settings):
    """How a network is trained. Every default stands here and nowhere else."""

    epochs: PositiveInt = 16
    batch: PositiveInt = Field(default=128, ge=2)
    learning_rate: PositiveFloat | None = None  # peak; None: what suits the encoder
    weight_decay: NonNegativeFloat = 0.05
    optimizer: Literal["adamw", "adamax"] = "adamw"
    schedule: Literal["one_cycle", "constant"] = "one_cycle"  # of the rate
    warmup_share: float = Field(default=0.2, gt=0, lt=1)  # of all steps
    loss: Literal["ce", "gce", "jsd"] = "ce"
    class_weights: bool = False  # n/(K·n_c), for classes of unequal number
    augment: tuple[Literal["flip_sign", "reverse_time"], ...] = ("flip_sign", "reverse_time")
    mixup: NonNegativeFloat = 0.2  # both parameters of the Beta law of the mixture; 0: none


@dataclass(frozen=True)
class Rows:
    """Views and targets of the rows that train, or that validate.

    Attributes
    ----------
    views : dict of Tensor
    y : Tensor
        Classes (n_samples,), or, of rows that train, distributions (n_samples, n_classes).
    weight : Tensor, shape (n_samples,), optional
        Of each row that trains, with a mean of 1.
    """

    views: Views
    y: Tensor
    weight: Tensor | None = None

    def __len__(self) -> int:
        return len(self.y)

    def batch(self, rows: Tensor, device: torch.device) -> "Rows":
        """Some of the rows, on a device."""
        views = {name: view[rows].to(device) for name, view in self.views.items()}
        weight = None if self.weight is None else self.weight[rows].to(device)
        return Rows(views, self.y[rows].to(device), weight)


@dataclass(frozen=True)
class Task:
    """What is to be learned: everything that decides the weights, but the settings."""

    network: Network
    train: Rows
    validation: Rows
    n_classes: int
    front_end: TorchFrontEnd | None = None  # None: views are mixed, but not augmented
    seed: int = 0


def fit_network(
    task: Task,
    settings: TrainSettings,
    checkpoint: Path | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> list[dict[str, float]]:
    """Train the network of a task in place; late fusion takes its weights from the validation part.

    The order of the rows and all randomness of an epoch follow from the seed and its number. With
    `checkpoint` the state is kept after each epoch: a training that was killed goes on with the
    epoch it was in, and ends with the same weights as one that was not.

    Parameters
    ----------
    checkpoint : Path, optional
        Folder of `checkpoint.safetensors` and `checkpoint.json`.
    device : str
        An accelerator of Lightning Fabric: `auto`, `cpu`, `cuda`, `mps`.
    progress : callable
        Told each epoch.

    Returns
    -------
    history : list of dict
        epoch, loss of the training part, loss and MCC of the validation part, one an epoch.

    Raises
    ------
    DataError
        If the loss is not finite.
    SettingsError
        If the checkpoint belongs to other settings or data.
    """
    fabric = Fabric(accelerator=device, devices=1)
    optimizer = OPTIMIZERS[settings.optimizer](
        _groups(task.network, settings), weight_decay=settings.weight_decay
    )
    fingerprint = _fingerprint(task, settings)
    done = load_checkpoint(checkpoint, task.network, optimizer) if checkpoint else None
    if done and done.fingerprint != fingerprint:
        raise SettingsError(
            f"checkpoint '{checkpoint}': of other settings or data; expected the same. Use another "
            "folder, or delete it."
        )
    history = list(done.history) if done else []
    wrapped, optimizer = fabric.setup(task.network, optimizer)
    wrapped.mark_forward_method("member_logits")
    for epoch in range(len(history), settings.epochs):
        loss = _train_epoch(fabric, wrapped, optimizer, task, settings, epoch)
        history.append({"epoch": epoch, "loss": loss, **_validate(wrapped, task)})
        if checkpoint:
            state = Progressed(epoch + 1, fingerprint, history)
            save_checkpoint(checkpoint, task.network, optimizer.optimizer, state)
        progress("training", epoch + 1, settings.epochs)
    if isinstance(task.network, LateFusion) and len(task.validation):
        task.network.fit_weights(
            read_members(task.network, task.validation.views), task.validation.y
        )
    task.network.cpu().eval()
    return history


@torch.no_grad()
def read_members(network: Network, views: Views) -> Tensor:
    """Logits of all rows in evaluation mode, on the CPU, (n_samples, member, class)."""
    network.eval()
    device = next(network.parameters()).device
    n_samples = len(next(iter(views.values())))
    parts = []
    for rows in torch.arange(n_samples).split(_READ_BATCH):
        batch = {name: view[rows].to(device) for name, view in views.items()}
        parts.append(torch.stack(network.member_logits(batch), dim=1).cpu())
    return torch.cat(parts)


def rate(step: int, n_steps: int, warmup_share: float) -> float:
    """Share of the peak learning rate at a step: a half cosine up, a half cosine down."""
    warmup = warmup_share * n_steps
    if step < warmup:
        low, part = _FIRST_RATE, 1 - step / warmup
    else:
        low, part = _LAST_RATE, (step - warmup) / (n_steps - warmup)
    return low + (1 - low) * (1 + math.cos(math.pi * part)) / 2


def constant(step: int, n_steps: int, warmup_share: float) -> float:
    """The peak learning rate at every step."""
    return 1.0


SCHEDULES: Registry[Callable[[int, int, float], float]] = Registry("schedule")
SCHEDULES["one_cycle"] = rate
SCHEDULES["constant"] = constant
OPTIMIZERS: Registry[Callable[..., torch.optim.Optimizer]] = Registry("optimizer")
OPTIMIZERS["adamw"] = torch.optim.AdamW
OPTIMIZERS["adamax"] = torch.optim.Adamax


def _train_epoch(
    fabric: Fabric,
    network: Network,
    optimizer: torch.optim.Optimizer,
    task: Task,
    settings: TrainSettings,
    epoch: int,
) -> float:
    """One pass over the training part; its mean loss."""
    network.train()
    schedule = SCHEDULES[settings.schedule]
    weights = _class_weights(task, settings)
    weights = None if weights is None else weights.to(fabric.device)
    total = 0.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_epoch_seed(task.seed, epoch))
        batches = _batches(len(task.train), settings.batch)
        for number, rows in enumerate(batches):
            step, n_steps = epoch * len(batches) + number, settings.epochs * len(batches)
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * schedule(step, n_steps, settings.warmup_share)
            loss = _loss(network, task, settings, task.train.batch(rows, fabric.device), weights)
            optimizer.zero_grad()
            fabric.backward(loss)
            optimizer.step()
            total += float(loss.detach()) * len(rows)
    if not math.isfinite(total):
        raise DataError(
            f"training: the loss of epoch {epoch} is not finite; expected a number. Lower "
            "learning_rate, or look for extreme values in the data."
        )
    return total / sum(map(len, batches))


def _loss(
    network: Network, task: Task, settings: TrainSettings, batch: Rows, weights: Tensor | None
) -> Tensor:
    """Sum of the members' losses on augmented, mixed rows."""
    views, y, of_row = batch.views, batch.y, batch.weight
    if task.front_end is not None:
        waveform = views["waveform"]
        for name in settings.augment:
            waveform = AUGMENTATIONS[name](waveform)
        views = {"waveform": waveform}
    share, partner = 1.0, torch.arange(len(y), device=y.device)
    if settings.mixup:
        share = float(torch.distributions.Beta(settings.mixup, settings.mixup).sample())
        partner = torch.randperm(len(y)).to(y.device)
        views = {name: share * view + (1 - share) * view[partner] for name, view in views.items()}
    if task.front_end is not None:
        views = task.front_end.from_waveform(views["waveform"])
    criterion = LOSSES[settings.loss]
    total = torch.zeros((), device=y.device)
    for logits in network.member_logits(views):
        total = total + share * criterion(logits, y, weights, of_row)
        if share < 1:
            other = None if of_row is None else of_row[partner]
            total = total + (1 - share) * criterion(logits, y[partner], weights, other)
    return total


def _validate(network: Network, task: Task) -> dict[str, float]:
    """Loss and MCC of the validation part, with equal weights of the members; NaN without one."""
    if not len(task.validation):
        return {"validation_loss": math.nan, "validation_mcc": math.nan}
    log_p = read_members(network, task.validation.views).log_softmax(2).logsumexp(1)
    log_p = log_p.log_softmax(1)  # (n_samples, class)
    y = task.validation.y
    loss = nn.functional.nll_loss(log_p, y)
    score = mcc(y.numpy(), log_p.argmax(1).numpy())
    return {"validation_loss": float(loss), "validation_mcc": score}


def _batches(n_samples: int, batch: int) -> list[Tensor]:
    """Shuffled rows; a last batch of less than half the size is left out of this epoch."""
    batches = list(torch.randperm(n_samples).split(batch))
    if len(batches) > 1 and len(batches[-1]) < batch / 2:
        batches.pop()
    return batches


def _groups(network: Network, settings: TrainSettings) -> list[dict[str, object]]:
    """Parameters with the peak rate that suits their encoder; a head goes with its encoder."""
    groups: list[dict[str, object]] = []
    for part in network.modules():
        encoder = getattr(part, "encoder", None)
        if isinstance(encoder, Encoder):
            peak = settings.learning_rate or encoder.learning_rate
            groups.append({"params": list(part.parameters()), "lr": peak, "peak": peak})
    return groups


def _class_weights(task: Task, settings: TrainSettings) -> Tensor | None:
    """Balanced weights of the training labels, where the settings ask for them."""
    return balanced_weights(task.train.y, task.n_classes) if settings.class_weights else None


def _epoch_seed(seed: int, epoch: int) -> int:
    """A seed of its own for each epoch."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


def _fingerprint(task: Task, settings: TrainSettings) -> str:
    """Hash of what decides the weights: settings, seed, rows, front end, kind of network."""
    digest = hashlib.sha256(f"{settings.model_dump_json()} {task.seed} {task.network}".encode())
    if task.front_end is not None:
        digest.update(task.front_end.front_end.model_dump_json().encode())
    for rows in (task.train, task.validation):
        weight = () if rows.weight is None else (rows.weight,)
        for values in (*rows.views.values(), rows.y, *weight):
            digest.update(str(tuple(values.shape)).encode())
            digest.update(values.contiguous().numpy().data)
    return digest.hexdigest()
