"""The evaluator of the field: captions and motions as vectors that R-Precision, FID and the other metrics compare.

Networks and published weights: Guo et al. 2022, "Generating Diverse and Natural 3D Human Motions from Text". Ours
differs in training only: the movement encoder learns with the rest (theirs is the encoder of a motion auto-encoder
that was trained before, and stays frozen), and words may have an own table instead of GloVe vectors.

It is trained apart from the space that the losses use and never meets them: what is optimised is not what is reported.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from atm.base.config import Config
from atm.base.errors import InputError
from atm.evaluation.words import CLASSES, SPECIAL, WordVectorizer
from atm.interface import Batch, StepOutput
from atm.motion import Motion
from atm.motion.dropout import Dropout
from atm.motion.layers import Normaliser

FRAMES_PER_STEP = 4
"""Frames that one movement code stands for."""

MAX_FRAMES = 196
"""The evaluator was published for motions up to this length and looks at no frame behind it."""

FEET = 4
"""The last columns are foot contacts, which the networks do not see."""

_LOOK_AHEAD = 4  # the last code sees 3 frames behind the end; real zeros there, not the convolution's own padding

Tail = Literal["zero", "published"]
"""Frames behind a motion's end: set to zero, or left as they came (how published numbers were made)."""


class EvaluatorConfig(Config):
    """Sizes of the three networks; the defaults are the published ones."""

    name: Literal["evaluator"] = "evaluator"
    features: PositiveInt = 263
    """Numbers per frame: 263 (HumanML3D) or 251 (KIT)."""
    movement_width: PositiveInt = 512
    """Width of a movement code (4 frames)."""
    motion_width: PositiveInt = 1024
    """Hidden width of the motion encoder, per direction."""
    text_width: PositiveInt = 512
    """Hidden width of the text encoder, per direction."""
    word_width: PositiveInt = 300
    """Width of a word vector."""
    embedding: PositiveInt = 512
    """Width of the common space."""
    dropout: float = 0.2
    """Dropout of the movement encoder in training, 0 to 1."""
    margin: PositiveFloat = 10.0
    """Distance beyond which a wrong pair costs nothing."""
    negatives: NonNegativeInt = 1
    """Wrong motions that each text meets per step; 1 as published, 0 takes all of the batch."""
    vocabulary: tuple[str, ...] = SPECIAL
    """Words of the word table in row order; comes from the training captions or from published word vectors."""
    train_words: bool = True
    """Learn the word table; False for published word vectors."""


