"""The sections of the page: the clip is marked, the clips play together, the figures have their colours."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from spaces import case

from atm.alignment import Alignment, AlignmentConfig
from atm.apps.explain import explanation_html
from atm.apps.explain.mined import explain_motions
from atm.apps.explain.sections import clip_strips, motion_strips
from atm.pages.page import decimal


@pytest.fixture(scope="module")
def explanation():
    space, generated, batch = case()
    config = AlignmentConfig(inter={"weight": 1}, intra={"weight": 1, "gamma": 1}, epsilon=0.9)
    return explain_motions(generated, Alignment(config, space), batch, row=0)


@pytest.fixture(scope="module")
def views(explanation) -> list[dict]:
    page = explanation_html(explanation)
    return [json.loads(data) for data in re.findall(r'<script type="application/json">(.*?)</script>', page)]


def test_generated_figures_are_blue_and_real_ones_red(views):
    motions, clips = views
    blue, red = "#3f78c3", "#cc4f48"
    assert [pane["one_colour"] for pane in motions["panes"]] == [blue, blue, red, red]
    assert [pane["one_colour"] for pane in clips["panes"]] == [blue] * 3 + [red] * 3


def test_the_marked_frames_are_those_of_the_clip(views, explanation):
    intra = explanation.intra
    spans = [shown.span for shown in (intra.anchor, intra.positive, intra.negative)]
    marked = [tuple(pane["highlights"][0][:2]) for pane in views[1]["panes"]]
    assert marked == spans * 2


def test_the_clips_of_a_view_play_at_the_same_time(views):
    """Each motion is shifted so that its clip starts where the latest clip does, and the view opens there."""
    clips = views[1]
    starts = [pane["begins"] + pane["highlights"][0][0] / pane["fps"] for pane in clips["panes"]]
    assert starts == pytest.approx([clips["start"]] * 6)
    assert min(pane["begins"] for pane in clips["panes"]) == 0


def test_captions_and_numbers_are_on_the_page(explanation):
    page, inter, intra = explanation_html(explanation), explanation.inter, explanation.intra
    for text in (inter.own.text, inter.negative.text, intra.positive.text, intra.negative.text):
        assert f"“{text}”" in page
    for number in (inter.generated_distance, inter.margin, inter.loss, intra.margin, intra.loss):
        assert decimal(number) in page


def test_barred_candidates_are_spoken_of_only_where_there_are_any(explanation):
    inter = explanation.inter
    barred = replace(inter.candidates[-1], barred=True)
    with_barred = replace(explanation, inter=replace(inter, candidates=[*inter.candidates, barred]))
    assert "barred" in explanation_html(with_barred)
    assert "barred" not in explanation_html(explanation)


def test_a_negative_margin_has_a_minus_sign(explanation):
    page = explanation_html(replace(explanation, inter=replace(explanation.inter, margin=-0.055)))
    assert page.count("−0.055") == 1 and "-0.055" not in page


def test_a_stand_in_is_said_to_be_one(explanation):
    page = explanation_html(replace(explanation, stand_in="somebody else's caption"))
    assert "No real motion belongs to your sentence" in page and "real stand-in" in page
    assert "stand-in" not in explanation_html(explanation)


def test_strips_for_print_are_of_the_same_motions_and_clips(explanation):
    inter, intra = explanation.inter, explanation.intra
    strips = motion_strips(explanation)
    assert [strip.caption for strip in strips] == [inter.own.text, inter.negative.text] * 2
    np.testing.assert_array_equal(strips[0].joints, inter.own.generated)
    np.testing.assert_array_equal(strips[3].joints, inter.negative.real)
    assert [strip.span for strip in clip_strips(intra)] == [
        intra.anchor.span,
        intra.positive.span,
        intra.negative.span,
    ] * 2
