"""The frozen language models: which there are, and how each turns captions into tokens and one sentence vector."""

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from atm.base.errors import InputError
from atm.interface import TextEmbedding, TextEncoder

if TYPE_CHECKING:
    from tokenizers import Tokenizer

OFFLINE = "minilm"
"""The encoder whose weights are installed with this package."""


@dataclass(frozen=True)
class LanguageModel:
    """One row of the table of encoders."""

    repository: str
    """Address of the model in the model hub."""
    library_class: str
    """Its class in `transformers`."""
    config_types: tuple[str, ...]
    """Permitted values of `model_type` in its config.json."""
    limit: int
    """Tokens that it reads, start and end token included."""
    pooling: Literal["mean", "unit mean", "projection"]
    """How token states become the sentence: their mean, that mean at unit length, or the model's own projection."""
    width: int
    """Width of its token states and of the sentence."""
    half: bool = False
    """Round to float16: the published code of those who use it runs the text tower so, even on a CPU."""
    padded: bool = False
    """Give the states of all `limit` places. Those behind a caption's end are what the model makes of its padding,
    and not zero: some networks were trained to read them."""


_CLIP_BASE = LanguageModel(
    "openai/clip-vit-base-patch32", "CLIPTextModelWithProjection", ("clip", "clip_text_model"), 77, "projection", 512
)

# CLIP by size of its image patches, then tokens that are read.
MODELS = {
    OFFLINE: LanguageModel("sentence-transformers/all-MiniLM-L6-v2", "BertModel", ("bert",), 256, "mean", 384),
    # 22 = start + 20 + end: MDM reads HumanML3D and KIT captions so, whatever CLIP itself could read.
    "clip_b32_22": replace(_CLIP_BASE, limit=22, half=True),
    "clip_b32_77": _CLIP_BASE,
    "clip_b32_77_padded": replace(_CLIP_BASE, padded=True),
    "clip_l14_77": replace(_CLIP_BASE, repository="openai/clip-vit-large-patch14", width=768),
    "distilbert": LanguageModel("distilbert-base-uncased", "DistilBertModel", ("distilbert",), 512, "mean", 768),
    "mpnet": LanguageModel("sentence-transformers/all-mpnet-base-v2", "MPNetModel", ("mpnet",), 384, "unit mean", 768),
}


def text_encoder_names() -> list[str]:
    """Return what `load_text_encoder` takes."""
    return list(MODELS)


class PretrainedTextEncoder:
    """A `TextEncoder` from a tokeniser and a model of `transformers`.

    No `nn.Module`: whoever holds one does not save its weights. Build it with `load_text_encoder`.
    """

    def __init__(
        self,
        name: str,
        kind: LanguageModel,
        model: Any,
        tokenizer: "Tokenizer",
        *,
        version: str,
        device: torch.device | str,
    ):
        self.name = name
        self.version = version
        """Changes with the weights; caches keep apart what has another."""
        self.padded = kind.padded
        self.device = torch.device(device)
        self.token_width: int = model.config.hidden_size
        self.sentence_width: int = (
            model.config.projection_dim if kind.pooling == "projection" else model.config.hidden_size
        )
        self._kind = kind
        self._model = model.to(self.device).eval().requires_grad_(False)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        # CLIP's published text code pads with 0, which its library config does not say.
        self._pad = 0 if kind.pooling == "projection" else model.config.pad_token_id

    @torch.no_grad()
    def __call__(self, text: list[str]) -> TextEmbedding:
        """Return embeddings of B captions, padded to the longest (or to the model's length, see
        `LanguageModel.padded`).

        A caption over the model's length is cut, with a warning that names it.

        Raises:
            InputError: no caption, or one of them is blank.
        """
        check_prompts(text)
        return self._embed(text)

    @torch.no_grad()
    def embed_nothing(self) -> TextEmbedding:
        """Return the embedding of one empty string: start and end token alone. As a prompt it would be refused."""
        return self._embed([""])

    def _embed(self, text: list[str]) -> TextEmbedding:
        ids, mask = self._tokenise(text)
        if self._kind.pooling == "projection":
            # No attention mask: CLIP's is causal, so padding behind the end token changes nothing before it.
            output = self._model(input_ids=ids)
            tokens, sentence = output.last_hidden_state, output.text_embeds
            if self._kind.half:
                tokens, sentence = tokens.half().float(), sentence.half().float()
        else:
            tokens = self._model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
            sentence = masked_mean(tokens, mask)
            if self._kind.pooling == "unit mean":
                sentence = F.normalize(sentence, dim=-1)
        return TextEmbedding(tokens if self.padded else tokens * mask[..., None], mask, sentence)

    def _tokenise(self, text: list[str]) -> tuple[Int[Tensor, "B L"], Bool[Tensor, "B L"]]:
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch(text)]
        limit = self._kind.limit
        long = [caption for caption, row in zip(text, rows, strict=True) if len(row) > limit]
        if long:
            others = f" and {len(long) - 1} more" if len(long) > 1 else ""
            warnings.warn(f"{self.name} reads {limit} tokens; the rest of {long[0]!r}{others} is cut off", stacklevel=4)
        rows = [cut(row, limit) for row in rows]
        places = limit if self.padded else max(map(len, rows))
        ids = torch.full((len(rows), places), self._pad, dtype=torch.long)
        mask = torch.zeros(ids.shape, dtype=torch.bool)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = True
        return ids.to(self.device), mask.to(self.device)


def embed_nothing(encoder: TextEncoder) -> TextEmbedding:
    """Return what an encoder says of one empty string: the null condition of models that were trained with it.

    Our encoders refuse a blank prompt and have a method for this; one without the method is asked as for any text.
    """
    own = getattr(encoder, "embed_nothing", None)
    return encoder([""]) if own is None else own()


def check_prompts(text: list[str]) -> None:
    """Refuse what no language model can read."""
    if not text:
        raise InputError("expected at least one prompt, got none")
    for i, caption in enumerate(text):
        if not caption.strip():
            place = f" (number {i + 1} of {len(text)})" if len(text) > 1 else ""
            raise InputError(f"the prompt{place} is empty: write what the person does, as 'a person walks forward'")
        check_unicode(caption)


def check_unicode(sentence: str) -> None:
    """Refuse what is no text: bytes of a command line that were no UTF-8.

    Raises:
        InputError: it is none.
    """
    try:
        sentence.encode()
    except UnicodeEncodeError:
        raise InputError(f"the sentence {sentence!a} is no UTF-8 text: write it in UTF-8") from None


def cut(ids: list[int], limit: int) -> list[int]:
    """Keep at most `limit` token ids, the last of them still the end token."""
    return ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]


def masked_mean(tokens: Float[Tensor, "B L W"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, "B W"]:
    """Return the mean over each caption's own tokens."""
    return (tokens * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
