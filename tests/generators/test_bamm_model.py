"""BAMM from outside: its transformer's rules, its training, and generation."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from atm.base.errors import InputError
from atm.base.storage import save_model
from atm.generators.bamm.config import BAMMConfig, TransformerConfig
from atm.generators.bamm.model import BAMM
from atm.generators.bamm.presets import bamm_humanml3d, bamm_kit, bamm_small
from atm.generators.bamm.stage import TransformerStage, build_stage
from atm.generators.bamm.transformer import (
    MaskedAutoregressiveTransformer,
    TransformerDraws,
    cut_at_end,
    every_second,
    may_look,
)
from atm.generators.tokens.config import ResidualConfig, RVQConfig, TrunkConfig
from atm.generators.tokens.stages import LEARNED_FROM, RVQStage
from atm.interface import Batch, Generator
from atm.models import build_generator
from atm.models.check import check_generator
from atm.motion import Motion
from atm.motion.layers import Normaliser, length_mask
from doubles import ABOUT_STEPS, FakeTextEncoder

FEATURES, CODES, SLOTS = 263, 24, 6
END, PAD = CODES, CODES + 1
TRUNK = TrunkConfig(width=16, layers=1, heads=2, feed_forward=16)
SIZES = {"trunk": TRUNK, "codes": CODES, "code_width": 8, "text_encoder": "fake", "max_frames": 4 * SLOTS}
TRANSFORMER = TransformerConfig(**SIZES)
RVQ = RVQConfig(width=16, depth=1, levels=3, codes=CODES, code_width=8, level_dropout=0.0)
RESIDUAL = ResidualConfig(**SIZES, levels=3)
WHOLE = BAMMConfig(rvq=RVQ, transformer=TRANSFORMER, residual=RESIDUAL)
STATISTICS = Normaliser(torch.full((FEATURES,), 5.0), torch.full((FEATURES,), 2.0))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def opinionated(network: nn.Module) -> nn.Module:
    """Fresh token models give almost equal odds to all codes; this one does not."""
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network


def transformer(**changes) -> MaskedAutoregressiveTransformer:
    torch.manual_seed(0)
    network = MaskedAutoregressiveTransformer(TRANSFORMER.model_copy(update=changes), text_width=8)
    return opinionated(network).eval()


def make(config: BAMMConfig = WHOLE, *, normaliser: Normaliser = STATISTICS) -> BAMM:
    torch.manual_seed(0)
    model = BAMM(config, FakeTextEncoder(8, config.text_encoder), normaliser)
    opinionated(model.transformer)
    opinionated(model.residual)
    return model.eval()


def make_batch(lengths: tuple[int, ...] = (22, 9, 13), features: int = FEATURES) -> Batch:
    motion = Motion(
        5 + 2 * torch.randn(len(lengths), max(lengths), features, generator=seeded()), torch.tensor(lengths)
    )
    text = ["a person walks", "someone sits down slowly", "jump"][: len(lengths)]
    return Batch(motion, text, torch.eye(len(lengths)), [str(row) for row in range(len(lengths))])


def tokeniser() -> RVQStage:
    torch.manual_seed(0)
    stage = RVQStage(RVQ, STATISTICS)
    stage.train().training_step(make_batch(), seeded())
    return stage.eval()


def texts(rows: int) -> Tensor:
    return torch.randn(rows, 8, generator=seeded(1))


def draws(rows: int = 1, **changes) -> TransformerDraws:
    """Nothing fixed and nothing corrupted, but for the changes."""
    slots = SLOTS + 1
    nothing = {
        "hybrid": torch.tensor(0.9),
        "fixed_share": torch.tensor(0.0),
        "fixed": torch.ones(rows, slots),
        "corrupted_share": torch.tensor(0.0),
        "corrupted": torch.ones(rows, slots),
        "code": torch.zeros(rows, slots, dtype=torch.long),
    }
    return TransformerDraws(**nothing | changes)


class Calls:
    """What the transformer was shown, and at which guidance."""

    def __init__(self, network: MaskedAutoregressiveTransformer):
        self.ids: list[Tensor] = []
        self.scales: list[float] = []
        guided = network.guided

        def noted(ids: Tensor, *rest, scale: float) -> Tensor:
            self.ids.append(ids.clone())
            self.scales.append(scale)
            return guided(ids, *rest, scale=scale)

        network.guided = noted


def test_it_is_a_generator():
    assert isinstance(make(), Generator)
    assert isinstance(build_generator(WHOLE, FakeTextEncoder(8), STATISTICS), BAMM)


def tiny(config: BAMMConfig) -> BAMMConfig:
    """A preset with its own choices and small networks."""
    sizes = {key: value for key, value in SIZES.items() if key != "text_encoder"}
    return config.model_copy(
        update={
            "rvq": config.rvq.model_copy(update={"width": 16, "depth": 1, "codes": CODES, "code_width": 8}),
            "transformer": config.transformer.model_copy(update=sizes),
            "residual": config.residual.model_copy(update=sizes),
        }
    )


@pytest.mark.parametrize(
    ("preset", "features"),
    [(bamm_humanml3d, 263), (bamm_kit, 251), (bamm_small, 263)],
    ids=["humanml3d", "kit", "small"],
)
def test_every_preset_passes_every_check(preset, features):
    model = make(tiny(preset()), normaliser=Normaliser.identity(features)).train()
    results = check_generator(model, make_batch(features=features))
    assert [result for result in results if result.status == "fail"] == []
    assert {result.name for result in results if result.status == "not applicable"} == ABOUT_STEPS
    assert model.training


def test_the_published_presets_have_the_published_numbers():
    """Guidance 4, then 3, then 6; KIT begins with 2 and stays at 3; 49 tokens of 4 frames."""
    humanml3d, kit = bamm_humanml3d(), bamm_kit()
    guidance = [
        (one.transformer.guidance_scale, one.transformer.second_guidance_scale, one.residual_guidance_scale)
        for one in (humanml3d, kit)
    ]
    assert guidance == [(4.0, 3.0, 6.0), (2.0, 3.0, 6.0)]
    assert humanml3d.most_tokens == 49


def test_fixed_tokens_are_seen_by_all_and_see_one_another_alone():
    """Text, then tokens 0 to 2 with token 1 fixed: a row for each, by hand."""
    seen = may_look(torch.tensor([[False, True, False]]))
    assert seen.int().tolist() == [[[1, 0, 1, 0], [1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 1]]]


def test_with_nothing_fixed_a_token_sees_what_stands_before_it():
    assert torch.equal(may_look(torch.zeros(1, 4, dtype=torch.bool))[0], torch.ones(5, 5).tril().bool())


@pytest.mark.parametrize("body", ["official", "t2mgpt"])
@torch.no_grad()
def test_what_comes_later_is_unseen_unless_it_is_fixed(body):
    network, ids = transformer(body=body), torch.randint(CODES, (1, SLOTS), generator=seeded())
    later = ids.clone()
    later[0, 4] = (ids[0, 4] + 1) % CODES
    fixed = torch.zeros_like(ids, dtype=torch.bool)
    before = slice(None), slice(0, 5)  # places 0 to 4 are about tokens 0 to 4, and see those before them
    torch.testing.assert_close(network(ids, texts(1))[before], network(later, texts(1))[before])
    fixed[0, 4] = True
    shown, other = network(ids, texts(1), fixed), network(later, texts(1), fixed)
    assert ((shown - other)[before].abs().amax(-1) > 1e-4).all()


@torch.no_grad()
def test_the_text_stands_at_position_0_and_the_tokens_from_1_on():
    """With embeddings of zero, what enters the layers is the position table. MoMask's tokens start at 0."""
    network = transformer()
    for layer in (network.cond_emb, network.input_process["poseEmbedding"]):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    entered = []
    network.seqTransEncoder.register_forward_pre_hook(lambda _module, inputs: entered.append(inputs[0]))
    network(torch.zeros(1, 3, dtype=torch.long), texts(1))
    torch.testing.assert_close(entered[0][0], network.positions[:4])


