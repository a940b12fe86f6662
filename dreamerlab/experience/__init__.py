"""Experience: the stream of steps, the replay that remembers it, the collector that extends it (numpy only)."""