class Evaluator(nn.Module):
    """Embeds captions and motions. Build, then train, or fill with published weights (`weights.py`)."""

    def __init__(self, config: EvaluatorConfig, normaliser: Normaliser):
        """Take as `normaliser` the evaluator's own mean and std, which are not those of the data set.

        The published std is, for root and contact columns, about 25 times smaller than the data set's: those columns
        weigh more. `evaluator_normaliser` makes such statistics from a data set's; published ones come as files.
        """
        super().__init__()
        if len(normaliser.mean) != config.features:
            raise InputError(
                f"the evaluator reads {config.features} features per frame, but its mean and std have "
                f"{len(normaliser.mean)}; set features={len(normaliser.mean)} or take the other data set's statistics"
            )
        self.config = config
        self.normaliser = normaliser
        self.vectorizer = WordVectorizer(config.vocabulary)
        self.words = nn.Embedding(len(config.vocabulary), config.word_width)
        self.movement_encoder = MovementEncoder(config.features - FEET, config.movement_width, config.dropout)
        self.motion_encoder = MotionEncoder(config.movement_width, config.motion_width, config.embedding)
        self.text_encoder = TextEncoder(config.word_width, config.text_width, config.embedding)

    def encode_motion(self, motion: Motion, tail: Tail = "zero") -> Float[Tensor, "B E"]:
        """Return embeddings of motions; neither order nor size of the batch changes a row.

        Args:
            motion: in published units; what stands behind 196 frames is not looked at.
            tail: the last movement code sees up to 3 frames behind a motion's end. "zero" clears them after
                normalisation, as the published evaluation does for real motions; "published" leaves what the
                generator put there, as published numbers of MDM and MoMask do.

        Raises:
            InputError: features of another width, or a motion under 4 frames.
        """
        if motion.features.shape[-1] != self.config.features:
            raise InputError(
                f"this evaluator was trained on {self.config.features} features per frame, but the motions have "
                f"{motion.features.shape[-1]}. Take the evaluator of their data set."
            )
        lengths = motion.lengths.clamp(max=MAX_FRAMES)
        if int(lengths.min()) < FRAMES_PER_STEP:
            raise InputError(f"the evaluator needs at least {FRAMES_PER_STEP} frames, got {int(lengths.min())}")
        frames = min(int(lengths.max()) + _LOOK_AHEAD, MAX_FRAMES)
        features = self.normaliser(motion.features[:, :frames, :])[..., :-FEET]
        if tail == "zero":
            features = features.masked_fill(~motion.mask[:, :frames, None], 0.0)
        features = F.pad(features, (0, 0, 0, frames - features.shape[1]))
        return self.motion_encoder(self.movement_encoder(features), lengths // FRAMES_PER_STEP)

    def encode_text(self, words: list[list[str]]) -> Float[Tensor, "B E"]:
        """Return embeddings of captions given as `word/CLASS` tokens."""
        indices = self.vectorizer(words)
        device = self.words.weight.device
        vectors = self.words(indices.word.to(device))
        return self.text_encoder(
            vectors if self.config.train_words else vectors.detach(),
            F.one_hot(indices.kind.to(device), len(CLASSES)).float(),
            indices.lengths,
        )

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        """Return the contrastive loss. The loader has cropped the motions as the protocol does: to multiples of 4
        frames.

        Raises:
            InputError: the batch has no word classes, or less than 2 rows.
        """
        if batch.words is None:
            raise InputError("the evaluator reads word/CLASS tokens, but the batch has none; see the data set's texts/")
        if len(batch) < 2:
            raise InputError("the evaluator learns from wrong pairs: it needs a batch of at least 2")
        shifts = torch.arange(1, len(batch))
        if self.config.negatives:
            shifts = shifts[torch.randperm(len(shifts), generator=rng)[: self.config.negatives]]
        z_motion = self.encode_motion(batch.motion)
        z_text = self.encode_text(batch.words)
        losses = [
            contrastive_loss(z_text, z_motion, shift=shift, margin=self.config.margin) for shift in shifts.tolist()
        ]
        own = F.pairwise_distance(z_text, z_motion).detach().mean()
        return StepOutput(loss=torch.stack(losses).mean(dim=0), parts={"distance": float(own)})


def contrastive_loss(
    z_text: Float[Tensor, "B E"], z_motion: Float[Tensor, "B E"], *, shift: int, margin: float
) -> Float[Tensor, "B"]:
    r"""Return pulls pairs together, pushes each text from one wrong motion until `margin`.

    .. math:: \ell_i = d(t_i, m_i)^2 + \max(0, \mu - d(t_i, m_{(i+s) \bmod B}))^2, \quad d(a, b) = |a - b + 10^{-6}|

    Source: Guo et al. 2022, training of the text and motion feature extractors. There the shift is drawn from
    0 .. B-2, so that now and then a text is pushed from its own motion; we draw from 1 .. B-1.
    """
    wrong = F.pairwise_distance(z_text, z_motion.roll(-shift, dims=0))
    return F.pairwise_distance(z_text, z_motion) ** 2 + (margin - wrong).clamp(min=0) ** 2


class MovementEncoder(nn.Module):
    """Four frames become one code."""

    def __init__(self, features: int, width: int, dropout: float):
        super().__init__()
        # The dropout stands before the activation in the published network.
        self.main = nn.Sequential(
            nn.Conv1d(features, width, 4, stride=2, padding=1),
            Dropout(dropout),
            nn.LeakyReLU(0.2),
            nn.Conv1d(width, width, 4, stride=2, padding=1),
            Dropout(dropout),
            nn.LeakyReLU(0.2),
        )
        self.out_net = nn.Linear(width, width)
        self.apply(_initialise)

    def forward(self, features: Float[Tensor, "B T F"]) -> Float[Tensor, "B S W"]:
        return self.out_net(self.main(features.transpose(1, 2)).transpose(1, 2))


class MotionEncoder(nn.Module):
    """Movement codes become one vector."""

    def __init__(self, width: int, hidden: int, embedding: int):
        super().__init__()
        self.input_emb = nn.Linear(width, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.hidden = nn.Parameter(torch.randn(2, 1, hidden))
        self.output_net = _head(hidden, hidden, embedding)
        self.apply(_initialise)

    def forward(self, codes: Float[Tensor, "B S W"], lengths: Int[Tensor, "B"]) -> Float[Tensor, "B E"]:
        return self.output_net(_final_states(self.gru, self.input_emb(codes), self.hidden, lengths))


class TextEncoder(nn.Module):
    """Word vectors and word classes become one vector."""

    def __init__(self, word_width: int, hidden: int, embedding: int):
        super().__init__()
        self.pos_emb = nn.Linear(len(CLASSES), word_width)
        self.input_emb = nn.Linear(word_width, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.hidden = nn.Parameter(torch.randn(2, 1, hidden))
        self.output_net = _head(hidden, embedding, embedding)
        self.apply(_initialise)

    def forward(
        self, words: Float[Tensor, "B L V"], classes: Float[Tensor, "B L 15"], lengths: Int[Tensor, "B"]
    ) -> Float[Tensor, "B E"]:
        tokens = self.input_emb(words + self.pos_emb(classes))
        return self.output_net(_final_states(self.gru, tokens, self.hidden, lengths))


def _head(hidden: int, middle: int, embedding: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(2 * hidden, middle), nn.LayerNorm(middle), nn.LeakyReLU(0.2), nn.Linear(middle, embedding)
    )


def _final_states(
    gru: nn.GRU, steps: Float[Tensor, "B L H"], start: Float[Tensor, "2 1 H"], lengths: Int[Tensor, "B"]
) -> Float[Tensor, "B 2*H"]:
    """Return forward state after each row's last step beside the backward state after its first."""
    packed = pack_padded_sequence(steps, lengths.cpu(), batch_first=True, enforce_sorted=False)
    _, final = gru(packed, start.expand(-1, len(steps), -1).contiguous())
    return torch.cat([final[0], final[1]], dim=-1)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv1d | nn.Linear):
        nn.init.xavier_normal_(module.weight)
        nn.init.zeros_(module.bias)
