"""A study with two recordings, and a PostgreSQL server of its own."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from emboscope.store import Study
from store.studies import add

PLACES = "/usr/lib/postgresql/*/bin"


@pytest.fixture(autouse=True)
def _no_url_from_outside(monkeypatch):
    monkeypatch.delenv("EMBOSCOPE_STORE_URL", raising=False)


@pytest.fixture
def study(tmp_path):
    with Study.create(tmp_path / "study") as made:
        add(made, "r1", "s1")
        add(made, "r2", "s2", n=3)
        yield made


def _programs():
    """Folder of initdb and pg_ctl, or None."""
    found = sorted(Path("/").glob(PLACES[1:]))
    if found:
        return found[-1]
    beside = shutil.which("pg_ctl")
    return Path(beside).resolve().parent if beside else None


def _unprivileged():
    """What to put before a command that refuses root."""
    if os.geteuid() != 0:
        return []
    return [shutil.which("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.fixture(scope="session")
def postgres():
    """URL of a cluster that runs while the tests do; a function makes a database in it."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs, before = _programs(), _unprivileged()
    if programs is None or None in before:
        pytest.skip("no PostgreSQL server program, or no setpriv to start it by")
    folder = Path(tempfile.mkdtemp(prefix="emboscope-pg-"))  # a socket's path must be short
    if before:
        os.chown(folder, 65534, 65534)
    data = folder / "data"

    def run(program, *arguments):
        command = [*before, programs / program, *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=120)

    run("initdb", "-D", data, "-U", "tester", "--auth=trust", "-E", "UTF8", "--no-sync")
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c max_connections=20"
    run("pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")

    def database(name):
        run("createdb", "-h", folder, "-U", "tester", name)
        return f"postgresql+psycopg://tester@/{name}?host={folder}"

    yield database
    run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """URL of an empty database; None is the file in the folder of the study."""
    if request.param == "sqlite":
        return None
    return request.getfixturevalue("postgres")(f"t{abs(hash(str(tmp_path))):x}")
