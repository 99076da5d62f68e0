"""The C runtime on this machine: compiled once, kept in the cache folder, loaded by ctypes."""

import ctypes
import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from emboscope.errors import DataError, EmboscopeError
from emboscope.export.packed import read_packed

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
SHARED = """
int emboscope_check(const uint8_t *model, uint32_t size) { return emb_check(model, size); }
void emboscope_run(const uint8_t *model, float *arena, const float *const *inputs, float *out) {
  emb_run(model, arena, inputs, out);
}
/* Scratch with which every convolution of a checked model is fast. */
uint32_t emboscope_scratch(const uint8_t *model) {
  uint64_t most = u32_at(model + 36);
#if TILE
  for (uint32_t k = 0; k < u32_at(model + 24); k++) {
    struct step s = step_at(steps_of(model) + STEP * k);
    uint64_t needed = s.kind == CONVOLUTION ? fast_floats(&s) : 0;
    if (needed > most && needed < MOST_VALUES) most = needed;
  }
#endif
  return (uint32_t)most;
}
"""
_PARTS = ("runtime.c", "attention.c", "front_end.c", "measures.c", "integer.c")
_ARENA_AT = 32  # in the header: floats of the arena, then those of its scratch
_SCRATCH_AT = 56  # in the header: where the scratch lies
_NATIVE = ("-march=native", "-ffp-contract=fast")  # products and sums in one instruction
REFUSALS = {
    1: "no packed model",
    2: "another format version",
    3: "cut off",
    4: "damaged, its checksum differs",
    5: "malformed",
}


def runtime_source() -> str:
    """The runtime as text: all its parts as one."""
    folder = files("emboscope.export") / "c"
    return "".join((folder / name).read_text(encoding="utf-8") for name in _PARTS)


def compiler() -> str | None:
    """Path of a C compiler; None where there is none."""
    return shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc")


def compiled(source: str, *options: str) -> Path:
    """A shared library of C code, from the cache folder where it was compiled before.

    Raises
    ------
    EmboscopeError
        If there is no compiler, or it refuses the code.
    """
    tool = compiler()
    if tool is None:
        raise EmboscopeError("compiler: none found; expected cc or gcc. Install one.")
    key = hashlib.sha256(repr((source, options, tool)).encode()).hexdigest()[:16]
    folder = Path(os.environ.get("EMBOSCOPE_CACHE") or user_cache_path("emboscope")) / "runtime"
    library = folder / f"{key}.so"
    if library.is_file():
        return library
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmboscopeError(
            f"cache folder '{folder}': cannot be made ({error.strerror}). Name another by "
            "EMBOSCOPE_CACHE."
        ) from error
    with tempfile.TemporaryDirectory(dir=folder) as place:
        code, made = Path(place) / "code.c", Path(place) / "made.so"
        code.write_text(source, encoding="utf-8")
        command = [tool, *STRICT, "-O3", "-shared", "-fPIC", *options, str(code), "-o", str(made),
                   "-lm"]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise EmboscopeError(
                f"compiler '{tool}': {done.stderr.strip().splitlines()[-1:]}; expected no error. "
                "Use another compiler by CC."
            )
        made.replace(library)  # at once, so that no other process sees half of it
    return library


class Runtime:
    """A packed model that runs in C, with more room than on a device, so that it is fast.

    Parameters
    ----------
    content : bytes
        Of an `.emb` file.

    Raises
    ------
    DataError
        If the file is damaged, or a step of it does not fit.
    EmboscopeError
        If there is no compiler.
    """

    def __init__(self, content: bytes) -> None:
        self._library = ctypes.CDLL(str(compiled(runtime_source() + SHARED, *_NATIVE)))
        self._content = np.frombuffer(content, np.uint8).copy()
        refusal = self._library.emboscope_check(self._bytes, ctypes.c_uint32(len(content)))
        if refusal:
            raise DataError(
                f"packed model: {REFUSALS[refusal]}. Export the model again with this version."
            )
        self.model = read_packed(content)
        scratch = self._library.emboscope_scratch(self._bytes)
        n_arena = self.model.n_arena + scratch  # behind the rest, where no buffer lies
        for place, *values in ((_ARENA_AT, n_arena, scratch), (_SCRATCH_AT, self.model.n_arena)):
            sizes = struct.pack(f"<{len(values)}I", *values)
            self._content[place : place + len(sizes)] = np.frombuffer(sizes, np.uint8)
        self._arena = np.zeros(n_arena, np.float32)

    @property
    def _bytes(self) -> ctypes.c_void_p:
        return ctypes.c_void_p(self._content.ctypes.data)

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Shape of each input, without the batch axis."""
        return self.model.inputs

    def predict_proba(self, views: Mapping[str, np.ndarray]) -> np.ndarray:
        """Probabilities (n, class) of views (n, …), row by row.

        Raises
        ------
        DataError
            If a view is missing or has another shape, or more rows than another.
        """
        rows = [checked_view(views, name, shape) for name, shape in self.model.inputs.items()]
        if len({len(view) for view in rows}) > 1:
            counts = ", ".join(str(len(view)) for view in rows)
            raise DataError(
                f"views: {counts} rows; expected as many of each. Compute them together."
            )
        found = np.zeros((len(rows[0]), self.model.n_classes), np.float32)
        pointers = (ctypes.c_void_p * len(rows))()
        for row in range(len(found)):
            for number, view in enumerate(rows):
                pointers[number] = view[row].ctypes.data
            self._library.emboscope_run(
                self._bytes,
                ctypes.c_void_p(self._arena.ctypes.data),
                pointers,
                ctypes.c_void_p(found[row].ctypes.data),
            )
        return found


def checked_view(views: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A view as single numbers side by side; DataError where it is missing or of another shape."""
    if name not in views or views[name].shape[1:] != shape:
        given = views[name].shape if name in views else "missing"
        raise DataError(
            f"view '{name}': {given}; expected (n, {', '.join(map(str, shape))}). Compute it "
            "with the front end of the model."
        )
    return np.ascontiguousarray(views[name], np.float32)