@torch.no_grad()
def test_guidance_goes_from_the_logits_without_text_past_those_with_it():
    network, ids, text = transformer(), torch.randint(CODES, (2, 3), generator=seeded()), texts(2)
    conditional, unconditional = network(ids, text), network(ids, torch.zeros_like(text))
    torch.testing.assert_close(network.guided(ids, text, scale=1), conditional)
    torch.testing.assert_close(network.guided(ids, text, scale=0), unconditional)
    expected = unconditional + 4 * (conditional - unconditional)
    torch.testing.assert_close(network.guided(ids, text, scale=4), expected)


def test_a_motion_is_followed_by_one_end_and_then_padding():
    ids, inside = transformer().with_end(torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([3, 1]))
    assert ids.tolist() == [[1, 2, 3, END], [4, END, PAD, PAD]]
    assert inside.tolist() == [[True] * 4, [True, True, False, False]]


def test_the_end_may_be_fixed_but_is_never_corrupted_and_padding_is_neither():
    network = transformer()
    ids, _ = network.with_end(torch.arange(1, 7)[None], torch.tensor([3]))
    zeros = torch.zeros(1, SLOTS + 1)
    everything = draws(
        hybrid=torch.tensor(0.1), fixed_share=torch.tensor(1.0), fixed=zeros,
        corrupted_share=torch.tensor(1.0), corrupted=zeros,
    )  # fmt: skip
    shown, fixed = network.corrupt(ids, everything)
    assert shown.tolist() == [[0, 0, 0, END, PAD, PAD, PAD]]
    assert fixed.tolist() == [[True, True, True, True, False, False, False]]


