"""Two months of 292 people of GitHub, all of them legitimate: every account that is warned of is a false alarm."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from state.event import action_of
from state.live import Message
from state.rules import Rules
from state.spam.posts import THREAD
from state.store import open_store
from tests.support.logs import archived
from tests.support.spam import backfilled, flags_of, go_live

#: What each of their actions is called where it makes content, or would make none.
_CONTENT = {
    "opening_issue": "issue.new",
    "opening_pull_request": "pull-request.new",
    "commenting_issue": "issue.comment.added",
    "commenting_pull_request": "pull-request.comment.added",
    "commenting_pull_request_changes": "pull-request.comment.added",
    "commenting_commit": "commit.comment.added",
    "reviewing_code": "pull-request.comment.added",
    "closing_issue": "issue.edit",
    "reopening_issue": "issue.edit",
    "transferring_issue": "issue.edit",
    "closing_pull_request": "pull-request.closed",
    "reopening_pull_request": "pull-request.reopened",
    "pushing_commits": "git.receive",
    "creating_branch": "git.branch.creation",
    "deleting_branch": "git.branch.deletion",
    "creating_tag": "git.tag.creation",
    "deleting_tag": "git.tag.deletion",
    "publishing_a_release": "git.tag.creation",
    "creating_repository": "project.new",
    "forking_repository": "project.forked",
    "starring_repository": "star.added",
}


def called(message: Message, names: Mapping[str, str]) -> Message:
    """The message, its action under another name where there is one."""
    (event,) = message
    action = names.get(action_of(event.topic))
    return message if action is None else (event._replace(topic=f"io.pagure.prod.pagure.{action}", service="pagure"),)


@pytest.mark.parametrize("names", [{}, _CONTENT], ids=["as it is", "as content"])
def test_two_of_them_are_warned_of_at_most(names: Mapping[str, str], shared_data: Path, tmp_path: Path) -> None:
    """Live and imported alike."""
    log = [called(message, names) for message in archived(shared_data / "github_humans_a.parquet")]
    assert len({message[0].user for message in log}) == 292
    assert any(Rules().kind_of(message[0].topic) == THREAD for message in log) is bool(names)
    live = open_store(tmp_path / "live", Rules())
    go_live(live, (log[first : first + 500] for first in range(0, len(log), 500)))
    imported = open_store(tmp_path / "imported", Rules())
    backfilled(imported, log)
    found = flags_of(live)
    assert flags_of(imported) == found
    assert len({flag.user for flag in found if flag.user is not None and flag.severity != "info"}) <= 2
    live.close()
    imported.close()
