"""Studies: what is measured, what is found again, what is refused, and the tables of it."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import t as student
from typer.testing import CliRunner

from emboscope.cli.app import app
from emboscope.errors import DataError, EmboscopeError, SettingsError
from emboscope.settings import Settings
from emboscope.workflows import table_files
from emboscope.workflows.cells import CELLS, Cell
from emboscope.workflows.table_figures import collect
from emboscope.workflows.table_files import as_csv, as_tex, cells_of, markdown, picture
from emboscope.workflows.table_runs import RunOptions, Workers, check_failures, run_study
from emboscope.workflows.tables import read_study

STUDY = """
title = "Toys"
[[tables]]
name = "first"
title = "First"
cell = "toy"
repeats = 3
quick_repeats = 1
columns = ["accuracy", { name = "spread_ms", unit = "ms", digits = 1 }]
shared = { data = "digits" }
published_source = "a paper"
[[tables.rows]]
label = "half"
published = { accuracy = [49.0, 1.5] }
[[tables.rows]]
label = "more | 90 %"
height = 0.9
data = "hits"
repeats = 2
"""


class ToySettings(Settings):
    data: str = "digits"
    height: float = 0.5


class Toy:
    """A cell that counts its calls, and fails or stops where it is told to."""

    def __init__(self):
        self.calls, self.error = [], None

    def __call__(self, settings, seed, progress):
        self.calls.append((settings.height, seed))
        if self.error and (settings.height, seed) == self.error[0]:
            raise self.error[1]
        return {"accuracy": settings.height + 0.01 * seed, "spread_ms": 7.0, "empty": math.nan}


@pytest.fixture
def toy(monkeypatch):
    cell = Toy()
    monkeypatch.setitem(CELLS, "toy", Cell(ToySettings, cell))
    return cell


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "toys.toml"
    path.write_text(STUDY)
    return path


def stored(study):
    return sorted(study.parent.glob("results/toys/*.json"))


def test_every_cell_is_measured_once_and_first_repeats_come_first(toy, study):
    result = run_study(study)
    assert toy.calls == [(0.5, 0), (0.9, 0), (0.5, 1), (0.9, 1), (0.5, 2)]
    assert (result.n_measured, result.n_stored) == (5, 0)
    again = run_study(study)
    assert len(toy.calls) == 5
    assert (again.n_measured, again.n_stored) == (0, 5)
    assert again.tables == result.tables
    made = (study.parent / "results/toys/tables.md").read_text()
    assert "Made by `emboscope run studies/toys.toml`." in made


def test_figures_are_mean_sd_interval_and_difference(toy, study):
    figure = run_study(study).tables[0].rows[0].figures["accuracy"]
    half = student.ppf(0.975, 2) / np.sqrt(3)  # the SD of 50, 51, 52 is 1
    assert_allclose([figure.mean, figure.sd, figure.difference], [51, 1, 2])
    assert_allclose(figure.interval, [51 - half, 51 + half])
    assert figure.published == (49.0, 1.5)


def test_folds_whose_training_parts_overlap_have_a_wider_interval(toy, study):
    study.write_text(STUDY.replace("repeats = 3", "repeats = 3\ntest_share = 0.25"))
    table = run_study(study).tables[0]
    low, high = table.rows[0].figures["accuracy"].interval
    half = student.ppf(0.975, 2) * np.sqrt(1 / 3 + 0.25)
    assert_allclose((high - low) / 2, half)
    assert table.method == "corrected resampled t"


def test_a_table_too_wide_for_the_terminal_names_what_it_leaves_out(toy, study):
    more = ", ".join(f'{{ name = "spread_ms", title = "spread number {n}" }}' for n in range(20))
    study.write_text(STUDY.replace('columns = ["accuracy"', f'columns = ["accuracy", {more}'))
    shown = CliRunner().invoke(app, ["run", str(study), "-q"])
    assert shown.exit_code == 0, shown.output
    (left,) = [line for line in shown.stdout.splitlines() if line.startswith("Not shown")]
    assert left.endswith("spread number 19, %; spread ms, ms; repeats.")
    assert "accuracy" in shown.stdout.split("Not shown")[0]


def test_units_but_percent_are_shown_as_they_are(toy, study):
    figure = run_study(study).tables[0].rows[0].figures["spread_ms"]
    assert (figure.mean, figure.sd) == (7.0, 0.0)


def test_cell_files_tell_how_they_were_measured(toy, study):
    run_study(study, RunOptions(threads=1))
    content = json.loads(stored(study)[0].read_text())
    assert content["parameters"].keys() == {"data", "height"}
    assert content["threads"] == 1
    assert {"emboscope", "numpy", "torch"} <= content["versions"].keys()
    assert content["numbers"]["empty"] is None


def test_what_differs_is_measured_again_and_nothing_else(toy, study):
    run_study(study)
    study.write_text(STUDY.replace("height = 0.9", "height = 0.8"))
    assert run_study(study).n_measured == 2
    CELLS["toy"] = Cell(ToySettings, toy, version=2)
    assert run_study(study).n_measured == 5
    assert run_study(study, RunOptions(force=True)).n_measured == 5


def test_tables_share_cells(toy, study):
    study.write_text(STUDY + STUDY.split("\n", 2)[2].replace('"first"', '"second"'))
    result = run_study(study)
    assert len(toy.calls) == 5
    assert result.tables[0].rows == result.tables[1].rows
    only = run_study(study, RunOptions(only=("second",)))
    assert [table.name for table in only.tables] == ["second"]


def test_quick_measures_less_and_leaves_the_tables_of_a_full_run(toy, study):
    run_study(study)
    full = (study.parent / "results/toys/tables.md").read_text()
    quick = run_study(study, RunOptions(quick=True))
    assert [row.seeds for row in quick.tables[0].rows] == [(0,), (0,)]
    assert quick.n_measured == 0
    assert (study.parent / "results/toys/tables.md").read_text() == full
    assert (study.parent / "results/toys/quick/tables.md").is_file()


def test_interrupted_study_keeps_what_is_done_and_goes_on(toy, study):
    toy.error = ((0.5, 1), KeyboardInterrupt())
    shown = CliRunner().invoke(app, ["run", str(study), "-q"])
    assert shown.exit_code == 130
    assert "Repeat the same command to go on" in shown.stderr
    assert len(stored(study)) == 2
    toy.error = None
    assert run_study(study).n_measured == 3


def test_cell_that_fails_is_named_and_does_not_stop_the_others(toy, study):
    toy.error = ((0.9, 0), DataError("images: none; expected some. Fetch them first."))
    shown = CliRunner().invoke(app, ["run", str(study), "-q"])
    assert shown.exit_code == 1
    assert "1 cells failed" in shown.stderr
    assert "row 'more | 90 %', seed 0: images: none" in shown.stderr
    assert len(stored(study)) == 4
    assert "Not complete: more | 90 %." in shown.stdout
    toy.error = ((0.9, 0), ZeroDivisionError("by zero"))
    with pytest.raises(EmboscopeError, match="ZeroDivisionError: by zero"):
        check_failures(run_study(study))


def test_infinite_number_is_a_failure(toy, study, monkeypatch):
    monkeypatch.setitem(
        CELLS, "toy", Cell(ToySettings, lambda *_: {"accuracy": math.inf, "spread_ms": 0.0})
    )
    assert "'accuracy' is infinite" in run_study(study).failures[0].error


def test_markdown_says_what_is_simulated_published_and_how_sure(toy, study):
    run_study(study, RunOptions(threads=1))
    text = markdown(read_study(study), collect(read_study(study)), "emboscope run x")
    assert "| half | 51.00 ± 1.00 [48.52, 53.48] | 49.00 ± 1.50 | +2.00 |" in text
    assert "| more \\| 90 % (simulated) | 90.50 ± 0.71" in text
    assert "Seeds 0–2; threads 1; " in text
    assert "Published: a paper." in text


def test_one_repeat_has_no_interval(toy, study):
    table = run_study(study, RunOptions(quick=True)).tables[0]
    assert cells_of(table)[1] == ["half", "50.00", "49.00 ± 1.50", "+1.00", "7.0", "1"]


def test_csv_and_latex_hold_the_same_figures(toy, study):
    table = run_study(study).tables[0]
    rows = list(csv.DictReader(as_csv(table).splitlines()))
    assert float(rows[0]["accuracy_mean"]) == pytest.approx(51)
    values = [float(each) for each in rows[0]["accuracy_values"].split(" ")]
    assert values == pytest.approx([50, 51, 52])
    assert rows[1]["spread_ms_values"] == "7 7"
    assert (rows[0]["seeds"], rows[1]["data"], rows[1]["accuracy_published"]) == (
        "0 1 2", "simulated", ""
    )  # fmt: skip
    assert r"half & 51.00 $\pm$ 1.00 [48.52, 53.48] & 49.00 $\pm$ 1.50 & +2.00" in as_tex(table)
    assert r"90 \%" in as_tex(table)


def test_a_repeat_that_could_not_be_measured_keeps_its_place_in_the_csv(toy, study):
    study.write_text(STUDY.replace('columns = ["accuracy"', 'columns = ["empty", "accuracy"'))
    rows = list(csv.DictReader(as_csv(run_study(study).tables[0]).splitlines()))
    assert rows[0]["empty_values"] == "nan nan nan"
    assert rows[0]["empty_mean"] == ""


def test_the_median_is_shown_where_it_is_asked_for(toy, study):
    text = study.read_text().replace('"accuracy", {', '{ name = "accuracy", median = true }, {')
    study.write_text(text)
    table = run_study(study).tables[0]
    assert cells_of(table)[1][1] == "51.00 ± 1.00 [48.52, 53.48], median 51.00"
    rows = list(csv.DictReader(as_csv(table).splitlines()))
    assert float(rows[1]["accuracy_median"]) == pytest.approx(90.5)


def test_json_holds_every_figure(toy, study):
    shown = CliRunner().invoke(app, ["run", str(study), "--json"])
    content = json.loads(shown.stdout)
    assert content["tables"][0]["rows"][0]["figures"]["accuracy"]["mean"] == pytest.approx(51)


REAL = """
title = "Digits"
[[tables]]
name = "digits"
cell = "propagation"
repeats = 2
columns = ["accuracy", "coverage"]
shared = { data = "digits", projection = "pca", autoencoder = { epochs = 0 } }
[[tables.rows]]
label = "LQ-KNN"
[[tables.rows]]
label = "Std-KNN"
method = "std_knn"
"""


@pytest.mark.slow
def test_several_processes_measure_the_same_as_one(tmp_path, monkeypatch):
    monkeypatch.setenv("EMBOSCOPE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "real.toml"
    path.write_text(REAL)
    one = run_study(path, RunOptions(threads=1))
    several = run_study(path, RunOptions(threads=1, force=True), workers=Workers(jobs=2))
    assert several.n_measured == 4
    for row, other in zip(one.tables[0].rows, several.tables[0].rows, strict=True):
        assert row.figures == other.figures


@pytest.mark.parametrize("name", list(CELLS))
def test_every_cell_is_documented(name):
    page = Path(__file__).parents[2] / "docs" / "tables.md"
    assert f"| `{name}` |" in page.read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore")  # of the cluster, as it closes
def test_dask_cluster_measures_the_same(toy, study):
    distributed = pytest.importorskip("distributed")
    here = run_study(study, RunOptions(threads=1))
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        workers = Workers(backend="dask", scheduler=cluster.scheduler_address)
        there = run_study(study, RunOptions(force=True), workers=workers)
    assert there.n_measured == 5
    for one, other in zip(here.tables[0].rows, there.tables[0].rows, strict=True):
        assert (one.seeds, one.figures) == (other.seeds, other.figures)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("height = 0.9", "hieght = 0.9", "first: more .*hieght: unknown.*'height'"),
        ("height = 0.9", 'height = "tall"', "first: more .*height: 'tall'"),
        ('cell = "toy"', 'cell = "toi"', "cell 'toi': unknown; .*Did you mean 'toy'"),
        ("quick_repeats = 1", "quick_repeat = 1", "quick_repeat: unknown.*'quick_repeats'"),
        ('label = "more | 90 %"', 'label = "half"', "two rows 'half'; expected one"),
        ('title = "Toys"', "", "toys.toml'.title: missing; expected a value. Add it"),
        ('label = "half"', "", "first.rows.0.label: missing; expected a value"),
        ("[[tables.rows]]", "[[tables.row]]", "first.rows: missing"),
        ("{ accuracy = [", "{ acuracy = [", "published 'acuracy' is no column; expected accuracy"),
    ],
)
def test_mistakes_in_the_file_are_refused_before_anything_runs(toy, study, old, new, text):
    study.write_text(STUDY.replace(old, new))
    with pytest.raises(SettingsError, match=text):
        run_study(study)
    assert toy.calls == []


FIGURE = """
[[figures]]
name = "plane"
tables = ["first"]
x = "spread_ms"
y = "accuracy"
area = "spread_ms"
"""


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ('["first"]', '["second"]', "figure 'plane': no table 'second'; expected first"),
        ('x = "spread_ms"', 'x = "ms"', "table 'first' has no column 'ms'; expected accuracy"),
        ('area = "spread_ms"', 'area = "kb"', "table 'first' has no column 'kb'"),
        ('y = "accuracy"', "", "has no column 'mcc'"),
        ("area = ", "aera = ", "figures.0.aera: unknown setting. Did you mean 'area'"),
        ('"plane"', '"plane"\ntables = ["first"]\nx = "empty"\n[[figures]]\nname = "plane"',
         "two figures 'plane'; expected one"),
    ],
)  # fmt: skip
def test_figures_of_what_is_not_there_are_refused(toy, study, old, new, text):
    study.write_text(STUDY + FIGURE.replace(old, new))
    with pytest.raises(SettingsError, match=text):
        run_study(study)
    assert toy.calls == []


def test_a_figure_has_a_mark_for_each_measured_row(toy, study, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        table_files, "spots_figure", lambda spots, frame: drawn.append((spots, frame)) or b"PNG"
    )
    study.write_text(STUDY + FIGURE)
    toy.error = ((0.9, 0), DataError("no."))
    made = run_study(study)
    assert (Path(made.folder) / "plane.png").read_bytes() == b"PNG"
    spots, frame = drawn[0]
    half, more = spots
    assert (half.label, half.group, half.x, half.area) == ("half", "First", 7.0, 7.0)
    assert half.y == pytest.approx(51.0)
    assert half.interval == made.tables[0].rows[0].figures["accuracy"].interval
    assert more.group == "First (simulated)"
    assert math.isnan(more.interval[0])
    assert (frame.title, frame.x_label, frame.y_label) == ("plane", "spread ms, ms", "accuracy, %")
    assert frame.area_label == "spread ms, ms"


def test_a_figure_of_nothing_measured_is_not_written(toy, study):
    study.write_text(STUDY + FIGURE)
    toy.error = ((0.5, 0), DataError("no."))
    (table,) = collect(read_study(study))
    assert picture(read_study(study).settings.figures[0], [table]) == b""


def test_a_file_without_tables_is_refused(toy, study):
    study.write_text('title = "Toys"')
    with pytest.raises(SettingsError, match="'toys.toml'.tables: missing; expected a value"):
        run_study(study)


@pytest.mark.parametrize(
    ("content", "text"),
    [("{", r"not JSON .*Delete it and"), ('{"format_version": 1}', "no numbers in it; expected")],
)
def test_a_damaged_cell_is_refused_before_anything_is_measured(toy, study, content, text):
    run_study(study, RunOptions(quick=True))
    stored(study)[0].write_text(content)
    toy.calls.clear()
    with pytest.raises(DataError, match=text):
        run_study(study)
    assert toy.calls == []
    stored(study)[0].unlink()
    assert run_study(study).n_measured == 4


def test_column_that_no_cell_gives_is_refused_after_the_first_cell(toy, study):
    study.write_text(STUDY.replace('["accuracy"', '["acuracy"').replace("{ accuracy", "{ acuracy"))
    with pytest.raises(SettingsError, match="column 'acuracy' is no number of the cell 'toy'"):
        run_study(study)
    assert len(toy.calls) == 1


def test_impossible_options_are_refused(toy, study):
    with pytest.raises(SettingsError, match="--only third: no such table; expected first"):
        run_study(study, RunOptions(only=("third",)))
    with pytest.raises(SettingsError, match="--jobs 4: with 64 threads each on .* cores"):
        run_study(study, RunOptions(threads=64), workers=Workers(jobs=4))
    with pytest.raises(SettingsError, match="no scheduler"):
        run_study(study, workers=Workers(backend="dask"))
