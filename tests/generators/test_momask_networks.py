"""The networks of MoMask from outside: quantiser, token models, unmasking, length."""

import math

import pytest
import torch

from atm.generators.momask.config import LengthConfig, MaskConfig, MoMaskConfig
from atm.generators.momask.length import LengthEstimator
from atm.generators.momask.masked import MaskDraws, MaskedTransformer, unmasking_schedule
from atm.generators.tokens.config import ResidualConfig, RVQConfig, TrunkConfig
from atm.generators.tokens.gumbel import choose, gumbel, lowest, row_gumbel, straight_through
from atm.generators.tokens.quantiser import ABSENT, Codebook, ResidualQuantiser, perplexity
from atm.generators.tokens.residual import ResidualTransformer, drawn_level
from atm.generators.tokens.rvq import ResidualVQVAE
from atm.generators.tokens.trunk import Trunk

TRUNK = TrunkConfig(width=8, layers=1, heads=2, feed_forward=8)
RVQ = RVQConfig(width=6, depth=1, dropout=0.0, levels=3, codes=5, code_width=4)
MASK = MaskConfig(trunk=TRUNK, codes=5, code_width=4, steps=4, text_encoder="fake")
RESIDUAL = ResidualConfig(trunk=TRUNK, levels=3, codes=5, code_width=4, text_encoder="fake")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def everywhere(*shape: int) -> torch.Tensor:
    return torch.ones(*shape, dtype=torch.bool)


def masked(**changes) -> MaskedTransformer:
    torch.manual_seed(0)
    return MaskedTransformer(MASK.model_copy(update=changes), text_width=8).eval()


def residual(**changes) -> ResidualTransformer:
    torch.manual_seed(0)
    return ResidualTransformer(RESIDUAL.model_copy(update=changes), text_width=8).eval()


def quantiser(**changes) -> ResidualQuantiser:
    torch.manual_seed(0)
    return ResidualQuantiser(RVQ.model_copy(update=changes))


def test_each_level_codes_what_the_levels_before_it_left():
    """Codes 0, 1 and 10, 11 on two levels: 11.2 is 10 + 1, and 0.9 is 0 + 1."""
    levels = quantiser(levels=2, codes=2, code_width=1).eval()
    levels.layers[0].codebook.copy_(torch.tensor([[0.0], [10.0]]))
    levels.layers[1].codebook.copy_(torch.tensor([[0.0], [1.0]]))
    quantised = levels(torch.tensor([[[11.2], [0.9]]]), everywhere(1, 2))
    assert quantised.codes.tolist() == [[[1, 1], [0, 1]]]
    torch.testing.assert_close(quantised.latents, torch.tensor([[[11.0], [1.0]]]))
    # Distances to the codes: 1.2 and 0.9 on the first level, 0.2 and 0.1 on the second.
    expected = ((1.2**2 + 0.9**2) / 2 + (0.2**2 + 0.1**2) / 2) / 2
    torch.testing.assert_close(quantised.commitment, torch.tensor([expected]))


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_encoder_gets_the_decoders_gradient_once_per_level(levels):
    x = torch.randn(2, 7, 4, generator=rng(), requires_grad=True)
    quantised = quantiser().eval()(x, everywhere(2, 7), levels=levels)
    weight = torch.randn(x.shape, generator=rng(1))
    (quantised.latents * weight).sum().backward()
    torch.testing.assert_close(x.grad, levels * weight)
    assert quantised.codes.shape == (2, 7, levels)


def test_a_codebook_is_the_moving_mean_of_its_vectors():
    """Two vectors 1 and 3 go to code 0, which stood at 2 with weight 5; code 1 keeps its mean of 9."""
    book = Codebook(codes=2, width=1, decay=0.9)
    book.codebook.copy_(torch.tensor([[2.0], [9.0]]))
    book.code_sum.copy_(torch.tensor([[10.0], [45.0]]))
    book.code_count.fill_(5.0)
    book.update(torch.tensor([[1.0], [3.0]]), torch.tensor([0, 0]))
    expected = (0.9 * 10 + 0.1 * 4) / (0.9 * 5 + 0.1 * 2)
    torch.testing.assert_close(book.codebook, torch.tensor([[expected], [9.0]]))
    torch.testing.assert_close(book.code_count, torch.tensor([4.7, 4.5]))


