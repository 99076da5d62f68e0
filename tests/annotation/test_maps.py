import numpy as np
import pytest
from numpy.testing import assert_array_equal

from emboscope.annotation import maps
from emboscope.annotation.maps import MAP_GRIDS, PROJECTIONS, MapSettings, tsne_maps
from emboscope.annotation.quality import local_quality
from emboscope.errors import DataError, SettingsError

QUICK = (
    MapSettings(perplexity=5, early_iterations=50, iterations=100),
    MapSettings(perplexity=5, early_iterations=50, iterations=100, early_exaggeration=50),
)


@pytest.fixture
def islands(rng):
    return rng.standard_normal((90, 6)) + 20 * np.repeat(np.eye(6)[:3], 30, axis=0)


@pytest.mark.parametrize("name", sorted(PROJECTIONS))
def test_every_projection_gives_one_map_a_setting_and_the_same_twice(name, islands):
    drawn = PROJECTIONS[name](islands, QUICK)
    assert [points.shape for points in drawn] == [(90, 2), (90, 2)]
    for once, again in zip(drawn, PROJECTIONS[name](islands, QUICK), strict=True):
        assert_array_equal(once, again)


def test_islands_stay_together_on_the_map(islands):
    points = tsne_maps(islands, QUICK[:1])[0]
    centers = points.reshape(3, 30, 2).mean(axis=1)
    nearest = ((points[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
    assert_array_equal(nearest, np.repeat([0, 1, 2], 30))
    assert local_quality(islands, points).mean() > 0.3


def test_the_exaggeration_changes_the_map(islands):
    first, second = tsne_maps(islands, QUICK)
    assert not np.allclose(first, second)


def test_affinities_are_computed_once_a_perplexity(islands, monkeypatch):
    made = []
    kind = maps.affinity.PerplexityBasedNN

    def counted(*args, **kwargs):
        made.append(kwargs["perplexity"])
        return kind(*args, **kwargs)

    monkeypatch.setattr(maps.affinity, "PerplexityBasedNN", counted)
    tsne_maps(islands, (*QUICK, MapSettings(perplexity=8, early_iterations=5, iterations=5)))
    assert made == [5, 8]


def test_progress_counts_iterations_to_the_end(islands):
    told = []
    tsne_maps(islands, QUICK, progress=lambda *now: told.append(now))
    assert told[-1] == ("maps", 300, 300)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_the_published_grids_have_27_and_400_maps():
    assert (len(MAP_GRIDS["mnist"]), len(MAP_GRIDS["organ"])) == (27, 400)
    assert len(set(MAP_GRIDS["organ"])) == 400


def test_the_small_grid_varies_all_three_hyper_parameters():
    grid = MAP_GRIDS["small"]
    assert len(grid) == 3
    for name in ("perplexity", "early_exaggeration", "learning_rate"):
        assert len({getattr(settings, name) for settings in grid}) > 1


def test_refuses_what_cannot_be_mapped(islands):
    with pytest.raises(DataError, match=r"90 samples; expected more than 90"):
        tsne_maps(islands, (MapSettings(perplexity=30),))
    with pytest.raises(DataError, match="features: not finite"):
        tsne_maps(islands * np.nan)
    with pytest.raises(DataError, match="all samples are equal"):
        tsne_maps(np.ones((100, 3)))
    with pytest.raises(SettingsError, match="Did you mean 'perplexity'"):
        MapSettings.parse({"perplexty": 3})
