import sys

import numpy as np
import openTSNE
import pytest
from numpy.testing import assert_array_equal

from emboscope.annotation.maps import MAP_GRIDS, PROJECTIONS, MapSettings, tsne_maps, umap_maps
from emboscope.annotation.quality import local_quality
from emboscope.errors import DataError, SettingsError

QUICK = (
    MapSettings(perplexity=5, early_iterations=50, iterations=100),
    MapSettings(perplexity=5, early_iterations=50, iterations=100, early_exaggeration=50),
)


@pytest.fixture
def islands(rng):
    return rng.standard_normal((90, 6)) + 20 * np.repeat(np.eye(6)[:3], 30, axis=0)


EVERY = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name == "umap" else ())  # compiles for 30 s
        for name in sorted(PROJECTIONS)
    ],
)


@EVERY
def test_every_projection_gives_one_map_a_setting_and_the_same_twice(name, islands):
    drawn = PROJECTIONS[name](islands, QUICK)
    assert [points.shape for points in drawn] == [(90, 2), (90, 2)]
    for once, again in zip(drawn, PROJECTIONS[name](islands, QUICK), strict=True):
        assert_array_equal(once, again)


@EVERY
def test_a_new_sample_lands_beside_its_like_on_every_map(name, islands, rng):
    (fitted,) = PROJECTIONS[name].fit(islands, QUICK[:1], lambda *_: None)
    before = fitted.points.copy()
    new = islands[::10] + 0.01 * rng.standard_normal((9, 6))
    near = ((fitted.embed(new)[:, None] - fitted.points) ** 2).sum(axis=2).argmin(axis=1)
    assert_array_equal(near // 30, np.repeat([0, 1, 2], 3))
    assert_array_equal(fitted.points, before)
    assert_array_equal(fitted.embed(new), fitted.embed(new))
    with pytest.raises(DataError, match=r"shape \(9, 5\); expected \(n_samples, 6\)"):
        fitted.embed(new[:, :5])
    with pytest.raises(DataError, match="features: not finite"):
        fitted.embed(new * np.nan)


def test_new_samples_do_not_depend_on_each_other(islands):
    (fitted,) = PROJECTIONS["tsne"].fit(islands, QUICK[:1], lambda *_: None)
    one_by_one = np.concatenate([fitted.embed(islands[[row]]) for row in (3, 40)])
    together = fitted.embed(islands[[3, 40]])
    assert np.abs(together - one_by_one).max() < 0.01 * np.ptp(fitted.points)  # forces are rounded


def test_umap_without_its_library_says_what_to_install(islands, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(SettingsError, match=r'Install "emboscope\[umap\]"'):
        umap_maps(islands, QUICK)


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
    kind = openTSNE.affinity.PerplexityBasedNN

    def counted(*args, **kwargs):
        made.append(kwargs["perplexity"])
        return kind(*args, **kwargs)

    monkeypatch.setattr(openTSNE.affinity, "PerplexityBasedNN", counted)
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
