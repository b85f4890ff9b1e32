"""One file a metric: each defines METRIC, and the registry finds it by itself."""
