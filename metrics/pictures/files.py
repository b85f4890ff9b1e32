"""Pictures as files: the same figures give the same bytes, whenever and wherever they are drawn."""

import io
from textwrap import fill
from typing import Literal

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from metrics.pictures.picture import Picture
from metrics.pictures.theme import SOFT, STYLE
from state.weeks import to_datetime

#: Dots per inch of a PNG: sharp on a slide, and small.
DPI = 144

#: Around the axes while drawing, inches; what is not used is cut off.
_MARGIN = 4.0

#: Between the axes' parts and the texts around them, and to the edge, inches.
_GAP, _EDGE = 0.14, 0.2

#: Letters of 9 points on an inch, about.
_LETTERS = 12.5

Form = Literal["png", "svg"]

#: Colours of a PNG; pictures have few, and a table of them makes the file a quarter as large.
_COLOURS = 256


def image(picture: Picture, form: Form) -> bytes:
    """The picture as a file of that form."""
    with rc_context(STYLE):
        drawn, found = figure(picture), io.BytesIO()
        if form == "svg":
            metadata = {"Title": picture.title, "Creator": "Homecoming", "Date": None}
            drawn.savefig(found, format="svg", metadata=metadata, bbox_inches="tight", pad_inches=_EDGE)
            return found.getvalue()
        drawn.savefig(found, format="png", dpi=DPI, bbox_inches="tight", pad_inches=_EDGE)
        packed = io.BytesIO()
        with Image.open(found) as full:
            full.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(packed, "png", dpi=(DPI, DPI))
        return packed.getvalue()


def figure(picture: Picture) -> Figure:
    """The picture drawn: title and note above the axes and whatever belongs to them, the footer below."""
    with rc_context(STYLE):
        width, height = picture.width + 2 * _MARGIN, picture.height + 2 * _MARGIN
        drawn = Figure(figsize=(width, height))
        canvas = FigureCanvasAgg(drawn)
        axes = drawn.add_axes((_MARGIN / width, _MARGIN / height, picture.width / width, picture.height / height))
        picture.draw(axes)
        renderer = canvas.get_renderer()  # type: ignore[no-untyped-call] # matplotlib's own hole
        extent = axes.get_tightbbox(renderer)
        box = axes.bbox if extent is None else extent
        left, top, bottom = box.x0 / drawn.dpi, box.y1 / drawn.dpi, box.y0 / drawn.dpi
        wide = max(box.width / drawn.dpi, 5.5)
        note = fill(picture.note, max(40, int(wide * _LETTERS)))
        said = drawn.text(
            left / width, (top + _GAP) / height, note, color=SOFT, fontsize=9, va="bottom", linespacing=1.35
        )
        above = said.get_window_extent(renderer).y1 / drawn.dpi
        drawn.text(
            left / width, (above + _GAP / 1.6) / height, picture.title, fontsize=13, fontweight="bold", va="bottom"
        )
        footer = "no event yet" if picture.as_of is None else f"as of {to_datetime(picture.as_of):%Y-%m-%d %H:%M} UTC"
        drawn.text(left / width, (bottom - _GAP) / height, f"Homecoming, {footer}", color=SOFT, fontsize=7.5, va="top")
        return drawn
