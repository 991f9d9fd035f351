"""Embeddings of a caption set: computed once, kept on disk in half precision, looked up in memory."""

import contextlib
import hashlib
import json
import os
import warnings
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atm.interface import TextEmbedding, TextEncoder
from atm.text.encoders import check_prompts, embed_nothing

_BATCH = 64


def default_cache() -> Path:
    """`$ATM_CACHE/text`, or `~/.cache/atm/text`."""
    return Path(os.environ.get("ATM_CACHE") or Path.home() / ".cache" / "atm") / "text"


class CachedTextEncoder:
    """A `TextEncoder` that answers from memory for the captions it was prepared for, and asks the real one otherwise.

    On disk: one safetensors file per encoder, encoder version and caption set. Files that cannot be read are made
    again; a folder that cannot be written to costs a warning, not the run.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        cache_dir: Path | str | None = None,
        *,
        device: torch.device | str | None = None,
    ):
        """
        Args:
            encoder: answers for captions not seen before; its `version`, where it has one, is part of the key.
            cache_dir: default `default_cache()`.
            device: where embeddings are returned; None: the encoder's, or the CPU for an encoder that names none.
        """
        self.name = encoder.name
        self.token_width = encoder.token_width
        self.sentence_width = encoder.sentence_width
        self.device = torch.device(getattr(encoder, "device", "cpu") if device is None else device)
        self._encoder = encoder
        self._folder = (
            Path(cache_dir or default_cache()) / f"{encoder.name}-{getattr(encoder, 'version', 'unversioned')}"
        )
        self._tokens: dict[str, Float[Tensor, "L W"]] = {}
        self._sentences: dict[str, Tensor] = {}
        self._nothing: TextEmbedding | None = None

    def __call__(self, text: list[str]) -> TextEmbedding:
        """Embeddings of B captions, padded to the longest.

        Raises:
            InputError: no caption, or one of them is blank.
        """
        check_prompts(text)
        fresh = {caption: None for caption in text if caption not in self._tokens}
        rows, sentences = self._tokens, self._sentences
        if fresh:
            new_rows, new_sentences = self._encode(list(fresh))
            rows, sentences = {**_pick(rows, text), **new_rows}, {**_pick(sentences, text), **new_sentences}
        own = [rows[caption] for caption in text]
        tokens = torch.zeros(len(own), max(map(len, own)), self.token_width, dtype=torch.float16)
        for i, row in enumerate(own):
            tokens[i, : len(row)] = row
        lengths = torch.tensor([len(row) for row in own])
        mask = torch.arange(tokens.shape[1])[None, :] < lengths[:, None]
        sentence = torch.stack([sentences[caption] for caption in text])
        return TextEmbedding(
            tokens.to(self.device).float(), mask.to(self.device), sentence.to(self.device, torch.float32)
        )

    def embed_nothing(self) -> TextEmbedding:
        """The embedding of one empty string; the encoder is asked once."""
        if self._nothing is None:
            self._nothing = TextEmbedding(*(part.to(self.device) for part in embed_nothing(self._encoder)))
        return self._nothing

    def prepare(self, captions: list[str], progress: bool = True) -> None:
        """Have these captions in memory: from disk where this set was prepared before, else computed and stored.

        Args:
            captions: may repeat; their order does not matter.
            progress: show a bar while computing.

        Raises:
            InputError: one of them is blank.
        """
        wanted = sorted(set(captions))
        if all(caption in self._tokens for caption in wanted):
            return
        check_prompts(wanted)
        path = self._folder / f"{hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:20]}.safetensors"
        if not self._read(path, wanted):
            self._compute([caption for caption in wanted if caption not in self._tokens], progress)
            self._write(path, wanted)
            # Read back, so that what stays in memory is one compact block and not thousands of pieces.
            self._read(path, wanted)

    def _compute(self, captions: list[str], progress: bool) -> None:
        from rich.progress import track

        captions = sorted(captions, key=len)
        starts = range(0, len(captions), _BATCH)
        for start in track(starts, f"embedding {len(captions):,} captions with {self.name}", disable=not progress):
            tokens, sentences = self._encode(captions[start : start + _BATCH])
            self._tokens.update(tokens)
            self._sentences.update(sentences)

    def _encode(self, captions: list[str]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        embedding = self._encoder(captions)
        lengths = embedding.mask.sum(1).tolist()
        tokens, sentences = embedding.tokens.half().cpu(), embedding.sentence.float().cpu()
        return (
            {caption: tokens[i, : lengths[i]].clone() for i, caption in enumerate(captions)},
            dict(zip(captions, sentences, strict=True)),
        )

    def _read(self, path: Path, captions: list[str]) -> bool:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            stored = load_file(path)
            tokens, ends, sentences = stored["tokens"], stored["ends"], stored["sentences"]
        except (OSError, SafetensorError, KeyError):
            return False
        if not self._fits(tokens, ends, sentences, len(captions)):
            return False
        # Views: the captions share one block of memory, which the system reads from disk as it is needed.
        self._tokens.update(zip(captions, torch.tensor_split(tokens, ends[:-1]), strict=True))
        self._sentences.update(zip(captions, sentences, strict=True))
        return True

    def _fits(self, tokens: Tensor, ends: Int[Tensor, "N"], sentences: Tensor, count: int) -> bool:
        return (
            ends.shape == (count,)
            and tokens.shape == (int(ends[-1]), self.token_width)
            and sentences.shape == (count, self.sentence_width)
        )

    def _write(self, path: Path, captions: list[str]) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        rows = [self._tokens[caption] for caption in captions]
        content = {
            "tokens": torch.cat(rows),
            "ends": torch.tensor([len(row) for row in rows]).cumsum(0),
            "sentences": torch.stack([self._sentences[caption] for caption in captions]),
        }
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(content, partial)
            partial.replace(path)
        except (OSError, SafetensorError) as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            warnings.warn(f"cannot keep text embeddings in {path.parent}: {error}", stacklevel=3)


def _pick(table: dict[str, Tensor], captions: list[str]) -> dict[str, Tensor]:
    return {caption: table[caption] for caption in captions if caption in table}