def test_a_code_that_nothing_takes_becomes_a_vector_of_the_batch_and_keeps_its_averages():
    book = Codebook(codes=2, width=1, decay=0.9)
    vectors = torch.tensor([[4.0], [6.0], [8.0]])
    book.codebook.copy_(torch.tensor([[5.0], [-5.0]]))
    book.code_sum.copy_(torch.tensor([[10.0], [-5.0]]))
    book.code_count.copy_(torch.tensor([2.0, 1.0]))
    book.update(vectors, torch.tensor([0, 0, 0]))
    assert book.codebook[1].item() == 6.0
    torch.testing.assert_close(book.code_count[1].item(), 0.9)
    torch.testing.assert_close(book.code_sum[1].item(), -4.5)


def test_a_training_step_with_fewer_vectors_than_codes_repeats_them_with_a_little_noise():
    levels = quantiser(levels=1, codes=50, code_width=4, code_temperature=0.0).train()
    x = torch.randn(1, 3, 4, generator=rng())
    levels(x, everywhere(1, 3), rng=rng())
    book = levels.layers[0].codebook
    nearest = torch.cdist(book, x[0]).min(dim=1).values
    assert nearest.max() < 6 * 0.01
    assert len(book.unique(dim=0)) == 50


def test_codebooks_start_from_the_first_data_and_not_again():
    levels = quantiser(levels=1, code_temperature=0.0).train()
    first, second = (torch.randn(1, 9, 4, generator=rng(seed)) for seed in (0, 1))
    levels(first, everywhere(1, 9))
    sums = levels.layers[0].code_sum.clone()
    levels(second + 100, everywhere(1, 9))
    assert not torch.equal(levels.layers[0].code_sum, sums)
    assert levels.layers[0].code_sum.abs().max() < 20  # a start from the second data would stand near 100


def test_padding_teaches_the_codebooks_nothing():
    """The same step with other numbers in the padding leaves the same codebooks and the same losses."""
    results = []
    for junk in (0.0, 50.0):
        levels = quantiser(code_temperature=0.0).train()
        x = torch.randn(2, 6, 4, generator=rng())
        mask = torch.arange(6)[None] < torch.tensor([[6], [3]])
        quantised = levels(x.masked_fill(~mask[..., None], junk), mask, rng=rng())
        results.append((levels.state_dict(), quantised.commitment, quantised.perplexity, quantised.codes[mask]))
    torch.testing.assert_close(results[0], results[1])


def test_encoding_never_changes_a_codebook_and_never_draws():
    """In training mode, too: the published `encode` learns there."""
    torch.manual_seed(0)
    network = ResidualVQVAE(RVQ, features=7).train()
    network(torch.randn(2, 40, 7), everywhere(2, 10), rng=rng())
    before = {key: value.clone() for key, value in network.state_dict().items()}
    motion = torch.randn(2, 40, 7, generator=rng())
    codes = [network.encode(motion, everywhere(2, 10)).codes for _ in range(2)]
    assert torch.equal(*codes)
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
    assert network.quantizer.training


def test_absent_codes_are_zero_vectors():
    levels = quantiser()
    codes = torch.tensor([[[1, 2, 3], [ABSENT, ABSENT, ABSENT], [1, ABSENT, ABSENT]]])
    vectors = levels.vectors(codes)
    assert not vectors[0, 1].any()
    torch.testing.assert_close(vectors[0, 2], levels.layers[0].codebook[1])
    torch.testing.assert_close(levels.vectors(codes[..., :1])[0, 0], levels.layers[0].codebook[1])


@pytest.mark.parametrize(("frames", "tokens"), [(60, 15), (61, 15), (63, 15), (64, 16), (196, 49)])
def test_a_token_stands_for_four_frames(frames, tokens):
    network = ResidualVQVAE(RVQ, features=7).eval()
    codes = network.encode(torch.zeros(1, frames, 7), everywhere(1, tokens)).codes
    assert codes.shape == (1, tokens, 3)
    assert network.decode(codes).shape == (1, 4 * tokens, 7)


def test_perplexity_counts_codes_in_use():
    """Four codes equally often: 4. One code always: 1."""
    torch.testing.assert_close(perplexity(torch.tensor([0, 1, 2, 3]), 9), torch.tensor(4.0), rtol=1e-4, atol=0)
    torch.testing.assert_close(perplexity(torch.tensor([2, 2, 2]), 9), torch.tensor(1.0), rtol=1e-4, atol=0)


