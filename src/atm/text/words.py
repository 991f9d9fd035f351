"""Captions as `word/CLASS` tokens, the form in which HumanML3D's text files carry them and the evaluator reads them."""

import functools
import re
import unicodedata
import warnings
from importlib import resources
from typing import Literal

from atm.base.errors import InputError

Tagger = Literal["lexicon", "spacy"]

_WORD = re.compile(r"[a-z']+|[0-9]+")
_SMALL_NUMBERS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
]  # fmt: skip
_NUMBERS = dict(enumerate(_SMALL_NUMBERS)) | {
    45: "forty five", 90: "ninety", 135: "one hundred thirty five", 180: "one hundred eighty",
    270: "two hundred seventy", 360: "three hundred sixty",
}  # fmt: skip
_SPELLED = {str(number): words.split() for number, words in _NUMBERS.items()}
_IRREGULAR = {
    "ran": "run", "sat": "sit", "stood": "stand", "lying": "lie", "lies": "lie", "lay": "lie", "laid": "lay",
    "got": "get", "gotten": "get", "gets": "get", "rose": "rise", "risen": "rise", "knelt": "kneel", "hit": "hit",
    "threw": "throw", "thrown": "throw", "caught": "catch", "bent": "bend", "leapt": "leap", "swung": "swing",
    "went": "go", "gone": "go", "goes": "go", "came": "come", "took": "take", "taken": "take", "made": "make",
    "gave": "give", "given": "give", "held": "hold", "brought": "bring", "stuck": "stick", "began": "begin",
    "kept": "keep", "lost": "lose", "fell": "fall", "fallen": "fall", "shook": "shake", "flew": "fly", "rode": "ride",
    "drove": "drive", "shot": "shoot", "swam": "swim", "wrote": "write", "drew": "draw", "spoke": "speak",
    "sang": "sing", "slept": "sleep", "woke": "wake", "spun": "spin", "strode": "stride", "crept": "creep",
    "led": "lead", "left": "leave", "done": "do", "tying": "tie", "dying": "die",
}  # fmt: skip
_IRREGULAR_PLURALS = {"feet": "foot", "people": "people", "men": "man", "women": "woman", "children": "child"}
# After these a word that may be a noun or a verb is a noun ("a walk", "five steps", "his kick").
_BEFORE_NOUN = {"DET", "NUM", "ADJ"}


def tag_words(caption: str, tagger: Tagger = "lexicon") -> list[str]:
    """Return the words of a caption with their classes: "a person walks" is a/DET person/NOUN walk/VERB.

    Nouns and verbs are given as their base form, hyphens are dropped, as HumanML3D's text files have it (but "left"
    always stays "left"). Digits become words, so that "5 steps" and "five steps" read alike: ours, the field drops
    them.

    Args:
        caption: one sentence.
        tagger: `lexicon` is the small tagger of this package (classes VERB NOUN DET ADP NUM AUX PRON ADJ ADV OTHER).
            `spacy` takes spaCy with its model en_core_web_sm, which the field's data were made with; where installed.

    Raises:
        InputError: spaCy or its model is asked for and not installed.
    """
    text = caption.lower().replace("’", "'").replace("-", "")
    words = [part for match in _WORD.findall(text) for part in _spelled(match)]
    return _by_spacy(words) if tagger == "spacy" else _by_lexicon(words)


def check_sentence(sentence: str) -> None:
    """Refuse a sentence of which nothing can be read, and warn of words that cannot.

    Raises:
        InputError: it is empty, holds no word (punctuation alone), or none in Latin letters.
    """
    if not sentence.strip():
        raise InputError('the sentence is empty: expected words such as "a person walks forward and sits down"')
    if not tag_words(sentence):
        raise InputError(f"{sentence!r} has no word that text encoders read: expected a sentence in English")
    if lost := [word for word in sentence.split() if any(map(str.isalpha, word)) and not _WORD.search(_plain(word))]:
        warnings.warn(f"not read in {sentence!r}: {' '.join(lost)}; expected a sentence in English", stacklevel=2)


def _plain(word: str) -> str:
    """Return a word in lower case, its letters without accents."""
    return unicodedata.normalize("NFKD", word).lower()


def _spelled(word: str) -> list[str]:
    """Return a number in words, "don't" in two, a possessive without its s."""
    if word.isdigit():
        return _SPELLED.get(word.lstrip("0") or "0", [])
    word = word.strip("'")
    return [part for part in word.removesuffix("'s").replace("n't", " not").split() if part.isalpha()]


@functools.cache
def _lexicon() -> dict[str, set[str]]:
    """Return class -> base forms."""
    lines = resources.files("atm.text").joinpath("lexicon.txt").read_text().splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    return {name: set(words) for name, *words in rows}


