"""Spam watch: who bursts, which waves of sign-ups are under way, and whether the detectors see."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from metrics.dashboards.frame import dashboard
from metrics.dashboards.panels import HERE, bars, lines, number, states

_RAISED = f'homecoming_spam_flags_total{{{HERE}, state="raised"}}'


def spam_watch() -> Dashboard:
    """Flags, waves and sign-ups, without a name."""
    return dashboard(
        "homecoming-spam",
        "Spam watch",
        "Accounts that burst like spam and waves of sign-ups. `homecoming flags` and the page say who, to operators.",
        "24h",
        [
            number(
                "Open flags",
                "Flags that nobody has decided on and that are no week old.",
                "short",
                f"sum(homecoming_spam_flags_open{{{HERE}}})",
            ),
            number(
                "Flags of a day",
                "Flags raised within 24 hours, of events that had just come.",
                "short",
                f"sum(increase({_RAISED}[24h]))",
            ),
            number(
                "Waves under way",
                "Waves of sign-ups that have not ended: by rate, by names of one pattern, by what newcomers do.",
                "short",
                f"sum(homecoming_signup_wave_active{{{HERE}}})",
            ),
            number(
                "Alerts firing",
                "Alerts of every severity; what a declared event silences stands among them.",
                "short",
                'count(ALERTS{alertstate="firing", alertname!="DeclaredEvent"}) or vector(0)',
            ),
            number(
                "Event lag",
                "How far the newest event is behind the wall clock: with much of it, no alert means nothing.",
                "s",
                f"homecoming_event_lag_seconds{{{HERE}}}",
            ),
            number(
                "Age of the calibration",
                "Time since the detectors' limits were fitted to this community; below zero: never yet.",
                "s",
                f"homecoming_spam_calibration_age_seconds{{{HERE}}} or vector(-1)",
            ),
            bars(
                "Flags raised",
                "Flags of events that had just come, by rule.",
                "short",
                {"{{rule}}": f"sum by (rule) (increase({_RAISED}[$__rate_interval]))"},
            ),
            lines(
                "Open flags by rule",
                "Suspects of sign-up waves among them, which is information and no verdict.",
                "short",
                {"{{rule}} ({{severity}})": f"homecoming_spam_flags_open{{{HERE}}}"},
            ),
            lines(
                "Sign-ups an hour",
                "Accounts created, against what this hour of the week expects.",
                "short",
                {
                    "sign-ups": f"increase(homecoming_signups_total{{{HERE}}}[1h])",
                    "expected": f"homecoming_signups_expected{{{HERE}}}",
                },
            ),
            states(
                "Waves, declared events and circuit breakers",
                "A breaker is open while a rule raises too much to be believed.",
                {
                    "wave by {{key}}": f"homecoming_signup_wave_active{{{HERE}}}",
                    "declared event": f"homecoming_declared_event_active{{{HERE}}}",
                    "breaker of {{rule}}": f"homecoming_spam_breaker_open{{{HERE}}}",
                },
            ),
            lines(
                "From post to flag",
                "Time from the crossing event to the flag's commit; without flags there is nothing to measure.",
                "s",
                {
                    "half": _delay(0.5),
                    "95 of 100": _delay(0.95),
                },
            ),
            lines(
                "What the detector keeps",
                "Accounts of which posts are kept; evictions are accounts, posts and sign-ups given up because of "
                "bounds, late ones are seen by a rebuild.",
                "short",
                {
                    "accounts": f"homecoming_spam_tracked_accounts{{{HERE}}}",
                    "evictions": f"increase(homecoming_spam_evictions_total{{{HERE}}}[$__rate_interval])",
                    "too late": f"increase(homecoming_late_events_total{{{HERE}}}[$__rate_interval])",
                },
            ),
        ],
    )


def _delay(share: float) -> str:
    seen = f"rate(homecoming_spam_flag_delay_seconds_bucket{{{HERE}}}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by (le) ({seen}))"
