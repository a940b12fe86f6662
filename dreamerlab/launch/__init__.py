"""Engines that execute the trials of a run."""
