"""Pages: plain text stays text, figures line up, a row that does not fit is refused."""

import re

import pytest

from atm.pages.page import Column, Interval, TableRow, bullets, contents, figure, note, page, paragraph, section, table


@pytest.mark.parametrize("part", [paragraph, note, lambda text: bullets([text]), lambda text: figure("", text)])
def test_words_are_text_and_backticks_are_code(part):
    found = part("say `a < b` & <b>")
    assert "say <code>a &lt; b</code> &amp; &lt;b&gt;" in found


def test_links_lead_to_their_sections():
    (anchor,) = re.findall(r'href="#([^"]*)"', contents(["Two & three"]))
    assert f'<section id="{anchor}"><h2>Two &amp; three</h2>\n<i>one</i>\n<i>two</i></section>' == section(
        "Two & three", "<i>one</i>", "<i>two</i>"
    )


def test_cells_are_figures_intervals_words_or_nothing():
    row = TableRow("a", [1.0, None, Interval(-0.5, 0.01, 2), "<x>"], best=(0, 3))
    found = table("row", [Column("m", "lower"), "n", "o", Column("p", prose=True)], [row, TableRow("b", [0] * 4, True)])
    assert re.findall(r"<td[^>]*>(.*?)</td>", found)[:4] == [
        "1.000", "–", '−0.50<span class="interval">±&#8239;0.01</span>', "&lt;x&gt;",
    ]  # fmt: skip
    assert re.findall(r'<td class="([^"]*)"', found) == ["best", "text best", "text"]
    assert '<th scope="col">m<small>lower</small></th>' in found and found.count('class="reference"') == 1
    with pytest.raises(ValueError, match="row 'short' has 1 cells, the table has 2 columns"):
        table("row", ["a", "b"], [TableRow("short", [1.0])])


def test_a_page_has_its_words_its_parts_as_they_are_and_no_script_where_nothing_moves():
    found = page("<t>", ["<i>part</i>"], kicker="k", lead="l", footer="f", theme="dark")
    assert "<title>&lt;t&gt;</title>" in found and "<i>part</i>" in found and 'data-theme="dark"' in found
    assert "<script" not in found and "data-theme" not in page("t", []).split("<style>")[0]
