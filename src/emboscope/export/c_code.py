"""Export of a classifier to C, proved equal to the original on 256 inputs."""

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from emboscope.compression.cost import count_macs
from emboscope.compression.quantizers import settle
from emboscope.errors import DataError, SettingsError
from emboscope.export.energy_meter import EnergyMeter
from emboscope.export.high_pass import high_pass_code
from emboscope.export.integer import integer_program, observed_ranges
from emboscope.export.interpreter import run_packed
from emboscope.export.manifest import (
    NOTICE,
    SIGNAL,
    Manifest,
    check_difference,
    export_of,
    package_versions,
    weights_sha256,
)
from emboscope.export.names import check_prefix, identifiers, plain_text
from emboscope.export.onnx import samples_of
from emboscope.export.packed import PackedModel, packed_bytes, read_packed
from emboscope.export.runtime import Runtime, compiler, runtime_source
from emboscope.export.translation import program_of
from emboscope.export.views import signals_of
from emboscope.learning.architecture import Network
from emboscope.learning.estimator import SignalClassifier
from emboscope.representations.front_end import FrontEnd

N_CHECKED = 256
TOLERANCE = 1e-4  # of a probability
_N_INTERPRETED = 8  # rows of the slow twin
_N_CALIBRATED = 64  # rows
_NO_LIMIT = 1.0  # of whole numbers: the difference is told, and not refused
_LINE = 20  # bytes of the array on a line


@dataclass(frozen=True)
class CodeForm:
    """What stands in the C code.

    Attributes
    ----------
    prefix : str
        Of the names.
    front_end : bool
        Whether the views are made in C too.
    integer : bool
        Whether activations are whole numbers of eight bits, as a device adds them fastest.
    calibration : dict of ndarray, optional
        Views that tell how large activations become: of the training part, or simulated ones.
    """

    prefix: str = "emboscope"
    front_end: bool = False
    integer: bool = False
    calibration: Mapping[str, np.ndarray] | None = None


def export_c(
    classifier: SignalClassifier,
    folder: Path,
    views: Mapping[str, np.ndarray] | None = None,
    classes: Sequence[str] | None = None,
    metrics: Mapping[str, object] | None = None,
    tolerance: float = TOLERANCE,
    form: CodeForm | None = None,
) -> Manifest:
    """Write `model.c`, `model.h`, `model.emb`, `check.json` and `manifest.json`.

    `int emboscope_predict(const float *VIEW, …, float *probabilities)` takes the views of one
    sample; with the front end inside, `const float *signal`, the segment that they are made of.
    `model.c` needs the standard library alone, allocates nothing and holds the weights.

    Parameters
    ----------
    classifier : SignalClassifier
        Fitted. It is not changed.
    folder : Path
        Made when it is missing.
    views : dict of ndarray, optional
        Real inputs for the check, of which 256 are used; random ones without.
    classes : sequence of str, optional
        Names of the classes, in the order of `classifier.classes_`.
    metrics : dict, optional
        Scores of the classifier, copied to the manifest.
    tolerance : float
        Largest difference of a probability that is accepted.
    form : CodeForm, optional

    Returns
    -------
    manifest : Manifest

    Raises
    ------
    SettingsError
        If a part of the network has no form in C, or the prefix is no name in C.
    EmboscopeError
        If C or the packed model and PyTorch differ by more than `tolerance`, which has no say in
        whole numbers; nothing is written.
    """
    form = form or CodeForm()
    prefix = form.prefix
    check_prefix(prefix)
    export = export_of(classifier, "c", classes, metrics)
    names, source = export.classes, weights_sha256(classifier.network_)
    network = settled(classifier)
    chain = _front_end_of(classifier) if form.front_end else None
    program = program_of(network, export.shapes, chain)
    if form.integer:
        given = _calibration(form, chain, export.shapes)
        program = integer_program(program, observed_ranges(program, given))
    content = packed_bytes(program, names, source)
    model = read_packed(content)
    samples, given = _inputs(chain, export.shapes, views)
    with torch.no_grad():
        expected = network(samples).softmax(1).numpy()
    found = _checked(expected, content, model, given, _NO_LIMIT if form.integer else tolerance)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.emb").write_bytes(content)
    header = _header(prefix, model.inputs, names, source, chain)
    (folder / "model.h").write_text(header, encoding="utf-8")
    text = _code(prefix, names, content, model, chain)
    (folder / "model.c").write_text(text, encoding="utf-8")
    one = {name: tensor[:1] for name, tensor in samples.items()}
    check = {
        "n_inputs": N_CHECKED,
        "inputs": "random" if views is None else "real",
        **found,
        "tolerance": _NO_LIMIT if form.integer else tolerance,
        "weights_bytes": len(content),
        "arena_bytes": 4 * model.n_arena,
        "macs": sum(count_macs(network, one).values()),
    }
    asked = replace(export, shapes=model.inputs)
    more = {"front_end_inside": form.front_end, "integer": form.integer}
    return asked.finish(folder, check, ("model.c", "model.h", "model.emb"), more)


