"""BAMM (Pinyoanuntapong et al. 2024, arXiv:2403.19435): text to tokens one after the other, until an END is drawn.

Three networks: the masked autoregressive transformer (`transformer.py`), which writes the tokens of the first level
in two passes; MoMask's residual transformer for the other levels; and MoMask's tokeniser. Each is trained by itself.
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from atm.base.errors import InputError
from atm.generators.bamm.config import BAMMConfig
from atm.generators.bamm.transformer import MaskedAutoregressiveTransformer, without_end
from atm.generators.parts.inputs import check_rows, guidance_scale_or_default, keep_encoder
from atm.generators.parts.padding import evaluating
from atm.generators.tokens.gumbel import row_gumbel
from atm.generators.tokens.padding import decoded, reached_tokens, read_known, sentences
from atm.generators.tokens.residual import ResidualTransformer
from atm.generators.tokens.rvq import ResidualVQVAE
from atm.generators.tokens.stages import reconstruction_step
from atm.interface import Batch, Capabilities, StepOutput, TextEncoder
from atm.motion import Motion
from atm.motion.layers import Normaliser, length_mask


class BAMM(nn.Module):
    """A `Generator` (see `atm.interface`)."""

    def __init__(self, config: BAMMConfig, text_encoder: TextEncoder, normaliser: Normaliser):
        super().__init__()
        self.config = config
        keep_encoder(self, text_encoder, config.text_encoder, "this BAMM")
        self.normaliser = normaliser
        self.rvq = ResidualVQVAE(config.rvq, features=len(normaliser.mean))
        self.transformer = MaskedAutoregressiveTransformer(config.transformer, text_encoder.sentence_width)
        self.residual = ResidualTransformer(config.residual, text_encoder.sentence_width)
        self.capabilities = Capabilities(
            guidance=min(config.transformer.condition_dropout, config.residual.condition_dropout) > 0,
            inbetweening=True,
            predicts_length=True,
        )

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        """Return the tokeniser's step, the one whose motion the alignment losses measure (ours: the ATM paper only
        compares with BAMM). The other networks have no part in it: to train them, train their stages."""
        return reconstruction_step(self.rvq, self.normaliser, batch, rng)

    @torch.no_grad()
    def sample(
        self,
        text: list[str],
        lengths: Int[Tensor, "B"] | None = None,
        *,
        seeds: list[int],
        guidance_scale: float | None = None,
        known: Motion | None = None,
        keep: Bool[Tensor, "B T"] | None = None,
        progress: bool = False,
    ) -> Motion:
        """Return one motion per text; what stands behind a length is what is left of its last token, and then zeros.

        Arguments beside, or other than, those of `atm.interface.Generator.sample`:

        Args:
            lengths: frames of each motion; None: until END is drawn.
            guidance_scale: of both passes and of the residual transformer; None: each one's own. (The published
                program takes a number for the first pass alone.)
            known: motions to complete, with `keep` and `lengths`: one pass, in which the known tokens stand.
            keep: True at frames of `known` that shall stand. Tokens all of whose frames are kept are known; the
                further levels are made anew for all. In the end the kept frames are put in as they were given (ours:
                the published program leaves what the decoder makes of them).

        Raises:
            InputError: a length below 1 or beyond `config.max_frames`, or none for a motion to complete; a known
                motion of another data set, or a `keep` of another shape.
        """
        check_rows(text, seeds, lengths, known=known, keep=keep)
        if known is not None and lengths is None:
            raise InputError("a motion to complete needs a length: say how many frames it shall have in all")
        config, device = self.config, self.normaliser.mean.device
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        condition = sentences(self.text_encoder, text, device)
        tokens = None
        if lengths is not None:
            lengths = lengths.to(device)
            tokens = reached_tokens(lengths, config.rvq.frames_per_token, config.most_tokens)
        with evaluating(self):
            if known is None:
                ids, tokens = self._written(condition, tokens, generators, guidance_scale, progress)
                lengths = tokens * config.rvq.frames_per_token if lengths is None else lengths
            else:
                mask = length_mask(tokens, int(tokens.max()))
                given = read_known(self.rvq, self.normaliser, known.to(device), keep.to(device), lengths, mask)
                ids = self.transformer.complete(
                    given.codes,
                    given.tokens,
                    tokens,
                    condition,
                    self._noise(generators, config.rvq.codes),
                    scale=self._scale(config.transformer.second_guidance_scale, guidance_scale),
                    show_progress=progress,
                )
            mask = length_mask(tokens, int(tokens.max()))
            draw = row_gumbel(generators, tokens.tolist(), (mask.shape[1], config.rvq.codes + 1), device)
            codes = self.residual.generate(
                without_end(ids, self.transformer.end_id)[:, : mask.shape[1]],
                condition,
                mask,
                draw,
                scale=self._scale(config.residual_guidance_scale, guidance_scale),
                levels=config.residual_levels,
            )
            features = decoded(self.rvq, self.normaliser, codes, tokens)
        return Motion(features if known is None else given.put_back(features), lengths)

    def _written(self, condition, tokens, generators, asked: float | None, progress: bool):
        """Return both passes: ids with END, and how many tokens each motion has."""
        config, codes = self.config.transformer, self.config.rvq.codes
        noise = self._noise(generators, codes if tokens is not None else codes + 1)
        scale = self._scale(config.guidance_scale, asked)
        ids, tokens = self.transformer.draft(condition, noise, tokens, scale=scale, show_progress=progress)
        noise, scale = self._noise(generators, codes), self._scale(config.second_guidance_scale, asked)
        return self.transformer.revise(ids, tokens, condition, noise, scale=scale, show_progress=progress), tokens

    def _noise(self, generators: list[torch.Generator], classes: int):
        """Draw noise for as many tokens as a motion can have, whatever its length, which may not be known yet."""
        most = self.config.most_tokens
        return row_gumbel(generators, [most] * len(generators), (most, classes), self.normaliser.mean.device)()

    def _scale(self, own: float, asked: float | None) -> float:
        return guidance_scale_or_default(asked, own, guided=self.capabilities.guidance)
