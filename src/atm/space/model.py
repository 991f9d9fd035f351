"""Space: texts and motions as vectors that can be compared; what the alignment losses measure in.

TMR (Petrovich et al. 2023, arXiv:2305.00976): a VAE with a motion encoder, a text encoder and one motion decoder,
whose latents are pulled together by a contrastive term (the paper's eq. 9). What differs: the near-duplicate
threshold is the paper's, motions are cropped in training, statistics travel inside (`normaliser.mean` and
`normaliser.std` are the keys that the published checkpoint does not have), and several frames may share a token.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from atm.base.errors import InputError
from atm.interface import Batch, StepOutput, TextEmbedding, TextEncoder
from atm.meaning import VALUES
from atm.motion import Motion
from atm.motion.layers import Normaliser, length_mask
from atm.space.augment import random_crops, random_warps
from atm.space.config import SpaceConfig
from atm.space.losses import (
    attribute_cross_entropy,
    counterfactual_margin_loss,
    info_nce,
    kl_to_each_other_and_standard,
    near_duplicates,
    smooth_l1,
    value_directions,
)
from atm.space.vae import Gaussian, SequenceDecoder, SequenceEncoder

GROUP_COST = 100
"""Tokens of padding that cost as much as one more group of motions does (docs/results/2026-11-30_speed.md)."""


class Space(nn.Module):
    """Satisfies `TextMotionSpace`.

    To measure in it, freeze it: `space.eval().requires_grad_(False)`. The gradient still passes through it to a
    motion's features.
    """

    def __init__(self, config: SpaceConfig, text_encoder: TextEncoder, normaliser: Normaliser):
        super().__init__()
        if config.width % config.heads:
            raise InputError(f"width must be a multiple of heads, got width={config.width} and heads={config.heads}")
        self.config = config
        # The checkpoint's `text_encoder` is the transformer that reads what the language model says.
        self.language_model = text_encoder
        self.normaliser = normaliser
        size = config.model_dump(include={"width", "feed_forward", "heads", "dropout"})
        token = len(normaliser.mean) * config.frames_per_token
        self.motion_encoder = SequenceEncoder(token, layers=config.layers, **size)
        self.text_encoder = SequenceEncoder(text_encoder.token_width, layers=config.layers, **size)
        self.motion_decoder = SequenceDecoder(token, layers=config.decoder_layers, **size)
        if config.told_weight:
            values = sum(map(len, VALUES.values()))
            self.register_buffer("value_directions", value_directions(values, config.width), persistent=False)

    def encode_motion(self, motion: Motion) -> Float[Tensor, "B E"]:
        """Return means of the motions' latents; differentiable with respect to the features, blind to padding.

        On a CPU, motions of unlike lengths are read in groups: what is padding costs as much there as what is not.

        Raises:
            InputError: features of another width than the space was built for.
        """
        groups = [list(range(len(motion)))]
        if motion.features.device.type == "cpu":
            per_token = self.config.frames_per_token
            groups = length_groups([-(-length // per_token) for length in motion.lengths.tolist()])
        if len(groups) == 1:
            return self._read_motion(self._normalised(motion), motion.lengths).mean
        parts = [motion[rows] for rows in groups]
        means = [self._read_motion(self._normalised(part), part.lengths).mean for part in parts]
        return torch.cat(means)[torch.tensor([row for rows in groups for row in rows]).argsort()]

    def encode_text(self, text: list[str]) -> Float[Tensor, "B E"]:
        """Return means of the captions' latents."""
        return self._read_text(text).mean

    def decode(self, z: Float[Tensor, "B E"], lengths: Int[Tensor, "B"]) -> Motion:
        """Return the motions that the space sees in latents, of texts or motions, in published units."""
        normalised = self._decode(z, lengths)
        return Motion(self.normaliser.inverse(normalised), lengths).zero_padding()

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        """Return the objective of eq. 9. In training mode motions are warped and cropped and latents drawn, all from
        `rng`; in evaluation mode motions are whole and latents are means.

        Raises:
            ValueError: the config reads the captions' meaning, and the batch does not carry it.
        """
        if self.config.reads_meaning() and batch.meaning is None:
            raise ValueError("similarity = meaning, counterfactuals and told_weight need batches with a `meaning`")
        motion, whole = self._seen(batch.motion, rng)
        x = self._normalised(motion)
        of_motion, of_text = self._read_motion(x, motion.lengths), self._read_said(batch.said_by(self.language_model))
        z_motion, z_text = (self._latent(gaussian, rng) for gaussian in (of_motion, of_text))
        false = self._counterfactuals(batch, whole, rng)
        from_motion, from_text = self._decode(torch.cat([z_motion, z_text]), motion.lengths.repeat(2)).chunk(2)
        # Half precision would round away what the contrastive term compares.
        with torch.autocast(x.device.type, enabled=False):
            meaning = batch.meaning if self.config.similarity == "meaning" else None
            duplicate = near_duplicates(batch.sentence.to(x.device), epsilon=self.config.epsilon, meaning=meaning)
            terms = {
                # Padding counts as correct, as in TMR: a short motion weighs less than a long one.
                "rec": smooth_l1(from_motion, x) + smooth_l1(from_text, x),
                "kl": kl_to_each_other_and_standard(*of_text, *of_motion),
                "latent": smooth_l1(z_text, z_motion),
                "nce": info_nce(z_text, z_motion, duplicate, temperature=self.config.temperature, **false),
            }
            contrast = terms["nce"]
            if self.config.counterfactual_margin:
                terms["too_near"] = counterfactual_margin_loss(
                    z_text, margin=self.config.counterfactual_margin, **false
                )
                # In nats, as a logit of the contrastive term.
                contrast = contrast + terms["too_near"] / self.config.temperature
            if self.config.told_weight:
                terms["misread"] = self._misread(z_text, z_motion, batch, whole)
                contrast = contrast + self.config.told_weight * terms["misread"]
            loss = (
                terms["rec"]
                + self.config.lambda_kl * terms["kl"]
                + self.config.lambda_latent * terms["latent"]
                + self.config.lambda_nce * contrast
            )
            logged = terms | {"top1": _top1(z_text, z_motion), "duplicates": duplicate.sum(1).float()}
            # One transfer from the device for all.
            means = torch.stack([value.detach().mean() for value in logged.values()]).tolist()
        return StepOutput(loss=loss, parts=dict(zip(logged, means, strict=True)))

    def _counterfactuals(self, batch: Batch, whole: Bool[Tensor, "B"], rng: torch.Generator) -> dict[str, Tensor]:
        """Return latents of the captions that are false of their rows' motions, where they are asked for.

        Of whole motions only: "four steps" may be what a crop of five shows.
        """
        if not self.config.counterfactuals:
            return {}
        false = batch.meaning.counterfactual
        has = torch.tensor([other is not None for other in false], device=whole.device) & whole
        # The other rows read their own captions, which the language model has read already, and are left out.
        rows = zip(batch.text, false, has.tolist(), strict=True)
        read = [other if asked else own for own, other, asked in rows]
        return {"z_counterfactual": self._latent(self._read_text(read), rng), "has_counterfactual": has}

    def _misread(self, z_text: Tensor, z_motion: Tensor, batch: Batch, whole: Bool[Tensor, "B"]) -> Float[Tensor, "B"]:
        """Return the attributes' loss of both latents; a crop is not asked, since it may show another number."""
        total, first = z_text.new_zeros(len(batch)), 0
        for name, values in VALUES.items():
            direction = self.value_directions[first : first + len(values)]
            first += len(values)
            said = [
                values.index(exact[name]) if exact.get(name) in values else -1
                for exact in batch.meaning.exact_attributes
            ]
            value = torch.tensor(said, device=z_text.device)
            for z, known in ((z_text, value), (z_motion, value.masked_fill(~whole, -1))):
                total = total + attribute_cross_entropy(z, direction, known, temperature=self.config.temperature)
        return total

    def _seen(self, motion: Motion, rng: torch.Generator) -> tuple[Motion, Bool[Tensor, "B"]]:
        """Return what a training step sees of the motions, and which of them whole."""
        config = self.config
        if not self.training:
            return motion, torch.ones_like(motion.lengths, dtype=torch.bool)
        if config.time_warp:
            motion = random_warps(motion, rng, most=config.time_warp)
        if config.min_crop_seconds is None:
            return motion, torch.ones_like(motion.lengths, dtype=torch.bool)
        frames = max(1, motion.skeleton.frames(config.min_crop_seconds))
        crops = random_crops(motion, rng, probability=config.crop_probability, min_frames=frames)
        return crops, crops.lengths == motion.lengths

    def _normalised(self, motion: Motion) -> Float[Tensor, "B T D"]:
        """Return motions without the columns that are padding for all, and with zeros behind each end."""
        width = len(self.normaliser.mean)
        if motion.features.shape[-1] != width:
            raise InputError(
                f"this space reads {width} features per frame, but the motion has {motion.features.shape[-1]}; "
                "263 are HumanML3D's, 251 are KIT-ML's: take a space of the same data set"
            )
        longest = int(motion.lengths.max())
        inside = length_mask(motion.lengths, longest)
        # masked_fill, not a product: a generator may leave anything behind the end, NaN too.
        return self.normaliser(motion.features[:, :longest]).masked_fill(~inside[..., None], 0)

    def _read_motion(self, x: Float[Tensor, "B T D"], lengths: Int[Tensor, "B"]) -> Gaussian:
        per_token = self.config.frames_per_token
        whole = F.pad(x, (0, 0, 0, -x.shape[1] % per_token))
        tokens = whole.reshape(len(x), -1, per_token * x.shape[2])
        return _precise(self.motion_encoder(tokens, self._token_mask(lengths, tokens.shape[1])))

    def _read_text(self, text: list[str]) -> Gaussian:
        with torch.no_grad():
            return self._read_said(self.language_model(text))

    def _read_said(self, said: TextEmbedding) -> Gaussian:
        device = self.normaliser.mean.device
        return _precise(self.text_encoder(said.tokens.to(device), said.mask.to(device)))

    def _decode(self, z: Float[Tensor, "B E"], lengths: Int[Tensor, "B"]) -> Float[Tensor, "B T D"]:
        """Return normalised motions, zero behind their ends."""
        longest = int(lengths.max())
        mask = self._token_mask(lengths, -(-longest // self.config.frames_per_token))
        tokens = self.motion_decoder(z, mask)
        frames = tokens.reshape(len(z), -1, len(self.normaliser.mean))[:, :longest].to(z.dtype)
        return frames.masked_fill(~length_mask(lengths, longest)[..., None], 0)

    def _token_mask(self, lengths: Int[Tensor, "B"], tokens: int) -> Bool[Tensor, "B N"]:
        """Return a token that holds a single frame of the motion is inside."""
        return length_mask((lengths + self.config.frames_per_token - 1) // self.config.frames_per_token, tokens)

    def _latent(self, gaussian: Gaussian, rng: torch.Generator) -> Float[Tensor, "B E"]:
        if not (self.training and self.config.sample_latents):
            return gaussian.mean
        noise = torch.randn(gaussian.mean.shape, generator=rng, device=rng.device).to(gaussian.mean)
        return gaussian.mean + noise * torch.exp(gaussian.logvar / 2)


def length_groups(tokens: Sequence[int]) -> list[list[int]]:
    """Split rows of these lengths into groups of like length, where less padding saves more than a group costs.

    A group is cut at the length that saves most, and so are its parts.
    """
    rows = sorted(range(len(tokens)), key=tokens.__getitem__)

    def split(rows: list[int]) -> list[list[int]]:
        longest = tokens[rows[-1]]
        saved = [(longest - tokens[row]) * (place + 1) for place, row in enumerate(rows[:-1])]
        most = max(saved, default=0)
        if most <= GROUP_COST:
            return [rows]
        cut = saved.index(most) + 1
        return split(rows[:cut]) + split(rows[cut:])

    return split(rows) if rows else [rows]


def _precise(gaussian: Gaussian) -> Gaussian:
    """Convert to at least single precision, whatever autocast made of it: distances are differences of near numbers."""
    return Gaussian(*(value.to(torch.promote_types(value.dtype, torch.float32)) for value in gaussian))


def _top1(z_text: Float[Tensor, "B E"], z_motion: Float[Tensor, "B E"]) -> Float[Tensor, "B"]:
    """Return 1 where a text's nearest motion of the batch is its own."""
    nearest = (F.normalize(z_text, dim=-1) @ F.normalize(z_motion, dim=-1).T).argmax(dim=1)
    return (nearest == torch.arange(len(nearest), device=nearest.device)).float()
