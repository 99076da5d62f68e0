"""What is computed with: threads and accelerator."""

import os

import torch


def set_threads(threads: int | None) -> int:
    """Compute with so many threads, all cores without; returns their number."""
    count = threads or os.cpu_count() or 1
    os.environ["OMP_NUM_THREADS"] = str(count)
    torch.set_num_threads(count)
    return count


def threads() -> int:
    """How many threads are computed with."""
    return torch.get_num_threads()


def accelerator() -> str:
    """Name of the GPU, or none."""
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
