"""Maps: the features drawn in two dimensions, over a grid of hyper-parameters."""

from emboscope.annotation.maps.projection import Map, Projection
from emboscope.annotation.maps.projections import PROJECTIONS, pca_maps, tsne_maps, umap_maps
from emboscope.annotation.maps.settings import MAP_GRIDS, MapSettings

__all__ = [
    "MAP_GRIDS",
    "PROJECTIONS",
    "Map",
    "MapSettings",
    "Projection",
    "pca_maps",
    "tsne_maps",
    "umap_maps",
]
