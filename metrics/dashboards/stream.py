"""Stream health: does Homecoming hear the bus, and keep up with it?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from metrics.dashboards.frame import dashboard
from metrics.dashboards.panels import HERE, bars, lines, number


def stream_health() -> Dashboard:
    """The connection, lag, batches, dead letters, and what the state takes."""
    return dashboard(
        "homecoming-stream",
        "Stream health",
        "From the bus to the state: what comes, how late, what could not be read, what it costs.",
        "6h",
        [
            number("State readable", "Whether the state can be read.", "bool_yes_no", f"homecoming_state_up{{{HERE}}}"),
            number(
                "Channel open",
                "Whether the channel to the bus is open; a demo has no bus.",
                "bool_yes_no",
                f"homecoming_connected{{{HERE}}}",
            ),
            number(
                "Silence",
                "Time since the last message, or since the start where none has come.",
                "s",
                f"homecoming_last_message_age_seconds{{{HERE}}}",
            ),
            number(
                "Coverage gaps",
                "Times in which nobody listened; `homecoming catch-up --gaps` fills them.",
                "short",
                f"homecoming_coverage_gaps{{{HERE}}}",
            ),
            number(
                "Dead letters",
                "Messages kept because they could not be read; `homecoming dead-letters` says why.",
                "short",
                f"homecoming_dead_letters_kept{{{HERE}}}",
            ),
            number("Log", "The sealed log in Parquet.", "bytes", f"homecoming_log_bytes{{{HERE}}}"),
            lines(
                "Messages",
                "What became of the messages taken in.",
                "mps",
                {"{{disposition}}": f"rate(homecoming_messages_total{{{HERE}}}[$__rate_interval])"},
            ),
            lines(
                "From event to commit",
                "Time from a message's event time to its commit.",
                "s",
                {
                    "half": _quantile("homecoming_lag_seconds", 0.5),
                    "99 of 100": _quantile("homecoming_lag_seconds", 0.99),
                },
            ),
            lines(
                "Time of a batch",
                "From decoding to commit: one transaction.",
                "s",
                {
                    "half": _quantile("homecoming_batch_seconds", 0.5),
                    "99 of 100": _quantile("homecoming_batch_seconds", 0.99),
                },
            ),
            lines(
                "Messages in a batch",
                "Near the configured batch_messages, the bus is faster than the state.",
                "short",
                {"mean": f"{_rate('homecoming_batch_messages_sum')} / {_rate('homecoming_batch_messages_count')}"},
            ),
            bars(
                "Not as they should be",
                "Dead letters by reason, messages without an installed schema, batches that had to wait.",
                "short",
                {
                    "dead letter: {{reason}}": _grown("homecoming_dead_letters_total"),
                    "no schema": _grown("homecoming_fallback_messages_total"),
                    "state busy": _grown("homecoming_state_busy_total"),
                },
            ),
            lines(
                "Accepted",
                "Distinct messages, and events: (message, user) pairs, whoever brought them in.",
                "short",
                {
                    "messages": f"homecoming_accepted_messages_total{{{HERE}}}",
                    "events": f"homecoming_events_total{{{HERE}}}",
                },
            ),
            lines(
                "Memory and disk",
                "The process's memory, the views in SQLite with their write-ahead log, the sealed log.",
                "bytes",
                {
                    "memory": f"process_resident_memory_bytes{{{HERE}}}",
                    "views": f"homecoming_database_bytes{{{HERE}}}",
                    "log": f"homecoming_log_bytes{{{HERE}}}",
                },
            ),
            lines(
                "Processor time",
                "Of one core.",
                "percentunit",
                {"process": f"rate(process_cpu_seconds_total{{{HERE}}}[$__rate_interval])"},
            ),
        ],
    )


def _rate(series: str) -> str:
    return f"rate({series}{{{HERE}}}[$__rate_interval])"


def _grown(series: str) -> str:
    return f"increase({series}{{{HERE}}}[$__rate_interval])"


def _quantile(histogram: str, share: float) -> str:
    return f"histogram_quantile({share}, sum by (le) ({_rate(histogram + '_bucket')}))"
