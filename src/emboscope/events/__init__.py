"""Emboli and artifacts in a recording: detection, criteria, scoring."""
