"""Use cases, one module each: what a command does once its arguments are understood."""
