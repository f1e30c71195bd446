"""Electrochemistry of corrosion: polarisation curves and impedance spectra, read, fitted and doubted."""
