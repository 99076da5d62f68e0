"""What this installation has, what it lacks, and how to mend it."""

import os
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CORE = (
    "numpy", "scipy", "scikit-learn", "torch", "lightning-fabric", "pydantic", "safetensors",
    "soundfile", "openTSNE", "PyWavelets", "matplotlib", "jinja2", "onnx", "onnxscript",
    "onnxruntime",
)  # fmt: skip
EXTRAS = {"edfio": "files", "wfdb": "files", "h5py": "files"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; the remedy is empty where all is well."""

    what: str
    found: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Python, packages, threads, accelerator and data folder."""
    from emboscope.datasets.fetch import cache_folder

    findings = [Finding("python", sys.version.split()[0])]
    for name in CORE:
        findings.append(_package(name, f'pip install -c constraints.txt "{name}"'))
    for name, extra in EXTRAS.items():
        findings.append(_package(name, f'pip install "emboscope[{extra}]"'))
    findings.append(Finding("cores", str(os.cpu_count())))
    findings += _compute()
    data = os.environ.get("EMBOSCOPE_DATA", "")
    missing = "" if not data or Path(data).is_dir() else "set EMBOSCOPE_DATA to a folder that is"
    findings.append(Finding("EMBOSCOPE_DATA", data or "not set", missing))
    findings.append(Finding("cache", str(cache_folder())))
    return findings


def _package(name: str, remedy: str) -> Finding:
    try:
        return Finding(name, version(name))
    except PackageNotFoundError:
        return Finding(name, "missing", remedy)


def _compute() -> list[Finding]:
    """The accelerator that torch sees; nothing where torch itself is missing."""
    try:
        from emboscope.learning.compute import accelerator
    except ImportError:
        return []
    return [Finding("accelerator", accelerator())]
