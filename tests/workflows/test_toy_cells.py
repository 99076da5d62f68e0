"""The cell of the toy sets: what of a row reaches the network."""

import pytest

from emboscope.errors import SettingsError
from emboscope.workflows import toy_cells
from emboscope.workflows.cells import CELLS


def test_a_weight_without_clustering_is_refused():
    cell = CELLS["clustering_toy"]
    with pytest.raises(SettingsError, match="dec: 0.1 without clustering"):
        cell.measure(cell.settings(clustering="none", dec=0.1), 0)


@pytest.mark.parametrize(
    ("clustering", "head", "expected"),
    [
        ("none", "logits", (None, False)),
        ("corrected", "logits", ((True, "epoch", "class_means", 0.1), False)),
        ("released", "released", ((False, "batch", "class_means", 0.1), True)),
    ],
)
def test_clustering_and_head_of_a_row_are_those_that_are_trained(
    clustering, head, expected, monkeypatch
):
    asked = []
    monkeypatch.setattr(toy_cells, "toy_scores", lambda *given: asked.append(given) or {"mcc": 1.0})
    cell = CELLS["clustering_toy"]
    weight = None if clustering == "none" else 0.1
    row = {"set": "mixed_balanced", "centers": "class_means", "dec": weight}
    settings = cell.settings(clustering=clustering, head=head, **row)
    assert cell.measure(settings, 3) == {"mcc": 1.0}
    ((name, terms, seed, released),) = asked
    told = terms and (terms.dec_detach, terms.dec_frequencies, terms.dec_centers, terms.dec)
    assert (name, seed, (told, released)) == ("mixed_balanced", 3, expected)
