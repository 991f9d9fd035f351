"""MotionDiffuse (Zhang et al. 2022, arXiv:2208.15001): a transformer with linear attention that predicts the noise.

The published network under the keys of its checkpoints. Left out: the in-painting hooks of the published sampler,
which index the wrong axis. Ours beside it: patches of frames as tokens, for machines without a GPU.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from atm.generators.diffusion.steps import Chain, noise_chain, reverse, row_noise
from atm.generators.motiondiffuse.config import MotionDiffuseConfig
from atm.generators.parts.inputs import check_rows, check_steps, keep_encoder
from atm.generators.parts.linear_transformer import (
    FeedForward,
    SelfAttention,
    Stylisation,
    level_features,
    linear_attention,
    softmax_attention,
    text_layers,
    text_window,
    zeroed,
)
from atm.generators.parts.padding import check_frames, evaluating, frame_weighted_loss, like_batch, normalised_rows
from atm.generators.parts.patches import PatchHead, PatchStem, whole_patches
from atm.interface import Batch, Capabilities, StepOutput, TextEmbedding, TextEncoder
from atm.motion import Motion
from atm.motion.layers import Normaliser, length_mask, root_weighted

STYLE = 4
"""Widths of a token in the vector that scales and shifts the blocks (as published)."""


class Condition(NamedTuple):
    """Text input of the network."""

    tokens: Float[Tensor, "B L W"]
    """Text states that frames attend to, padding included."""
    style: Float[Tensor, "B S"]
    """One vector per text; joins the time in every stylisation."""


class MotionDiffuse(nn.Module):
    """A `Generator` (see `atm.interface`)."""

    def __init__(self, config: MotionDiffuseConfig, text_encoder: TextEncoder, normaliser: Normaliser):
        super().__init__()
        self.config = config
        keep_encoder(self, text_encoder, config.text_encoder, "this MotionDiffuse")
        self.normaliser = root_weighted(normaliser, config.root_weight)
        self.capabilities = Capabilities(
            guidance=False, ignores_padding=config.attention == "linear", steps=config.diffusion_steps
        )
        self._chain = noise_chain(config.diffusion_steps, "linear", predicts="epsilon")

        # Published keys, hence the names.
        features, width, style_width = len(normaliser.mean), config.width, STYLE * config.width
        patch = config.frames_per_token
        self.sequence_embedding = nn.Parameter(torch.randn(-(-config.max_frames // patch), width))
        if patch == 1:
            self.joint_embed = nn.Linear(features, width)
            self.out = zeroed(nn.Linear(width, features))
        else:
            self.joint_embed = PatchStem(features, width, config.frame_width, patch)
            self.out = PatchNoiseHead(features, config, style_width)
        self.time_embed = nn.Sequential(nn.Linear(width, style_width), nn.SiLU(), nn.Linear(style_width, style_width))
        self.text_pre_proj = nn.Linear(text_encoder.token_width, config.text_width)
        self.textTransEncoder = text_layers(
            config.text_width, config.text_heads, config.text_feed_forward, config.text_layers, config.dropout
        )
        self.text_ln = nn.LayerNorm(config.text_width)
        self.text_proj = nn.Sequential(nn.Linear(config.text_width, style_width))
        self.temporal_decoder_blocks = nn.ModuleList(Layer(config, style_width) for _ in range(config.layers))

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        """Return the noise of each row at a random level; all randomness but dropout comes from `rng`."""
        x0, mask = normalised_rows(
            batch.motion,
            self.normaliser,
            "MotionDiffuse",
            self.config.max_frames,
            whole_window=not self.capabilities.ignores_padding,
        )
        t = torch.randint(self.config.diffusion_steps, (len(x0),), generator=rng, device=rng.device).to(x0.device)
        noise = torch.randn(x0.shape, generator=rng, device=rng.device).to(x0.device)
        x_t = self.noised(x0, noise, t)
        eps = self(x_t, t, self.condition(batch.said_by(self.text_encoder)), mask)
        return StepOutput(
            loss=frame_weighted_loss(eps, noise, mask),
            motion=like_batch(self.normaliser.inverse(self.estimate(x_t, eps, t)), batch.motion),
            noise_level=t / (self.config.diffusion_steps - 1),
        )

    @torch.no_grad()
    def sample(
        self,
        text: list[str],
        lengths: Int[Tensor, "B"],
        *,
        seeds: list[int],
        guidance_scale: float | None = None,
        steps: int | None = None,
        progress: bool = False,
    ) -> Motion:
        """Return one motion per text; what stands behind a length means nothing.

        Arguments beside, or other than, those of `atm.interface.Generator.sample`:

        Args:
            guidance_scale: without effect, the model has no guidance.
            steps: noise levels that are visited, 1 to `config.diffusion_steps`; None: the config's `sampling_steps`.

        Raises:
            InputError: a length below 1 or beyond the position table, or more steps than there are.
        """
        check_rows(text, seeds, lengths)
        check_steps(steps, self.capabilities.steps)
        device = self.sequence_embedding.device
        lengths = lengths.to(device)
        check_frames(lengths, self.config.max_frames, "MotionDiffuse")
        frames = int(lengths.max()) if self.capabilities.ignores_padding else self.config.max_frames
        mask = length_mask(lengths, frames)
        drawn = [self.config.max_frames] * len(seeds)
        draw = row_noise(seeds, drawn, (frames, len(self.normaliser.mean)), device)
        with evaluating(self):
            condition = self.condition(self._encode(text))
            x0 = reverse(
                lambda x_t, level: self(x_t, torch.full_like(lengths, level), condition, mask),
                draw,
                self._sampling_chain(steps),
                eta=1.0 if self.config.sampler == "ddpm" else 0.0,
                show_progress=progress,
            )
        return Motion(self.normaliser.inverse(x0), lengths)

    def forward(
        self, x_t: Float[Tensor, "B T D"], t: Int[Tensor, "B"], condition: Condition, mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T D"]:
        """Return the noise in normalised motions x_t at levels t of the full schedule; `mask` is True inside a
        motion."""
        style = self.time_embed(level_features(t, self.config.width)) + condition.style
        if self.config.frames_per_token == 1:
            return self.out(self._trunk(self.joint_embed(x_t), mask, condition, style)).float()
        frames, patch = x_t.shape[1], self.config.frames_per_token
        x_t, mask = whole_patches(x_t, mask, patch)
        tokens, skip = self.joint_embed(x_t, mask)
        tokens = self._trunk(tokens, mask[:, ::patch], condition, style)
        noise_share = (1 - self._chain.alphas_cumprod.to(x_t.device, x_t.dtype)[t]).sqrt()
        return self.out(tokens, skip, mask, style, x_t * noise_share[:, None, None])[:, :frames].float()

    def condition(self, text: TextEmbedding) -> Condition:
        """Return the text input of the network, by its trained text layers."""
        window = self.config.text_window
        last = text.mask.sum(1).clamp(1, window) - 1
        device = self.sequence_embedding.device
        return self.read(text_window(text, window).to(device), last.to(device))

    def read(self, states: Float[Tensor, "B L S"], last: Int[Tensor, "B"]) -> Condition:
        """Return token states of the frozen language model, and the place of each text's last token, to a condition."""
        tokens = self.text_ln(self.textTransEncoder(self.text_pre_proj(states)))
        rows = torch.arange(len(tokens), device=tokens.device)
        return Condition(tokens, self.text_proj(tokens[rows, last]))

    def noised(
        self, x0: Float[Tensor, "B T D"], noise: Float[Tensor, "B T D"], t: Int[Tensor, "B"]
    ) -> Float[Tensor, "B T D"]:
        """Return the motion at noise level t, and what `forward` starts from."""
        return self._chain.add_noise(x0, noise, t)

    def estimate(
        self,
        x_t: Float[Tensor, "B T D"],
        eps: Float[Tensor, "B T D"],
        t: Int[Tensor, "B"],
        *,
        least_signal: float | None = None,
    ) -> Float[Tensor, "B T D"]:
        r"""Return the clean motion from the predicted noise: what the alignment losses see.

        .. math:: \hat x_0 = (x_t - \sqrt{1 - \bar\alpha_t} \, \hat\epsilon) / \max(\sqrt{\bar\alpha_t}, s)

        With s = 0 this is the schedule's own estimate, which multiplies the network's error by 157 at the noisiest
        level: no motion, and a gradient that drowns all others. `least_signal` s (None: the config's) bounds both by
        1 / s. Where the signal is weaker than s, the estimate fades to the mean pose (zero, normalised) as the motion
        in x_t does; `alignment.max_noise` can keep such rows out of the losses (at s = 0.1 those above 0.67).

        Source: Ho et al. 2020, eq. 15; the bound is ours.
        """
        share = self._chain.alphas_cumprod.to(x_t.device)[t][:, None, None]
        signal, noise = share.sqrt().to(x_t.dtype), (1 - share).sqrt().to(x_t.dtype)
        floor = self.config.least_signal if least_signal is None else least_signal
        return (x_t - noise * eps) / signal.clamp(min=floor)

    def _trunk(
        self,
        tokens: Float[Tensor, "B N W"],
        mask: Bool[Tensor, "B N"],
        condition: Condition,
        style: Float[Tensor, "B S"],
    ) -> Float[Tensor, "B N W"]:
        tokens = tokens + self.sequence_embedding[: tokens.shape[1]]
        for layer in self.temporal_decoder_blocks:
            tokens = layer(tokens, mask, condition.tokens, style)
        return tokens

    def _encode(self, text: list[str]) -> TextEmbedding:
        with torch.no_grad():
            return self.text_encoder(text)

    def _sampling_chain(self, steps: int | None) -> Chain:
        levels, kept = self.config.diffusion_steps, steps or self.config.sampling_steps
        return self._chain if kept is None else noise_chain(levels, "linear", kept=kept, predicts="epsilon")


