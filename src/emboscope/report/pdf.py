"""A report as PDF, on A4 pages."""

import warnings
from types import ModuleType

from emboscope.errors import EmboscopeError


class PdfError(EmboscopeError):
    """This installation cannot write PDF."""


def check_pdf() -> None:
    """Whether PDF can be written.

    Raises
    ------
    PdfError
        If the extra `pdf`, or the library that it needs, is not installed.
    """
    try:
        _weasyprint()
    except ImportError as error:
        raise PdfError(
            "PDF: weasyprint is not installed; expected the extra pdf. "
            'Run: pip install "emboscope[pdf]"'
        ) from error
    except OSError as error:  # the Python package is there, Pango is not
        raise PdfError(
            f"PDF: a library is missing ({error}); expected Pango. On Debian run: "
            "apt-get install libpango-1.0-0 libpangoft2-1.0-0"
        ) from error


def _weasyprint() -> ModuleType:
    """WeasyPrint, without its notice that a system library would make fonts smaller."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "HarfBuzz-Subset", DeprecationWarning)
        import weasyprint
    return weasyprint


def monitoring_pdf(html: str) -> bytes:
    """The report that `monitoring_report` made, as it is printed; sounds are left out.

    Raises
    ------
    PdfError
        If this installation cannot write PDF.
    """
    check_pdf()
    weasyprint = _weasyprint()
    inside = weasyprint.URLFetcher(allowed_protocols=("data",), fail_on_errors=True)
    made = weasyprint.HTML(string=html, url_fetcher=inside).write_pdf()
    assert isinstance(made, bytes)
    return made
