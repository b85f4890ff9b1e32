"""Picture files: valid, the same bytes for the same figures, and a clear word where they cannot be drawn."""

import io
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from xml.etree import ElementTree as ET

from PIL import Image

from metrics.pictures import campaigns, composition, retention
from metrics.pictures.document import report_html
from metrics.pictures.files import DPI, Form, image
from state.reading import Cell, Cohort, Retention
from tests.support.pictures import AS_OF, CAMPAIGNS, EVENTS, FIRST

HOSTILE = EVENTS._replace(events=(EVENTS.events[0]._replace(name='<script>$x$ & "co"'),))
TABLE = Retention(AS_OF, "all", (Cohort(FIRST, 9, (Cell(0, 9, "final"), Cell(1, 4, "open"))),))


def test_a_png_has_a_signature_and_the_size_of_its_axes_at_least() -> None:
    picture = composition.picture(EVENTS)
    found = image(picture, "png")
    assert found.startswith(b"\x89PNG\r\n\x1a\n")
    with Image.open(io.BytesIO(found)) as read:
        read.verify()
    width, height = read.size
    assert picture.width * DPI <= width <= (picture.width + 6) * DPI
    assert picture.height * DPI <= height <= (picture.height + 4) * DPI


def test_an_svg_is_xml_whose_texts_stay_texts() -> None:
    root = ET.fromstring(image(composition.picture(HOSTILE), "svg"))  # noqa: S314 - our own
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert '<script>$x$ & "co", 2024-09-02' in "".join(root.itertext())
    assert not root.findall(".//{http://www.w3.org/2000/svg}script")


def test_the_same_figures_are_the_same_bytes() -> None:
    forms: tuple[Form, ...] = ("png", "svg")
    for form in forms:
        assert image(retention.picture(TABLE), form) == image(retention.picture(TABLE), form)
    code = (
        "import sys; from metrics.pictures.files import image; from metrics.pictures import campaigns;"
        "from tests.support.pictures import CAMPAIGNS; "
        "sys.stdout.buffer.write(image(campaigns.picture(CAMPAIGNS), 'svg'))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=Path(__file__).parents[2])
    assert other.stdout == image(campaigns.picture(CAMPAIGNS), "svg")


def test_other_figures_are_other_bytes() -> None:
    fewer = TABLE._replace(cohorts=(TABLE.cohorts[0]._replace(cells=(Cell(0, 9, "final"), Cell(1, 3, "open"))),))
    assert image(retention.picture(TABLE), "svg") != image(retention.picture(fewer), "svg")


def test_the_report_holds_its_pictures_and_names_their_commands() -> None:
    svg = image(composition.picture(EVENTS), "svg")
    html = report_html(AS_OF, [("composition", "Who <came>", 'A "note"', "homecoming events", svg)])
    data = html.split('src="data:image/svg+xml;base64,')[1].split('"')[0]
    assert b64decode(data) == svg
    assert 'alt="Who &lt;came&gt;. A &#34;note&#34;"' in html
    assert "<code>homecoming events</code>" in html
    assert "http://" not in html.replace(data, "")
    assert "<script" not in html
