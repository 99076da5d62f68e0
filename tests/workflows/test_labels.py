"""Labels of a study by hand: in, out, read, taken back."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from emboscope.cli.annotation import ACTIONS
from emboscope.cli.app import app
from emboscope.errors import DataError
from emboscope.store import LabelEvent, Study
from emboscope.store.formats import FORMATS
from emboscope.workflows.labels import undo_labels
from store.studies import event, info

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A study of four samples with pictures; ann labeled two, one was computed."""
    monkeypatch.delenv("EMBOSCOPE_STORE_URL", raising=False)
    with Study.create(tmp_path / "study") as study:
        study.assign_splits(["s1"], 0.0, 0)
        pictures = np.linspace(-20, 30, 4 * 64 * 48, dtype=np.float32).reshape(4, 1, 64, 48)
        made = {"segments": (np.zeros((4, 3)), {}), "spectrogram": (pictures, {})}
        study.add_recording(info(), [event(float(peak)) for peak in range(4)], made)
        words = [
            LabelEvent(1, "ann", "expert", (0.0, 1.0, 0.0), batch="one"),
            LabelEvent(2, "ann", "expert", (0.0, 0.0, 1.0), batch="two"),
            LabelEvent(3, "ann", "propagated", (1.0, 0.0, 0.0), batch="three"),
        ]
        for word in words:
            study.append([word])
    return tmp_path / "study"


def run(*arguments):
    return CliRunner().invoke(app, ["labels", *(str(argument) for argument in arguments)])


def as_json(*arguments):
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("suffix", ["csv", "json", "h5"])
def test_what_was_exported_is_imported_by_its_suffix(folder, tmp_path, suffix):
    file = tmp_path / f"labels.{suffix}"
    out = as_json(folder, "export", file)
    assert (out["labels"], out["by_label"]) == (3, {"artifact": 1, "gaseous": 1, "solid": 1})
    back = as_json(folder, "import", file, "--annotator", "bob")
    assert (back["labels"], back["by_annotator"]) == (3, {"bob": 3})
    with Study.open(folder) as study:
        assert study.votes()[0] == ("ann", "bob")
        assert study.labels().y.tolist() == [1, 2, 0, -1]


def test_a_dry_run_writes_nothing(folder, tmp_path):
    assert as_json(folder, "export", tmp_path / "a.csv", "--dry-run")["labels"] == 3
    assert not (tmp_path / "a.csv").exists()
    run(folder, "export", tmp_path / "a.csv")
    assert as_json(folder, "import", tmp_path / "a.csv", "--dry-run")["batch"] == ""
    assert as_json(folder, "undo", "--dry-run")["batch"] == "three"
    with Study.open(folder) as study:
        assert len(study.log()) == 3


def test_an_export_replaces_no_file(folder, tmp_path):
    (tmp_path / "mine.csv").write_text("sample_id,label\n1,solid\n")
    done = run(folder, "export", tmp_path / "mine.csv")
    assert done.exit_code == 2
    assert "there already; expected a new file" in done.output


def test_one_annotator_or_one_row_a_sample_goes_out(folder, tmp_path):
    with Study.open(folder) as study:
        study.append([LabelEvent(1, "bob", "expert", (0.0, 0.0, 1.0))])
    assert as_json(folder, "export", tmp_path / "a.csv")["labels"] == 4
    assert as_json(folder, "export", tmp_path / "b.csv", "--annotator", "bob")["labels"] == 1
    merged = as_json(folder, "export", tmp_path / "c.csv", "--merged")
    assert (merged["labels"], merged["by_annotator"]["ann+bob"]) == (3, 1)