def test_draws_follow_the_softmax_of_the_classes_that_are_kept():
    """Logits log 1, log 2, log 4, log 9 and half of the classes kept: 4 to 9; at temperature 1/2 their squares."""
    logits = torch.log(torch.tensor([1.0, 2.0, 4.0, 9.0])).expand(1, 20000, 4)
    noise = gumbel(torch.rand(logits.shape, generator=rng()))
    for temperature, expected in ((1.0, 9 / 13), (0.5, 81 / 97)):
        drawn = choose(logits, noise, kept_share=0.5, temperature=temperature)
        assert set(drawn.unique().tolist()) == {2, 3}
        assert (drawn == 3).float().mean().item() == pytest.approx(expected, abs=4 * math.sqrt(0.25 / 20000))
    assert (choose(logits, noise, kept_share=1.0, temperature=0.0) == 3).all()


def test_a_choice_is_one_class_with_the_gradient_of_its_probability():
    """At temperature 2 the gradient of the weighed sum is that of softmax((logits + noise) / 2)."""
    logits = torch.tensor([[[0.3, 1.0, -0.5]]], requires_grad=True)
    noise, weights = torch.tensor([[[1.5, 0.0, 0.0]]]), torch.tensor([1.0, 2.0, 4.0])
    chosen = straight_through(logits, noise, 2.0)
    torch.testing.assert_close(chosen.detach(), torch.tensor([[[1.0, 0.0, 0.0]]]))
    (chosen * weights).sum().backward()
    soft = ((logits.detach() + noise) / 2).softmax(-1)
    expected = soft * (weights - (soft * weights).sum()) / 2
    torch.testing.assert_close(logits.grad, expected)


@pytest.mark.parametrize("classes", [512, 513])
def test_the_published_filter_keeps_52_codes(classes):
    logits = torch.arange(float(classes)).expand(1, 4000, classes) * 1e-6
    drawn = choose(logits, gumbel(torch.rand(logits.shape, generator=rng())), kept_share=0.1, temperature=1.0)
    assert drawn.unique().tolist() == list(range(classes - 52, classes))


def test_a_rows_noise_does_not_depend_on_its_batch():
    alone = row_gumbel([rng(7)], [3], (3, 5), torch.device("cpu"))
    together = row_gumbel([rng(1), rng(7)], [6, 3], (6, 5), torch.device("cpu"))
    for _ in range(2):
        torch.testing.assert_close(alone()[0], together()[1, :3], rtol=0, atol=0)


def test_the_text_has_no_position_and_tokens_start_at_the_first():
    torch.manual_seed(0)
    trunk = Trunk(TRUNK, text_width=8, code_width=4, width_out=5).eval()
    tokens, text = torch.randn(1, 1, 4), torch.randn(1, 8)
    before = trunk(tokens, text, everywhere(1, 1))
    trunk.positions[1:] += 1.0
    torch.testing.assert_close(trunk(tokens, text, everywhere(1, 1)), before)
    trunk.positions[0] += torch.randn(8)
    assert not torch.allclose(trunk(tokens, text, everywhere(1, 1)), before)


def test_the_head_normalises_with_the_published_epsilon():
    trunk = Trunk(TRUNK, text_width=8, code_width=4, width_out=5)
    assert trunk.output_process.LayerNorm.eps == 1e-12
    assert trunk.seqTransEncoder.layers[0].norm1.eps == 1e-5


def test_padding_is_neither_seen_nor_cropped():
    """In evaluation mode, too, where nested tensors would crop the output to the longest row."""
    model, text = masked(), torch.randn(2, 8, generator=rng())
    mask = torch.arange(6)[None] < torch.tensor([[4], [2]])
    ids = torch.randint(5, (2, 6), generator=rng())
    junk = torch.where(mask, ids, 3)
    with torch.no_grad():
        logits, changed = model(ids, text, mask), model(junk, text, mask)
    assert logits.shape == (2, 6, 5)
    torch.testing.assert_close(logits[mask], changed[mask])


def test_no_text_is_the_bias_of_the_text_layer():
    model = masked()
    torch.testing.assert_close(model.trunk.cond_emb(torch.zeros(8)), model.trunk.cond_emb.bias)


def test_guidance_lies_on_the_line_through_both_estimates():
    model, text, ids = masked(), torch.randn(1, 8, generator=rng()), torch.tensor([[1, 5, 5]])
    mask = everywhere(1, 3)
    conditional, without = model(ids, text, mask), model(ids, torch.zeros_like(text), mask)
    for scale in (0.0, 1.0, 4.0):
        expected = without + scale * (conditional - without)
        torch.testing.assert_close(model.guided(ids, text, mask, scale=scale), expected)


