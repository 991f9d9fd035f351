"""What a study leaves: tables, a figure and a page, marked for what they are."""

import csv
import io
import re

import pytest
from fakes import plan, run_fake, small_study
from PIL import Image

from atm.apps.studies.figure import draw
from atm.apps.studies.jobs import Result
from atm.apps.studies.page import report
from atm.apps.studies.registry import find_study
from atm.apps.studies.results import StudyResults
from atm.apps.studies.run import Engine, run_study
from atm.apps.studies.tables import QUICK_NOTE, comma_separated, markdown
from atm.base.errors import InputError
from atm.pages.charts import figure_svg


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study of three rows and two seeds; `both` of seed 1 has failed."""
    out = tmp_path_factory.mktemp("study")
    failing = out / "rows" / "both-1"
    failing.mkdir(parents=True)
    (failing / "fail").write_text("9")
    how = plan(out, seeds=(0, 1))
    run_study(small_study(), how, out, runner=run_fake, command="atm study small", show_progress=False)
    return out


def test_the_markdown_has_our_figures_beside_the_papers(folder):
    """`none` is 0.40 with seed 0 and 0.41 with seed 1: 0.405, and 12.706 · 0.00707 / sqrt(2) = 0.064."""
    text = (folder / "table.md").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("| none |")]
    assert [cell.strip() for cell in line.split("|")[2:4]] == ["0.405 ± 0.064", "0.425"]
    assert "the paper's order holds in 2 of 2 rows" in text
    assert "Fewer seeds so far: both one, its interval is over replications." in text
    assert "`both-1`: crashed 2 times" in text


def test_differences_are_taken_in_pairs_of_one_seed(folder):
    """`inter` is 0.10 above `none` with either seed, so the interval has no width; `both` has one seed."""
    text = (folder / "table.md").read_text()
    lines = [line.split("|") for line in text.splitlines() if line.startswith(("| inter − none", "| both − none"))]
    found = {line[1].strip(): line[2].strip() for line in lines}
    assert found["inter − none"] == "+0.100 ± 0.000"
    assert found["both − none"].startswith("+0.")
    assert "inter − none" in (folder / "report.html").read_text()


def test_the_csv_has_a_line_for_each_row_metric_and_seed(folder):
    lines = list(csv.DictReader(io.StringIO((folder / "table.csv").read_text())))
    found = {(line["row"], line["metric"], line["seed"]): float(line["value"]) for line in lines}
    assert found["inter", "r_precision_1", "0"] == pytest.approx(0.50)
    assert found["inter", "r_precision_1", "1"] == pytest.approx(0.51)
    assert found["inter", "r_precision_1", "all"] == pytest.approx(0.505)
    assert ("both", "fid", "0") in found and ("both", "fid", "1") not in found
    assert {line["paper HumanML3D"] for line in lines if line["row"] == "inter"} == {"0.502", "0.383"}


def test_the_page_is_one_file_that_fetches_nothing(folder):
    page = (folder / "report.html").read_text()
    assert not re.search(r'(?:src|href)="(?!data:|#)', page.replace('xmlns="http', ""))
    assert "<svg" in page and "atm study small" in page and "figures in blue" in page
    assert "1 of the runs failed" in page and "RuntimeError: call 2 fails" in page


def test_the_figure_is_there_for_print(folder):
    with Image.open(folder / "figure.png") as image:
        assert image.width > 800
    assert (folder / "figure.svg").read_text().startswith("<svg")


def test_a_quick_study_says_everywhere_that_it_means_nothing():
    values = {"none": {"r_precision_1": [0.4]}, "both": {"r_precision_1": [0.5]}}
    quick = StudyResults(small_study(), plan("data", quick=True), {0: [Result(values=values)]}, {})
    assert QUICK_NOTE in markdown(quick)
    assert all(QUICK_NOTE in line for line in comma_separated(quick).splitlines()[1:])
    assert QUICK_NOTE in report(quick, "")
    assert "these figures mean nothing" in figure_svg(draw(quick), page=True)
    assert 'class="best"' not in report(quick, "")


def test_figures_of_the_paper_have_the_decimals_that_it_prints():
    """0.570, 0.383 and 0.320 stand below one another; milliseconds have one decimal."""
    values = {"none": {"fid": [0.4]}}
    table = markdown(StudyResults(small_study(), plan("data"), {0: [Result(values=values)]}, {}))
    lines = [line for line in table.splitlines() if line.startswith(("| none |", "| inter |", "| both |"))]
    assert [line.split("|")[3].strip() for line in lines] == ["0.570", "0.383", "0.320"]
    timed = {"baseline": {"step_ms": [5.0]}}
    table = markdown(StudyResults(find_study("cost"), plan("data"), {0: [Result(values=timed)]}, {}))
    assert "| 97.9 |" in table and "| 111.2 |" in table


def test_the_page_says_what_each_row_is_made_of_and_praises_no_cost():
    study = find_study("generators")
    page = report(StudyResults(study, plan("data"), {}, {}), "")
    assert ">mdm_small_atm<" in page and ">mdm_small alignment=none<" in page
    assert ">bamm of momask_rvq, bamm_transformer, momask_residual<" in page
    timed = {row.name: {"step_ms": [5.0, 6.0], "hours": [1.0, 2.0]} for row in find_study("cost").rows}
    page = report(StudyResults(find_study("cost"), plan("data"), {0: [Result(values=timed)]}, {}), "")
    assert 'class="best"' not in page and "coloured" not in page and "evaluated" not in page


def test_values_of_one_quantity_become_a_line_in_their_order():
    study = find_study("clip")
    values = {row.name: {"r_precision_1": [0.1 * place]} for place, row in enumerate(study.rows)}
    figure = draw(StudyResults(study, plan("data"), {0: [Result(values=values)]}, {}))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "1.5", "2", "2.5", "3"]
    assert list(axes.lines[0].get_ydata()) == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_a_study_without_a_figure_yet_has_a_page_that_says_what_is_missing():
    empty = StudyResults(small_study(), plan("data"), {}, {}, ("none-0", "both-0"))
    assert "Not run yet: none-0, both-0" in report(empty, "")
    assert draw(empty) is None


def test_slurm_without_a_slurm_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="submitit refuses"):
        run_study(small_study(), plan(tmp_path), tmp_path, runner=run_fake, engine=Engine("slurm"), show_progress=False)
