"""Captions as structured meaning: what is read, what contradicts, what is the same."""

import random
from pathlib import Path

import numpy as np
import pytest

from atm.meaning import (
    Count,
    Event,
    MeaningReader,
    counterfactuals,
    differs,
    exact_attributes,
    parse_meaning,
    same_meaning,
)

CORNERS = """
a the left right and then before after while as five twice a couple of hundred 37 123456 step steps times degrees
back up down forward turn turning circle both hands foot stand stands get raises lowers wave bow squat come takes
throw punches
quickly , . in place seconds walks jumping jacks follow followed by face other
"""


def attributes(a: str, b: str) -> list[str]:
    return [difference.attribute for difference in differs(parse_meaning(a), parse_meaning(b))]


LABELLED = [
    line for line in (Path(__file__).parent / "labelled_captions.txt").read_text().splitlines() if line[:1] not in "#"
]


def labelled(event: Event) -> str:
    """An event as labelled_captions.txt has it."""
    count = str(event.count or "").replace(" or more", "+").replace(" to ", "-")
    fields = {
        "n": count, "s": event.side, "d": "/".join(sorted(event.direction)), "t": event.turning, "p": event.path,
        "v": event.speed, "deg": f"{event.degrees:g}" if event.degrees else "",
    }  # fmt: skip
    return " ".join([event.action, *sorted(f"{key}={value}" for key, value in fields.items() if value)])


@pytest.mark.parametrize("line", LABELLED)
def test_captions_are_read_as_labelled_by_hand(line: str):
    caption, label = line.lstrip("~").split("|")
    wanted = []
    for event in filter(None, map(str.split, label.split(";"))):
        wanted.append(" ".join([event[0], *sorted(event[1:])]))
    read = [labelled(event) for event in parse_meaning(caption.strip()).events]
    assert (read == wanted) is not line.startswith("~")


@pytest.mark.parametrize(
    ("a", "b", "attribute"),
    [
        ("a person walks five steps", "a person walks 4 steps", "count"),
        ("someone jumps twice", "a man jumps three times", "count"),
        ("a person takes several steps", "a person takes one step", "count"),
        ("he waves his left hand", "he waves his right hand", "side"),
        ("he raises both arms", "he raises his left arm", "side"),
        ("a person walks forward", "a person walks backwards", "direction"),
        ("a person turns left", "a person turns clockwise", "direction"),
        ("a person steps to the left", "a person steps to the right", "direction"),
        ("a man walks in a circle", "a man walks in a straight line", "path"),
        ("she turns 90 degrees", "she turns 180 degrees", "degrees"),
        ("a person slowly walks", "a person walks fast", "speed"),
        ("a person raises their left arm", "a person raises their left leg", "part"),
        ("a person walks, then sits down", "a person sits down, then walks", "order"),
        ("a person sits down before jumping", "a person sits down after jumping", "order"),
        ("a person kicks", "a person claps", "action"),
    ],
)
def test_captions_that_no_one_motion_fits_contradict_in_that_attribute(a: str, b: str, attribute: str):
    assert attributes(a, b) == [attribute]
    assert attributes(b, a) == [attribute]
    assert not same_meaning(parse_meaning(a), parse_meaning(b))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("a person walks", "a person walks five steps"),
        ("a person walks forward", "a person slowly walks"),
        ("a person takes several steps", "a person takes five steps"),
        ("a person walks and waves", "a person waves while walking"),
        ("a man hops", "a man jumps"),
        ("a man moves forward", "a man runs forward"),
        ("a person walks forward and then sits down", "a person walks forward"),
        ("a person dances", "a person walks"),
        ("a man walks around a corner to the left", "a man walks ahead, then turns to the left"),
        ("a man walks to the right", "a man walks forward while moving over to the right"),
        ("a person walks twice in a circle", "a person walks five steps in a circle"),
        ("a man swims", ""),
    ],
)
def test_what_one_caption_leaves_open_is_no_contradiction(a: str, b: str):
    assert attributes(a, b) == []
    assert attributes(b, a) == []


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("a person walks five steps forward.", "the man takes 5 steps forwards"),
        (
            "someone sits down after waving twice with the left hand",
            "he waves two times with his left arm, then sits",
        ),
        ("a person quickly turns to the right", "a person rapidly spins clockwise"),
        ("after walking, she jumps", "she walks and then jumps"),
    ],
)
def test_paraphrases_have_the_same_meaning(a: str, b: str):
    assert same_meaning(parse_meaning(a), parse_meaning(b))
    assert attributes(a, b) == []