def test_at_most_half_of_the_tokens_are_fixed_or_corrupted_and_half_of_the_batches_fix_none():
    """Shares are halved: at a share of 0.8, numbers below 0.4 count. From 0.5 on, a batch is causal."""
    network = transformer()
    ids, _ = network.with_end(torch.ones(1, SLOTS, dtype=torch.long), torch.tensor([SLOTS]))
    rising = torch.linspace(0, 0.9, SLOTS + 1)[None]  # 0, 0.15, 0.3, 0.45, ...
    share = torch.tensor(0.8)
    some = draws(hybrid=torch.tensor(0.49), fixed_share=share, fixed=rising, corrupted_share=share, corrupted=rising)
    shown, fixed = network.corrupt(ids, some)
    assert fixed.sum() == 3
    assert (shown != ids).sum() == 3
    _, fixed = network.corrupt(ids, some._replace(hybrid=torch.tensor(0.5)))
    assert fixed.sum() == 0


def test_each_motion_counts_with_the_mean_over_its_tokens_and_its_end():
    """Token by token, against the true codes, also where a random one is shown and where the true one is fixed."""
    network, codes, text = transformer(), torch.randint(1, CODES, (2, SLOTS), generator=seeded()), texts(2)
    tokens = torch.tensor([6, 2])
    drawn = draws(
        2, hybrid=torch.tensor(0.1), fixed_share=torch.tensor(1.0), fixed=torch.rand(2, SLOTS + 1, generator=seeded(2)),
        corrupted_share=torch.tensor(1.0), corrupted=torch.rand(2, SLOTS + 1, generator=seeded(3)),
    )  # fmt: skip
    loss, _ = network.loss(codes, text, length_mask(tokens, SLOTS), drawn)
    target, _ = network.with_end(codes, tokens)
    shown, fixed = network.corrupt(target, drawn)
    assert (shown != target).any() and fixed.any()
    chance = network(shown, text, fixed).log_softmax(-1)
    for row, count in enumerate(tokens.tolist()):
        own = [-chance[row, place, target[row, place]] for place in range(count + 1)]
        torch.testing.assert_close(loss[row], torch.stack(own).mean())


def test_draws_are_numbers_from_0_to_1_and_codes():
    drawn = TransformerDraws.draw(50, 20, 5, seeded())
    for value in drawn[:-1]:
        assert value.min() >= 0
        assert value.max() < 1
    assert drawn.hybrid.shape == drawn.fixed_share.shape == drawn.corrupted_share.shape == ()
    assert set(drawn.code.unique().tolist()) == {0, 1, 2, 3, 4}


def test_every_second_token_is_drawn_again_and_half_of_them_whatever_the_length():
    """Half rounds to even: 2 of 5, 4 of 7. A single token is drawn again, and 2 of 3, the first among them."""
    redo = every_second(torch.tensor([1, 3, 5, 6, 7]), 8).int()
    assert redo.sum(1).tolist() == [1, 2, 2, 3, 4]
    assert redo.tolist() == [
        [1, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0],
        [0, 1, 0, 1, 0, 0, 0, 0],
        [0, 1, 0, 1, 0, 1, 0, 0],
        [1, 1, 0, 1, 0, 1, 0, 0],
    ]


def test_a_motion_ends_at_its_first_end_and_has_at_least_one_token():
    """Of an END in front, a code and an END; of no END before the last place, which is padding, all places but it."""
    ids, tokens = cut_at_end(torch.tensor([[3, END, 4, END], [END, 5, 6, PAD], [7, 8, 9, PAD]]), END)
    assert ids.tolist() == [[3, END, PAD, PAD], [0, END, PAD, PAD], [7, 8, 9, PAD]]
    assert tokens.tolist() == [1, 1, 3]


