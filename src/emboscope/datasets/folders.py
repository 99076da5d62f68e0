"""Where data is looked for and kept."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import platformdirs


def cache_folder() -> Path:
    """Where fetched and simulated data are kept: EMBOSCOPE_CACHE, else the user's cache."""
    given = os.environ.get("EMBOSCOPE_CACHE")
    return Path(given) if given else Path(platformdirs.user_cache_dir("emboscope"))


def data_folders() -> list[Path]:
    """Where data is looked for: EMBOSCOPE_DATA, where it is set, then the cache folder."""
    given = os.environ.get("EMBOSCOPE_DATA")
    return ([Path(given)] if given else []) + [cache_folder()]


def keep_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an NPZ aside, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    np.savez_compressed(aside, **arrays)  # type: ignore[arg-type]
    aside.replace(path)
