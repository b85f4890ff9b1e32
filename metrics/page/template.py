"""The page's templates, its one style and its one script, and the policy under which browsers take them."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from state.weeks import to_datetime

_HERE = Path(__file__).parent
_STYLE = (_HERE / "page.css").read_text(encoding="utf-8")
_SCRIPT = (_HERE / "page.js").read_text(encoding="utf-8")


def minute(at: int | None) -> str:
    """`2024-06-03 09:30 UTC` for an event time."""
    return "none yet" if at is None else f"{to_datetime(at):%Y-%m-%d %H:%M} UTC"


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 cohort`, `1,024 cohorts`."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


#: Content-Security-Policy: this very style and script, and questions to this server alone. No form is ever sent.
POLICY = (
    f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_HERE),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_ENVIRONMENT.filters |= {"minute": minute, "thousands": "{:,}".format, "counted": counted}
# Our own files; escaped they would not match their hashes.
_ENVIRONMENT.globals |= {"style": Markup(_STYLE), "script": Markup(_SCRIPT)}  # noqa: S704

# All of them now, lest the first reader wait until the parts are compiled.
for _part in _ENVIRONMENT.list_templates(extensions=["html"]):
    _ENVIRONMENT.get_template(_part)

PAGE = _ENVIRONMENT.get_template("page.html")
PROGRAMMES = _ENVIRONMENT.get_template("programmes/page.html")
