"""Our update against those of other DreamerV3 implementations, measured side by side (`make bench-peers`)."""
