"""One verdict a specimen: seen, taught, judged, and triage from low magnification."""