def test_hdf5_names_pictures_that_are_there(folder, tmp_path):
    """Time runs to the right and frequency upwards: the brightest corner is the last row, last."""
    h5py = pytest.importorskip("h5py")
    run(folder, "export", tmp_path / "labels.h5")
    with h5py.File(tmp_path / "labels.h5") as file:
        picture = imread(tmp_path / file["3"].attrs["pngPath"])
    assert picture.shape[:2] == (64, 48)
    assert picture[0, -1, 0] == picture[..., 0].max() > picture[-1, 0, 0]


def test_nothing_goes_out_without_pictures(folder, tmp_path):
    done = run(folder, "export", tmp_path / "labels.h5", "--annotator", "eve")
    assert "0 labels of 0 samples exported" in done.output
    assert not (tmp_path / "labels.pictures").exists()


def test_the_log_is_read_and_the_last_batch_taken_back_and_brought_again(folder):
    assert [entry["batch"] for entry in as_json(folder, "log", "--last", 2)["log"]] == [
        "two",
        "three",
    ]
    assert as_json(folder, "undo")["by_label"] == {"artifact": 1}
    assert as_json(folder, "undo")["batch"] == "two"
    log = as_json(folder, "log", "--annotator", "ann")["log"]
    assert [entry["label"] for entry in log][-2:] == ["taken back", "taken back"]
    again = as_json(folder, "undo", "--batch", log[-1]["batch"])
    assert again["labels"] == 1
    with Study.open(folder) as study:
        assert study.labels().y.tolist() == [1, 2, -1, -1]


def test_a_named_batch_is_taken_back_by_whoever_said_it(folder):
    assert undo_labels(folder, "one", None).by_annotator == {"ann": 1}
    with pytest.raises(DataError, match="batch 'two': said by 'ann'; expected an undo by the same"):
        undo_labels(folder, "two", "bob")
    assert undo_labels(folder, "three", "bob").labels == 1
    with pytest.raises(DataError, match="batch 'nine': nothing of it stands"):
        undo_labels(folder, "nine", None)


def test_of_a_batch_of_several_persons_one_takes_back_the_own_words(folder, tmp_path):
    rows = "sample_id,label,annotator\n4,solid,ann\n4,solid,bob\n1,solid,bob\n"
    (tmp_path / "two.csv").write_text(rows)
    run(folder, "import", tmp_path / "two.csv")
    assert as_json(folder, "undo", "--annotator", "bob")["by_annotator"] == {"bob": 2}
    with Study.open(folder) as study:
        assert study.labels().annotator.tolist() == ["ann", "ann", "ann", "ann"]
    assert as_json(folder, "undo")["by_annotator"] == {"ann": 1}


def test_a_file_in_which_one_person_says_two_things_of_a_sample_is_refused(folder, tmp_path):
    rows = "sample_id,label,annotator\n1,solid,ann\n1,solid,ann\n1,gaseous,bob\n"
    (tmp_path / "two.csv").write_text(rows)
    assert as_json(folder, "import", tmp_path / "two.csv")["labels"] == 3
    done = run(folder, "import", tmp_path / "two.csv", "--annotator", "me")
    assert done.exit_code == 3
    assert "row 4: 'me' says another thing of sample 1 than in row 2" in done.output
    with Study.open(folder) as study:
        assert "me" not in study.votes()[0]


def test_samples_without_a_label_go_out_to_be_filled_in(folder, tmp_path):
    out = as_json(folder, "export", tmp_path / "todo.csv", "--unlabeled")
    assert (out["samples"], out["by_label"]) == (1, {"none": 1})
    head, row = (tmp_path / "todo.csv").read_text().splitlines()
    assert as_json(folder, "import", tmp_path / "todo.csv", "--annotator", "ann")["batch"] == ""
    filled = row.split(",")
    filled[3] = "solid"
    (tmp_path / "todo.csv").write_text(f"{head}\n{','.join(filled)}\n")
    back = as_json(folder, "import", tmp_path / "todo.csv", "--annotator", "ann")
    assert back["by_label"] == {"solid": 1}
    run(folder, "export", tmp_path / "tasks.json", "--format", "label_studio", "--unlabeled",
        "--annotator", "bob")  # fmt: skip
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert [task["data"]["sample_id"] for task in tasks] == [1, 2, 3, 4]
    assert not any(task["annotations"] for task in tasks)


