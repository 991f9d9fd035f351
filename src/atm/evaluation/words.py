"""Input of the evaluator from a caption: `word/CLASS` tokens as rows of a word table and 15 word classes.

Source: Guo et al. 2022 (text-to-motion); the vocabulary is theirs when given by path, otherwise our own.
"""

import pickle
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atm.base.errors import InputError

START, END, UNKNOWN = SPECIAL = ("sos", "eos", "unk")
"""The first three words of every vocabulary."""

MAX_WORDS = 20
"""Tokens of a caption that are read; with start and end a caption has up to 22."""

CLASSES = (
    "VERB",
    "NOUN",
    "DET",
    "ADP",
    "NUM",
    "AUX",
    "PRON",
    "ADJ",
    "ADV",
    "Loc_VIP",
    "Body_VIP",
    "Obj_VIP",
    "Act_VIP",
    "Desc_VIP",
    "OTHER",
)

_LISTS = {
    "Loc_VIP": "left right clockwise counterclockwise anticlockwise forward back backward up down straight curve",
    "Body_VIP": "arm chin foot feet face hand mouth leg waist eye knee shoulder thigh",
    "Obj_VIP": "stair dumbbell chair window floor car ball handrail baseball basketball",
    "Act_VIP": "walk run swing pick bring kick put squat throw hop dance jump turn stumble stop sit lift lower raise "
    "wash stand kneel stroll rub bend balance flap jog shuffle lean rotate spin spread climb",
    "Desc_VIP": "slowly carefully fast careful slow quickly happy angry sad happily angrily sadly",
}
_CLASS_OF_WORD = {word: name for name, words in _LISTS.items() for word in words.split()}
_CLASS_INDEX = {name: index for index, name in enumerate(CLASSES)}


class WordIndices(NamedTuple):
    """B captions as indices, all padded to start + 20 words + end."""

    word: Int[Tensor, "B 22"]
    """Rows of the word table."""
    kind: Int[Tensor, "B 22"]
    """Indices into `CLASSES`."""
    lengths: Int[Tensor, "B"]
    """Tokens of each caption, start and end counted."""


class WordVectorizer:
    """Looks words and classes up. Words are taken as they stand; captions are lower case, nouns and verbs lemmas."""

    def __init__(self, vocabulary: Sequence[str]):
        """Take a `vocabulary` that opens with `SPECIAL`; row i of the word table belongs to its i-th word.

        Raises:
            InputError: other first words, or a word twice.
        """
        if tuple(vocabulary[:3]) != SPECIAL:
            raise InputError(
                f"a vocabulary starts with {', '.join(SPECIAL)}; this one starts with {list(vocabulary[:3])}. "
                "Make one from captions with build_vocabulary."
            )
        self._row = {word: row for row, word in enumerate(vocabulary)}
        if len(self._row) != len(vocabulary):
            twice = [word for word, count in Counter(vocabulary).items() if count > 1]
            raise InputError(f"a vocabulary names each word once; {', '.join(twice[:3])} stand in it more than once")

    def __call__(self, captions: Sequence[Sequence[str]]) -> WordIndices:
        """Return indices of captions given as `word/CLASS` tokens; what stands behind the 20th token is not read.

        Raises:
            InputError: a token that is not one word, one slash and one class.
        """
        rows = [[(START, "OTHER"), *map(_split, tokens[:MAX_WORDS]), (END, "OTHER")] for tokens in captions]
        padding = [(UNKNOWN, "OTHER")] * (MAX_WORDS + 2)
        indices = [[self._look_up(*token) for token in (row + padding)[: MAX_WORDS + 2]] for row in rows]
        table = torch.tensor(indices, dtype=torch.long).reshape(-1, MAX_WORDS + 2, 2)
        return WordIndices(table[..., 0], table[..., 1], torch.tensor([len(row) for row in rows], dtype=torch.long))

    def _look_up(self, word: str, kind: str) -> tuple[int, int]:
        row = self._row.get(word)
        if row is None:
            return self._row[UNKNOWN], _CLASS_INDEX["OTHER"]
        kind = _CLASS_OF_WORD.get(word, kind)
        return row, _CLASS_INDEX.get(kind, _CLASS_INDEX["OTHER"])


def build_vocabulary(captions: Iterable[Sequence[str]], *, minimum: int = 2) -> tuple[str, ...]:
    """Return the words of training captions, for an evaluator that learns its own word table.

    Args:
        captions: `word/CLASS` tokens of each caption.
        minimum: a word that occurs less often is left to `unk`.

    Returns:
        `SPECIAL`, then the words, the most frequent first, equals by the alphabet.
    """
    counts = Counter(_split(token)[0] for tokens in captions for token in tokens)
    kept = [word for word, count in counts.items() if count >= minimum and word not in SPECIAL]
    return (*SPECIAL, *sorted(kept, key=lambda word: (-counts[word], word)))


def read_glove(folder: Path) -> tuple[tuple[str, ...], Float[np.ndarray, "V W"]]:
    """Return the published word vectors: `our_vab_data.npy`, `our_vab_words.pkl` and `our_vab_idx.pkl`.

    Returns:
        The vocabulary in row order, and the table.

    Raises:
        InputError: a file is missing or holds something else.
    """
    try:
        vectors = np.load(folder / "our_vab_data.npy", allow_pickle=False)
        words = _read_plain(folder / "our_vab_words.pkl")
        row_of = _read_plain(folder / "our_vab_idx.pkl")
        table = np.stack([vectors[row_of[word]] for word in words]).astype(np.float32)
    except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(
            f"cannot read word vectors from {folder}: {error}. Expected our_vab_data.npy, our_vab_words.pkl and "
            "our_vab_idx.pkl as the published evaluator ships them."
        ) from None
    return tuple(words), table


class _PlainUnpickler(pickle.Unpickler):
    """Reads lists, dicts, strings and numbers; a pickle that calls anything is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}; word lists need nothing of the kind")


def _read_plain(path: Path) -> Any:
    with path.open("rb") as file:
        return _PlainUnpickler(file).load()


def _split(token: str) -> tuple[str, str]:
    parts = token.split("/")
    if len(parts) != 2:
        raise InputError(f"expected word/CLASS (walk/VERB), got {token!r}; check the second field of the caption line")
    return parts[0], parts[1]
