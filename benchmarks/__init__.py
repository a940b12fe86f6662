"""Timings, always as ratios measured within one run (`make bench`); never part of a test."""
