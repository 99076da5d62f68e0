"""Compress a saved model: load it, fine-tune its quantized form, save that beside its cost."""

from pathlib import Path
from typing import get_args

import numpy as np

from emboscope.compression.cost import Cost, cost
from emboscope.compression.energy import Energy, Mode, energy
from emboscope.compression.finetune import CompressSettings, compress
from emboscope.learning.estimator import SignalClassifier
from emboscope.progress import Progress, silent
from emboscope.workflows.files import FORMAT_VERSION, NOTICE, prepare_folder, versions, write_json


def compress_model(
    source: Path,
    out: Path,
    views: dict[str, np.ndarray],
    y: np.ndarray,
    rows: tuple[np.ndarray, np.ndarray],
    settings: CompressSettings | None = None,
    progress: Progress = silent,
) -> Cost:
    """Write a compressed copy of a model, in the same files, and `compression.json`.

    Parameters
    ----------
    source, out : Path
        Folders of a saved `SignalClassifier`: the model, and its compressed copy.
    views, y : dict of ndarray, ndarray
        The whole data set.
    rows : tuple of ndarray
        Those that train and those that validate, as in the training of the model. No others are
        read.
    settings : CompressSettings, optional
    progress : callable
        Told each epoch.

    Returns
    -------
    cost : Cost
        Bits before and after, sparsity.
    """
    classifier = SignalClassifier.load(source)
    used = np.concatenate(rows)
    settings = settings or CompressSettings()
    small = compress(
        classifier,
        views={name: view[used] for name, view in views.items()},
        y=np.asarray(y)[used],
        validation=np.arange(len(rows[0]), len(used)),
        settings=settings,
        progress=progress,
    )
    prepare_folder(out)
    small.save(out)
    size = cost(small.network_)
    summary = {
        "method": settings.method,
        "settings": settings.model_dump(mode="json"),
        **compression_summary(size),
        "energy": energy_summary(classifier, small, views),
    }
    write_json(out / "compression.json", summary)
    return size


def energy_gains(
    classifier: SignalClassifier, small: SignalClassifier, views: dict[str, np.ndarray]
) -> dict[Mode, tuple[Energy, Energy]]:
    """Energy of one decision before and after, in each mode; of `views` the first row is read."""
    one = {name: view[:1] for name, view in views.items()}
    quantized = [layer.name for layer in cost(small.network_).layers]
    return {
        mode: (
            energy(classifier.network_, classifier.tensors(one), mode, quantized),
            energy(small.network_, small.tensors(one), mode),
        )
        for mode in get_args(Mode)
    }


def energy_summary(
    classifier: SignalClassifier, small: SignalClassifier, views: dict[str, np.ndarray]
) -> dict[str, object]:
    """Energy of one decision before and after, in joules, in each mode."""
    return {
        mode: {
            "before_j": before.total_j,
            "after_j": after.total_j,
            "gain": after.gain_over(before),
            "operations_before": before.operations,
            "operations": after.operations,
        }
        for mode, (before, after) in energy_gains(classifier, small, views).items()
    }


def compression_summary(size: Cost) -> dict[str, object]:
    """Figures of a compressed network, as they are stored."""
    return {
        "format_version": FORMAT_VERSION,
        "bits_before": size.bits_before,
        "bits": size.bits,
        "gain": size.gain,
        "gain_quantized": size.gain_quantized,
        "sparsity": size.sparsity,
        "layers": [
            {
                "name": layer.name,
                "n_weights": layer.n_weights,
                "n_zeros": layer.n_zeros,
                "encoding": layer.encoding,
                "bits": layer.bits,
            }
            for layer in size.layers
        ],
        "versions": versions(),
        "notice": NOTICE,
    }
