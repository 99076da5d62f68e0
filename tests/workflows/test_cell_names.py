"""Names in the rows of a study: all looked up before anything is measured."""

import typing

import pytest

from emboscope.errors import SettingsError
from emboscope.learning.settings import TrainSettings
from emboscope.settings import Settings
from emboscope.workflows.cell_names import check_names, look_up_of
from emboscope.workflows.cells import CELLS
from emboscope.workflows.tables import read_study


def kinds(kind):
    """A class of settings, and those within."""
    yield kind
    for field in kind.model_fields.values():
        for part in [field.annotation, *typing.get_args(field.annotation)]:
            if isinstance(part, type) and issubclass(part, Settings):
                yield from kinds(part)


def test_every_field_of_a_cell_that_holds_a_name_has_a_registry():
    names = {str, str | None, tuple[str, ...]}
    lost = [
        f"{kind.__name__}.{name}"
        for cell in CELLS.values()
        for kind in kinds(cell.settings)
        for name, field in kind.model_fields.items()
        if field.annotation in names and look_up_of(kind, name) is None
    ]
    assert not lost


def study_of(cell, row, folder):
    """A study with a right and a wrong row."""
    path = folder / "study.toml"
    path.write_text(
        f'title = "Names"\n[[tables]]\nname = "some"\ncell = "{cell}"\ncolumns = ["mcc"]\n'
        f'[[tables.rows]]\nlabel = "right"\n[[tables.rows]]\nlabel = "wrong"\n{row}\n'
    )
    return path


@pytest.mark.parametrize(
    ("cell", "row", "sentence"),
    [
        ("model", 'model = "hybird_late"', "model 'hybird_late'.*Did you mean 'hybrid_late'"),
        ("model", 'model = "cnn1d_compcat:low"', "encoder 'cnn1d_compcat'"),
        ("model", 'data = "ers"', "data set 'ers'.*Did you mean 'esr'"),
        ("model", 'training = { loss = "gec" }', "loss 'gec'.*Did you mean 'gce'"),
        ("model", 'training = { augment = ["flip_sing"] }', "augmentation 'flip_sing'"),
        ("model", 'network = { members = ["cnn2d_compact", "resent"] }', "mean 'resnet'"),
        ("model", 'views = { low = { kind = "wavefrom" } }', "representation 'wavefrom'"),
        ("propagated_model", 'data = "esr"', "images to annotate 'esr'"),
        ("compression", 'compression = { method = "pttqq" }', "quantizer 'pttqq'.*mean 'pttq'"),
        ("compression", 'compression = { mixed = { choices = ["int3"] } }', "quantizer 'int3'"),
        ("compression", 'compression = { layers = "hole" }', "rule of layers 'hole'"),
        ("compression", 'teacher = { model = "gradient_boosting" }', "model 'gradient_boosting'"),
        ("classification", 'method = "lq_nkn"', "propagator 'lq_nkn'.*mean 'lq_knn'"),
        ("classification", 'budget = "quick"', "budget 'quick'"),
        ("labels_needed", 'data = "minst"', "images to annotate 'minst'.*mean 'mnist'"),
        ("clustering_toy", 'set = "none"', "toy set 'none'"),
    ],
)
def test_a_wrong_name_is_told_with_its_row_before_anything_is_measured(
    cell, row, sentence, tmp_path
):
    with pytest.raises(SettingsError, match=f"study 'study.toml': some: wrong: .*{sentence}"):
        read_study(study_of(cell, row, tmp_path))


@pytest.mark.parametrize(
    ("cell", "row", "sentence"),
    [
        ("model", 'split = "patients"', "'patient', 'recording', 'row', 'fixed' or 'cohort'"),
        ("compression", 'split = "cohort"', "'patient', 'recording' or 'row'"),
        ("propagation", 'order = "clas"', "'synchronous', 'class' or 'index'"),
        ("propagation", 'graph = "blend"', "'blended', 'latent', 'map' or 'checked'"),
        ("propagation", 'priors = "even"', "'given' or 'equal'"),
    ],
)
def test_a_choice_of_few_is_told_with_all_of_them(cell, row, sentence, tmp_path):
    name = row.partition(" ")[0]
    with pytest.raises(SettingsError, match=f"some: wrong.{name}: .*should be {sentence}"):
        read_study(study_of(cell, row, tmp_path))


def test_a_classical_model_and_data_of_ones_own_are_no_wrong_names(tmp_path):
    (tmp_path / "own.npz").touch()
    kind = CELLS["model"].settings
    check_names(kind(model="minirocket", data=str(tmp_path / "own.npz")))
    check_names(CELLS["propagation"].settings(data=str(tmp_path)))
    check_names(CELLS["compression"].settings(compression={"method": "mixed"}))


def test_names_are_looked_up_in_groups_within():
    training = TrainSettings(optimizer="adma")
    with pytest.raises(SettingsError, match="optimizer 'adma'"):
        check_names(CELLS["model"].settings(training=training))
