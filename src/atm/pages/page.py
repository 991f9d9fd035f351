"""One self-contained HTML page: style, script, tables, notes and figures; nothing is fetched from anywhere."""

import html
import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

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


class Row(NamedTuple):
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
    """A whole page out of fragments of HTML.

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
    style = _asset("page.css") + (_asset("viewer.css") if viewer else "")
    script = f"<script>\n{viewer_script()}</script>" if viewer else ""
    head = "".join(
        f'<{tag} class="{name}">{html.escape(text)}</{tag}>' if name else f"<{tag}>{html.escape(text)}</{tag}>"
        for tag, name, text in (("p", "kicker", kicker), ("h1", "", title), ("p", "lead", lead))
        if text
    )
    foot = f"<footer>{html.escape(footer)}</footer>" if footer else ""
    chosen = f' data-theme="{theme}"' if theme else ""
    return (
        f'<!doctype html>\n<html lang="en"{chosen}>\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n<header>{head}</header>\n{body}\n{foot}</main>\n{script}\n</body>\n</html>\n"
    )


def viewer_script() -> str:
    """The viewer's JavaScript, for pages that are not made by `page`."""
    return _asset("painter.js") + _asset("viewer.js")


def viewer_style() -> str:
    """The viewer's CSS, for pages that are not made by `page`."""
    return _asset("viewer.css")


def section(heading: str, *parts: str) -> str:
    """A heading with an anchor (the heading in lower case, joined by hyphens) and what follows it."""
    return f'<section id="{_anchor(heading)}"><h2>{html.escape(heading)}</h2>\n' + "\n".join(parts) + "</section>"


def contents(headings: Sequence[str]) -> str:
    """Links to the sections of these headings."""
    links = "".join(f'<a href="#{_anchor(heading)}">{html.escape(heading)}</a>' for heading in headings)
    return f'<nav class="contents" aria-label="Contents">{links}</nav>'


def paragraph(text: str) -> str:
    """Plain text as a paragraph; `code` between backticks."""
    return f"<p>{_inline(text)}</p>"


def quoted(text: str) -> str:
    """A caption in quotation marks, without its full stop, so that it can stand in a sentence."""
    return f"“{text.rstrip('.')}”"


def note(text: str, kind: str = "") -> str:
    """A paragraph set apart. `kind`: `good`, `warn`, `bad` or nothing."""
    return f'<div class="note {kind}"><p>{_inline(text)}</p></div>'


def facts(pairs: dict[str, str]) -> str:
    """A few figures in large print, each under its name."""
    cells = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(str(value))}</dd></div>" for name, value in pairs.items()
    )
    return f'<dl class="facts">{cells}</dl>'


def decimal(value: float, digits: int = 3) -> str:
    """A figure for reading: with a minus sign, where a program writes a hyphen."""
    return f"{value:.{digits}f}".replace("-", "−")


def figure(content: str, caption: str = "") -> str:
    """A chart or picture (SVG or HTML) with a caption."""
    below = f"<figcaption>{_inline(caption)}</figcaption>" if caption else ""
    return f'<figure class="figure">{content}{below}</figure>'


def side_by_side(*parts: str) -> str:
    """Parts beside one another where there is room."""
    return f'<div class="row">{"".join(parts)}</div>'


def table(first: str, columns: Sequence[Column | str], rows: Sequence[Row], *, caption: str = "") -> str:
    """A table whose figures line up; None is shown as a dash.

    Args:
        first: name of the first column, that of the rows.
        columns: the other columns.
        rows: one cell per column each.
        caption: how to read it; backticks as in `paragraph`.

    Raises:
        ValueError: a row whose number of cells is not that of the columns.
    """
    columns = [Column(column) if isinstance(column, str) else column for column in columns]
    head = "".join(_head(column) for column in [Column(first), *columns])
    body = ""
    for row in rows:
        if len(row.cells) != len(columns):
            raise ValueError(f"row {row.name!r} has {len(row.cells)} cells, the table has {len(columns)} columns")
        cells = "".join(
            _cell(cell, column, index in row.best)
            for index, (cell, column) in enumerate(zip(row.cells, columns, strict=True))
        )
        style = ' class="reference"' if row.reference else ""
        body += f'<tr{style}><th scope="row">{html.escape(row.name)}</th>{cells}</tr>'
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    # Below the part that scrolls, so that it is read in full on a narrow page.
    below = f"<figcaption>{_inline(caption)}</figcaption>" if caption else ""
    return f'<figure class="table"><div class="table-wrap">{whole}</div>{below}</figure>'


def _head(column: Column) -> str:
    opening = '<th scope="col" class="text">' if column.prose else '<th scope="col">'
    hint = f"<small>{html.escape(column.hint)}</small>" if column.hint else ""
    return f"{opening}{html.escape(column.name)}{hint}</th>"


def _cell(cell: str | float | Interval | None, column: Column, best: bool) -> str:
    names = " ".join(name for name, wanted in (("text", column.prose), ("best", best)) if wanted)
    opening = f'<td class="{names}">' if names else "<td>"
    if cell is None:
        content = "–"
    elif isinstance(cell, Interval):
        half = f'<span class="interval">±&#8239;{cell.half_width:.{cell.digits}f}</span>'
        content = decimal(cell.mean, cell.digits) + half
    elif isinstance(cell, float):
        content = decimal(cell)
    else:
        content = html.escape(str(cell))
    return f"{opening}{content}</td>"


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


@cache
def _asset(name: str) -> str:
    return resources.files("atm.pages").joinpath("assets", name).read_text(encoding="utf-8")
