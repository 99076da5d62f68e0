"""The one training loop: resumable at each epoch, bit by bit."""

import functools
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.calibration import fit_temperature
from emboscope.evaluation.metrics import mcc
from emboscope.learning.architecture import Network
from emboscope.learning.augmentation import AUGMENTATIONS
from emboscope.learning.checkpoint import Progressed, load_checkpoint, save_checkpoint
from emboscope.learning.devices import attention_on, fabric_of, lay_out, share_of
from emboscope.learning.front_end import TorchFrontEnd
from emboscope.learning.fusion import LateFusion
from emboscope.learning.losses import balanced_weights
from emboscope.learning.objective import Labels, Objective, Teacher
from emboscope.learning.reading import read, read_embeddings, read_members
from emboscope.learning.schedules import SCHEDULES, Step, optimizer_of
from emboscope.learning.settings import TrainSettings
from emboscope.progress import Progress, silent

Views = dict[str, Tensor]


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

    def batch(self, rows: Tensor) -> "Rows":
        """Some of the rows."""
        views = {name: view[rows] for name, view in self.views.items()}
        weight = None if self.weight is None else self.weight[rows]
        return Rows(views, self.y[rows], weight)

    @property
    def classes(self) -> Tensor:
        """The class of each row, of a distribution the likeliest, (n_samples,)."""
        return self.y.argmax(dim=1) if self.y.ndim == 2 else self.y


@dataclass(frozen=True)
class Task:
    """What is to be learned: everything that decides the weights, but the settings."""

    network: Network
    train: Rows
    validation: Rows
    n_classes: int
    front_end: TorchFrontEnd | None = None  # None: views are mixed, but not augmented
    seed: int = 0
    teacher: Teacher | None = None


@dataclass
class _State:
    """A training as it goes: what an epoch reads and changes."""

    task: Task
    settings: TrainSettings
    fabric: Fabric
    objective: Objective
    wrapped: nn.Module  # the objective, as Fabric runs it
    optimizer: torch.optim.Optimizer
    runs: torch.optim.Optimizer  # the same, as Fabric runs it
    history: list[dict[str, float]]
    class_weights: Tensor | None
    restarted_at: int = 0  # step from which the rate is counted


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
        epoch, loss of the training part and its terms, loss and MCC of the validation part, share
        of the smallest cluster where there are some; one an epoch.

    Raises
    ------
    DataError
        If the loss is not finite.
    SettingsError
        If the checkpoint belongs to other settings or data, or the best epoch is wanted of no
        validation part.
    """
    if not len(task.validation) and (settings.keep == "best" or settings.patience):
        raise SettingsError(
            "training.keep: 'best' or patience without a validation part; expected rows that "
            "validate. Hold some out, or keep the last epoch."
        )
    fabric = fabric_of(device, settings)
    if fabric.device.type == "cpu":
        lay_out(task.network, torch.channels_last)  # 1.4 times faster there
    if settings.devices == 1:
        history = _fit(fabric, task, settings, checkpoint, progress)
    else:
        share = functools.partial(_fit_share, task=task, settings=settings, checkpoint=checkpoint)
        history, weights = fabric.launch(share)
        state = {name: torch.from_numpy(value) for name, value in weights.items()}
        task.network.load_state_dict(state)
    lay_out(task.network.cpu().eval(), torch.contiguous_format)
    return history


def _fit_share(
    fabric: Fabric, task: Task, settings: TrainSettings, checkpoint: Path | None
) -> tuple[list[dict[str, float]], dict[str, np.ndarray]]:
    """What one of several processes does; history and weights, of which the first's are taken.

    Weights are arrays: memory that tensors share would be gone with the process.
    """
    history = _fit(fabric, task, settings, checkpoint, silent)
    weights = task.network.state_dict().items()
    return history, {name: value.cpu().numpy() for name, value in weights}


def _fit(
    fabric: Fabric,
    task: Task,
    settings: TrainSettings,
    checkpoint: Path | None,
    progress: Progress,
) -> list[dict[str, float]]:
    """All epochs that are left; the history. Only the first of several processes writes."""
    fingerprint = _fingerprint(task, settings)
    state, best = _begin(fabric, task, settings, checkpoint, fingerprint)
    for epoch in range(len(state.history), settings.epochs):
        if _is_over(state.history, settings):
            break
        with attention_on(fabric.device, settings):
            entry = {"epoch": epoch, **_train_epoch(state, epoch), **_validate(task)}
        state.history.append(fabric.broadcast(entry))  # so that all decide alike
        if settings.keep == "best" and best_epoch(state.history) == epoch:
            best = _copied(task.network)
        if checkpoint and fabric.is_global_zero:
            progressed = Progressed(epoch + 1, fingerprint, state.history)
            states = {"objective": state.objective.state_dict(), "best": best}
            save_checkpoint(checkpoint, states, state.optimizer, progressed)
        progress("training", epoch + 1, settings.epochs)
    if best:
        task.network.load_state_dict(best)
    if len(task.validation):
        _settle(task.network, task.validation, settings.fusion_penalty)
    return state.history


def _settle(network: Network, held_out: Rows, penalty: float) -> None:
    """The weights of a late fusion, then the temperature, from rows that did not train."""
    if isinstance(network, LateFusion):
        network.fit_weights(read_members(network, held_out.views), held_out.y, penalty)
    network.temperature.fill_(1.0)
    decided = read(network, held_out.views, network)
    network.temperature.fill_(fit_temperature(decided.numpy(), held_out.y.numpy()))


def _begin(
    fabric: Fabric,
    task: Task,
    settings: TrainSettings,
    checkpoint: Path | None,
    fingerprint: str,
) -> tuple[_State, dict[str, Tensor]]:
    """A training at its start, or where its checkpoint left it; and the best weights so far."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_seed(task.seed, -1))
        objective = Objective(task.network, task.n_classes, settings, task.teacher)
    optimizer = optimizer_of(task.network, objective.own_parameters, settings)
    wrapped, runs = fabric.setup(objective, optimizer)
    if task.teacher is not None:
        task.teacher.network.to(fabric.device)
    history: list[dict[str, float]] = []
    best: dict[str, Tensor] = {}
    found = load_checkpoint(checkpoint, optimizer) if checkpoint else None
    if found:
        if found.progressed.fingerprint != fingerprint:
            raise SettingsError(
                f"checkpoint '{checkpoint}': of other settings or data; expected the same. Use "
                "another folder, or delete it."
            )
        objective.load_state_dict(found.states["objective"])
        best = found.states.get("best", {})
        history = list(found.progressed.history)
    weights = _class_weights(task, settings)
    weights = None if weights is None else weights.to(fabric.device)
    state = _State(task, settings, fabric, objective, wrapped, optimizer, runs, history, weights)
    return state, best