def certain(network: MaskedAutoregressiveTransformer, place_to_id: dict[int, int], otherwise: int) -> None:
    """Every place is sure of its id, whatever is shown."""

    def guided(ids: Tensor, text: Tensor, fixed: Tensor | None = None, *, scale: float) -> Tensor:
        logits = torch.zeros(len(ids), ids.shape[1] + 1, CODES + 1)
        for place in range(logits.shape[1]):
            logits[:, place, place_to_id.get(place, otherwise)] = 1e3
            logits[:, place, 7] = 1e2
        return logits

    network.guided = guided


@torch.no_grad()
def test_a_draft_ends_where_end_is_drawn_and_goes_on_where_the_length_is_given():
    network, noise = transformer(), torch.zeros(1, SLOTS, CODES + 1)
    certain(network, {2: END}, otherwise=4)
    ids, tokens = network.draft(texts(1), noise, None, scale=1)
    assert (ids.tolist(), tokens.tolist()) == ([[4, 4, END, PAD, PAD, PAD, PAD]], [2])
    ids, tokens = network.draft(texts(1), noise[..., :CODES], torch.tensor([4]), scale=1)
    assert (ids.tolist(), tokens.tolist()) == ([[4, 4, 7, 4, END, PAD, PAD]], [4])


@torch.no_grad()
def test_a_draft_without_end_is_as_long_as_a_motion_can_be():
    network = transformer()
    certain(network, {}, otherwise=4)
    ids, tokens = network.draft(texts(1), torch.zeros(1, SLOTS, CODES + 1), None, scale=1)
    assert (ids.tolist(), tokens.tolist()) == ([[4] * SLOTS + [END]], [SLOTS])


@torch.no_grad()
def test_the_second_pass_draws_kept_tokens_for_the_time_being_and_then_puts_them_back():
    """Tokens 0, 2, 4 and END are kept. Later steps see 9s before them, the kept ones behind, and END."""
    network = transformer()
    drafted, tokens = torch.tensor([[1, 2, 3, 4, 5, 6, END]]), torch.tensor([SLOTS])
    certain(network, {}, otherwise=9)
    seen = Calls(network)
    ids = network.revise(drafted, tokens, texts(1), torch.zeros(1, SLOTS, CODES), scale=3)
    assert ids.tolist() == [[1, 9, 3, 9, 5, 9, END]]
    assert seen.ids[3].tolist() == [[9, 9, 9, 4, 5, 6, END]]


@torch.no_grad()
def test_completing_keeps_known_tokens_in_sight_all_the_time():
    """Tokens 0 and 3 of 5 are known; what is neither known nor made yet is padding."""
    network = transformer()
    certain(network, {}, otherwise=9)
    seen = Calls(network)
    known = torch.tensor([[True, False, False, True, False, False]])
    codes = torch.tensor([[1, 0, 0, 4, 0, 0]])
    ids = network.complete(codes, known, torch.tensor([5]), texts(1), torch.zeros(1, SLOTS, CODES), scale=3)
    assert ids.tolist() == [[1, 9, 9, 4, 9, END, PAD]]
    assert seen.ids[2].tolist() == [[1, 9, PAD, 4, PAD, END]]


def test_the_second_pass_is_guided_by_3_also_where_the_first_is_not():
    model = make(WHOLE.model_copy(update={"transformer": TRANSFORMER.model_copy(update={"guidance_scale": 2.0})}))
    seen, residual, guided = Calls(model.transformer), [], model.residual.guided
    model.residual.guided = lambda *args, scale: (residual.append(scale), guided(*args, scale=scale))[1]
    model.sample(["a"], torch.tensor([8]), seeds=[0])
    assert (seen.scales, residual) == ([2.0, 2.0, 3.0, 3.0], [6.0, 6.0])
    seen.scales.clear()
    model.sample(["a"], torch.tensor([8]), seeds=[0], guidance_scale=1.0)
    assert seen.scales == [1.0] * 4


def test_without_lengths_the_end_gives_them_by_the_rows_seed():
    model = make()
    text = ["a person walks", "someone sits down", "jump", "a bow"]
    motion = model.sample(text, seeds=[0, 1, 2, 3])
    lengths = motion.lengths.tolist()
    assert all(length in range(4, 4 * SLOTS + 1, 4) for length in lengths)
    for row, length in enumerate(lengths):
        alone = model.sample(text[row : row + 1], seeds=[row])
        assert int(alone.lengths) == length
        torch.testing.assert_close(alone.features[0, :length], motion.features[row, :length])


def test_a_length_is_cut_inside_its_last_token():
    motion = make().sample(["a", "b"], torch.tensor([9, 22]), seeds=[0, 1])
    assert motion.lengths.tolist() == [9, 22]
    assert motion.features.shape == (2, 24, FEATURES)


