"""The bodies of messages, as their schema classes want them; built on demand."""

from email.utils import format_datetime
from typing import Any

from consumer.simulation import content as about
from consumer.simulation.model import SimMessage
from state.weeks import SECOND, to_datetime

Body = dict[str, Any]


def _person(name: str) -> Body:
    return {
        "name": name,
        "fullname": name.title(),
        "url_path": f"user/{name}",
        "full_url": f"https://pagure.io/user/{name}",
    }


def fas(message: SimMessage) -> Body:
    return {"msg": {"agent": about.actor(message), "user": about.other(message)}}


def create(message: SimMessage) -> Body:
    return {"msg": {"agent": about.other(message), "user": about.actor(message)}}


def update(message: SimMessage) -> Body:
    fields = ["locale"] if message.bits & 1 else ["timezone", "website"]
    return {"msg": {**fas(message)["msg"], "fields": fields}}


def sponsor(message: SimMessage) -> Body:
    return {"msg": {**fas(message)["msg"], "group": about.pick(message, about.GROUPS)}}


def _pagure_project(message: SimMessage) -> Body:
    path = about.project_path(message)
    return {
        "id": 100 + about.PROJECTS.index(about.project_name(message)),
        "name": about.project_name(message),
        "fullname": path,
        "url_path": path,
        "full_url": f"https://pagure.io/{path}",
        "description": f"The {about.project_name(message)} of the project",
        "namespace": about.namespace(message),
        "parent": None,
        "date_created": "1500000000",
        "date_modified": "1500000000",
        "user": _person("root"),
        "tags": [],
        "close_status": ["Fixed", "Invalid"],
        "milestones": {},
    }


