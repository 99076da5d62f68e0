"""From a few labels of a study to many: the map, what may be expected, the new labels, and back."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from emboscope.annotation.maps import MapSettings
from emboscope.annotation.propagators import LQKNN
from emboscope.cli.app import app
from emboscope.datasets.hits import CLASSES
from emboscope.errors import DataError, SettingsError
from emboscope.simulation.recording import SimulationSettings
from emboscope.store import LabelEvent, Study
from emboscope.workflows.ingest import IngestOptions, ingest
from emboscope.workflows.map_study import MapStudySettings, _fitting, map_study
from emboscope.workflows.propagate_study import (
    PropagateSettings,
    _over_all_classes,
    propagate_study,
)
from emboscope.workflows.simulate import simulate_folder

SETTINGS = {"n_patients": 4, "minutes": 2, "seed": 4, "rate_factor": 60}
PCA = MapStudySettings(projection="pca", grid="one")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Four simulated patients, one of them for the test; every other sample is labeled."""
    folder = tmp_path_factory.mktemp("spread")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("EMBOSCOPE_STORE_URL", raising=False)
        simulated = SimulationSettings(**SETTINGS, indication="surgical_valve")
        simulate_folder(folder / "recordings", simulated)
        options = IngestOptions(key=folder / "key", test_share=0.25)
        ingest(folder / "study", [folder / "recordings"], options)
        with Study.open(folder / "study") as opened:
            samples = opened.samples()
            strong = samples.measures["hbr_db"] > np.median(samples.measures["hbr_db"])
            shares = [(0.0, 1.0, 0.0) if each else (1.0, 0.0, 0.0) for each in strong]
            opened.append([
                LabelEvent(int(samples.ids[row]), "ann", "expert", shares[row], batch="by hand")
                for row in range(0, len(samples.ids), 2)
            ])
        yield folder / "study"


def labels(study):
    with Study.open(study) as opened:
        return opened.samples(), opened.labels()


def test_without_a_map_nothing_spreads(study):
    with pytest.raises(DataError, match="no map. Run: emboscope map"):
        propagate_study(study, PropagateSettings())


def test_without_a_sure_label_nothing_spreads_and_what_to_do_is_said(study):
    CliRunner().invoke(app, ["labels", str(study), "undo"])
    with pytest.raises(DataError, match="no sample of a training .* FILE.csv --unlabeled"):
        propagate_study(study, PropagateSettings())
    drawn = CliRunner().invoke(
        app, ["map", str(study), "--projection", "pca", "--grid", "one"], terminal_width=300
    )
    assert "--unlabeled; fill it in, import it" in " ".join(drawn.stdout.split())
    with Study.open(study) as opened:
        opened.undo(opened.log()[-1].batch, "ann")


def test_the_map_says_what_it_is_worth_and_draws_it(study):
    result = map_study(study, PCA)
    assert [finding.name for finding in result.findings] == [
        "cluster structure", "local structures", "space covered",
    ]  # fmt: skip
    assert {path.name for path in (study / "reports").iterdir()} == {
        "map-labels.png", "map-quality.png", "map-patients.png", "maps.png",
    }  # fmt: skip
    samples, _ = labels(study)
    assert result.samples == (samples.splits == "train").sum() < len(samples.ids)


def test_labels_spread_to_training_patients_alone_and_go_back(study):
    map_study(study, PCA)
    samples, before = labels(study)
    looked = propagate_study(study, PropagateSettings(method="minimax_forest"), dry_run=True)
    assert np.array_equal(labels(study)[1].y, before.y)
    done = propagate_study(study, PropagateSettings(method="minimax_forest"))
    assert (looked.new, looked.batch) == (done.new, "")
    _, after = labels(study)
    by_hand = before.source == "expert"
    assert np.array_equal(after.y[by_hand], before.y[by_hand])
    spread = after.source == "propagated"
    assert spread.sum() == done.new > 0
    counts = {name: int((after.y[spread] == code).sum()) for code, name in enumerate(CLASSES)}
    assert {name: n for name, n in counts.items() if n} == done.by_class
    assert set(samples.splits[spread]) == {"train"}
    undone = CliRunner().invoke(app, ["labels", str(study), "undo"])
    assert undone.exit_code == 0
    assert np.array_equal(labels(study)[1].y, before.y)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.2, 0.8), (0.9, 0.1)])
def test_the_log_says_what_the_method_said(shares):
    model = LQKNN()
    model.classes_ = np.array([0, 2])
    model.transduction_, model.label_distributions_ = np.array([0]), np.array([shares])
    kept = _over_all_classes(model, 0, 3)
    assert kept[0] > max(kept[1:])
    assert kept[1] == 0
    assert sum(kept) == pytest.approx(1)


def test_a_second_propagation_replaces_the_first(study):
    map_study(study, PCA)
    propagate_study(study, PropagateSettings(method="minimax_forest"))
    result = propagate_study(study, PropagateSettings(method="std_knn", k=1))
    _, after = labels(study)
    assert (after.source == "propagated").sum() == result.new
    for _ in range(2):
        CliRunner().invoke(app, ["labels", str(study), "undo"])


def test_where_people_are_unsure_no_label_is_counted(study):
    map_study(study, PCA)
    samples, before = labels(study)
    row = int(np.flatnonzero((samples.splits == "train") & (before.source == ""))[0])
    unsure = LabelEvent(int(samples.ids[row]), "bob", "expert", (1 / 3, 1 / 3, 1 / 3))
    with Study.open(study) as opened:
        opened.append([unsure])
    result = propagate_study(study, PropagateSettings(method="minimax_forest"))
    _, after = labels(study)
    assert (after.source == "propagated").sum() == result.new
    assert (after.y[samples.splits == "train"] < 0).sum() == result.unlabeled == 1
    for _ in range(2):
        CliRunner().invoke(app, ["labels", str(study), "undo"])


def test_the_commands_print_one_json_object(study):
    drawn = CliRunner().invoke(
        app, ["map", str(study), "--projection", "pca", "--grid", "one", "--json"]
    )
    assert json.loads(drawn.stdout)["criterion"] == "silhouette"
    spread = CliRunner().invoke(
        app, ["propagate", str(study), "--method", "spreading", "--dry-run", "--json"]
    )
    assert json.loads(spread.stdout)["batch"] == ""


def test_perplexities_fit_the_number_of_samples():
    fitting = _fitting((MapSettings(perplexity=10), MapSettings(perplexity=30)), 61)
    assert [each.perplexity for each in fitting] == [10, 20]


def test_a_person_reads_the_recommended_pair_and_how_to_go_back(study):
    map_study(study, PCA)
    done = CliRunner().invoke(
        app, ["propagate", str(study), "--method", "std_knn", "--target-error", "0.99"]
    )
    assert "Recommended: K = " in done.stdout
    assert "expected error" in done.stdout
    assert f"emboscope labels {study} undo" in done.stdout.replace("\n", "")
    CliRunner().invoke(app, ["labels", str(study), "undo"])


def test_refuses_what_is_not_known(study):
    with pytest.raises(SettingsError, match="propagator 'lq_nn': unknown"):
        propagate_study(study, PropagateSettings(method="lq_nn"))
    with pytest.raises(SettingsError, match="projection 'tnse': unknown"):
        map_study(study, MapStudySettings(projection="tnse"))
    with pytest.raises(SettingsError, match="propagate.k: 0"):
        PropagateSettings.parse({"k": 0}, "propagate")