def _calibration(
    form: CodeForm, chain: FrontEnd | None, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """The first rows of the views to calibrate with, or the signals that they are made of."""
    if not form.calibration:
        raise SettingsError(
            "integer: nothing to calibrate with; expected views of the training part. Give "
            "calibration, name the data by --on, or ask --calibration simulated."
        )
    few = {name: view[:_N_CALIBRATED] for name, view in form.calibration.items()}
    if chain is not None:
        few = {SIGNAL: signals_of(chain, few, _N_CALIBRATED)}
    for name in few if chain is not None else shapes:
        if name not in few or not few[name].size or not np.isfinite(few[name]).all():
            raise DataError(
                f"calibration: view '{name}' is missing, empty or not finite; expected rows of the "
                "training part."
            )
    return few


def _front_end_of(classifier: SignalClassifier) -> FrontEnd:
    """The front end of a classifier, or a refusal."""
    if classifier.front_end is None:
        raise SettingsError(
            "front end: this model was trained without one; expected settings that make its views. "
            "Leave --front-end out."
        )
    return classifier.front_end


def _inputs(
    chain: FrontEnd | None,
    shapes: Mapping[str, tuple[int, ...]],
    views: Mapping[str, np.ndarray] | None,
) -> tuple[dict[str, torch.Tensor], dict[str, np.ndarray]]:
    """What PyTorch reads for the check, and what C reads."""
    if chain is not None:
        signal = signals_of(chain, views, N_CHECKED)
        return samples_of(shapes, chain.compute(signal), N_CHECKED), {SIGNAL: signal}
    samples = samples_of(shapes, views, N_CHECKED)
    return samples, {name: tensor.numpy() for name, tensor in samples.items()}


def packed_size(classifier: SignalClassifier) -> float:
    """Bytes of the `.emb` of a classifier; NaN where a part of it has no form in C."""
    export = export_of(classifier, "c", None, None)
    try:
        program = program_of(settled(classifier), export.shapes)
    except SettingsError:
        return float("nan")
    return len(packed_bytes(program, export.classes, weights_sha256(classifier.network_)))


def settled(classifier: SignalClassifier) -> Network:
    """A copy of the network with the weights that its quantizers show."""
    network = copy.deepcopy(classifier.network_)
    settle(network).cpu().eval()
    return network


def _checked(
    expected: np.ndarray,
    content: bytes,
    model: PackedModel,
    given: Mapping[str, np.ndarray],
    tolerance: float,
) -> dict[str, object]:
    """Largest differences from PyTorch; time of one decision in C, and energy where it is told."""
    few = {name: view[:_N_INTERPRETED] for name, view in given.items()}
    interpreted = run_packed(model, few)
    differences = [float(np.abs(interpreted - expected[:_N_INTERPRETED]).max())]
    found: dict[str, object] = {
        "compiled": compiler() is not None,
        "largest_difference_packed": differences[0],
    }
    if found["compiled"]:
        runtime = Runtime(content)
        meter, begin = EnergyMeter(), time.perf_counter()
        in_c = runtime.predict_proba(given)
        found["milliseconds"] = 1e3 * (time.perf_counter() - begin) / len(in_c)
        joules = meter.joules()
        found["millijoules"] = None if joules is None else 1e3 * joules / len(in_c)
        differences.append(float(np.abs(in_c - expected).max()))
        found["largest_difference"] = differences[1]
    check_difference("model.c", float(np.max(differences)), tolerance)  # NaN stays NaN
    return found


def _arguments(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The parameters of the function in C."""
    views = "".join(f"const float *{name}, " for name in identifiers(shapes).values())
    return f"{views}float *probabilities"


def _head(prefix: str, source: str) -> str:
    version = package_versions()["emboscope"]
    return (
        "/* SPDX-License-Identifier: BSD-3-Clause\n"
        f" * {prefix}: a trained model, by emboscope {version}.\n"
        f" * SHA-256 of its weights: {source}\n"
        f" * {NOTICE}\n"
        " */\n"
    )


def _header(
    prefix: str,
    shapes: Mapping[str, tuple[int, ...]],
    classes: Sequence[str],
    source: str,
    front_end: FrontEnd | None,
) -> str:
    """`model.h`."""
    guard = f"{prefix.upper()}_MODEL_H"
    sizes = "\n".join(
        f" *   {name}: {' x '.join(map(str, shape))} floats, the last axis fastest"
        for name, shape in zip(identifiers(shapes).values(), shapes.values(), strict=True)
    )
    names = ", ".join(map(plain_text, classes))
    if front_end is not None:
        sizes += "\n * " + _of_signal(front_end)
    return f"""{_head(prefix, source)}#ifndef {guard}
#define {guard}
#ifdef __cplusplus
extern "C" {{
#endif

#define {prefix.upper()}_N_CLASSES {len(classes)}

/* Names of the classes: {names}. */
extern const char *const {prefix}_classes[{prefix.upper()}_N_CLASSES];

/* Whether the weights are whole: 0, or the number of an error. Call it once. */
int {prefix}_check(void);

/* Probabilities of the classes for one sample; always 0. Not for two threads at a time.
{sizes}
 */
int {prefix}_predict({_arguments(shapes)});
{high_pass_code(prefix, front_end)[0]}
#ifdef __cplusplus
}}
#endif
#endif
"""


def _of_signal(front_end: FrontEnd) -> str:
    """What the signal has to be, for the header."""
    parts = [f"The signal: {front_end.sfreq:g} Hz, in the unit of the recordings"]
    if front_end.n_channels == 2:
        parts.append("I, then Q")
    if front_end.high_pass_hz:
        parts.append(f"after the high-pass at {front_end.high_pass_hz:g} Hz")
    if front_end.peak_sample:
        parts.append(f"the peak of the event at sample {front_end.peak_sample}")
    return ", ".join(parts) + "."


def _code(
    prefix: str,
    classes: Sequence[str],
    content: bytes,
    model: PackedModel,
    front_end: FrontEnd | None,
) -> str:
    """`model.c`: the runtime, the weights, and the functions of the header."""
    lines = [
        ",".join(map(str, content[start : start + _LINE]))
        for start in range(0, len(content), _LINE)
    ]
    quoted = ", ".join(f'"{plain_text(name)}"' for name in classes)
    given = ", ".join(identifiers(model.inputs).values())
    source = str(model.notes["source_weights_sha256"])
    array = ",\n".join(lines)
    return f"""{_head(prefix, source)}#include "model.h"

{runtime_source()}
static const union {{
  uint8_t bytes[{len(content)}];
  double aligned;
}} MODEL = {{{{
{array}
}}}};
static float ARENA[{model.n_arena}];

const char *const {prefix}_classes[{prefix.upper()}_N_CLASSES] = {{{quoted}}};

int {prefix}_check(void) {{ return emb_check(MODEL.bytes, sizeof MODEL.bytes); }}

int {prefix}_predict({_arguments(model.inputs)}) {{
  const float *const inputs[] = {{{given}}};
  emb_run(MODEL.bytes, ARENA, inputs, probabilities);
  return 0;
}}
{high_pass_code(prefix, front_end)[1]}"""
