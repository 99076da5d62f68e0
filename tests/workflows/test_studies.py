"""The studies that are shipped: each is one that can run."""

from pathlib import Path

import pytest

from emboscope.datasets.heartbeats import heartbeat_front_end
from emboscope.datasets.hits import front_end
from emboscope.learning.classical import CLASSICAL
from emboscope.learning.models import build_network
from emboscope.representations.front_end import FrontEnd
from emboscope.workflows.model_cells import ModelSettings
from emboscope.workflows.tables import read_study

FOLDER = Path(__file__).parents[2] / "studies"
STUDIES = sorted(path.name for path in FOLDER.glob("*.toml"))
FRONT_ENDS = {
    "esr": FrontEnd(sfreq=173.61, n_times=178),
    **dict.fromkeys(("hits", "hits_sada"), front_end()),
    **{name: heartbeat_front_end(125.0) for name in ("ptb", "ptbdb", "mitbih", "mitdb")},
}


@pytest.mark.parametrize("name", STUDIES)
def test_every_model_of_a_shipped_study_can_be_built_on_its_views(name):
    study = read_study(FOLDER / name)
    for place, settings in study.parameters.items():
        if not isinstance(settings, ModelSettings) or settings.model in CLASSICAL:
            continue
        plain = FRONT_ENDS[settings.data].model_dump(mode="json")
        views = {**plain["views"], **settings.views}
        shapes = FrontEnd.parse({**plain, "views": views}, str(place)).shapes
        network = build_network(settings.model, shapes, 3, settings.network)
        assert network.n_embedding > 0, place


@pytest.mark.parametrize("name", STUDIES)
def test_a_shipped_study_is_listed_in_the_guide(name):
    assert f"`{name}`" in (FOLDER / "README.md").read_text(encoding="utf-8")
