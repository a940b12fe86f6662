"""dreamerlab: a lab notebook that cannot lie, attached to a DreamerV3 trainer."""

__version__ = "0.1.0"
