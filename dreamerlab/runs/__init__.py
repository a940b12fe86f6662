"""Run directories on disk: the bridge between the protocol wing and the trainer, read and written by both.

Start with `directory.py` (every path), then `manifest.py`, `status.py`, `series.py`, `summary.py`, `store.py`.
Dataclasses and json only: importing anything here costs milliseconds.
"""