@pytest.mark.parametrize("length", [0, 25])
def test_impossible_lengths_are_refused(length):
    with pytest.raises(InputError, match="1 to 6 tokens"):
        make().sample(["a"], torch.tensor([length]), seeds=[0])


def test_the_text_matters_where_a_motion_is_completed():
    """In the published program it does not, by accident."""
    model, batch = make(), make_batch((24,))
    keep = torch.arange(24)[None] < 12
    ours, theirs = (
        model.sample([text], torch.tensor([24]), seeds=[0], known=batch.motion, keep=keep) for text in ("walk", "sit")
    )
    torch.testing.assert_close(ours.features[keep], batch.motion.features[keep])
    assert not torch.allclose(ours.features[~keep], theirs.features[~keep])


def test_a_motion_to_complete_needs_a_length():
    motion = make_batch((24,)).motion
    with pytest.raises(InputError, match="how many frames"):
        make().sample(["a"], seeds=[0], known=motion, keep=motion.mask)


def test_the_residual_transformer_takes_the_end_for_padding():
    """Its pad id is the id of END; behind a motion's own tokens it sees nothing else."""
    model = make()
    assert model.residual.pad_id == model.transformer.end_id
    bases, generate = [], model.residual.generate
    model.residual.generate = lambda base, *args, **options: (bases.append(base), generate(base, *args, **options))[1]
    model.sample(["a", "b"], torch.tensor([8, 24]), seeds=[0, 1])
    assert bases[0].shape == (2, SLOTS)
    assert (bases[0][0, 2:] == -1).all()
    assert ((bases[0] >= 0) & (bases[0] < CODES)).sum() == 2 + SLOTS


def test_networks_that_do_not_fit_one_another_are_refused():
    with pytest.raises(ValueError, match="one BAMM must agree on codes"):
        BAMMConfig(rvq=RVQ, transformer=TRANSFORMER.model_copy(update={"codes": 23}), residual=RESIDUAL)


def test_another_text_encoder_is_refused():
    with pytest.raises(InputError, match="'fake', but was given the encoder 'other'"):
        BAMM(WHOLE, FakeTextEncoder(8, "other"), STATISTICS)


def stage(config: TransformerConfig = TRANSFORMER) -> TransformerStage:
    frozen = tokeniser()
    torch.manual_seed(0)
    return TransformerStage(config, FakeTextEncoder(8), frozen)


def test_a_training_step_ignores_what_stands_in_the_padding_even_nan():
    batch = make_batch()
    junk = batch.motion.features.masked_fill(~batch.motion.mask[..., None], float("nan"))
    dirty = replace(batch, motion=replace(batch.motion, features=junk))
    losses = [stage().eval().training_step(which, seeded()).loss for which in (batch, dirty)]
    assert losses[0].shape == (3,)
    torch.testing.assert_close(*losses, rtol=0, atol=0)


@pytest.mark.parametrize("body", ["official", "t2mgpt"])
def test_training_learns_a_batch_by_heart_and_leaves_the_tokeniser_as_it_is(body):
    one, batch = stage(TRANSFORMER.model_copy(update={"body": body})).train(), make_batch((24, 24))
    before = {key: value.clone() for key, value in one.tokeniser.state_dict().items()}
    optimiser, losses = torch.optim.AdamW(one.parameters(), lr=1e-2), []
    for step in range(60):
        loss = one.training_step(batch, seeded(step % 4)).loss.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[:4]) / 4 == pytest.approx(math.log(CODES + 1), rel=0.2)
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])
    torch.testing.assert_close(one.tokeniser.state_dict(), before, rtol=0, atol=0)
    assert all(key.startswith("transformer.") for key in one.state_dict() if key != LEARNED_FROM)


def test_the_stage_is_built_from_its_config(tmp_path):
    encoder = FakeTextEncoder(8)
    with pytest.raises(InputError, match=r"give model\.tokeniser=RUN"):
        build_stage(TRANSFORMER, encoder, STATISTICS)
    save_model(tmp_path / "model.safetensors", tokeniser(), RVQ, "stage")
    built = build_stage(TRANSFORMER.model_copy(update={"tokeniser": str(tmp_path)}), encoder, STATISTICS)
    torch.testing.assert_close(built.tokeniser.normaliser.std, STATISTICS.std)
    with pytest.raises(InputError, match="the tokeniser has 24 codes, but codes=23"):
        stage(TRANSFORMER.model_copy(update={"codes": 23}))
