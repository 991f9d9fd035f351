"""MDM (Tevet et al. 2023, arXiv:2209.14916): a transformer that estimates the clean motion from a noisy one.

Both published architectures, `trans_enc` and `trans_dec`, under the keys of the published checkpoints; the GRU variant
is left out. Ours beside it: patches of frames as tokens (`parts/patches.py`), for machines without a GPU.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from atm.base.errors import InputError
from atm.generators.diffusion.steps import Chain, noise_chain, reverse, row_noise
from atm.generators.mdm.config import MDMConfig
from atm.generators.mdm.frames import LinearHead, LinearStem
from atm.generators.mdm.geometry import foot_loss
from atm.generators.parts.inputs import check_rows, check_steps, guidance_scale_or_default, keep_encoder
from atm.generators.parts.padding import check_width, evaluating, normalised_frames
from atm.generators.parts.patches import PatchHead, PatchStem, whole_patches
from atm.interface import Batch, Capabilities, StepOutput, TextEmbedding, TextEncoder
from atm.motion import Motion
from atm.motion.dropout import Dropout
from atm.motion.layers import Normaliser, length_mask, quicker, sinusoid

POSITIONS = 5000
"""Rows of the position table; a motion and its token in front must fit."""


class Condition(NamedTuple):
    """Text input of the network."""

    features: Float[Tensor, "B L S"]
    """Text features as the encoder gave them; zeros where the text is withheld."""
    mask: Bool[Tensor, "B L"]
    """True where there is a token; the first is always seen."""

    def withheld(self, rows: Bool[Tensor, "B"]) -> "Condition":
        """Return the condition without text in these rows.

        The features are zero BEFORE they are embedded, so the null condition is the bias of that layer, and the
        mask of the prompt stays: both as published.
        """
        return Condition(self.features.masked_fill(rows[:, None, None], 0.0), self.mask)


class MDM(nn.Module):
    """A `Generator` (see `atm.interface`)."""

    def __init__(self, config: MDMConfig, text_encoder: TextEncoder, normaliser: Normaliser):
        super().__init__()
        self.config = config
        keep_encoder(self, text_encoder, config.text_encoder, "this MDM")
        self.normaliser = normaliser
        self.capabilities = Capabilities(
            guidance=config.condition_dropout > 0,
            ignores_padding=config.mask_frames,
            inbetweening=True,
            keeps_features=True,
            steps=config.diffusion_steps,
        )
        self._chain = noise_chain(config.diffusion_steps, config.schedule)

        features, width, patch = len(normaliser.mean), config.width, config.frames_per_token
        if patch == 1:
            self.input_process = LinearStem(features, width)
            self.output_process = LinearHead(features, width)
        else:
            self.input_process = PatchStem(features, width, config.frame_width, patch)
            self.output_process = PatchHead(features, width, config.frame_width, patch, time_width=width)
        self.register_buffer("positions", sinusoid(POSITIONS, width), persistent=False)
        self.position_dropout = Dropout(config.dropout)
        # Published keys, hence the names.
        time_embed = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.embed_timestep = nn.ModuleDict({"time_embed": time_embed})
        text_width = text_encoder.sentence_width if config.condition == "sentence" else text_encoder.token_width
        self.embed_text = nn.Linear(text_width, width)
        kind, stack = {
            "trans_enc": (nn.TransformerEncoderLayer, _encoder),
            "trans_dec": (nn.TransformerDecoderLayer, nn.TransformerDecoder),
        }[config.architecture]
        layer = kind(
            width,
            config.heads,
            config.feed_forward,
            config.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=config.norm_first,
        )
        trunk = stack(quicker(layer), config.layers)
        setattr(self, "seqTransEncoder" if config.architecture == "trans_enc" else "seqTransDecoder", trunk)
        for parameter in trunk.parameters():
            # A stack copies its layer, initial values included; the published code draws these anew, so do we.
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        """Return one denoising step per row at a random noise level; all its randomness but dropout comes from
        `rng`."""
        x0, mask = self._normalised(batch.motion)
        prefix, x0, mask = self._split(x0, mask)
        device, rows = x0.device, len(x0)
        t = torch.randint(self.config.diffusion_steps, (rows,), generator=rng, device=rng.device).to(device)
        noise = torch.randn(x0.shape, generator=rng, device=rng.device).to(device)
        withheld = torch.rand(rows, generator=rng, device=rng.device).to(device) < self.config.condition_dropout

        condition = self.condition(batch.said_by(self.text_encoder)).withheld(withheld)
        x0_hat = self(self.noised(x0, noise, t), t, condition, mask, prefix)
        whole = x0_hat if prefix is None else torch.cat([prefix, x0_hat], dim=1)
        features = self.normaliser.inverse(whole)[:, : batch.motion.features.shape[1]]
        motion = Motion(features, batch.motion.lengths)
        loss, parts = self._loss(x0_hat, x0, mask, motion, batch.motion)
        return StepOutput(loss, motion, noise_level=t / max(self.config.diffusion_steps - 1, 1), parts=parts)

    def _loss(self, x0_hat, x0, mask, motion: Motion, real: Motion) -> tuple[Float[Tensor, "B"], dict[str, float]]:
        """Return l_simple, and the geometric losses where the config weighs them."""
        loss, parts = masked_mse(x0_hat, x0, mask), {}
        if self.config.velocity_weight:
            velocity = masked_mse(x0_hat.diff(dim=1), x0.diff(dim=1), mask[:, 1:])
            loss = loss + self.config.velocity_weight * velocity
            parts["velocity"] = velocity.mean().item()
        if self.config.foot_weight:
            foot = foot_loss(motion, real)
            loss = loss + self.config.foot_weight * foot
            parts["foot"] = foot.mean().item()
        return loss, parts

    @torch.no_grad()
    def sample(
        self,
        text: list[str],
        lengths: Int[Tensor, "B"],
        *,
        seeds: list[int],
        guidance_scale: float | None = None,
        known: Motion | None = None,
        keep: Bool[Tensor, "B T"] | Bool[Tensor, "B T D"] | None = None,
        prefix: Motion | None = None,
        steps: int | None = None,
        progress: bool = False,
    ) -> Motion:
        """Return one motion per text; what stands behind a length is as the model left it.

        Arguments beside, or other than, those of `atm.interface.Generator.sample`:

        Args:
            text: prompts; "" is the text of no words, not the null condition (that is `guidance_scale=0`).
            guidance_scale: `uncond + s (cond - uncond)` on the estimate of the clean motion; None: the config's.
            known: motions to complete, with `keep`.
            keep: True where `known` shall stand, per frame or per frame and feature. As published, the estimate of
                the clean motion is overwritten there in each step.
            prefix: what came just before, `context_frames` long; needed by models that have a context, and by no
                other. Longer motions come from giving each motion's end as the next one's prefix.
            steps: noise levels that are visited, 1 to `config.diffusion_steps`; None: the config's `sampling_steps`.

        Raises:
            InputError: a length below 1 or beyond the position table, known features of another width, a prefix of
                another length than the model's context, or more steps than there are.
        """
        check_rows(text, seeds, lengths, known=known, keep=keep)
        check_steps(steps, self.capabilities.steps)
        device = self.positions.device
        lengths = lengths.to(device)
        frames = self._window(lengths)
        mask = length_mask(lengths, frames)
        condition = self.condition(self._encode(text))
        scale = guidance_scale_or_default(guidance_scale, self.config.guidance_scale, guided=self.capabilities.guidance)
        before = self._context(prefix)
        if known is not None:
            fixed, keep = self._fixed(known.to(device), keep.to(device), frames)

        def predict(x_t: Tensor, level: int) -> Tensor:
            x0_hat = self.guided(x_t, torch.full_like(lengths, level), condition, mask, before, scale=scale)
            return x0_hat if known is None else torch.where(keep, fixed, x0_hat)

        drawn = [max(self.config.max_frames, self._whole_tokens(int(length))) for length in lengths]
        draw = row_noise(seeds, drawn, (frames, len(self.normaliser.mean)), device)
        with evaluating(self):
            eta = 1.0 if self.config.sampler == "ddpm" else 0.0
            x0 = reverse(predict, draw, self._sampling_chain(steps), eta=eta, show_progress=progress)
        return Motion(self.normaliser.inverse(x0), lengths)

    def forward(
        self,
        x_t: Float[Tensor, "B T D"],
        t: Int[Tensor, "B"],
        condition: Condition,
        mask: Bool[Tensor, "B T"],
        prefix: Float[Tensor, "B P D"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Return the estimate of the clean motion, normalised like its input.

        Args:
            x_t: noisy motions, normalised.
            t: noise levels of the full schedule.
            condition: from `condition`.
            mask: True inside a motion.
            prefix: clean frames just before the motion, normalised; seen but not estimated.
        """
        before = 0 if prefix is None else prefix.shape[1]
        if prefix is not None:
            x_t, mask = torch.cat([prefix, x_t], dim=1), F.pad(mask, (before, 0), value=True)
        frames = x_t.shape[1]
        x_t, mask = whole_patches(x_t, mask, self.config.frames_per_token)

        time = self.embed_timestep["time_embed"](self.positions[t])
        text = self.embed_text(condition.features) + time[:, None]
        tokens, skip = self.input_process(x_t, mask)
        tokens = self._trunk(tokens, mask[:, :: self.config.frames_per_token], text, condition.mask, time)
        return self.output_process(tokens, skip, mask, time)[:, before:frames].float()

    def guided(
        self,
        x_t: Float[Tensor, "B T D"],
        t: Int[Tensor, "B"],
        condition: Condition,
        mask: Bool[Tensor, "B T"],
        prefix: Float[Tensor, "B P D"] | None = None,
        *,
        scale: float,
    ) -> Float[Tensor, "B T D"]:
        """Run `forward` under classifier-free guidance, both passes as one batch; at scales 0 and 1 one is enough."""
        null = condition.withheld(torch.ones_like(t, dtype=torch.bool))
        if scale == 1:
            return self(x_t, t, condition, mask, prefix)
        if scale == 0:
            return self(x_t, t, null, mask, prefix)
        both = Condition(*(torch.cat(pair) for pair in zip(condition, null, strict=True)))
        twice = [torch.cat([value, value]) for value in (x_t, t, mask)]
        conditional, unconditional = self(
            twice[0], twice[1], both, twice[2], None if prefix is None else torch.cat([prefix, prefix])
        ).chunk(2)
        return unconditional + scale * (conditional - unconditional)

    def condition(self, text: TextEmbedding) -> Condition:
        """Return the part of a text embedding that this model reads."""
        device = self.positions.device
        if self.config.condition == "sentence":
            features = text.sentence[:, None].to(device)
            return Condition(features, torch.ones(features.shape[:2], dtype=torch.bool, device=device))
        # Attention over nothing is NaN: a text without a single token sees its first, empty, place.
        first = torch.arange(text.mask.shape[1], device=device) == 0
        return Condition(text.tokens.to(device), text.mask.to(device) | first)

    def noised(
        self, x0: Float[Tensor, "B T D"], noise: Float[Tensor, "B T D"], t: Int[Tensor, "B"]
    ) -> Float[Tensor, "B T D"]:
        """Return the motion at noise level t, and what `forward` starts from."""
        return self._chain.add_noise(x0, noise, t)

    def _trunk(
        self,
        tokens: Float[Tensor, "B N W"],
        mask: Bool[Tensor, "B N"],
        text: Float[Tensor, "B L W"],
        text_mask: Bool[Tensor, "B L"],
        time: Float[Tensor, "B W"],
    ) -> Float[Tensor, "B N W"]:
        if self.config.architecture == "trans_enc":
            front = text
        else:
            front = time[:, None] if self.config.time_token else tokens[:, :0]
        sequence = torch.cat([front, tokens], dim=1)
        sequence = self.position_dropout(sequence + self.positions[: sequence.shape[1]])
        unseen = ~F.pad(mask, (front.shape[1], 0), value=True) if self.config.mask_frames else None
        if self.config.architecture == "trans_enc":
            sequence = self.seqTransEncoder(sequence, src_key_padding_mask=unseen)
        else:
            unread = ~text_mask if self.config.condition == "tokens" else None
            sequence = self.seqTransDecoder(sequence, text, tgt_key_padding_mask=unseen, memory_key_padding_mask=unread)
        return sequence[:, front.shape[1] :]

    def _encode(self, text: list[str]) -> TextEmbedding:
        with torch.no_grad():
            return self.text_encoder(text)

    def _normalised(self, motion: Motion) -> tuple[Float[Tensor, "B T D"], Bool[Tensor, "B T"]]:
        """Return the motions in the window that the network sees: zeros behind the lengths, after normalisation."""
        frames = max(motion.features.shape[1], 0 if self.config.mask_frames else self.config.max_frames)
        return normalised_frames(motion, self.normaliser, "MDM", frames)

    def _split(
        self, x0: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]
    ) -> tuple[Float[Tensor, "B P D"] | None, Float[Tensor, "B N D"], Bool[Tensor, "B N"]]:
        """Return context, motion, and the motion's mask."""
        context = self.config.context_frames
        return (x0[:, :context] if context else None), x0[:, context:], mask[:, context:]

    def _context(self, prefix: Motion | None) -> Float[Tensor, "B P D"] | None:
        expected, given = self.config.context_frames, 0 if prefix is None else prefix.features.shape[1]
        if expected != given:
            raise InputError(f"this MDM continues {expected} frames, but was given a prefix of {given}")
        if prefix is None:
            return None
        check_width(prefix, self.normaliser, "MDM")
        return self.normaliser(prefix.features.to(self.positions.device))

    def _window(self, lengths: Int[Tensor, "B"]) -> int:
        shortest, longest = int(lengths.min()), int(lengths.max())
        if shortest < 1 or longest >= POSITIONS:
            raise InputError(f"a motion has 1 to {POSITIONS - 1} frames, but {shortest} to {longest} were asked for")
        return self._whole_tokens(longest) if self.config.mask_frames else max(longest, self.config.max_frames)

    def _fixed(
        self, known: Motion, keep: Bool[Tensor, "..."], frames: int
    ) -> tuple[Float[Tensor, "B T D"], Bool[Tensor, "B T D"]]:
        """Return the known motion, normalised, and where it stands, both `frames` long."""
        check_width(known, self.normaliser, "MDM")
        given = known.features.shape[1]
        keep = keep if keep.dim() == 3 else keep[..., None]
        if keep.shape[:2] != known.features.shape[:2]:
            raise ValueError(f"keep is {tuple(keep.shape)}, known is {tuple(known.features.shape)}")
        fixed = F.pad(self.normaliser(known.features), (0, 0, 0, max(frames - given, 0)))[:, :frames]
        keep = F.pad(keep.expand(known.features.shape), (0, 0, 0, max(frames - given, 0)))[:, :frames]
        return fixed, keep

    def _sampling_chain(self, steps: int | None) -> Chain:
        config, kept = self.config, steps or self.config.sampling_steps
        return self._chain if kept is None else noise_chain(config.diffusion_steps, config.schedule, kept=kept)

    def _whole_tokens(self, frames: int) -> int:
        patch = self.config.frames_per_token
        return -(-frames // patch) * patch


def masked_mse(
    x0_hat: Float[Tensor, "B T D"], x0: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]
) -> Float[Tensor, "B"]:
    """Return the mean squared error over a motion's own frames: each motion weighs the same whatever its length.

    Source: the published code (eq. 2 of the paper leaves the reduction open).
    """
    squared = (x0_hat - x0).square().sum(dim=-1) * mask
    return squared.sum(dim=1) / (x0.shape[-1] * mask.sum(dim=1) + 1e-8)


def _encoder(layer: nn.TransformerEncoderLayer, layers: int) -> nn.TransformerEncoder:
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
