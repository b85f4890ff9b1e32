"""The community's known bots: whoever evaluates a detector takes their names as its allowlist."""

#: name -> (kind, messages a week)
BOTS = {
    "packit-bot": ("bodhi.update.comment", 340),
    "upstream-release-bot": ("pagure.issue.new", 170),
    "translation-bot": ("pagure.git.receive", 120),
    "docs-build-bot": ("copr.build.start", 170),
    "releng-bot": ("git.receive", 60),
}

#: The one that does mass rebuilds.
REBUILDER = "releng-bot"
