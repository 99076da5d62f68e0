"""Which devices a training runs on, and which rows each of them takes."""

import contextlib
import itertools

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from emboscope.errors import SettingsError
from emboscope.learning.settings import TrainSettings


def fabric_of(device: str, settings: TrainSettings) -> Fabric:
    """Fabric for one device, or for several, each in a process of its own.

    Several devices average their gradients; batch statistics are those of each, and the first
    device's are kept. The results differ by rounding and by these statistics from those of one.

    Raises
    ------
    SettingsError
        If the device is not here, or a batch has fewer than two rows for each.
    """
    check_device(device, settings)
    if settings.devices == 1:
        return Fabric(accelerator=device, devices=1, precision=settings.precision)
    strategy = DDPStrategy(
        start_method="spawn",
        find_unused_parameters=settings.regularizers.clusters,  # centers, until clustering starts
    )
    return Fabric(
        accelerator=device,
        devices=settings.devices,
        strategy=strategy,
        precision=settings.precision,
    )


def check_device(device: str, settings: TrainSettings) -> None:
    """Refuse a device that is not here, and batches that are too small to be shared.

    Raises
    ------
    SettingsError
    """
    if device == "mps" and not torch.backends.mps.is_available():
        raise SettingsError("device 'mps': not here. Use 'auto' or 'cpu'.")
    if device == "cuda" and torch.cuda.device_count() < settings.devices:
        raise SettingsError(
            f"device 'cuda': {torch.cuda.device_count()} here; expected {settings.devices}. Use "
            "'auto' or 'cpu'."
        )
    if settings.devices > 1 and settings.batch < 2 * settings.devices:
        raise SettingsError(
            f"training.batch: {settings.batch} rows on {settings.devices} devices; expected at "
            "least 2 a device. Enlarge the batch, or use fewer devices."
        )


def share_of(rows: Tensor, fabric: Fabric) -> Tensor:
    """The rows of a batch that this process takes; of one device all of them."""
    return rows[fabric.global_rank :: fabric.world_size]


def attention_on(
    device: torch.device, settings: TrainSettings
) -> contextlib.AbstractContextManager[None]:
    """Where the form of the attention is the faster one; it differs from others by rounding.

    On a CPU the fused attention in bfloat16 is left out: with the 44 tokens of an EEG its gradient
    takes longer than the rest of the published transformer does. What is used in its place, and
    with dropout in any case, needs memory for tokens² numbers a head and row.
    """
    if device.type == "cpu" and settings.precision == "bf16-mixed":
        return sdpa_kernel(SDPBackend.MATH)
    return contextlib.nullcontext()


def lay_out(network: nn.Module, order: torch.memory_format) -> None:
    """Order in memory the weights of images; no value changes."""
    for tensor in itertools.chain(network.parameters(), network.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=order)