def test_captions_that_differ_in_an_object_are_not_the_same_and_do_not_contradict():
    a, b = "a person throws a ball", "a person throws a chair leg"
    assert not same_meaning(parse_meaning(a), parse_meaning(b))
    assert attributes(a, b) == []


def test_nothing_understood_is_not_the_same_as_nothing_understood():
    assert not same_meaning(parse_meaning(""), parse_meaning(""))


def test_vague_counts_exclude_only_what_nobody_would_say():
    """Several is three or more; a few is two to six; a couple two or three."""
    assert Count(3, None).excludes(Count(2, 2))
    assert not Count(3, None).excludes(Count(9, 9))
    assert Count(2, 3).excludes(Count(4, 4))
    assert not Count(2, 6).excludes(Count(3, None))
    assert not Count(1, 1, "step").excludes(Count(2, 2, "circle"))


def test_a_counterfactual_says_exactly_one_thing_otherwise():
    found = counterfactuals("A person takes five steps forward.")
    assert ("a person takes four steps forward.", "count") in found
    assert ("a person takes six steps forward.", "count") in found
    assert ("a person takes five steps backward.", "direction") in found
    for text, attribute in found:
        assert attributes("a person takes five steps forward", text) == [attribute]


def test_a_counterfactual_agrees_in_number():
    assert ("a person makes two jumps", "count") in counterfactuals("a person makes one jump")
    assert ("a person throws 1 punch", "count") in counterfactuals("a person throws 2 punches")


def test_a_caption_without_number_side_or_direction_has_no_counterfactual():
    assert counterfactuals("a person dances") == []
    assert counterfactuals("") == []


def test_any_text_is_read_without_an_error():
    """Words of the vocabulary in any order reach the corners that sentences do not."""
    rng = random.Random(0)
    for _ in range(150):
        text = " ".join(rng.choices(CORNERS.split(), k=rng.randint(0, 12)))
        meaning = parse_meaning(text)
        assert differs(meaning, meaning) == ()
        counterfactuals(text)


def test_a_reader_of_batches_agrees_with_the_comparison_of_pairs():
    lines = [line.lstrip("~").split("|")[0].strip() for line in LABELLED]
    text = [*lines[::4], "a person walks", "somebody walks.", "a person walks", ""]
    read = MeaningReader()(text, np.random.default_rng(0))
    meanings = [parse_meaning(caption) for caption in text]
    for i, one in enumerate(meanings):
        for j, other in enumerate(meanings):
            assert read.contradicts[i, j] == bool(differs(one, other))
            assert read.same[i, j] == (text[i] == text[j] or same_meaning(one, other))


def test_a_reader_draws_evenly_among_what_a_caption_says():
    """Two numbers next to five and one other side: were counterfactuals drawn evenly, a side would come every third
    time; by attribute it comes every second time, 100 of 200 with a deviation of 7."""
    read = MeaningReader()
    rng = np.random.default_rng(0)
    drawn = [read(["a person kicks five times with the left foot"], rng).counterfactual[0] for _ in range(200)]
    assert set(drawn) == {
        "a person kicks four times with the left foot",
        "a person kicks six times with the left foot",
        "a person kicks five times with the right foot",
    }
    assert 79 <= sum("right" in text for text in drawn) <= 121


def test_a_caption_that_says_nothing_of_the_kind_has_no_counterfactual_in_a_batch():
    assert MeaningReader()(["a person dances"], np.random.default_rng(0)).counterfactual == [None]


def test_a_caption_tells_what_it_says_once_and_exactly():
    assert exact_attributes(parse_meaning("a man jumps three times, then turns left")) == {
        "count": "3",
        "direction": "turns left",
    }
    assert exact_attributes(parse_meaning("a man jumps three times and kicks twice")) == {}
    assert exact_attributes(parse_meaning("a man stands still for five seconds")) == {}
    assert exact_attributes(parse_meaning("a man takes several steps to the right")) == {"direction": "right"}


def test_a_batch_carries_what_its_captions_tell():
    read = MeaningReader()(["a man jumps three times", "a man sits down"], np.random.default_rng(0))
    assert read.exact_attributes[0]["count"] == "3"
    assert "count" not in read.exact_attributes[1]
