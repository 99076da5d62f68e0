"""Recordings, their readers, complex spectra, and what a Doppler frequency means."""