def _train_epoch(state: _State, epoch: int) -> dict[str, float]:
    """One pass over the training part; the mean of its loss and of each term."""
    task, settings = state.task, state.settings
    totals: dict[str, float] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_seed(task.seed, epoch))
        parts = batches(task, settings)
        if state.objective.clustering is not None:
            _start_clustering(state, epoch, len(parts))
        state.objective.train()
        for number, rows in enumerate(parts):
            _set_out(state, epoch * len(parts) + number, settings.epochs * len(parts))
            for name, value in _step(state, rows, epoch).items():
                totals[name] = totals.get(name, 0.0) + value * len(rows)
    if not math.isfinite(totals["loss"]):
        raise DataError(
            f"training: the loss of epoch {epoch} is not finite; expected a number. Lower "
            "learning_rate, or look for extreme values in the data."
        )
    n_rows = sum(map(len, parts))
    means = {name: total / n_rows for name, total in totals.items()}
    if state.objective.clustering is not None:
        clustering = state.objective.clustering
        counted = state.fabric.all_reduce(clustering.counted, reduce_op="sum")
        clustering.counted.copy_(torch.as_tensor(counted))
        means["smallest_cluster"] = clustering.end_epoch()
    return means


def _step(state: _State, rows: Tensor, epoch: int) -> dict[str, float]:
    """Learn from some rows; the loss, and its terms where there are several."""
    batch = state.task.train.batch(share_of(rows, state.fabric))
    views, labels = state.fabric.to_device(_prepared(state.task, state.settings, batch))
    terms = state.wrapped(views, labels, state.class_weights, epoch < state.settings.warm_start)
    loss = torch.stack(list(terms.values())).sum()
    state.runs.zero_grad()
    state.fabric.backward(loss)
    state.runs.step()
    values = {f"loss_{name}": float(term.detach()) for name, term in terms.items()}
    return {"loss": float(loss.detach()), **(values if len(terms) > 1 else {})}


def _start_clustering(state: _State, epoch: int, n_batches: int) -> None:
    """Place the cluster centers at the epoch in which clustering starts."""
    settings, clustering = state.settings, state.objective.clustering
    start = settings.regularizers.dec_start
    start = settings.epochs // 4 if start is None else start
    if clustering is None or epoch < start:
        return
    if not bool(clustering.started):
        views = state.task.train.views
        if state.task.front_end is not None:
            views = state.task.front_end.from_waveform(views["waveform"])
        embeddings = read_embeddings(state.task.network, views)
        clustering.start(embeddings, state.task.train.classes, state.task.seed)
        clustering.centers.data = state.fabric.broadcast(clustering.centers.data)
        if settings.regularizers.dec_restart:
            state.optimizer.state.clear()
    if settings.regularizers.dec_restart:
        state.restarted_at = start * n_batches


