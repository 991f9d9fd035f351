"""MLD (Chen et al. 2023, arXiv:2212.04048): a transformer that takes noise out of the latents of a frozen motion VAE.

Under the keys of the published checkpoints. The published code hands out no motion in training; here the frozen
decoder makes one of the estimated latent, so that a loss on the motion reaches the denoiser.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from atm.generators.diffusion.steps import reverse, row_noise
from atm.generators.mld.config import MLDConfig
from atm.generators.mld.denoiser import FrameDenoiser, LatentDenoiser
from atm.generators.mld.schedule import latent_chain
from atm.generators.mld.transformer import POSITIONS
from atm.generators.mld.vae import MotionVAE
from atm.generators.parts.inputs import check_rows, check_steps, guidance_scale_or_default, keep_encoder
from atm.generators.parts.padding import check_frames, evaluating, like_batch, normalised_frames
from atm.interface import Batch, Capabilities, StepOutput, TextEmbedding, TextEncoder
from atm.motion import Motion
from atm.motion.layers import Normaliser, length_mask
from atm.text import embed_nothing


class MLD(nn.Module):
    """A `Generator` (see `atm.interface`). Its VAE is frozen: it takes part in its file, but not in its training."""

    def __init__(self, config: MLDConfig, text_encoder: TextEncoder, normaliser: Normaliser):
        super().__init__()
        self.config = config
        keep_encoder(self, text_encoder, config.text_encoder, "this MLD")
        self.normaliser = normaliser
        self.capabilities = Capabilities(
            guidance=config.condition_dropout > 0,
            ignores_padding=config.autoencoder is not None,
            steps=config.diffusion_steps // 2,
        )
        features, text_width = len(normaliser.mean), text_encoder.sentence_width
        self.vae: MotionVAE | None
        if config.autoencoder is None:
            self.vae = None
            self.denoiser = FrameDenoiser(config, text_width, features)
        else:
            self.vae = MotionVAE(config.autoencoder, features).requires_grad_(False)
            self.denoiser = LatentDenoiser(config, text_width)
        self._chain = latent_chain(config.diffusion_steps)
        self.train()

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        """Return one denoising step per row at a random noise level; all its randomness but dropout comes from
        `rng`."""
        x0, mask = normalised_frames(batch.motion, self.normaliser, "MLD", self._window(batch.motion.lengths))
        rows = len(x0)

        def drawn(shape: tuple[int, ...]) -> Tensor:
            return torch.randn(shape, generator=rng, device=rng.device).to(x0.device)

        z0 = x0
        if self.vae is not None:
            with torch.no_grad():
                # A new draw each time, as published: the mean is used nowhere.
                z0 = self.vae.encode(x0, mask).at(drawn((rows, *self.vae.latent_shape)))
        noise = drawn(z0.shape)
        t = torch.randint(self.config.diffusion_steps, (rows,), generator=rng, device=rng.device).to(x0.device)
        withheld = torch.rand(rows, generator=rng, device=rng.device).to(x0.device) < self.config.condition_dropout
        text = torch.where(withheld[:, None, None], self.null(rows), self._read(batch.said_by(self.text_encoder)))

        z_t = self.noised(z0, noise, t)
        noise_hat = self.denoiser(z_t, t, text, mask)
        x0_hat = self._decoded(self.clean(z_t, noise_hat, t), mask)
        return StepOutput(
            loss=noise_loss(noise_hat, noise),
            motion=like_batch(self.normaliser.inverse(x0_hat), batch.motion),
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
        """Return one motion per text, by DDIM.

        Arguments beside, or other than, those of `atm.interface.Generator.sample`:

        Args:
            guidance_scale: `uncond + s (cond - uncond)` on the noise; None: the config's.
            steps: noise levels that are visited, 1 to half of `config.diffusion_steps`; None: the config's
                `sampling_steps`.

        Raises:
            InputError: a length below 1 or beyond the position table, or more steps than there are.
        """
        check_rows(text, seeds, lengths)
        check_steps(steps, self.capabilities.steps)
        lengths = lengths.to(self.normaliser.mean.device)
        mask = length_mask(lengths, self._window(lengths))
        shape = (mask.shape[1], len(self.normaliser.mean)) if self.vae is None else self.vae.latent_shape
        condition, null = self.condition(text), self.null(len(text))
        scale = guidance_scale_or_default(guidance_scale, self.config.guidance_scale, guided=self.capabilities.guidance)

        def predict(z_t: Tensor, level: int) -> Tensor:
            return self.guided(z_t, torch.full_like(lengths, level), condition, null, mask, scale=scale)

        draw = row_noise(seeds, [shape[0]] * len(seeds), shape, lengths.device)
        with evaluating(self):
            chain = latent_chain(self.config.diffusion_steps, kept=steps or self.config.sampling_steps)
            z0 = reverse(predict, draw, chain, eta=0.0, show_progress=progress)
            x0 = self._decoded(z0, mask)
        return Motion(self.normaliser.inverse(x0), lengths)

    def guided(
        self,
        z_t: Float[Tensor, "B N W"],
        t: Int[Tensor, "B"],
        text: Float[Tensor, "B 1 S"],
        null: Float[Tensor, "B 1 S"],
        mask: Bool[Tensor, "B T"] | None = None,
        *,
        scale: float,
    ) -> Float[Tensor, "B N W"]:
        """Return the noise under classifier-free guidance, both passes as one batch; at scales 0 and 1 one is enough.

        `mask` says where the motions are; only the variant without VAE needs it.
        """
        if scale in (0, 1):
            return self.denoiser(z_t, t, text if scale == 1 else null, mask)
        twice = None if mask is None else torch.cat([mask, mask])
        # The empty texts come first, as published.
        both = self.denoiser(torch.cat([z_t, z_t]), torch.cat([t, t]), torch.cat([null, text]), twice)
        unconditional, conditional = both.chunk(2)
        return unconditional + scale * (conditional - unconditional)

    def condition(self, text: list[str]) -> Float[Tensor, "B 1 S"]:
        """Return what the denoiser is told about the texts: their sentence vectors, as the encoder gave them."""
        with torch.no_grad():
            return self._read(self.text_encoder(text))

    def _read(self, said: TextEmbedding) -> Float[Tensor, "B 1 S"]:
        return said.sentence[:, None].to(self.normaliser.mean.device)

    def null(self, rows: int) -> Float[Tensor, "B 1 S"]:
        """Return what it is told where the text is withheld: that of the empty string, not zeros."""
        with torch.no_grad():
            sentence = embed_nothing(self.text_encoder).sentence
        return sentence[:, None].expand(rows, -1, -1).to(self.normaliser.mean.device)

    def noised(
        self, z0: Float[Tensor, "B N W"], noise: Float[Tensor, "B N W"], t: Int[Tensor, "B"]
    ) -> Float[Tensor, "B N W"]:
        """Return the latent at noise level t."""
        return self._chain.add_noise(z0, noise, t)

    def clean(
        self, z_t: Float[Tensor, "B N W"], noise: Float[Tensor, "B N W"], t: Int[Tensor, "B"]
    ) -> Float[Tensor, "B N W"]:
        """Return the latent that `noise` was added to: `noised`, solved for it.

        Usable at every level, for the last one still holds 0.5 % of the signal's variance; but an error of the
        noise comes out 15 times as large there.
        """
        share = self._chain.alphas_cumprod.to(z_t.device, z_t.dtype)[t][:, None, None]
        return (z_t - (1 - share).sqrt() * noise) / share.sqrt()

    def train(self, mode: bool = True) -> "MLD":
        """Return the frozen decoder never drops anything; whether the encoder does in training is `encoder_dropout`."""
        super().train(mode)
        if self.vae is not None:
            self.vae.eval()
            self.vae.encoder.train(mode and self.config.encoder_dropout)
        return self

    def requires_grad_(self, requires_grad: bool = True) -> "MLD":
        """Set which weights need gradients, in the denoiser alone: the VAE stays frozen."""
        super().requires_grad_(requires_grad)
        if self.vae is not None:
            self.vae.requires_grad_(False)
        return self

    def _decoded(self, z0: Float[Tensor, "B N W"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        return z0 if self.vae is None else self.vae.decode(z0, mask)

    def _window(self, lengths: Int[Tensor, "B"]) -> int:
        """Return frames that the network sees."""
        longest = POSITIONS if self.vae is None else self.vae.longest
        check_frames(lengths, longest, "this MLD")
        asked = int(lengths.max())
        return max(asked, self.config.max_frames) if self.vae is None else asked


def noise_loss(noise_hat: Float[Tensor, "B N W"], noise: Float[Tensor, "B N W"]) -> Float[Tensor, "B"]:
    """Return the mean squared error of the noise (the published prior loss has weight 0 and is left out)."""
    return (noise_hat - noise).square().mean(dim=(1, 2))
