"""The run directory and its records on disk: the one bridge between the protocol wing and the trainer."""
