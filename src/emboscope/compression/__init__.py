"""Models made small: ternary weights, fine-tuning, and what is saved by it."""

from importlib import import_module

_HOMES = {
    "Cost": "cost",
    "LayerCost": "cost",
    "cost": "cost",
    "count_macs": "cost",
    "Energy": "energy",
    "energy": "energy",
    "LAYER_RULES": "finetune",
    "CompressSettings": "finetune",
    "compress": "finetune",
    "QUANTIZERS": "quantizers",
    "QuantizerSettings": "quantizers",
    "quantize": "quantizers",
    "settle": "quantizers",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Load torch only when a name is used."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
