"""Mirrors of the outside world: git state, host environment, code identity, DVC and MLflow."""
