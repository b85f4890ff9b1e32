"""The burst and wave detectors: pure, event time only. What they find is kept by state/flags.py."""
