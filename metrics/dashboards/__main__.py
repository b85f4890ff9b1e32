"""`python -m metrics.dashboards FOLDER`: write the dashboards as Grafana reads them."""

import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from metrics.dashboards.retention import community_retention
from metrics.dashboards.spam import spam_watch
from metrics.dashboards.stream import stream_health


def dashboards() -> dict[str, str]:
    """file name -> JSON."""
    encoder = JSONEncoder(indent=2, sort_keys=True)
    built = [community_retention(), spam_watch(), stream_health()]
    return {f"{dashboard.uid}.json": encoder.encode(dashboard) + "\n" for dashboard in built}


def main() -> None:
    """Write them into the folder."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in dashboards().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
