"""One file from its publisher: fetched aside, compared with the published sums, put in place."""

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path

from emboscope.datasets.catalog import RemoteFile
from emboscope.errors import DataError, EmboscopeError
from emboscope.progress import Progress

CHUNK = 1 << 20


def download(file: RemoteFile, path: Path, url: str, progress: Progress) -> None:
    """Fetch one file to a name of its own, check it, and put it in its place."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, aside.open("wb") as part:
            total = int(answer.headers.get("Content-Length") or 0)
            while block := answer.read(CHUNK):
                part.write(block)
                progress(file.name, part.tell() // 1000, total // 1000)
            part.flush()
            os.fsync(part.fileno())
        if total and aside.stat().st_size != total:
            raise DataError(
                f"'{file.name}': {aside.stat().st_size} of {total} bytes came. Fetch it again."
            )
        check_file(file, aside)
        aside.replace(path)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        code = f" {error.code}" if isinstance(error, urllib.error.HTTPError) else ""
        raise EmboscopeError(
            f"'{url}': no answer to use ({reason}{code}). Try later, or put {file.name} into "
            f"{path.parent} by hand."
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def check_file(file: RemoteFile, path: Path) -> None:
    """Compare a file with its published size and sums; of text, lines may end in CR LF.

    Raises
    ------
    DataError
        If one differs.
    """
    size, sums = _measure(path, file.text)
    if file.size is not None and size != file.size:
        raise DataError(f"'{path}': {size} bytes; expected {file.size}. Fetch it again.")
    for kind, expected in (("md5", file.md5), ("sha256", file.sha256)):
        if expected and sums[kind] != expected:
            raise DataError(
                f"'{path}': {kind} is {sums[kind]}; expected {expected}. Remove it and fetch again."
            )


def _measure(path: Path, text: bool) -> tuple[int, dict[str, str]]:
    """Size and sums of a file; of text, as if its lines ended in LF."""
    size, sums = 0, {kind: hashlib.new(kind, usedforsecurity=False) for kind in ("md5", "sha256")}
    with path.open("rb") as content:
        while block := content.read(CHUNK):
            part = block.replace(b"\r", b"") if text else block
            size += len(part)
            for each in sums.values():
                each.update(part)
    return size, {kind: each.hexdigest() for kind, each in sums.items()}
