"""Captions: token and sentence embeddings from frozen language models, cached on disk; words with their classes."""

from atm.text.cached import CachedTextEncoder, default_cache
from atm.text.encoders import OFFLINE, embed_nothing, text_encoder_names
from atm.text.loading import DeferredTextEncoder, load_text_encoder
from atm.text.words import Tagger, check_sentence, tag_words

__all__ = [
    "OFFLINE",
    "CachedTextEncoder",
    "DeferredTextEncoder",
    "Tagger",
    "check_sentence",
    "default_cache",
    "embed_nothing",
    "load_text_encoder",
    "tag_words",
    "text_encoder_names",
]
