import importlib.util
import warnings

import pytest

from atm.base.errors import InputError
from atm.text import check_sentence, tag_words


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a person walks forward.", "a/DET person/NOUN walk/VERB forward/ADV"),
        (
            "The man takes five steps backwards",
            "the/DET man/NOUN take/VERB five/NUM step/NOUN backwards/ADV",
        ),
        (
            "someone sits down and stands back up twice",
            "someone/PRON sit/VERB down/ADP and/OTHER stand/VERB back/ADV up/ADP twice/ADV",
        ),
        (
            "a person is waving with their left hand",
            "a/DET person/NOUN is/AUX wave/VERB with/ADP their/DET left/ADJ hand/NOUN",
        ),
        ("he quickly turns to the left", "he/PRON quickly/ADV turn/VERB to/ADP the/DET left/NOUN"),
        (
            "she gives three kicks with her right leg",
            "she/PRON give/VERB three/NUM kick/NOUN with/ADP her/DET right/ADJ leg/NOUN",
        ),
        ("a person stood up and ran", "a/DET person/NOUN stand/VERB up/ADP and/OTHER run/VERB"),
        ("jumping jacks", "jump/VERB jack/NOUN"),
        ("he does three squats", "he/PRON do/VERB three/NUM squat/NOUN"),
        ("a figure does a slow bow", "a/DET figure/NOUN do/VERB a/DET slow/ADJ bow/NOUN"),
    ],
)
def test_words_get_base_form_and_class(caption, expected):
    assert tag_words(caption) == expected.split()


def test_digits_read_as_number_words():
    assert tag_words("takes 5 steps") == tag_words("takes five steps")
    assert tag_words("turns 90 degrees") == tag_words("turns ninety degrees")


def test_a_number_of_thousands_of_digits_is_left_out_like_any_that_has_no_word():
    assert tag_words(f"takes {'9' * 5000} steps") == tag_words("takes 77 steps") == tag_words("takes steps")
    assert tag_words("takes 05 steps") == tag_words("takes five steps")


def test_left_is_never_the_past_of_leave():
    assert [word.split("/")[0] for word in tag_words("his left hand, the left, turns left")].count("left") == 3


def test_tokens_survive_the_text_file_format():
    """The format separates by # and blanks, and each token by exactly one slash."""
    for token in tag_words("A person's  arm/leg #moves -- counter-clockwise; isn't it 99?"):
        word, name = token.split("/")
        assert word.isalpha() and name.isalpha() and "#" not in token


def test_unknown_words_are_guessed_by_their_ending():
    assert tag_words("frobbing gleefully blorpish wugs") == ["frobb/VERB", "gleefully/ADV", "blorpish/ADJ", "wug/NOUN"]


@pytest.mark.skipif(importlib.util.find_spec("spacy") is not None, reason="spaCy is installed")
def test_spacy_is_named_when_it_is_asked_for_and_absent():
    with pytest.raises(InputError, match="en_core_web_sm"):
        tag_words("a person walks", tagger="spacy")


@pytest.mark.parametrize("sentence", ["人が歩く", "человек идёт", "!!! ???", "…", "'"])
def test_a_sentence_without_a_word_that_can_be_read_is_refused(sentence):
    with pytest.raises(InputError, match="has no word that text encoders read: expected a sentence in English"):
        check_sentence(sentence)


def test_an_empty_sentence_is_refused():
    with pytest.raises(InputError, match="the sentence is empty"):
        check_sentence(" ")


def test_words_that_cannot_be_read_are_named():
    with pytest.warns(UserWarning, match="not read in 'a person идёт forward': идёт;"):
        check_sentence("a person идёт forward")


@pytest.mark.parametrize("sentence", ["a person walks - 3 steps", "a café dancer's pirouette", "5 steps!"])
def test_a_sentence_that_can_be_read_passes_in_silence(sentence):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_sentence(sentence)
