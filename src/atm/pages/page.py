"""One self-contained HTML page: style, script, tables, notes and figures; nothing is fetched from anywhere."""

import base64
import gzip
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

from jinja2 import Environment, PackageLoader
from jinja2.runtime import Macro
from markupsafe import Markup, escape

VIEWER_MARK = 'class="motion-view"'


class Interval(NamedTuple):
    """A figure with its 95 % interval, for a cell of a table."""

    mean: float
    half_width: float
    digits: int = 3


class Column(NamedTuple):
    """A column of a table: its name, a hint below it (the unit, which way is better), and whether it holds prose."""

    name: str
    hint: str = ""
    prose: bool = False


class TableRow(NamedTuple):
    """A row of a table. A reference row (real motions) is set apart and takes no part in what is best."""

    name: str
    cells: Sequence["str | float | Interval | None"]
    reference: bool = False
    best: Sequence[int] = ()
    """Indices of cells to be stressed."""


def page(
    title: str,
    body_parts: Iterable[str],
    *,
    kicker: str = "",
    lead: str = "",
    footer: str = "",
    theme: str | None = None,
) -> str:
    """Return a whole page out of fragments of HTML.

    Args:
        title: heading of the page and name of its tab; plain text, like `kicker`, `lead` and `footer`.
        body_parts: HTML, set one below the other: `section`, `table`, `figure`, `note`, `viewer_html`, ...
        kicker: small line above the heading.
        lead: opening sentence below it.
        footer: last line.
        theme: `light` or `dark`; None follows the reader's system.

    Returns:
        The page; the viewer's script and style are on it once, if a fragment needs them.
    """
    body = "\n".join(body_parts)
    viewer = VIEWER_MARK in body
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=title,
            kicker=kicker,
            lead=lead,
            footer=footer,
            theme=theme,
            body=body,
            style=_asset("page.css") + (viewer_style() if viewer else ""),
            script=viewer_script() if viewer else "",
        )
    )


def viewer_script() -> str:
    """Return the viewer's JavaScript, for pages that are not made by `page`."""
    return f'const atmThree = "{_library()}";\n' + _asset("painter.js") + _asset("viewer.js")


def viewer_style() -> str:
    """Return the viewer's CSS, for pages that are not made by `page`."""
    return _asset("viewer.css")


def section(heading: str, *parts: str) -> str:
    """Return a heading with an anchor (the heading in lower case, joined by hyphens) and what follows it."""
    return str(_part("section")(heading, parts))


def contents(headings: Sequence[str]) -> str:
    """Return links to the sections of these headings."""
    return str(_part("contents")(headings))


def paragraph(text: str) -> str:
    """Return plain text as a paragraph; `code` between backticks."""
    return str(_part("paragraph")(text))


def bullets(lines: Sequence[str]) -> str:
    """Return plain texts as a list; backticks as in `paragraph`."""
    return str(_part("bullets")(lines))


def quoted(text: str) -> str:
    """Return a caption in quotation marks, without its full stop, so that it can stand in a sentence."""
    return f"“{text.rstrip('.')}”"


def note(text: str, kind: str = "") -> str:
    """Return a paragraph set apart. `kind`: `good`, `warn`, `bad` or nothing."""
    return str(_part("note")(text, kind))


def facts(pairs: dict[str, str]) -> str:
    """Return a few figures in large print, each under its name."""
    return str(_part("facts")(pairs))


def decimal(value: float, digits: int = 3) -> str:
    """Return a figure for reading: with a minus sign, where a program writes a hyphen."""
    return f"{value:.{digits}f}".replace("-", "−")


def figure(content: str, caption: str = "") -> str:
    """Return a chart or picture (SVG or HTML) with a caption."""
    return str(_part("figure")(content, caption))


def downloads(files: Mapping[str, bytes]) -> str:
    """Return buttons that hand out files, by their names; the page carries their content."""
    links = [
        (name, f"data:application/octet-stream;base64,{base64.b64encode(content).decode('ascii')}")
        for name, content in files.items()
    ]
    return str(_part("downloads")(links))


def side_by_side(*parts: str) -> str:
    """Return parts beside one another where there is room."""
    return str(_part("side_by_side")(parts))


def table(first: str, columns: Sequence[Column | str], rows: Sequence[TableRow], *, caption: str = "") -> str:
    """Return a table whose figures line up; None is shown as a dash.

    Args:
        first: name of the first column, that of the rows.
        columns: the other columns.
        rows: one cell per column each.
        caption: how to read it; backticks as in `paragraph`.

    Raises:
        ValueError: a row whose number of cells is not that of the columns.
    """
    columns = [Column(column) if isinstance(column, str) else column for column in columns]
    for row in rows:
        if len(row.cells) != len(columns):
            raise ValueError(f"row {row.name!r} has {len(row.cells)} cells, the table has {len(columns)} columns")
    return str(_part("table")([Column(first), *columns], rows, caption))


@cache
def _environment() -> Environment:
    """Return the templates of this package, with what they call."""
    made = Environment(loader=PackageLoader("atm.pages"), autoescape=True, trim_blocks=True, keep_trailing_newline=True)
    made.filters |= {"inline": _inline, "anchor": _anchor, "cell": _cell}
    return made


@cache
def _part(name: str) -> Macro:
    return getattr(_environment().get_template("parts.html").module, name)


def _cell(cell: str | float | Interval | None) -> str | Markup:
    if cell is None:
        return "–"
    if isinstance(cell, Interval):
        half = Markup('<span class="interval">±&#8239;{}</span>').format(f"{cell.half_width:.{cell.digits}f}")
        return decimal(cell.mean, cell.digits) + half
    return decimal(cell) if isinstance(cell, float) else str(cell)


def _inline(text: str) -> Markup:
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


@cache
def _library() -> str:
    """Return the vendored three.js, packed: a quarter of its length."""
    packed = gzip.compress(_asset("three/three.min.js").encode(), mtime=0)
    return base64.b64encode(packed).decode("ascii")


@cache
def _asset(name: str) -> str:
    return resources.files("atm.pages").joinpath("assets", name).read_text(encoding="utf-8")