def test_labels_whose_pictures_are_lost_do_not_go_out(folder, tmp_path):
    for path in (folder / "derived").glob("spectrogram-*"):
        path.unlink()
    done = run(folder, "export", tmp_path / "labels.h5")
    assert done.exit_code == 3
    assert not (tmp_path / "labels.h5").exists()


def test_agreement_of_two_on_what_both_labeled(folder):
    """Four samples, one disputed: 3 of 4 agree; chance of 1/2·1/4 + 1/2·1/2 + 0·1/4 = 3/8."""
    artifact, gaseous, solid = np.eye(3).tolist()
    first, second = (artifact, artifact, gaseous, gaseous), (artifact, solid, gaseous, gaseous)
    with Study.open(folder) as study:
        study.undo("one", "ann")
        study.undo("two", "ann")
        for who, words in (("bob", first), ("eve", second)):
            study.append([
                LabelEvent(sample, who, "expert", tuple(word))
                for sample, word in enumerate(words, start=1)
            ])
    found = as_json(folder, "agreement")
    assert found["annotators"] == ["bob", "eve"]
    assert (found["samples"], found["disputed"], found["kappa_samples"]) == (4, 1, 4)
    assert found["pairs"][0]["kappa"] == pytest.approx((3 / 4 - 3 / 8) / (1 - 3 / 8))
    assert found["specific"] == pytest.approx({"artifact": 2 / 3, "gaseous": 1.0, "solid": 0.0})
    assert sum(found["consensus"].values()) in {3, 4}  # two raters cannot settle the disputed one
    assert "Consensus (Dawid and Skene)" in run(folder, "agreement").output


def test_agreement_needs_two(folder):
    done = run(folder, "agreement")
    assert done.exit_code == 3
    assert "no sample with the labels of two annotators" in " ".join(done.output.split())


def test_people_read_sentences(folder, tmp_path):
    done = run(folder, "export", tmp_path / "a.csv")
    assert "3 labels of 3 samples exported" in done.output
    assert "artifact 1, gaseous 1, solid 1; by ann 3." in done.output
    assert "The last 3 labels" in run(folder, "log").output
    assert "Batch: three." in run(folder, "undo").output


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (
            ["frobnicate"],
            2,
            "action 'frobnicate': unknown; expected import, export, log, undo, agreement",
        ),
        (["exprot", "a.csv"], 2, "Did you mean 'export'?"),
        (["import"], 2, "labels: no file; expected STUDY import FILE or export FILE"),
        (["import", "none.csv"], 3, "labels 'none.csv': No such file or directory"),
        (["import", "none.xyz"], 2, "no format has the suffix '.xyz'"),
        (["import", "none.csv", "--format", "xml"], 2, "format of labels 'xml': unknown"),
        (["undo", "--annotator", "eve"], 3, "log: nothing to undo of eve"),
        (["export", f"{__file__}/a.csv"], 2, "Choose another"),
        (["export", "no.h5", "--unlabeled"], 2, "hits_hdf5 has no empty labels; expected csv, lab"),
    ],
)
def test_nonsense_is_one_sentence(folder, arguments, code, text):
    done = run(folder, *arguments)
    assert done.exit_code == code
    assert text in " ".join(done.output.split())
    assert "Traceback" not in done.output


def test_what_is_no_study_is_one_sentence(tmp_path):
    done = run(tmp_path, "log")
    assert done.exit_code == 3
    assert "no study.toml in it; expected a study folder" in " ".join(done.output.split())


@pytest.mark.parametrize("name", [*FORMATS, *ACTIONS])
def test_formats_and_actions_are_documented(name):
    assert f"`{name}`" in PAGE
