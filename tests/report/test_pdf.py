"""A PDF on A4, or one sentence that says what is missing."""

import re
import sys
import zlib

import pytest

from emboscope.report.figures import size_figure
from emboscope.report.html import Audio, Card, Figure, Report, Section, render
from emboscope.report.pdf import PdfError, check_pdf, monitoring_pdf


@pytest.fixture
def html():
    figure = Figure(size_figure({"a": 8000}), "size")
    card = Card("Event 1", figure, (("time", "0:00:01"),), Audio(b"RIFF", "sound"))
    return render(
        Report("Title", "Summary", "Research use only.", (Section("One", cards=(card,)),))
    )


def plain(pdf):
    """The objects of a PDF, which are compressed."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    return pdf + b"".join(
        zlib.decompressobj().decompress(each) for each in streams if each[:1] == b"x"
    )


def test_report_becomes_a_pdf_on_a4(html):
    try:
        check_pdf()
    except PdfError as error:
        pytest.skip(str(error))
    pdf = monitoring_pdf(html)
    assert pdf.startswith(b"%PDF-")
    (box,) = set(re.findall(rb"/MediaBox ?\[([^]]+)\]", plain(pdf)))
    _, _, width, height = map(float, box.split())
    assert (round(width), round(height)) == (595, 842)  # points


def test_missing_extra_is_one_sentence_with_the_line_to_type(html, monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)  # import raises ImportError
    with pytest.raises(
        PdfError, match=r'expected the extra pdf\. Run: pip install "emboscope\[pdf\]"'
    ):
        monitoring_pdf(html)