class PatchNoiseHead(nn.Module):
    """The noise of frames, from tokens of several frames.

    Noise has no structure that a narrow network could carry, so most of it passes by: `noise_share` times x_t is the
    best guess of the noise in a feature of unit variance that nothing else is known of. A fresh model gives that, and
    learns what the tokens know beyond it.
    """

    def __init__(self, features: int, config: MotionDiffuseConfig, style_width: int):
        super().__init__()
        self.patches = PatchHead(
            features, config.width, config.frame_width, config.frames_per_token, time_width=style_width
        )
        zeroed(self.patches.final)
        self.gate = zeroed(nn.Linear(style_width, features))

    def forward(
        self,
        tokens: Float[Tensor, "B N W"],
        skip: Float[Tensor, "B T F"],
        mask: Bool[Tensor, "B T"],
        style: Float[Tensor, "B S"],
        guess: Float[Tensor, "B T D"],
    ) -> Float[Tensor, "B T D"]:
        """Return frames plus `guess`, x_t times the share of noise in it; its weight is learned for each feature."""
        return self.patches(tokens, skip, mask, style) + (1 + self.gate(style))[:, None] * guess


class Layer(nn.Module):
    """Frames attend to frames, then to the text, then each passes a feed-forward part; all three add stylised."""

    def __init__(self, config: MotionDiffuseConfig, style_width: int):
        super().__init__()
        attend = {"linear": linear_attention, "softmax": softmax_attention}[config.attention]
        options = {"style_width": style_width, "dropout": config.dropout}
        self.sa_block = SelfAttention(config.width, config.heads, attend=attend, **options)
        self.ca_block = TextAttention(config, style_width)
        self.ffn = FeedForward(config.width, config.feed_forward, **options)

    def forward(
        self,
        frames: Float[Tensor, "B T W"],
        mask: Bool[Tensor, "B T"],
        text: Float[Tensor, "B L V"],
        style: Float[Tensor, "B S"],
    ) -> Float[Tensor, "B T W"]:
        frames = frames + self.sa_block(frames, mask, style)
        frames = frames + self.ca_block(frames, text, style)
        return frames + self.ffn(frames, style)


class TextAttention(nn.Module):
    """Attention to all states of the text, padding included; its result is added to the frames."""

    def __init__(self, config: MotionDiffuseConfig, style_width: int):
        super().__init__()
        self.heads = config.heads
        self.attend = {"linear": linear_attention, "softmax": softmax_attention}[config.attention]
        self.norm = nn.LayerNorm(config.width)
        self.text_norm = nn.LayerNorm(config.text_width)
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.text_width, config.width)
        self.value = nn.Linear(config.text_width, config.width)
        self.proj_out = Stylisation(config.width, style_width, config.dropout)

    def forward(
        self, frames: Float[Tensor, "B T W"], text: Float[Tensor, "B L V"], style: Float[Tensor, "B S"]
    ) -> Float[Tensor, "B T W"]:
        text = self.text_norm(text)
        query, key, value = self.query(self.norm(frames)), self.key(text), self.value(text)
        return self.proj_out(self.attend(query, key, value, None, self.heads), style)
