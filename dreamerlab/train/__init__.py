"""The trainer process: `python -m dreamerlab.train TRIAL_DIR`. Start at `loop.py`."""
