"""Pseudonyms and their key."""

import pytest

from emboscope.errors import DataError
from emboscope.signal.privacy import load_key, pseudonym


def test_pseudonym_is_the_keyed_hash():
    # HMAC-SHA256 of RFC 4231, test case 2
    assert pseudonym("what do ya want for nothing?", b"Jefe") == "5bdcc146bf"


def test_pseudonym_is_stable_and_depends_on_the_key():
    assert pseudonym(" Roe ", b"a" * 32) == pseudonym("Roe", b"a" * 32)
    assert pseudonym("Roe", b"a" * 32) != pseudonym("Roe", b"b" * 32)


def test_no_name_has_no_pseudonym():
    with pytest.raises(DataError, match="subject: no name"):
        pseudonym("  ", b"a" * 32)


def test_key_is_made_once_and_is_its_owners(tmp_path):
    key = load_key(tmp_path / "key")
    assert len(key) == 32
    assert load_key(tmp_path / "key") == key
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert load_key(tmp_path / "other") != key


def test_key_that_others_read_is_refused(tmp_path):
    load_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(DataError, match="others may read it; expected mode 600"):
        load_key(tmp_path / "key")


def test_file_that_is_no_key(tmp_path):
    (tmp_path / "key").write_text("secret")
    with pytest.raises(DataError, match="6 bytes; expected 32"):
        load_key(tmp_path / "key")


def test_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="No such file or directory"):
        load_key(tmp_path / "no" / "key")
