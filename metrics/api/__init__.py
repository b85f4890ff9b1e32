"""The HTTP API: one file a resource, each a router made for one Context."""
