"""What a user can name stands in the documentation."""

from pathlib import Path

import pytest
import typer

from emboscope.annotation.features import FEATURES
from emboscope.annotation.maps import PROJECTIONS
from emboscope.annotation.propagators import PROPAGATORS
from emboscope.cli.app import app
from emboscope.compression.quantizers import QUANTIZERS
from emboscope.datasets import DATASETS
from emboscope.events.detection import DETECTORS
from emboscope.learning.classical import CLASSICAL
from emboscope.learning.losses import LOSSES
from emboscope.learning.models import MODELS
from emboscope.representations.views import REPRESENTATIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(typer.main.get_command(app).commands))
def test_every_command_is_documented(name):
    assert f"emboscope {name}" in PAGE


@pytest.mark.parametrize(
    "registry",
    [
        CLASSICAL,
        DATASETS,
        DETECTORS,
        FEATURES,
        LOSSES,
        MODELS,
        PROJECTIONS,
        PROPAGATORS,
        QUANTIZERS,
        REPRESENTATIONS,
    ],
    ids=lambda registry: registry.kind,
)
def test_every_entry_of_a_registry_is_documented(registry):
    assert [name for name in registry if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize("name", list(typer.main.get_command(app).commands))
def test_every_help_has_an_example_or_commands(name):
    command = typer.main.get_command(app).commands[name]
    assert "Example: emboscope" in (command.help or "") or hasattr(command, "commands")
