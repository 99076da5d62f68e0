"""Pictures of what the model of a run sees: latent spaces, weights, saliency, neighbors."""

import csv
import io
from pathlib import Path

import numpy as np

from emboscope.annotation.maps import PROJECTIONS
from emboscope.annotation.maps.settings import MapSettings
from emboscope.annotation.maps.umap import load_umap
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
_WEIGHTS = "weights.csv"
_EQUAL = 1e-5  # weights that differ by rounding alone


def interpret(
    classifiers: list[SignalClassifier],
    data: Dataset,
    parts: list[Fold],
    folder: Path,
    projection: str = "tsne",
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
    projection : str
        A name in `PROJECTIONS`, of the latent spaces.

    Returns
    -------
    paths : list of Path
        `latent.png` (`latent_umap.png` of that projection), `saliency.png`, `neighbors.png`; of a
        fusion with weights also `weights.png` and `weights.csv`, and `weights_rows.csv` where each
        row has its own; of three classes `simplex.png`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    classifier, fold = classifiers[0], parts[0]
    progress("drawing", 0, 4)
    written = [_latent(classifier, data, fold, projection, folder / latent_name(projection))]
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
    """The view of each member; with its encoder where two read the same, then with a number."""
    branches = classifier.network_.branches
    views = [branch.view for branch in branches]
    names = [
        view if views.count(view) == 1 else f"{view}, {type(branch.encoder).__name__}"
        for view, branch in zip(views, branches, strict=True)
    ]
    return [
        name if names.count(name) == 1 else f"{name} {names[: index + 1].count(name)}"
        for index, name in enumerate(names)
    ]


def check_projection(name: str, drawn: bool) -> None:
    """Refuse a projection that is unknown or, where it is to be `drawn`, not installed.

    Raises
    ------
    SettingsError
    """
    PROJECTIONS[name]
    if drawn and name == "umap":
        load_umap()


def latent_name(projection: str) -> str:
    """File of the maps of the latent spaces."""
    return "latent.png" if projection == "tsne" else f"latent_{projection}.png"


def _latent(
    classifier: SignalClassifier, data: Dataset, fold: Fold, projection: str, path: Path
) -> Path:
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
    project = PROJECTIONS[projection]
    maps = {name: project(space, (setting,))[0] for name, space in spaces.items()}
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
    found: list[np.ndarray] = []
    own_rows: list[np.ndarray] = []
    for classifier, fold in zip(classifiers, parts, strict=True):
        weights = classifier.fusion_weights(data.rows(fold.test))
        if weights is None or weights.shape[2] != len(data.classes):
            return []
        by_row = bool((np.ptp(weights, axis=0) > _EQUAL).any())
        found.append(weights if by_row else weights[:1])
        own_rows += [fold.test] if by_row else []
    members, stacked = member_names(classifiers[0]), np.concatenate(found)
    write_bytes(folder / "weights.png", weights_figure(stacked, members, data.classes))
    heads = ["member", "class", "mean", "low", "high", "n"]
    lines: list[list[object]] = [
        [member, name, *_spread(stacked[:, index, place])]
        for index, member in enumerate(members)
        for place, name in enumerate(data.classes)
    ]
    written = [folder / "weights.png", _csv(folder / _WEIGHTS, heads, lines)]
    if len(own_rows) == len(parts):
        rows = np.concatenate(own_rows)
        lines = [
            [row, member, *(f"{value:.4f}" for value in stacked[nth, index])]
            for nth, row in enumerate(rows)
            for index, member in enumerate(members)
        ]
        heads = ["row", "member", *data.classes]
        written.append(_csv(folder / "weights_rows.csv", heads, lines))
    return written


def _spread(values: np.ndarray) -> list[object]:
    """Mean, 2.5 and 97.5 % of all values, and their number."""
    low, high = np.quantile(values, (0.025, 0.975))
    return [*(f"{value:.4f}" for value in (values.mean(), low, high)), len(values)]


def _csv(path: Path, heads: list[str], lines: list[list[object]]) -> Path:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([heads, *lines])
    write_text(path, buffer.getvalue())
    return path


def read_weights(folder: Path) -> list[dict[str, str | float]]:
    """Lines of `weights.csv` in a folder of pictures; none of a model without weights."""
    path = folder / _WEIGHTS
    if not path.is_file():
        return []
    names = {"member", "class"}
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {name: value if name in names else float(value) for name, value in line.items()}
            for line in csv.DictReader(file)
        ]
