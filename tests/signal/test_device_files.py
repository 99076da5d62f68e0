"""Logs of devices."""

import pytest

from emboscope.errors import DataError
from emboscope.signal.device_files import DeviceHit, read_dwl_log, read_spencer_trend

DWL = """\
       0 TEXT FILE VERSION 8.27L
       0 PATIENT  NAME: Roe Jane
       0 PATIENT  EXAM: 20-04-30
       0 SYS PRF 6000
       0 SYS FDOP1 2000
       0 SYS NSAMPLE 2
       0 START 15:06:14
    2866 HIT 25dB 15:06:26  6000T2D048 dS05 X0-6 dX011 V-16    288
    2919 HIT  9dB 15:06:26  6000T2D048 dS05 X208 dX007 V008    288
    3711 MRK1 15:06:34   2 COUGH OR SPEECH
    6312 TIME 15:07:00
  235241 STOP 15:45:09
"""
SPENCER = """\
Time,Channel,VesselLabel,Depth,Power,SampleRate,EmboliCount,PeakVelocity,DiastolicVelocity,\
MeanVelocity,EmboliRate
1500000000,1,b'LMCA\\x00\\x00',50,80,6,3,110,45,70,12
1500000001,2,b'RMCA\\x00\\x00',52,80,6,0,90,40,60,0
"""


@pytest.fixture
def log(tmp_path):
    (tmp_path / "NLA173.TX0").write_text(DWL)
    return read_dwl_log(tmp_path / "NLA173.TX0")


def test_dwl_log_tells_rate_carrier_hits_and_marks(log):
    assert (log.prf_hz, log.carrier_hz) == (6000, 2e6)
    assert log.hits == (
        DeviceHit(28.66, 25.0, "6000T2D048"),
        DeviceHit(29.19, 9.0, "6000T2D048"),
    )
    assert log.marks == ((37.11, "COUGH OR SPEECH"),)
    assert (log.items["START"], log.items["NSAMPLE"]) == ("15:06:14", "2")


def test_name_and_date_of_a_dwl_log_are_not_kept(log):
    assert "Roe" not in repr(log)
    assert "20-04-30" not in repr(log)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("HIT 25dB", "HIT loud", r"line 8: 'loud 15:06:26.*expected a level in dB"),
        ("PRF 6000", "PRF fast", "PRF is 'fast'; expected a number"),
        ("TEXT FILE", "LETTER", "no DWL text log"),
    ],
)
def test_damaged_dwl_log(tmp_path, old, new, text):
    (tmp_path / "NLA1.TX0").write_text(DWL.replace(old, new))
    with pytest.raises(DataError, match=text):
        read_dwl_log(tmp_path / "NLA1.TX0")


def test_dwl_log_without_rate_says_none(tmp_path):
    (tmp_path / "NLA1.TX0").write_text("0 TEXT FILE VERSION 8.27L\n")
    log = read_dwl_log(tmp_path / "NLA1.TX0")
    assert (log.prf_hz, log.carrier_hz, log.hits) == (None, None, ())


def test_spencer_trend_is_read_row_by_row(tmp_path):
    (tmp_path / "a.csv").write_text(SPENCER)
    first, second = read_spencer_trend(tmp_path / "a.csv").rows
    assert (first.vessel, first.depth_mm, first.emboli_count) == ("LMCA", 50, 3)
    assert (first.peak_velocity, first.mean_velocity, first.emboli_rate) == (110, 70, 12)
    assert (second.vessel, second.channel, second.time) == ("RMCA", 2, 1500000001)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [("Depth", "Deep", "no column Depth"), (",50,", ",?,", "row 2: could not convert")],
)
def test_damaged_spencer_trend(tmp_path, old, new, text):
    (tmp_path / "a.csv").write_text(SPENCER.replace(old, new))
    with pytest.raises(DataError, match=text):
        read_spencer_trend(tmp_path / "a.csv")


def test_missing_device_file(tmp_path):
    with pytest.raises(DataError, match="device file .*No such file"):
        read_dwl_log(tmp_path / "NLA1.TX0")
