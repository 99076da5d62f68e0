"""The studies that are shipped: each is one that can run."""

from pathlib import Path

import pytest

from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.models import MODELS
from emboscope.workflows.model_cells import ModelSettings
from emboscope.workflows.tables import read_study

FOLDER = Path(__file__).parents[2] / "studies"
STUDIES = sorted(path.name for path in FOLDER.glob("*.toml"))


@pytest.mark.parametrize("name", STUDIES)
def test_a_shipped_study_is_valid_and_names_what_exists(name):
    study = read_study(FOLDER / name)
    for (table, row), settings in study.parameters.items():
        if isinstance(settings, ModelSettings):
            known = settings.model.partition(":")[0]
            assert known in {*MODELS, "gradient_boosting", "svm", "minirocket"}, (table, row)
            assert isinstance(settings.network, NetworkSettings)


@pytest.mark.parametrize("name", STUDIES)
def test_a_shipped_study_is_listed_in_the_guide(name):
    assert f"`{name}`" in (FOLDER / "README.md").read_text(encoding="utf-8")
