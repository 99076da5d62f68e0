"""Figures, and a report in one file that opens without a network."""

from emboscope.report.html import Figure, Report, Section, Table, render

__all__ = ["Figure", "Report", "Section", "Table", "render"]
