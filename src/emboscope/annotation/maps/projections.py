"""The projections by name."""

from emboscope.annotation.maps.pca import fit_pca
from emboscope.annotation.maps.projection import Projection
from emboscope.annotation.maps.settings import MAP_GRIDS
from emboscope.annotation.maps.tsne import fit_tsne
from emboscope.annotation.maps.umap import fit_umap
from emboscope.registry import Registry

tsne_maps = Projection(fit_tsne)
umap_maps = Projection(fit_umap)
pca_maps = Projection(fit_pca, MAP_GRIDS["one"])

PROJECTIONS: Registry[Projection] = Registry("projection")
PROJECTIONS["tsne"] = tsne_maps
PROJECTIONS["umap"] = umap_maps
PROJECTIONS["pca"] = pca_maps
