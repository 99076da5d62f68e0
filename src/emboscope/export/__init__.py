"""Models that leave Python, each with a proof that it equals the original."""

from importlib import import_module

_HOMES = {
    "Manifest": "manifest",
    "read_manifest": "manifest",
    "export_onnx": "onnx",
    "OnnxForm": "onnx_forms",
    "OnnxRuntime": "onnx_runtime",
    "export_c": "c_code",
    "Runtime": "runtime",
    "ExportedModel": "exported",
    "load_exported": "exported",
    "load_packed": "packed",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Load torch only when a name is used."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
