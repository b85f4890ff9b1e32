"""Standard metrics over a cohort: one file a metric under catalogue/, worked set-wise by DuckDB over the log."""
