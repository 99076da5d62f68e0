"""Simulated transcranial Doppler recordings with known events."""