def _by_lexicon(words: list[str]) -> list[str]:
    tagged: list[tuple[str, str]] = []
    for i, word in enumerate(words):
        before = tagged[-1] if tagged else ("", "")
        after = words[i + 1] if i + 1 < len(words) else ""
        tagged.append(_tag(word, before, after))
    return [f"{word}/{name}" for word, name in tagged]


def _tag(word: str, before: tuple[str, str], after: str) -> tuple[str, str]:
    lexicon = _lexicon()
    noun, verb = _noun_of(word), _verb_of(word)
    previous, previous_class = before
    if word in ("left", "right"):
        return word, "ADJ" if _noun_of(after) else "NOUN" if previous_class == "DET" else "ADV"
    if word == "back":
        return word, "NOUN" if previous_class == "DET" and previous != "both" else "ADV"
    if word == "backs":
        return ("back", "NOUN") if previous_class in _BEFORE_NOUN else ("back", "VERB")
    if noun and previous_class in _BEFORE_NOUN and word not in lexicon["NUM"]:
        # "his left waving hand" has its noun further on.
        return (word, "ADJ") if word.endswith("ing") and _noun_of(after) else (noun, "NOUN")
    if previous in ("his", "her", "their", "its") and verb is None and word in lexicon["ADJ"]:
        return word, "ADJ"
    for name in ("DET", "NUM", "AUX", "PRON", "OTHER"):
        if word in lexicon[name]:
            # "does a jump" and "has turned" differ, but only the first is common in captions.
            acts = word in ("do", "does", "did") and after in lexicon["DET"] | lexicon["NUM"] | lexicon["ADJ"]
            return ("do", "VERB") if acts else (word, name)
    if word in lexicon["ADP"]:
        return word, "ADP"
    if word in lexicon["ADJ"] and (_noun_of(after) or after in lexicon["ADJ"]):
        return word, "ADJ"
    if word in lexicon["ADV"]:
        return word, "ADV"
    if verb and not (noun and previous_class == "ADP" and previous != "to"):
        return verb, "VERB"
    if noun:
        return noun, "NOUN"
    if word in lexicon["ADJ"]:
        return word, "ADJ"
    return _by_ending(word)


def _by_ending(word: str) -> tuple[str, str]:
    if word.endswith("ly"):
        return word, "ADV"
    if word.endswith("ing") and len(word) > 5:
        return word.removesuffix("ing"), "VERB"
    if word.endswith("ed") and len(word) > 4:
        return word.removesuffix("ed"), "VERB"
    if word.endswith(("ful", "ous", "ish", "ive", "able", "less")):
        return word, "ADJ"
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word.removesuffix("s"), "NOUN"
    return word, "NOUN"


def _noun_of(word: str) -> str | None:
    """Return the singular, where the lexicon has such a noun."""
    nouns = _lexicon()["NOUN"]
    if word in _IRREGULAR_PLURALS:
        return _IRREGULAR_PLURALS[word]
    singulars = [word, word.removesuffix("s"), word.removesuffix("es")]
    if word.endswith("ies"):
        singulars.append(word.removesuffix("ies") + "y")
    return next((singular for singular in singulars if singular in nouns), None)


def _verb_of(word: str) -> str | None:
    """Return the base form, where the lexicon has such a verb."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    verbs = _lexicon()["VERB"]
    if word in verbs:
        return word
    for ending in ("ies", "ied"):
        if word.endswith(ending) and word.removesuffix(ending) + "y" in verbs:
            return word.removesuffix(ending) + "y"
    for ending in ("ing", "ed", "es", "s"):
        stem = word.removesuffix(ending)
        if stem == word:
            continue
        undoubled = stem[:-1] if stem[-1:] == stem[-2:-1] else stem
        for base in (stem, stem + "e", undoubled):
            if base in verbs:
                return base
    return None


@functools.cache
def _spacy_model():
    try:
        import spacy

        return spacy.load("en_core_web_sm")
    except (ImportError, OSError) as error:
        raise InputError(
            f"the tagger 'spacy' needs spaCy with its model en_core_web_sm ({error}): install both, or take 'lexicon'"
        ) from None


def _by_spacy(words: list[str]) -> list[str]:
    """Tag words as the field's data were: lemma of nouns and verbs unless it is "left", class as spaCy gives it."""
    tokens = [token for token in _spacy_model()(" ".join(words)) if token.text.isalpha()]
    base = {"NOUN", "VERB"}
    return [
        f"{token.lemma_ if token.pos_ in base and token.text != 'left' else token.text}/{token.pos_}"
        for token in tokens
    ]