def issue(message: SimMessage) -> Body:
    seconds = str(message.at // SECOND)
    comment = message.kind == "pagure.issue.comment.added"
    issue = {
        "id": about.number(message, 9000),
        "full_url": about.issue_url(message),
        "title": about.title(message),
        "content": about.text(message),
        "status": "Open",
        "close_status": None,
        "date_created": seconds,
        "last_updated": seconds,
        "closed_at": None,
        "user": _person(about.other(message)),
        "private": False,
        "tags": [],
        "depends": [],
        "blocks": [],
        "assignee": _person(message.others[1]) if len(message.others) > 1 else None,
        "milestone": None,
        "closed_by": None,
        "related_prs": [],
        "comments": [],
    }
    if comment:
        issue["comments"] = [
            {
                "id": about.post_number(message),
                "comment": about.text(message),
                "date_created": seconds,
                "user": _person(about.actor(message)),
            }
        ]
    return {"agent": about.actor(message), "project": _pagure_project(message), "issue": issue}


def closing(message: SimMessage) -> Body:
    body = issue(message)
    closed = {"status": "Closed", "close_status": "Fixed", "closed_by": _person(about.actor(message))}
    return body | {
        "issue": body["issue"] | closed | {"closed_at": str(message.at // SECOND)},
        "fields": ["status", "close_status"],
    }


def pagure_push(message: SimMessage) -> Body:
    person = _person(about.actor(message))
    return {
        "agent": about.actor(message),
        "forced": False,
        "repo": _pagure_project(message),
        "old_commit": about.parent(message),
        "branch": "refs/heads/main",
        "authors": [{key: person[key] for key in ("name", "fullname", "url_path")}],
        "total_commits": 1,
        "start_commit": about.revision(message),
        "end_commit": about.revision(message),
    }


def push(message: SimMessage) -> Body:
    added, deleted = about.lines(message)
    package = about.pick(message, about.PACKAGES, 13)
    total = {"additions": added, "deletions": deleted, "lines": added + deleted, "files": 1}
    return {
        "agent": about.actor(message),
        "commit": {
            "name": about.actor(message).title(),
            "email": f"{about.actor(message)}@example.org",
            "username": about.actor(message),
            "summary": about.title(message),
            "message": about.text(message),
            "stats": {"files": {f"{package}.spec": {**total}}, "total": total},
            "rev": about.revision(message),
            "path": f"/srv/git/rpms/{package}.git",
            "repo": package,
            "namespace": "rpms",
            "branch": "rawhide",
            "patch": "",
            "date": to_datetime(message.at).isoformat(),
            "url": about.commit_url(message),
        },
    }


def discourse(message: SimMessage) -> Body:
    event = message.kind.removeprefix("discourse.").partition(".")[2]
    kind = "solved" if event == "accepted_solution" else event.partition("_")[0]
    person = {
        "id": 1 + sum(about.actor(message).encode()),
        "username": about.actor(message),
        "name": about.actor(message).title(),
    }
    content: Body = {
        "id": about.topic_number(message) if kind == "topic" else about.post_number(message),
        "created_at": to_datetime(message.at).isoformat(),
        "category_slug": about.category(message),
    }
    if kind != "topic":
        content |= {"username": about.actor(message), "user_id": person["id"], "raw": about.text(message)}
        content |= {"topic_id": about.topic_number(message), "topic_title": about.title(message)}
    else:
        content |= {"title": about.title(message), "created_by": person}
    return {
        "webhook_body": {kind: content},
        "webhook_headers": {
            "X-Discourse-Event": event,
            "X-Discourse-Event-Id": str(about.post_number(message)),
            "X-Discourse-Event-Signature": f"sha256={message.bits:064x}",
            "X-Discourse-Event-Type": kind,
            "X-Discourse-Instance": about.DISCOURSE,
        },
    }


def bodhi(message: SimMessage) -> Body:
    return {
        "comment": {
            "karma": about.number(message, 3) - 2,
            "text": about.text(message),
            "timestamp": f"{to_datetime(message.at):%Y-%m-%d %H:%M:%S}",
            "update": {
                "alias": about.alias(message),
                "builds": [{"nvr": f"{about.pick(message, about.PACKAGES, 13)}-1.{about.number(message, 40)}-1.fc40"}],
                "release": {"name": about.RELEASE},
                "request": None,
                "status": "testing",
                "user": {"name": about.other(message)},
            },
            "user": {"name": about.actor(message)},
        }
    }


def request_testing(message: SimMessage) -> Body:
    update = bodhi(message)["comment"]["update"]
    submitter = {"name": about.actor(message)}
    return {
        "agent": about.actor(message),
        "update": update | {"request": "testing", "status": "pending", "user": submitter},
    }


def mail(message: SimMessage) -> Body:
    name, own, opening = about.mailing_list(message), about.mail_id(message), about.opening_id(message)
    answered = {"in-reply-to": opening, "references": opening} if about.answers(message) else {}
    return {
        "mlist": {"list_name": name, "fqdn_listname": f"{name}@lists.fedoraproject.org", "list_id": name},
        "msg": {
            "from": f"{about.actor(message).title()} <{about.actor(message)}@example.org>",
            "date": format_datetime(to_datetime(message.at)),
            "subject": about.title(message),
            "message-id": own,
            **answered,
        },
        "url": about.mail_url(message),
        "usernames": [about.actor(message)],
        "sender_username": about.actor(message),
    }


def copr(message: SimMessage) -> Body:
    package = about.pick(message, about.PACKAGES, 13)
    project, build, user = about.project_name(message), about.build(message), about.actor(message)
    verb = message.kind.rpartition(".")[2]
    return {
        "build": build,
        "chroot": "fedora-rawhide-x86_64",
        "copr": project,
        "ip": None,
        "owner": user,
        "pid": 1,
        "pkg": package,
        "status": 1 if verb == "end" else 3,
        "user": user,
        "version": f"1.{about.number(message, 40)}-1",
        "what": f"build {verb}: user:{user} copr:{project} pkg:{package} build:{build}",
        "who": "backend.worker",
    }


def wiki(message: SimMessage) -> Body:
    return {
        "title": about.page(message),
        "summary": about.text(message),
        "minor_edit": bool(message.bits & 1),
        "user": about.actor(message),
        "url": about.page_url(message),
        "page_url": about.page_url(message),
        "diff_url": about.diff_url(message),
    }


def badge(message: SimMessage) -> Body:
    badge = about.badge(message)
    return {
        "user": {"username": about.actor(message), "badges_user_id": 1 + sum(about.actor(message).encode())},
        "badge": {
            "badge_id": badge,
            "name": badge.replace("-", " ").title(),
            "description": "Awarded for taking part",
            "image_url": f"https://badges.fedoraproject.org/pngs/{badge}.png",
        },
    }


def meeting(message: SimMessage) -> Body:
    names = dict.fromkeys((about.actor(message), *message.others))
    lines = {name: about.number(message, 60, index) for index, name in enumerate(names)}
    return {
        "start_time": to_datetime(message.at - 3600 * SECOND).isoformat(),
        "start_user": about.actor(message),
        "end_time": to_datetime(message.at).isoformat(),
        "end_user": about.actor(message),
        "location": f"#{about.project_name(message)}:fedoraproject.org",
        "meeting_name": f"{about.project_name(message)} weekly",
        "attendees": [{"name": name, "lines_said": said} for name, said in lines.items()],
        "chairs": [about.actor(message)],
        "url": about.meeting_url(message),
        "logs": [{"log_type": "text", "log_url": f"{about.meeting_url(message)}.txt"}],
    }


def compose(message: SimMessage) -> Body:
    return {"compose_id": f"Rawhide-{about.number(message, 10**6)}", "status": "FINISHED"}
