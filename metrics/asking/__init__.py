"""Metrics as they are asked for: requests, the work behind them, what is kept of it, and how it is told."""
