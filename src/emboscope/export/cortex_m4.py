"""An export in C on an emulated Cortex-M4: what it answers, and what it costs there."""

import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from emboscope.errors import EmboscopeError
from emboscope.export.manifest import read_manifest

COMPILER, EMULATOR = "arm-none-eabi-gcc", "qemu-system-arm"
OPTIONS = (
    "-std=c99", "-Wall", "-Wextra", "-Werror", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard",
    "-mfpu=fpv4-sp-d16", "-ffunction-sections", "-fdata-sections",
)  # fmt: skip
_INSTRUCTIONS_A_TICK = 40  # of the timer of 25 MHz, where an instruction takes 1 ns
_LIMIT_S = 600
_SECTIONS = {"flash": (".text", ".ARM.exidx", ".data"), "ram": (".data", ".bss")}


@dataclass(frozen=True)
class DeviceFigures:
    """What a model needs on the device.

    Attributes
    ----------
    flash_bytes : int
        Code of the model and the libraries that it uses, constants, weights.
    ram_bytes : int
        Arena and other variables, and the deepest stack.
    stack_bytes : int
        Of these the stack.
    instructions : int
        Of one decision, the mean over the samples; not cycles: flash and memory wait besides.
    probabilities : ndarray of float32, shape (n_samples, n_classes)
    """

    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    instructions: int
    probabilities: np.ndarray


def has_cortex_m4() -> bool:
    """Whether the cross-compiler and the emulator are here."""
    return shutil.which(COMPILER) is not None and shutil.which(EMULATOR) is not None


def run_on_cortex_m4(
    folder: Path, inputs: dict[str, np.ndarray], optimize: str = "-O2"
) -> DeviceFigures:
    """Compile an export for the Cortex-M4 and run it in QEMU, counting instructions.

    Parameters
    ----------
    folder : Path
        Of an export to C with the prefix `emboscope`.
    inputs : dict of ndarray
        (n_samples, …) of each input of its function, in their order: views, or the signal.
    optimize : str
        Of the compiler.

    Raises
    ------
    EmboscopeError
        If compiler or emulator are missing, or the program stops with a fault.
    """
    if not has_cortex_m4():
        raise EmboscopeError(
            f"Cortex-M4: {COMPILER} or {EMULATOR} not found; expected both. Install Debian's "
            "gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm."
        )
    n_classes = len(read_manifest(folder).classes)
    rows = np.concatenate([np.reshape(view, (len(view), -1)) for view in inputs.values()], axis=1)
    sizes = [int(np.prod(view.shape[1:])) for view in inputs.values()]
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        (work / "samples.h").write_text(_samples(rows.astype(np.float32), sizes, n_classes))
        program = _compiled(folder, work, optimize)
        sections = _section_sizes(program)
        words = _emulated(program)
    return _figures(words, sections, len(rows), n_classes)


def _samples(rows: np.ndarray, sizes: list[int], n_classes: int) -> str:
    """Inputs as C, and how the function is called."""
    starts = np.cumsum([0, *sizes[:-1]])
    given = ", ".join(f"(v) + {start}" for start in starts)
    lines = ",\n".join(
        "{" + ",".join(f"{value:.9e}f" for value in row.tolist()) + "}" for row in rows
    )
    return (
        f"#define N_SAMPLES {len(rows)}\n#define N_VALUES {rows.shape[1]}\n"
        f"#define N_CLASSES {n_classes}\n#define PREDICT(v, p) emboscope_predict({given}, p)\n"
        '__attribute__((section(".samples"))) static const float '
        f"SAMPLES[N_SAMPLES][N_VALUES] = {{\n{lines}\n}};\n"
    )


def _compiled(folder: Path, work: Path, optimize: str) -> Path:
    program, code = work / "program.elf", files("emboscope.export") / "c"
    for name in ("cortex_m4.c", "cortex_m4.ld"):
        (work / name).write_text((code / name).read_text(encoding="utf-8"), encoding="utf-8")
    command = [COMPILER, *OPTIONS, optimize, f"-I{folder}", f"-I{work}", "-nostartfiles",
               "--specs=nosys.specs", "-Wl,--gc-sections", "-T", str(work / "cortex_m4.ld"),
               str(work / "cortex_m4.c"), str(folder / "model.c"), "-lm",
               "-o", str(program)]  # fmt: skip
    _done(command)
    return program


def _section_sizes(program: Path) -> dict[str, int]:
    """Bytes of each section."""
    lines = _done(["arm-none-eabi-size", "-A", str(program)]).splitlines()
    fields = [line.split() for line in lines if line.startswith(".")]
    return {field[0]: int(field[1]) for field in fields}


def _emulated(program: Path) -> list[str]:
    """What the program told, line by line."""
    command = [EMULATOR, "-machine", "mps2-an386", "-nographic", "-monitor", "none", "-serial",
               "none", "-semihosting-config", "enable=on,target=native", "-icount", "shift=0",
               "-kernel", str(program)]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_LIMIT_S, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    words = (done.stdout + done.stderr).split()
    if done.returncode or "fault" in words:
        raise EmboscopeError(
            f"Cortex-M4: the program stopped ({' '.join(words)[-200:] or 'without a word'}); "
            "expected probabilities. Report this model."
        )
    return words


def _figures(
    words: list[str], sections: dict[str, int], n_samples: int, n_classes: int
) -> DeviceFigures:
    values = [int(word, 16) for word in words]
    if len(values) != 2 + n_samples * (1 + n_classes) or values[0]:
        raise EmboscopeError(
            f"Cortex-M4: {len(values)} numbers; expected {2 + n_samples * (1 + n_classes)}, the "
            "first of them 0. Report this model."
        )
    told = np.array(values[1:-1], np.uint32).reshape(n_samples, 1 + n_classes)
    probabilities = np.frombuffer(struct.pack(f"<{told[:, 1:].size}I", *told[:, 1:].ravel()), "<f4")
    flash, ram = (sum(sections.get(name, 0) for name in _SECTIONS[key]) for key in _SECTIONS)
    return DeviceFigures(
        flash_bytes=flash,
        ram_bytes=ram + values[-1],
        stack_bytes=values[-1],
        instructions=int(told[:, 0].mean() * _INSTRUCTIONS_A_TICK),
        probabilities=probabilities.reshape(n_samples, n_classes),
    )


def _done(command: list[str]) -> str:
    """Output of a tool, or its complaint."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EmboscopeError(
            f"{command[0]}: {done.stderr.strip()[-300:]}; expected no error. Report this model."
        )
    return done.stdout
