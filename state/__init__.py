"""What is kept: the pure fold, the event log, its SQLite views, and read-only queries."""