def draws(tokens: int, *, share: float) -> MaskDraws:
    order = torch.arange(tokens).flip(0)[None] / tokens
    return MaskDraws(
        torch.tensor([share]), order, torch.ones(1, tokens), torch.zeros(1, tokens).long(), torch.zeros(1, tokens)
    )


def test_how_many_tokens_are_masked_counts_from_the_padded_length():
    """cos(pi / 3) = 1/2 of 8 tokens are 4. The order puts the last tokens first, and the motion has 3 tokens: none of
    its own is masked, and its loss is 0, not NaN."""
    model = masked()
    mask = torch.arange(8)[None] < 3
    shown, asked = model.corrupt(torch.ones(1, 8).long(), mask, draws(8, share=2 / 3))
    assert not asked.any()
    assert shown.tolist() == [[1, 1, 1] + [model.pad_id] * 5]
    guess = model.loss(torch.ones(1, 8).long(), torch.zeros(1, 8), mask, draws(8, share=2 / 3))
    assert guess.loss.tolist() == [0.0]
    assert guess.accuracy == 0.0
    whole = model.corrupt(torch.ones(1, 8).long(), everywhere(1, 8), draws(8, share=2 / 3))[1]
    assert whole.tolist() == [[False] * 4 + [True] * 4]


def test_masked_tokens_show_the_mask_a_random_code_or_themselves():
    """A tenth random, 0.9 x 0.88 masked, the rest as they are; all of them are asked for."""
    model, size = masked(), 20000
    codes = torch.full((1, size), 4)
    drawn = MaskDraws.draw(1, size, 4, rng())._replace(share=torch.zeros(1))
    shown, asked = model.corrupt(codes, everywhere(1, size), drawn)
    assert asked.all()
    tolerance = 4 * math.sqrt(0.25 / size)
    assert (shown == model.mask_id).float().mean().item() == pytest.approx(0.9 * 0.88, abs=tolerance)
    assert (shown < 4).float().mean().item() == pytest.approx(0.1, abs=tolerance)


def test_rows_weigh_by_the_tokens_they_are_asked_for():
    """The mean of the rows is the mean over all tokens asked for, computed here token by token."""
    model, text = masked(), torch.randn(2, 8, generator=rng())
    mask = torch.arange(6)[None] < torch.tensor([[6], [2]])
    codes = torch.randint(5, (2, 6), generator=rng())
    drawn = MaskDraws.draw(2, 6, 5, rng(3))
    loss = model.loss(codes, text, mask, drawn).loss
    shown, asked = model.corrupt(codes, mask, drawn)
    chances = model(shown, text, mask).log_softmax(-1)
    each = [-chances[row, place, codes[row, place]] for row, place in asked.nonzero().tolist()]
    torch.testing.assert_close(loss.mean(), torch.stack(each).mean())


def test_unmasking_falls_like_a_cosine_to_one_token():
    """Of 10 tokens: all, cos 45 degrees = 0.71 or 7, and at the end, where the cosine is 0, one."""
    counts = unmasking_schedule(torch.tensor([10, 1]), 3)
    assert torch.stack(counts).tolist() == [[10, 1], [7, 1], [1, 1]]


def test_of_equal_scores_the_first_are_lowest():
    scores = torch.tensor([[0.5, 0.5, 0.5, 0.1]])
    assert lowest(scores, torch.tensor([2.0])).tolist() == [[True, False, False, True]]


@torch.no_grad()
def test_editing_keeps_every_token_outside_and_ends_with_codes_inside():
    model, text = masked(), torch.randn(2, 8, generator=rng())
    mask = torch.arange(6)[None] < torch.tensor([[6], [4]])
    codes = torch.randint(5, (2, 6), generator=rng())
    redo = torch.tensor([[False, True, True, False, False, True]]).expand(2, -1)
    draw = row_gumbel([rng(0), rng(1)], [6, 4], (6, 5), torch.device("cpu"))
    edited = model.edit(codes, redo, text, mask, draw, scale=4.0)
    kept = mask & ~redo
    assert torch.equal(edited[kept], codes[kept])
    assert ((edited[mask] >= 0) & (edited[mask] < 5)).all()
    assert (edited[~mask] == ABSENT).all()


@torch.no_grad()
def test_free_editing_gives_codes_and_leaves_padding_absent():
    model, text = masked(), torch.randn(2, 8, generator=rng())
    mask = torch.arange(6)[None] < torch.tensor([[6], [4]])
    draw = row_gumbel([rng(0), rng(1)], [6, 4], (6, 5), torch.device("cpu"))
    edited = model.edit_freely(torch.zeros(2, 6).long(), text, mask, draw, scale=4.0)
    assert ((edited[mask] >= 0) & (edited[mask] < 5)).all()
    assert (edited[~mask] == ABSENT).all()


