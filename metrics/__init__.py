"""What goes out: the retention table, Prometheus series, and the HTTP side."""
