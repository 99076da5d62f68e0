"""Weights as bytes: the forms of a packed model, written and read back."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from emboscope.compression.encodings import SKIP

FORMS = (
    "float32", "2-bit", "5 trits a byte", "bitmap", "gap lists", "1-bit", "8-bit", "4-bit",
    "codebook", "sparse",
)  # fmt: skip
WHOLE_FORMS = FORMS[1:8]  # those that steps in whole numbers read
_TRITS = 3 ** np.arange(5)


@dataclass(frozen=True)
class Packed:
    """A tensor as bytes.

    Attributes
    ----------
    form : str
        A name in `FORMS`.
    n_values : int
    content : bytes
    left, right : float
        Of ternary forms: the weights are −left, 0, right.
    row_scales : ndarray, optional
        Of whole numbers: what each output channel's are to be multiplied by, not in `content`.
    """

    form: str
    n_values: int
    content: bytes
    left: float = 1.0
    right: float = 1.0
    row_scales: np.ndarray | None = None


def pack(weight: np.ndarray, form: str) -> Packed:
    """A tensor (n_out, …) of float32 in a form that gives it back exactly."""
    return _PACK[form](np.ascontiguousarray(weight, dtype=np.float32))


def unpack(packed: Packed) -> np.ndarray:
    """The values, (n_values,): of ternary forms with their scales, of whole numbers without."""
    return _UNPACK[packed.form](packed)


def _scaled(packed: Packed, signs: np.ndarray) -> np.ndarray:
    """−left, 0, right for −1, 0, 1."""
    values = np.where(signs > 0, packed.right, np.where(signs < 0, -packed.left, 0.0))
    return values.astype(np.float32)


def _ternary(weight: np.ndarray, form: str, content: bytes) -> Packed:
    left = -weight.min() if (weight < 0).any() else 1.0
    right = weight.max() if (weight > 0).any() else 1.0
    return Packed(form, weight.size, content, float(left), float(right))


def _signs(weight: np.ndarray) -> np.ndarray:
    return np.sign(weight).astype(np.int8).ravel()


def _bits(values: np.ndarray, n_bits: int) -> bytes:
    """Numbers of few bits one after the other, each from its lowest bit, from the lowest up."""
    places = (values.astype(np.int64)[:, None] >> np.arange(n_bits)) & 1
    return np.packbits(places.ravel().astype(np.uint8), bitorder="little").tobytes()


def _from_bits(content: bytes, n_values: int, n_bits: int) -> np.ndarray:
    flat = np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little")
    places = flat[: n_values * n_bits].reshape(n_values, n_bits).astype(np.int64)
    return (places << np.arange(n_bits)).sum(axis=1)


def _pack_float(weight: np.ndarray) -> Packed:
    return Packed("float32", weight.size, weight.astype("<f4").tobytes())


def _unpack_float(packed: Packed) -> np.ndarray:
    return np.frombuffer(packed.content, "<f4").astype(np.float32)


def _pack_two_bits(weight: np.ndarray) -> Packed:
    codes = np.array([2, 0, 1], np.int64)[_signs(weight) + 1]  # 1: positive, 2: negative
    return _ternary(weight, "2-bit", _bits(codes, 2))


def _unpack_two_bits(packed: Packed) -> np.ndarray:
    codes = _from_bits(packed.content, packed.n_values, 2)
    return _scaled(packed, np.array([0, 1, -1, 0])[codes])


def _pack_trits(weight: np.ndarray) -> Packed:
    signs = _signs(weight).astype(np.int64) + 1
    padded = np.concatenate([signs, np.ones(-signs.size % 5, np.int64)]).reshape(-1, 5)
    return _ternary(weight, "5 trits a byte", (padded @ _TRITS).astype(np.uint8).tobytes())


def _unpack_trits(packed: Packed) -> np.ndarray:
    codes = np.frombuffer(packed.content, np.uint8).astype(np.int64)
    signs = (codes[:, None] // _TRITS) % 3 - 1
    return _scaled(packed, signs.ravel()[: packed.n_values])


def _pack_bitmap(weight: np.ndarray) -> Packed:
    signs = _signs(weight)
    content = _bits(signs != 0, 1) + _bits(signs[signs != 0] > 0, 1)
    return _ternary(weight, "bitmap", content)


def _unpack_bitmap(packed: Packed) -> np.ndarray:
    n_map = -(-packed.n_values // 8)
    signs = _from_bits(packed.content[:n_map], packed.n_values, 1)
    kept = np.flatnonzero(signs)
    positive = _from_bits(packed.content[n_map:], kept.size, 1)
    signs[kept] = 2 * positive - 1
    return _scaled(packed, signs)


def _pack_gaps(weight: np.ndarray) -> Packed:
    signs = _signs(weight)
    places = np.flatnonzero(signs)
    gaps = np.diff(places, prepend=-1) - 1
    content = bytearray()
    for gap, sign in zip(gaps.tolist(), signs[places].tolist(), strict=True):
        content += bytes([SKIP]) * (gap // SKIP)
        content.append(gap % SKIP + (128 if sign < 0 else 0))
    return _ternary(weight, "gap lists", bytes(content))


def _unpack_gaps(packed: Packed) -> np.ndarray:
    signs, place = np.zeros(packed.n_values, np.int8), 0
    for byte in packed.content:
        if byte == SKIP:
            place += SKIP
            continue
        place += byte & 127
        signs[place] = -1 if byte & 128 else 1
        place += 1
    return _scaled(packed, signs)


def _pack_one_bit(weight: np.ndarray) -> Packed:
    return _ternary(weight, "1-bit", _bits(weight.ravel() > 0, 1))


def _unpack_one_bit(packed: Packed) -> np.ndarray:
    return _scaled(packed, 2 * _from_bits(packed.content, packed.n_values, 1) - 1)


def _pack_whole(form: str, n_bits: int) -> Callable[[np.ndarray], Packed]:
    def packing(weight: np.ndarray) -> Packed:
        rows = weight.reshape(len(weight), -1)
        most = 2 ** (n_bits - 1) - 1
        step = np.maximum(np.abs(rows).max(axis=1) / most, np.finfo(np.float32).tiny)
        codes = np.round(rows / step[:, None]).astype(np.int64)
        content = _bits(codes.ravel() & (2**n_bits - 1), n_bits)
        return Packed(form, weight.size, content, row_scales=step.astype(np.float32))

    return packing


def _unpack_whole(packed: Packed) -> np.ndarray:
    n_bits = int(packed.form[0])
    codes = _from_bits(packed.content, packed.n_values, n_bits)
    return np.where(codes >= 2 ** (n_bits - 1), codes - 2**n_bits, codes).astype(np.float32)


def _pack_codebook(weight: np.ndarray) -> Packed:
    levels, codes = np.unique(weight, return_inverse=True)
    n_bits = max(1, math.ceil(math.log2(levels.size)))
    head = bytes([n_bits, levels.size - 1, 0, 0]) + levels.astype("<f4").tobytes()
    return Packed("codebook", weight.size, head + _bits(codes.ravel(), n_bits))


def _unpack_codebook(packed: Packed) -> np.ndarray:
    n_bits, n_levels = packed.content[0], packed.content[1] + 1
    levels = np.frombuffer(packed.content[4 : 4 + 4 * n_levels], "<f4")
    return levels[_from_bits(packed.content[4 + 4 * n_levels :], packed.n_values, n_bits)]


def _pack_sparse(weight: np.ndarray) -> Packed:
    flat = weight.ravel()
    bitmap = _bits(flat != 0, 1)
    bitmap += bytes(-len(bitmap) % 4)
    return Packed("sparse", flat.size, bitmap + flat[flat != 0].astype("<f4").tobytes())


def _unpack_sparse(packed: Packed) -> np.ndarray:
    n_map = -(-packed.n_values // 8)
    kept = _from_bits(packed.content[:n_map], packed.n_values, 1).astype(bool)
    values = np.zeros(packed.n_values, np.float32)
    values[kept] = np.frombuffer(packed.content[n_map + -n_map % 4 :], "<f4")
    return values


_PACK: dict[str, Callable[[np.ndarray], Packed]] = {
    "float32": _pack_float,
    "2-bit": _pack_two_bits,
    "5 trits a byte": _pack_trits,
    "bitmap": _pack_bitmap,
    "gap lists": _pack_gaps,
    "1-bit": _pack_one_bit,
    "8-bit": _pack_whole("8-bit", 8),
    "4-bit": _pack_whole("4-bit", 4),
    "codebook": _pack_codebook,
    "sparse": _pack_sparse,
}
_UNPACK: dict[str, Callable[[Packed], np.ndarray]] = {
    "float32": _unpack_float,
    "2-bit": _unpack_two_bits,
    "5 trits a byte": _unpack_trits,
    "bitmap": _unpack_bitmap,
    "gap lists": _unpack_gaps,
    "1-bit": _unpack_one_bit,
    "8-bit": _unpack_whole,
    "4-bit": _unpack_whole,
    "codebook": _unpack_codebook,
    "sparse": _unpack_sparse,
}
