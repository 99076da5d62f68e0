"""Pictures of what the model of a run sees: latent spaces, weights, saliency, neighbors."""

import csv
import io
from pathlib import Path

import numpy as np

from emboscope.annotation.maps.settings import MapSettings
from emboscope.annotation.maps.tsne import fit_tsne
from emboscope.datasets.dataset import Dataset
from emboscope.evaluation.protocol import Fold
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.explanation import nearest_known, saliency
from emboscope.progress import Progress, silent
from emboscope.report.model_figures import Shown, latent_figure, segments_figure, weights_figure
from emboscope.report.simplex_figure import N_CORNERS, Cloud, simplex_figure
from emboscope.workflows.files import write_bytes, write_text

_MOST_ROWS = 600  # of a latent map
_NEIGHBORS = 3
_PERPLEXITY = 30.0
_EQUAL = 1e-5  # weights that differ by rounding alone


def interpret(
    classifiers: list[SignalClassifier],
    data: Dataset,
    parts: list[Fold],
    folder: Path,
    progress: Progress = silent,
) -> list[Path]:
    """Write the pictures of the first fold, and the weights of the fusion in all folds.

    Parameters
    ----------
    classifiers : list of SignalClassifier
        One a fold.
    data : Dataset
    parts : list of Fold
    folder : Path
        Made when it is missing.

    Returns
    -------
    paths : list of Path
        `latent.png`, `saliency.png`, `neighbors.png`; of a fusion with weights also `weights.png`
        and `weights.csv`; of three classes `simplex.png`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    classifier, fold = classifiers[0], parts[0]
    progress("drawing", 0, 4)
    written = [_latent(classifier, data, fold, folder / "latent.png")]
    progress("drawing", 1, 4)
    chosen = _examples(classifier, data, fold)
    written.append(_saliency(classifier, data, chosen, folder / "saliency.png"))
    progress("drawing", 2, 4)
    written.append(_neighbors(classifier, data, fold, chosen, folder / "neighbors.png"))
    progress("drawing", 3, 4)
    written += _weights(classifiers, data, parts, folder)
    written += _simplex(classifier, data, fold, folder / "simplex.png")
    progress("drawing", 4, 4)
    return written


def member_names(classifier: SignalClassifier) -> list[str]:
    """The view of each member; with its encoder where two members read the same."""
    branches = classifier.network_.branches
    views = [branch.view for branch in branches]
    return [
        view if views.count(view) == 1 else f"{view}, {type(branch.encoder).__name__}"
        for view, branch in zip(views, branches, strict=True)
    ]


def _latent(classifier: SignalClassifier, data: Dataset, fold: Fold, path: Path) -> Path:
    """Maps of each member and of the fusion, of test rows."""
    rng = np.random.default_rng(0)
    rows = fold.test
    if len(rows) > _MOST_ROWS:
        rows = np.sort(rng.choice(rows, _MOST_ROWS, replace=False))
    views = data.rows(rows)
    spaces = dict(zip(member_names(classifier), classifier.member_embeddings(views), strict=True))
    if len(spaces) > 1:
        spaces["fusion"] = classifier.embeddings(views)
    perplexity = min(_PERPLEXITY, max(1.0, (len(rows) - 1) / 4))
    setting = MapSettings(perplexity=perplexity)
    maps = {name: fit_tsne(space, (setting,))[0].points for name, space in spaces.items()}
    picture = latent_figure(maps, data.y[rows], classifier.predict(views), data.classes)
    write_bytes(path, picture)
    return path


def _examples(classifier: SignalClassifier, data: Dataset, fold: Fold) -> np.ndarray:
    """For each class the test row that is surest and right; in all the one surest and wrong."""
    log_p = classifier.log_proba(data.rows(fold.test))
    sure, predicted = log_p.max(axis=1), classifier.classes_[log_p.argmax(axis=1)]
    y = data.y[fold.test]
    masks = [(y == index) & (predicted == y) for index in range(len(data.classes))]
    masks.append(predicted != y)
    found = [np.flatnonzero(mask)[sure[mask].argmax()] for mask in masks if mask.any()]
    return fold.test[np.array(found, dtype=int)]


def _saliency(classifier: SignalClassifier, data: Dataset, chosen: np.ndarray, path: Path) -> Path:
    views = data.rows(chosen)
    found, predicted = saliency(classifier, views), classifier.predict(views)
    row = [
        Shown(
            _title(data, data.y[each], predicted[index]),
            {name: views[name][index] for name in found},
            {name: values[index] for name, values in found.items()},
        )
        for index, each in enumerate(chosen)
    ]
    write_bytes(path, segments_figure([row]))
    return path


def _neighbors(
    classifier: SignalClassifier, data: Dataset, fold: Fold, chosen: np.ndarray, path: Path
) -> Path:
    """Each example beside the training segments that the model takes for most alike."""
    known = classifier.embeddings(data.rows(fold.train))
    asked = classifier.embeddings(data.rows(chosen))
    nearest = nearest_known(known, asked, _NEIGHBORS)
    predicted = classifier.predict(data.rows(chosen))
    names = list(classifier.tensors(data.rows(chosen[:1])))
    rows = []
    for index, each in enumerate(chosen):
        row = [_plain(data, each, names, _title(data, data.y[each], predicted[index]))]
        row += [
            _plain(data, other, names, f"known: {data.classes[data.y[other]]}")
            for other in fold.train[nearest[index]]
        ]
        rows.append(row)
    write_bytes(path, segments_figure(rows))
    return path


def _plain(data: Dataset, row: int, names: list[str], title: str) -> Shown:
    return Shown(title, {name: data.views[name][row] for name in names}, {})


def _title(data: Dataset, true: int, predicted: int) -> str:
    """The true class, and what it was taken for where that differs."""
    if true == predicted:
        return data.classes[true]
    return f"{data.classes[true]}, taken for {data.classes[predicted]}"


def _simplex(classifier: SignalClassifier, data: Dataset, fold: Fold, path: Path) -> list[Path]:
    """Probabilities of the test rows, beside the shares of the raters where there are some.

    None unless there are three classes, all known to the model.
    """
    if len(data.classes) != N_CORNERS or len(classifier.classes_) != N_CORNERS:
        return []
    y = data.y[fold.test]
    clouds = [Cloud("probabilities", classifier.predict_proba(data.rows(fold.test)), y)]
    if data.soft_labels is not None:
        clouds.insert(0, Cloud("shares of the raters", data.soft_labels[fold.test], y))
    write_bytes(path, simplex_figure(clouds, data.classes))
    return [path]


def _weights(
    classifiers: list[SignalClassifier], data: Dataset, parts: list[Fold], folder: Path
) -> list[Path]:
    """Weights of all folds, or of the test rows where each has its own; none without any."""
    found = []
    for classifier, fold in zip(classifiers, parts, strict=True):
        weights = classifier.fusion_weights(data.rows(fold.test))
        if weights is None or weights.shape[2] != len(data.classes):
            return []
        by_row = bool((np.ptp(weights, axis=0) > _EQUAL).any())
        found.append(weights if by_row else weights[:1])
    members, stacked = member_names(classifiers[0]), np.concatenate(found)
    paths = [folder / "weights.png", folder / "weights.csv"]
    write_bytes(paths[0], weights_figure(stacked, members, data.classes))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["member", "class", "mean", "low", "high", "n"])
    for index, member in enumerate(members):
        for place, name in enumerate(data.classes):
            own = stacked[:, index, place]
            low, high = np.quantile(own, (0.025, 0.975))
            writer.writerow([
                member,
                name,
                *(f"{v:.4f}" for v in (own.mean(), low, high)),
                len(own),
            ])
    write_text(paths[1], buffer.getvalue())
    return paths
