"""The residual transformer: tokens of all further levels, level by level, each from those before it."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from atm.generators.momask.masked import weighted_cross_entropy
from atm.generators.tokens.config import ResidualConfig
from atm.generators.tokens.gumbel import GumbelDraw, choose
from atm.generators.tokens.quantiser import ABSENT
from atm.generators.tokens.trunk import Trunk, guided, initialise


class ResidualTransformer(nn.Module):
    """Guesses the tokens of level q (1, 2, ...) from the sum of the embeddings of levels below q, and the text.

    Padding has a code of its own, `pad_id`, in every table, the output's too: it can be drawn, as published, and
    then stands for nothing.
    """

    def __init__(self, config: ResidualConfig, text_width: int):
        super().__init__()
        self.config = config
        self.pad_id = config.codes
        classes, width, above = config.codes + 1, config.code_width, config.levels - 1
        self.trunk = Trunk(config.trunk, text_width=text_width, code_width=width, width_out=width)
        self.quant_emb = nn.Linear(config.levels, config.trunk.width)
        if config.share_weights:
            self.token_embed_weight_ = nn.Parameter(torch.randn(1, classes, width) * 0.02)
            self.embed_proj_shared_weight = nn.Parameter(torch.randn(above - 1, classes, width) * 0.02)
            self.output_proj_weight_ = nn.Parameter(torch.randn(1, classes, width) * 0.02)
        else:
            self.token_embed_weight = nn.Parameter(torch.randn(above, classes, width) * 0.02)
            self.output_proj_weight = nn.Parameter(torch.randn(above, classes, width) * 0.02)
            # One row more than is read: as published.
            self.output_proj_bias = nn.Parameter(torch.zeros(config.levels, classes))
        self.apply(initialise)

    def forward(
        self,
        history: Float[Tensor, "B N C"],
        level: Int[Tensor, "B"],
        text: Float[Tensor, "B S"],
        mask: Bool[Tensor, "B N"],
    ) -> Float[Tensor, "B N K"]:
        """Return logits over the codes and the pad class.

        Args:
            history: from `history`.
            level: asked for, from 1 on.
            text: sentence vectors; zeros for no text.
            mask: True at tokens of the motion.
        """
        front = self.quant_emb(F.one_hot(level, self.config.levels).to(history.dtype))[:, None]
        vectors = self.trunk(history, text, mask, front)
        if self.config.share_weights:
            tables = torch.cat([self.embed_proj_shared_weight, self.output_proj_weight_])
            return vectors @ tables[level - 1].transpose(1, 2)
        logits = vectors @ self.output_proj_weight[level - 1].transpose(1, 2)
        # Twice, as the published networks were trained.
        return 2 * logits + self.output_proj_bias[level - 1][:, None]

    def guided(
        self,
        history: Float[Tensor, "B N C"],
        level: Int[Tensor, "B"],
        text: Float[Tensor, "B S"],
        mask: Bool[Tensor, "B N"],
        *,
        scale: float,
    ) -> Float[Tensor, "B N K"]:
        """Run `forward` under classifier-free guidance."""
        return guided(lambda shown: self(history, level, shown, mask), text, scale)

    def history(self, codes: Int[Tensor, "B N Q"]) -> Float[Tensor, "B N Q C"]:
        """Return running sums of the embeddings: entry k is what level k + 1 sees.

        Args:
            codes: of the levels from 0 on; `pad_id` where there is none.
        """
        if self.config.share_weights:
            tables = torch.cat([self.token_embed_weight_, self.embed_proj_shared_weight])
        else:
            tables = self.token_embed_weight
        embedded = [F.embedding(codes[..., level], tables[level]) for level in range(codes.shape[-1])]
        return torch.stack(embedded, dim=2).cumsum(dim=2)

    def loss(
        self,
        codes: Int[Tensor, "B N Q"],
        text: Float[Tensor, "B S"],
        mask: Bool[Tensor, "B N"],
        level: Int[Tensor, "B"],
    ) -> tuple[Float[Tensor, "B"], dict[str, float]]:
        """Return cross entropy of one level's tokens per row; rows weigh by their length, as published.

        Args:
            codes: of all levels.
            text, mask: as in `forward`.
            level: which level each row is asked for, from 1 on.
        """
        rows = torch.arange(len(codes), device=codes.device)
        padded = torch.where(mask[..., None], codes, self.pad_id)
        history = self.history(padded[..., :-1])[rows, :, level - 1]
        target = padded[rows, :, level]
        logits = self(history, level, text, mask)
        correct = (logits.argmax(-1) == target) & mask
        return weighted_cross_entropy(logits, target, mask), {"accuracy": (correct.sum() / mask.sum()).item()}

    def generate(
        self,
        base: Int[Tensor, "B N"],
        text: Float[Tensor, "B S"],
        mask: Bool[Tensor, "B N"],
        draw: GumbelDraw,
        *,
        scale: float,
        levels: int | None = None,
    ) -> Int[Tensor, "B N Q"]:
        """Return codes of all levels, `ABSENT` behind each end and where the pad class was drawn.

        Args:
            base: codes of level 0.
            text, mask: as in `forward`.
            draw: Gumbel noise for the codes and the pad class, once per level.
            scale: of guidance.
            levels: how many to add; None: all.
        """
        added = self.config.levels - 1 if levels is None else min(levels, self.config.levels - 1)
        codes = torch.where(mask, base, self.pad_id)[..., None]
        for level in range(1, added + 1):
            asked = torch.full((len(base),), level, device=base.device)
            logits = self.guided(self.history(codes)[:, :, -1], asked, text, mask, scale=scale)
            drawn = choose(logits, draw(), kept_share=self.config.kept_share, temperature=self.config.temperature)
            codes = torch.cat([codes, torch.where(mask, drawn, self.pad_id)[..., None]], dim=-1)
        return codes.masked_fill(codes == self.pad_id, ABSENT)


def drawn_level(uniform: Float[Tensor, "B"], levels: int) -> Int[Tensor, "B"]:
    """Return the level that a training row is asked for, 1 to levels - 1, low ones more often.

    Args:
        uniform: numbers in [0, 1).
        levels: of the tokeniser, the first one included.
    """
    share = 1 - torch.cos(uniform * math.pi / 2)
    return (share * (levels - 2)).round().long() + 1
