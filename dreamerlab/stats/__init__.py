"""Statistics for a handful of seeds: intervals, exact tests, resampling, power, curves. No scipy, no file, no clock."""
