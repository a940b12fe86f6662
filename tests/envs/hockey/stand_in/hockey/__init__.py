"""Stands in for the upstream package, which no package index has: the same names, the same interface, its quirks."""
