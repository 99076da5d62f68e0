"""Compress a saved model: load it, fine-tune its quantized form, save that beside its cost."""

from pathlib import Path

import numpy as np

from emboscope.compression.cost import Cost, cost
from emboscope.compression.finetune import compress
from emboscope.learning.estimator import SignalClassifier
from emboscope.progress import Progress, silent
from emboscope.workflows.files import FORMAT_VERSION, NOTICE, prepare_folder, versions, write_json


def compress_model(
    source: Path,
    out: Path,
    views: dict[str, np.ndarray],
    y: np.ndarray,
    rows: tuple[np.ndarray, np.ndarray],
    method: str = "ttq",
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
    method : str
        A name in `QUANTIZERS`.
    progress : callable
        Told each epoch.

    Returns
    -------
    cost : Cost
        Bits before and after, sparsity.
    """
    classifier = SignalClassifier.load(source)
    used = np.concatenate(rows)
    small = compress(
        classifier,
        method,
        views={name: view[used] for name, view in views.items()},
        y=np.asarray(y)[used],
        validation=np.arange(len(rows[0]), len(used)),
        progress=progress,
    )
    prepare_folder(out)
    small.save(out)
    size = cost(small.network_)
    write_json(out / "compression.json", {"method": method, **compression_summary(size)})
    return size


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
