"""Export of a classifier to C, proved equal to the original on 256 inputs."""

import copy
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from emboscope.compression.cost import count_macs
from emboscope.compression.quantizers import settle
from emboscope.errors import SettingsError
from emboscope.export.interpreter import run_packed
from emboscope.export.manifest import (
    NOTICE,
    Manifest,
    check_difference,
    export_of,
    package_versions,
    weights_sha256,
)
from emboscope.export.onnx import samples_of
from emboscope.export.packed import PackedModel, packed_bytes, read_packed
from emboscope.export.runtime import Runtime, compiler, runtime_source
from emboscope.export.translation import program_of
from emboscope.learning.architecture import Network
from emboscope.learning.estimator import SignalClassifier

N_CHECKED = 256
TOLERANCE = 1e-4  # of a probability
_N_INTERPRETED = 8  # rows of the slow twin
_LINE = 20  # bytes of the array on a line
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def export_c(
    classifier: SignalClassifier,
    folder: Path,
    views: Mapping[str, np.ndarray] | None = None,
    classes: Sequence[str] | None = None,
    metrics: Mapping[str, object] | None = None,
    tolerance: float = TOLERANCE,
    prefix: str = "emboscope",
) -> Manifest:
    """Write `model.c`, `model.h`, `model.emb`, `check.json` and `manifest.json`.

    `int emboscope_predict(const float *VIEW, …, float *probabilities)` takes the views of one
    sample. `model.c` needs the standard library alone, allocates nothing and holds the weights.

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
    prefix : str
        Of the names in C.

    Returns
    -------
    manifest : Manifest

    Raises
    ------
    SettingsError
        If a part of the network has no form in C, or the prefix is no name in C.
    EmboscopeError
        If C or the packed model and PyTorch differ by more than `tolerance`; nothing is written.
    """
    if not _NAME.fullmatch(prefix):
        raise SettingsError(f"prefix '{prefix}': no name in C; expected letters, digits and _.")
    export = export_of(classifier, "c", classes, metrics)
    shapes, names, source = export.shapes, export.classes, weights_sha256(classifier.network_)
    network = settled(classifier)
    content = packed_bytes(program_of(network, shapes), names, source)
    samples = samples_of(shapes, views, N_CHECKED)
    model = read_packed(content)
    found = _checked(network, content, model, samples, tolerance)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.emb").write_bytes(content)
    (folder / "model.h").write_text(_header(prefix, shapes, names, source), encoding="utf-8")
    code = _code(prefix, shapes, names, content, model)
    (folder / "model.c").write_text(code, encoding="utf-8")
    one = {name: tensor[:1] for name, tensor in samples.items()}
    check = {
        "n_inputs": N_CHECKED,
        "inputs": "random" if views is None else "real",
        **found,
        "tolerance": tolerance,
        "weights_bytes": len(content),
        "arena_bytes": 4 * model.n_arena,
        "macs": sum(count_macs(network, one).values()),
    }
    return export.finish(folder, check, ("model.c", "model.h", "model.emb"))


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
    network: torch.nn.Module,
    content: bytes,
    model: PackedModel,
    samples: Mapping[str, torch.Tensor],
    tolerance: float,
) -> dict[str, object]:
    """Largest differences from PyTorch, and the time of one decision in C."""
    with torch.no_grad():
        expected = network(dict(samples)).softmax(1).numpy()
    arrays = {name: tensor.numpy() for name, tensor in samples.items()}
    few = {name: view[:_N_INTERPRETED] for name, view in arrays.items()}
    interpreted = run_packed(model, few)
    differences = [float(np.abs(interpreted - expected[:_N_INTERPRETED]).max())]
    found: dict[str, object] = {
        "compiled": compiler() is not None,
        "largest_difference_packed": differences[0],
    }
    if found["compiled"]:
        runtime = Runtime(content)
        begin = time.perf_counter()
        in_c = runtime.predict_proba(arrays)
        found["milliseconds"] = 1e3 * (time.perf_counter() - begin) / len(in_c)
        differences.append(float(np.abs(in_c - expected).max()))
        found["largest_difference"] = differences[1]
    check_difference("model.c", float(np.max(differences)), tolerance)  # NaN stays NaN
    return found


def _arguments(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The parameters of the function in C."""
    views = "".join(f"const float *{_identifier(name)}, " for name in shapes)
    return f"{views}float *probabilities"


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name)


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
    prefix: str, shapes: Mapping[str, tuple[int, ...]], classes: Sequence[str], source: str
) -> str:
    """`model.h`."""
    guard = f"{prefix.upper()}_MODEL_H"
    sizes = "\n".join(
        f" *   {_identifier(name)}: {' x '.join(map(str, shape))} floats, the last axis fastest"
        for name, shape in shapes.items()
    )
    names = ", ".join(classes)
    return f"""{_head(prefix, source)}#ifndef {guard}
#define {guard}
#ifdef __cplusplus
extern "C" {{
#endif

#define {prefix.upper()}_N_CLASSES {len(classes)}

/* Names of the classes: {names.replace("*/", "")}. */
extern const char *const {prefix}_classes[{prefix.upper()}_N_CLASSES];

/* Whether the weights are whole: 0, or the number of an error. Call it once. */
int {prefix}_check(void);

/* Probabilities of the classes for one sample; always 0. Not for two threads at a time.
{sizes}
 */
int {prefix}_predict({_arguments(shapes)});

#ifdef __cplusplus
}}
#endif
#endif
"""


def _code(
    prefix: str,
    shapes: Mapping[str, tuple[int, ...]],
    classes: Sequence[str],
    content: bytes,
    model: PackedModel,
) -> str:
    """`model.c`: the runtime, the weights, and the functions of the header."""
    lines = [
        ",".join(map(str, content[start : start + _LINE]))
        for start in range(0, len(content), _LINE)
    ]
    quoted = ", ".join('"' + re.sub(r'["\\\n]', "_", name) + '"' for name in classes)
    given = ", ".join(_identifier(name) for name in shapes)
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

int {prefix}_predict({_arguments(shapes)}) {{
  const float *const inputs[] = {{{given}}};
  emb_run(MODEL.bytes, ARENA, inputs, probabilities);
  return 0;
}}
"""