def _set_out(state: _State, step: int, n_steps: int) -> None:
    """What changes from step to step: the learning rate in every group, and parts that advance."""
    state.objective.advance(step / n_steps)
    where = Step(step - state.restarted_at, n_steps - state.restarted_at, state.settings)
    share = SCHEDULES[state.settings.schedule](where)
    for group in state.optimizer.param_groups:
        group["lr"] = group["peak"] * share


def _prepared(task: Task, settings: TrainSettings, batch: Rows) -> tuple[Views, Labels]:
    """Views of a batch, augmented and mixed, and what they are to become."""
    views, y = batch.views, batch.y
    if task.front_end is not None:
        waveform = views["waveform"]
        for name in settings.augment:
            waveform = AUGMENTATIONS[name](waveform)
        views = {"waveform": waveform}
    labels = Labels(y, y, weight=batch.weight)
    if settings.mixup:
        share = float(torch.distributions.Beta(settings.mixup, settings.mixup).sample())
        partner = torch.randperm(len(y)).to(y.device)
        views = {name: share * view + (1 - share) * view[partner] for name, view in views.items()}
        other = None if batch.weight is None else batch.weight[partner]
        labels = labels._replace(partner=y[partner], share=share, partner_weight=other)
    if task.front_end is not None:
        views = task.front_end.from_waveform(views["waveform"])
    return views, labels


def _validate(task: Task) -> dict[str, float]:
    """Loss and MCC of the validation part, with equal weights of the members; NaN without one."""
    if not len(task.validation):
        return {"validation_loss": math.nan, "validation_mcc": math.nan}
    log_p = read_members(task.network, task.validation.views).log_softmax(2).logsumexp(1)
    log_p = log_p.log_softmax(1)  # (n_samples, class)
    y = task.validation.y
    loss = nn.functional.nll_loss(log_p, y)
    score = mcc(y.numpy(), log_p.argmax(1).numpy())
    return {"validation_loss": float(loss), "validation_mcc": score}


def best_epoch(history: list[dict[str, float]]) -> int:
    """The first epoch of least validation loss."""
    losses = np.array([entry["validation_loss"] for entry in history])
    return int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))


def _is_over(history: list[dict[str, float]], settings: TrainSettings) -> bool:
    """Whether no epoch has been better for longer than the patience."""
    if settings.patience is None or not history:
        return False
    return len(history) - 1 - best_epoch(history) >= settings.patience


def _copied(network: Network) -> dict[str, Tensor]:
    """The state of a network as it is now."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def batches(task: Task, settings: TrainSettings) -> list[Tensor]:
    """Rows in random order; a last batch of less than half the size is left out of this epoch."""
    n_samples = len(task.train)
    if settings.sampler == "balanced":
        chance = balanced_weights(task.train.classes, task.n_classes)[task.train.classes]
        order = torch.multinomial(chance, n_samples, replacement=True)
    else:
        order = torch.randperm(n_samples)
    batches = list(order.split(settings.batch))
    if len(batches) > 1 and len(batches[-1]) < settings.batch / 2:
        batches.pop()
    return batches


def _class_weights(task: Task, settings: TrainSettings) -> Tensor | None:
    """Balanced weights of the training labels, where the settings ask for them."""
    return balanced_weights(task.train.y, task.n_classes) if settings.class_weights else None


def _seed(seed: int, epoch: int) -> int:
    """A seed of its own for each epoch, and for what comes before the first."""
    key = [seed, epoch] if epoch >= 0 else [seed, 0, 1]
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


def _fingerprint(task: Task, settings: TrainSettings) -> str:
    """Hash of what decides the weights: settings, seed, rows, front end, kind of network."""
    digest = hashlib.sha256(f"{settings.model_dump_json()} {task.seed} {task.network}".encode())
    for branch in task.network.branches:
        digest.update(f"{branch.view} {branch.encoder.settings.model_dump_json()}".encode())
    if task.front_end is not None:
        digest.update(task.front_end.front_end.model_dump_json().encode())
    if task.teacher is not None:
        digest.update(f"{task.teacher.temperature} {task.teacher.weight}".encode())
        for value in task.teacher.network.state_dict().values():
            digest.update(value.cpu().contiguous().numpy().data)
    for rows in (task.train, task.validation):
        weight = () if rows.weight is None else (rows.weight,)
        for values in (*rows.views.values(), rows.y, *weight):
            digest.update(str(tuple(values.shape)).encode())
            digest.update(values.contiguous().numpy().data)
    return digest.hexdigest()
