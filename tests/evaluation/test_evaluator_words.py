"""Words of captions as the evaluator looks them up."""

import pickle

import numpy as np
import pytest

from atm.base.errors import InputError
from atm.evaluation.words import CLASSES, WordVectorizer, build_vocabulary, read_glove

VOCABULARY = ("sos", "eos", "unk", "walk", "man")


def classes_of(caption: str) -> list[str]:
    indices = WordVectorizer(VOCABULARY)([caption.split()])
    return [CLASSES[kind] for kind in indices.kind[0, 1 : indices.lengths[0] - 1].tolist()]


def test_a_caption_stands_between_start_and_end():
    indices = WordVectorizer(VOCABULARY)([["man/NOUN", "walk/VERB"]])
    assert indices.word[0, :4].tolist() == [0, 4, 3, 1]
    assert indices.lengths.tolist() == [4]


def test_words_of_the_lists_have_their_class_and_unknown_words_have_none():
    assert classes_of("man/NOUN walk/VERB zorble/NOUN man/X") == ["NOUN", "Act_VIP", "OTHER", "OTHER"]


def test_what_stands_behind_the_twentieth_word_is_not_read():
    long = WordVectorizer(VOCABULARY)([["man/NOUN"] * 30])
    assert long.word.shape == (1, 22)
    assert long.lengths.tolist() == [22]
    assert long.word[0, -1] == 1


def test_an_empty_caption_is_start_and_end():
    assert WordVectorizer(VOCABULARY)([[]]).lengths.tolist() == [2]


@pytest.mark.parametrize("token", ["walk", "walk/VERB/NOUN"])
def test_a_token_that_is_no_word_and_class_is_named(token):
    with pytest.raises(InputError, match=token):
        WordVectorizer(VOCABULARY)([[token]])


def test_a_vocabulary_starts_with_its_special_words_and_names_each_word_once():
    with pytest.raises(InputError, match="starts with sos, eos, unk"):
        WordVectorizer(("walk", "sos", "eos"))
    with pytest.raises(InputError, match="man stand in it more than once"):
        WordVectorizer((*VOCABULARY, "man"))


def test_a_vocabulary_has_the_frequent_words_first_and_leaves_rare_ones_to_unk():
    captions = [["man/NOUN", "walk/VERB"], ["man/NOUN", "run/VERB"], ["man/NOUN", "walk/VERB"]]
    assert build_vocabulary(captions) == ("sos", "eos", "unk", "man", "walk")
    assert build_vocabulary(captions, minimum=1)[-1] == "run"


def write_glove(folder, words: list[str], table: np.ndarray) -> None:
    np.save(folder / "our_vab_data.npy", table)
    (folder / "our_vab_words.pkl").write_bytes(pickle.dumps(words))
    (folder / "our_vab_idx.pkl").write_bytes(pickle.dumps({word: row for row, word in enumerate(words)}))


def test_word_vectors_are_read_from_the_published_files(tmp_path):
    table = np.arange(15, dtype=np.float64).reshape(5, 3)
    write_glove(tmp_path, list(VOCABULARY), table)
    vocabulary, vectors = read_glove(tmp_path)
    assert vocabulary == VOCABULARY
    np.testing.assert_array_equal(vectors, table)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    write_glove(tmp_path, list(VOCABULARY), np.zeros((5, 3)))
    (tmp_path / "our_vab_words.pkl").write_bytes(pickle.dumps(print))
    with pytest.raises(InputError, match=r"asks for builtins\.print"):
        read_glove(tmp_path)


def test_absent_word_vectors_are_named_with_their_files(tmp_path):
    with pytest.raises(InputError, match=r"our_vab_words\.pkl"):
        read_glove(tmp_path)