def test_separate_tables_give_doubled_logits_before_the_bias():
    model = residual(share_weights=False)
    torch.nn.init.normal_(model.output_proj_bias)
    history, text, mask = torch.randn(1, 3, 4), torch.randn(1, 8), everywhere(1, 3)
    logits = model(history, torch.tensor([2]), text, mask)
    front = model.quant_emb(torch.tensor([[0.0, 0.0, 1.0]]))[:, None]
    vectors = model.trunk(history, text, mask, front)
    torch.testing.assert_close(logits, 2 * vectors @ model.output_proj_weight[1].T + model.output_proj_bias[1])


def test_shared_tables_read_a_level_as_they_write_it():
    """Level 1 is written with the first shared table, and level 2 reads level 1 with the same."""
    model = residual()
    codes = torch.tensor([[[1, 3]]])
    read = model.history(codes)
    torch.testing.assert_close(read[0, 0, 1] - read[0, 0, 0], model.embed_proj_shared_weight[0, 3])
    model.embed_proj_shared_weight.data[0, 3] = 0.0
    logits = model(read[:, :, 0], torch.tensor([1]), torch.zeros(1, 8), everywhere(1, 1))
    assert logits[0, 0, 3] == 0


@torch.no_grad()
def test_the_pad_class_can_be_drawn_and_stands_for_nothing():
    model = residual()
    text, mask = torch.zeros(1, 8), everywhere(1, 3)

    def only_the_pad_class() -> torch.Tensor:
        noise = torch.zeros(1, 3, 6)
        noise[..., 5] = 1e9
        return noise

    model.config = RESIDUAL.model_copy(update={"kept_share": 1.0})
    codes = model.generate(torch.tensor([[1, 2, 3]]), text, mask, only_the_pad_class, scale=1.0)
    assert codes.tolist() == [[[1, ABSENT, ABSENT], [2, ABSENT, ABSENT], [3, ABSENT, ABSENT]]]


@torch.no_grad()
def test_fewer_levels_can_be_added():
    model = residual()
    draw = row_gumbel([rng()], [3], (3, 6), torch.device("cpu"))
    base, text, mask = torch.tensor([[1, 2, 3]]), torch.zeros(1, 8), everywhere(1, 3)
    for levels, expected in ((0, 1), (1, 2), (None, 3)):
        assert model.generate(base, text, mask, draw, scale=1.0, levels=levels).shape == (1, 3, expected)


def test_low_levels_are_asked_for_more_often():
    """u = 0 asks for level 1, u near 1 for the last; half of all draws lie at or below 1 + 4 (1 - cos 45 degrees)."""
    level = drawn_level(torch.linspace(0, 0.999, 1001), 6)
    assert level[0] == 1
    assert level[-1] == 5
    assert level.median() == round(4 * (1 - math.cos(math.pi / 4))) + 1


@torch.no_grad()
def test_lengths_are_drawn_from_the_estimate_and_never_zero():
    """A row that is certain of class 0 makes one token, one that is certain of class 3 three, and equal odds both."""
    config = LengthConfig(widths=(8, 8, 8), classes=4, text_encoder="fake")
    estimator = LengthEstimator(config, text_width=8).eval()
    estimator.forward = lambda text: text
    logits = torch.tensor([[50.0, 0, 0, 0], [0, 0, 0, 50.0]])
    assert estimator.draw(logits, [rng(0), rng(1)]).tolist() == [1, 3]
    even = torch.tensor([[0.0, -50, 0, -50]]).expand(40, 4)
    drawn = estimator.draw(even, [rng(seed) for seed in range(40)])
    assert set(drawn.tolist()) == {1, 2}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mask": MASK.model_copy(update={"codes": 6})}, "codes"),
        ({"residual": RESIDUAL.model_copy(update={"levels": 4})}, "levels"),
        ({"mask": MASK.model_copy(update={"text_encoder": "clip_b32_22"})}, "text_encoder"),
    ],
)
def test_networks_that_do_not_fit_one_another_are_refused(changes, words):
    parts = {"rvq": RVQ, "mask": MASK, "residual": RESIDUAL, "length": None} | changes
    with pytest.raises(ValueError, match=f"agree on {words}"):
        MoMaskConfig(**parts)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="multiple of heads"):
        TrunkConfig(width=8, heads=3)
