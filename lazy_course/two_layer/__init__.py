"""Two-layer networks taught by a network of three neurons: feature learning against the lazy regime."""
