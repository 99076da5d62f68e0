"""HITS in an HDF5 file: classes, patients, I and Q in several forms, pictures, what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.datasets import load_dataset
from emboscope.datasets.hits import CLASSES, front_end
from emboscope.datasets.hits_file import load_hits_file, read_pictures
from emboscope.errors import DataError

h5py = pytest.importorskip("h5py", reason="h5py, of the extra files, is not installed")
N_TIMES = 1220


def tone(frequency_hz=600.0, n=N_TIMES, sfreq=4385.0):
    """A burst in the middle of complex noise, in fractions of full scale."""
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.001, (n, 2)) @ [1, 1j]
    times = (np.arange(n) - (n + 1) // 2) / sfreq
    burst = 0.3 * np.exp(-0.5 * (times / 0.01) ** 2) * np.exp(2j * np.pi * frequency_hz * times)
    return (noise + burst).astype(np.complex64)


def put(file, name, line=None, form="iq", **attributes):
    """A sample in one of the forms that are read."""
    line = tone() if line is None else line
    forms = {
        "iq": {"iq": np.column_stack([line.real, line.imag])},
        "rows": {"iq": np.stack([line.real, line.imag])},
        "samples": {"samples": line},
        "I, Q": {"I": line.real, "Q": line.imag},
    }
    group = file.require_group(name)
    for each, array in forms.get(form, {}).items():
        group[each] = array
    group.attrs.update({"class": "A", "patient": "p1"} | attributes)
    return group


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hits.h5"


def test_samples_of_a_file_are_hits_of_patients(path):
    with h5py.File(path, "w") as file:
        put(file, "mydataset/train/1", **{"class": "A", "patient": "p1"})
        put(file, "mydataset/train/2", **{"class": "EG", "patient": "p2"})
        put(file, "mydataset/test/3", **{"class": "ES", "patient": "p3"})
        put(file, "mydataset/test/4", **{"class": "unknown", "patient": "p3"})
    data = load_dataset(path)
    assert data.views["waveform"].shape == (4, 2, 1400)
    assert data.views["spectrogram"].shape == (4, 1, 64, 48)
    assert data.front_end == front_end()
    assert (data.classes, data.group_kind, data.name) == (CLASSES, "patient", "own hits")
    by_patient = dict(zip(data.groups.tolist(), data.y.tolist(), strict=True))
    assert (by_patient["p1"], by_patient["p2"]) == (0, 1)
    assert sorted(data.y[data.groups == "p3"].tolist()) == [-1, 2]
    assert_array_equal(data.is_test, data.groups == "p3")
    assert data.soft_labels is None


def test_all_forms_of_i_and_q_are_the_same_signal(path):
    forms = ["iq", "rows", "samples", "I, Q"]
    line = tone()
    with h5py.File(path, "w") as file:
        for form in forms:
            put(file, form.replace(", ", ""), line, form)
        array = file.create_dataset("alone", data=line)
        array.attrs.update({"class": 0, "subject_id": b"p1"})
    waveform = load_hits_file(path).views["waveform"]
    assert len(waveform) == 5
    for each in waveform[1:]:
        assert_array_equal(each, waveform[0])


def test_integers_are_fractions_of_their_range(path):
    line = tone()
    whole = np.round(np.column_stack([line.real, line.imag]) * 32768).astype(np.int16)
    with h5py.File(path, "w") as file:
        put(file, "a", line)
        put(file, "b", form="")["iq"] = whole
    first, second = load_hits_file(path).views["waveform"]
    assert_allclose(first, second, atol=1e-4)  # a step of 16 bits is 3e-5


@pytest.mark.parametrize("n", [300, 1219, 1220, 1400, 3000])
def test_the_middle_of_a_sample_stands_at_sample_700(path, n):
    with h5py.File(path, "w") as file:
        put(file, "a", tone(n=n))
    (segment,) = load_hits_file(path).views["waveform"]
    energy = (segment**2).sum(axis=0)
    assert abs(np.average(np.arange(1400), weights=energy) - 700) < 10  # delay of the high-pass
    padding = max(0, 1400 - n) // 2
    assert_array_equal(segment[:, :padding], 0)
    assert energy[padding] > 0


def test_a_peak_that_is_told_is_centered(path):
    with h5py.File(path, "w") as file:
        put(file, "a")
        put(file, "b", np.roll(tone(), -200), peak_sample=(N_TIMES + 1) // 2 - 200)
    first, second = load_hits_file(path).views["waveform"]
    centers = [np.average(np.arange(1400), weights=(x**2).sum(axis=0)) for x in (first, second)]
    assert abs(centers[0] - centers[1]) < 1


def test_another_rate_is_brought_to_that_of_hits(path):
    with h5py.File(path, "w") as file:
        put(file, "a", tone(500.0))
        put(file, "b", tone(500.0, n=1388, sfreq=5000.0), sfreq=5000.0)
    for segment in load_hits_file(path).views["waveform"]:
        spectrum = np.abs(np.fft.fft(segment[0] + 1j * segment[1]))
        frequency = np.fft.fftfreq(1400, 1 / 4385)[spectrum.argmax()]
        energy = (segment**2).sum(axis=0)
        assert abs(np.average(np.arange(1400), weights=energy) - 700) < 10  # as above
        assert abs(frequency - 500) < 10  # two bins of 3 Hz, and the slope of the high-pass


def test_shares_of_raters_become_soft_labels(path):
    shares = {"p_artifact": 0.0, "p_gaseous": 1 / 3, "p_solid": 2 / 3}
    with h5py.File(path, "w") as file:
        put(file, "a", **{"class": "solid"}, **shares)
        put(file, "b", **{"class": "gaseous"})
        put(file, "c", **{"class": "unknown"})
    soft = load_hits_file(path).soft_labels
    assert_allclose(soft, [[0, 1 / 3, 2 / 3], [0, 1, 0], [np.nan] * 3])


def test_a_patient_on_both_sides_leaves_no_fixed_test_part(path):
    with h5py.File(path, "w") as file:
        put(file, "train/a", patient="p1")
        put(file, "test/b", patient="p1")
    assert load_hits_file(path).test_groups is None


def test_pictures_of_the_vendor_stand_in_the_order_of_the_rows(path):
    from PIL import Image

    colors = {"1": (255, 0, 0), "2": (0, 0, 255)}
    with h5py.File(path, "w") as file:
        for name, color in colors.items():
            Image.new("RGB", (96, 224), color).save(path.parent / f"{name}.png")
            put(file, name, pngPath=f"{name}.png", patient=name)
    pictures = read_pictures(path)
    assert pictures.shape == (2, 3, 224, 96)
    assert load_hits_file(path).groups.tolist() == ["1", "2"]
    assert pictures[:, :, 5, 5].tolist() == [[1, 0, 0], [0, 0, 1]]


def test_pictures_that_are_there_are_a_view_and_a_missing_one_is_told(path):
    from PIL import Image

    with h5py.File(path, "w") as file:
        for name in ("1", "2"):
            put(file, name, pngPath=f"{name}.png", patient=name)
    assert set(load_hits_file(path).views) == {"waveform", "spectrogram"}  # without their folder
    Image.new("RGB", (96, 224), (255, 0, 0)).save(path.parent / "1.png")
    with pytest.raises(DataError, match=r"2\.png"):
        load_hits_file(path)
    assert set(load_hits_file(path, pictures=False).views) == {"waveform", "spectrogram"}
    Image.new("RGB", (96, 224), (0, 0, 255)).save(path.parent / "2.png")
    data = load_hits_file(path)
    assert np.array_equal(data.views["adms_image"], read_pictures(path))
    assert "adms_image" not in data.front_end.views
    with h5py.File(path, "a") as file:
        put(file, "3", patient="3")
    assert set(load_hits_file(path).views) == {"waveform", "spectrogram"}  # one without any


@pytest.mark.parametrize("picture", ["", "../secret.png", "/etc/secret.png", "x" * 300])
def test_a_picture_outside_of_the_folder_is_not_read(path, picture):
    with h5py.File(path, "w") as file:
        put(file, "a", pngPath=picture)
    with pytest.raises(DataError, match="expected a picture in the folder of the file"):
        read_pictures(path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"class": "gas"}, "class 'gas'; expected artifact, gaseous, solid, A, EG, ES"),
        ({"patient": ""}, "no patient; expected the attribute patient"),
        ({"form": ""}, "no I and Q; expected iq, samples, or I and Q"),
        ({"line": np.full(50, np.nan + 0j)}, "empty or not finite"),
        ({"line": np.zeros(0, complex)}, "empty or not finite"),
        ({"p_solid": 0.4}, r"probabilities \[nan, nan, 0.4\]; expected p_artifact"),
        ({"peak_sample": 5000}, "peak_sample 5000 at 4385 Hz; expected one of 1220"),
        ({"sfreq": 0}, "at 0 Hz; expected"),
        ({"peak_sample": "middle"}, "peak_sample is 'middle'; expected a number"),
    ],
)
def test_a_sample_that_cannot_be_used_is_named(path, change, text):
    with h5py.File(path, "w") as file:
        put(file, "train/a", **change)
    with pytest.raises(DataError, match=f"train/a: .*{text}"):
        load_hits_file(path)


def test_signals_in_other_files_are_not_read(path):
    (path.parent / "secret.bin").write_bytes(bytes(4000))
    with h5py.File(path, "w") as file:
        group = put(file, "a", form="")
        group.create_dataset(
            "iq", (500, 2), "f4", external=[(str(path.parent / "secret.bin"), 0, 4000)]
        )
    with pytest.raises(DataError, match="a: iq is not in the file"):
        load_hits_file(path)


@pytest.mark.parametrize("shape", [(3, 50), (2, 2, 50)])
def test_i_and_q_of_another_shape_are_refused(path, shape):
    with h5py.File(path, "w") as file:
        put(file, "a", form="")["iq"] = np.zeros(shape)
    with pytest.raises(DataError, match="expected \\(n, 2\\) or \\(2, n\\)"):
        load_hits_file(path)


def test_text_as_i_and_q_is_refused(path):
    with h5py.File(path, "w") as file:
        put(file, "a", form="")["iq"] = ["one", "two"]
    with pytest.raises(DataError, match="I and Q of object; expected numbers"):
        load_hits_file(path)


def test_files_without_samples_are_refused(path):
    with pytest.raises(DataError, match="no such file"):
        load_hits_file(path)
    path.write_text("nonsense")
    with pytest.raises(DataError, match="not an HDF5 file of HITS, or damaged"):
        load_dataset(path)
    path.unlink()
    with h5py.File(path, "w") as file:
        file.create_group("a")
    with pytest.raises(DataError, match="no group with the attribute class"):
        load_dataset(path)
