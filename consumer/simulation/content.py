"""What a message is about, from its random bits alone: texts, numbers, URLs, sizes."""

from base64 import b32encode
from collections.abc import Sequence
from hashlib import sha1
from typing import TypeVar

from consumer.simulation.model import SimMessage
from consumer.simulation.words import words
from state.weeks import to_datetime

T = TypeVar("T")

PROJECTS = (
    "handbook",
    "release-tools",
    "websites",
    "mirror-list",
    "event-planner",
    "design-kit",
    "docs-build",
)
_NAMESPACES = ("infra", "commops", None)
PACKAGES = ("zlib-tools", "python-lantern", "rust-quill", "gnome-harbor", "kernel-notes", "perl-meadow")
_PAGES = ("Join", "Test_Day", "Release_Notes", "Meetings", "Packaging_Guide", "Local_Events", "FAQ")
_LISTS = ("devel", "test", "docs")
BADGES = ("white-rabbit", "first-post", "helping-hand", "test-pilot", "wiki-smith")
GROUPS = ("packager", "docs", "designers", "ambassadors")
DISCOURSE = "https://discussion.fedoraproject.org"
RELEASE = "F40"
#: What many write in the very same words, and the share of texts that are one of these.
_COMMONPLACES = (
    "Thanks, this works for me now.",
    "I can reproduce this on the current release.",
    "Could somebody with access have a look?",
    "The steps are in the description above.",
    "Proposed change attached, comments welcome.",
    "Closing the loop: fixed in the latest build.",
)
_COMMONPLACE_SHARE = 0.2

_WORDS = words(
    "after update the installer fails with an empty screen when session starts under wayland on my laptop kernel log"
    " shows driver timeout please check mirror translation page typo release notes link broken meeting moved package"
    " review needs sponsor build test passes keyboard layout wrong font missing bluetooth headset drops network slow"
    " again nightly image boots fine"
)[:64]
_WORD_BITS = 6

#: Details come from the low bits alone, so two messages about one thing differ only in the high ones.
_WINDOW = 0xFFFF_FFFF
DETAIL_BITS = 96


def pick(message: SimMessage, choices: Sequence[T], shift: int = 0) -> T:
    """One of the choices; another shift is another, independent choice."""
    return choices[(message.bits >> shift & _WINDOW) % len(choices)]


def number(message: SimMessage, most: int, shift: int = 0) -> int:
    """A number from 1 to `most`."""
    return 1 + (message.bits >> shift & _WINDOW) % most


def text(message: SimMessage) -> str:
    """What was written: mostly words of one's own, sometimes what everybody writes."""
    if message.text:
        return message.text
    if number(message, 1000, 5) <= 1000 * _COMMONPLACE_SHARE:
        return pick(message, _COMMONPLACES, 15)
    bits = message.bits >> 20
    places = (bits >> _WORD_BITS * place for place in range(8 + bits % 4))
    return " ".join(_WORDS[place % len(_WORDS)] for place in places)


def title(message: SimMessage) -> str:
    return text(message).partition("\n")[0][:80]


def titled_text(message: SimMessage) -> str:
    return f"{title(message)}\n{text(message)}"


def project_name(message: SimMessage) -> str:
    return pick(message, PROJECTS, 11)


def namespace(message: SimMessage) -> str | None:
    return pick(message, _NAMESPACES, 17)


def project_path(message: SimMessage) -> str:
    prefix, name = namespace(message), project_name(message)
    return f"{prefix}/{name}" if prefix else name


def issue_url(message: SimMessage) -> str:
    return f"https://pagure.io/{project_path(message)}/issue/{number(message, 9000)}"


def revision(message: SimMessage) -> str:
    return f"{message.bits:040x}"


def lines(message: SimMessage) -> tuple[int, int]:
    """Additions and deletions: most commits are small, a few are not."""
    scale = 4 << 3 * ((message.bits >> 23 & _WINDOW) % 3)
    return number(message, scale, 29), (message.bits >> 37 & _WINDOW) % scale


def post_number(message: SimMessage) -> int:
    return number(message, 900_000)


def alias(message: SimMessage) -> str:
    return f"FEDORA-{to_datetime(message.at).year}-{message.bits & 0xFFFFFFFFFF:010x}"


def build(message: SimMessage) -> int:
    return message.bits & 0x7FFFFFF


def page(message: SimMessage) -> str:
    return pick(message, _PAGES, 3)


def badge(message: SimMessage) -> str:
    """The badge that a programme gives, otherwise any."""
    return message.text or pick(message, BADGES)


def closed_url(message: SimMessage) -> str:
    """The issue as its closing has it."""
    return f"{issue_url(message)}#closed"


def answers(message: SimMessage) -> bool:
    """Whether a mail answers another: what opens a thread has no bits but those of the thing."""
    return message.bits >> DETAIL_BITS != 0


def mail_id(message: SimMessage) -> str:
    return f"<{message.bits:032x}@mail.example.org>"


def opening_id(message: SimMessage) -> str:
    """Id of the mail that opened the thread."""
    return f"<{message.bits & (1 << DETAIL_BITS) - 1:032x}@mail.example.org>"


def mailing_list(message: SimMessage) -> str:
    return pick(message, _LISTS, 23)


def mail_hash(mail: str) -> str:
    """What Mailman makes of an id."""
    return b32encode(sha1(mail[1:-1].encode(), usedforsecurity=False).digest()).decode()


def mail_url(message: SimMessage) -> str:
    return f"{_archive(message)}/message/{mail_hash(mail_id(message))}/"


def mail_thread(message: SimMessage) -> str:
    """The thread; of an answer, with the mail's own hash."""
    thread = f"{_archive(message)}/thread/{mail_hash(opening_id(message))}/"
    return f"{thread}#{mail_hash(mail_id(message))}" if answers(message) else thread


def _archive(message: SimMessage) -> str:
    return f"https://lists.fedoraproject.org/archives/list/{mailing_list(message)}@lists.fedoraproject.org"


def actor(message: SimMessage) -> str:
    if message.user is None:
        raise ValueError(f"a {message.kind} has to name who acted")
    return message.user


def other(message: SimMessage) -> str:
    return message.others[0] if message.others else actor(message)


def commit_url(message: SimMessage) -> str:
    return f"https://src.fedoraproject.org/rpms/{pick(message, PACKAGES, 13)}/c/{revision(message)}"


def topic_number(message: SimMessage) -> int:
    return number(message, 90_000, 31)


def topic_url(message: SimMessage) -> str:
    return f"{DISCOURSE}/t/{topic_number(message)}"


def category(message: SimMessage) -> str:
    return project_name(message)


def diff_url(message: SimMessage) -> str:
    return f"https://fedoraproject.org/w/index.php?diff={post_number(message)}"


def parent(message: SimMessage) -> str:
    """The revision before this one."""
    return f"{message.bits >> 9:040x}"


def push_url(message: SimMessage) -> str:
    return f"https://pagure.io/{project_path(message)}/c/{revision(message)}"


def page_url(message: SimMessage) -> str:
    return f"https://fedoraproject.org/wiki/{page(message)}"


def meeting_url(message: SimMessage) -> str:
    return f"https://meetbot.fedoraproject.org/{number(message, 10**9)}"
