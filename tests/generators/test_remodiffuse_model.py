"""ReMoDiffuse from outside: every check of a generator, the traps of its published code, and what it refuses."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from atm.base.errors import InputError
from atm.generators.diffusion.steps import section_levels
from atm.generators.remodiffuse.attention import Condition, ModulatedAttention
from atm.generators.remodiffuse.config import Mixture, ReMoDiffuseConfig
from atm.generators.remodiffuse.database import Database, write_database
from atm.generators.remodiffuse.mixture import guidance, mix_weights, passes
from atm.generators.remodiffuse.model import ReMoDiffuse
from atm.generators.remodiffuse.presets import remodiffuse_humanml3d, remodiffuse_kit, remodiffuse_small
from atm.generators.remodiffuse.retrieval import RetrievalEncoder
from atm.interface import Batch, Generator
from atm.models.check import check_generator
from atm.motion import Motion
from atm.motion.layers import Normaliser
from doubles import ABOUT_COMPLETION, ABOUT_LENGTHS, ABOUT_STEPS, FakeTextEncoder

TINY = {
    "width": 16,
    "heads": 2,
    "feed_forward": 32,
    "layers": 2,
    "max_frames": 24,
    "text_window": 6,
    "text_width": 8,
    "text_heads": 2,
    "text_feed_forward": 16,
    "text_layers": 1,
    "retrieval_layers": 1,
    "retrieval_text_heads": 2,
    "sampling_sections": (2, 1),
}
TEXTS = ["a person walks", "someone sits down slowly", "jump", "a person runs", "wave"]


def a_database(features: int = 263, encoder: str = "minilm", lengths: tuple[int, ...] = (20, 9, 12, 22, 9)) -> Database:
    rng = torch.Generator().manual_seed(1)
    sizes = torch.tensor(lengths)
    return Database(
        features=torch.randn(int(sizes.sum()), features, generator=rng),
        starts=sizes.cumsum(0) - sizes,
        lengths=sizes,
        sentence=FakeTextEncoder(8)(TEXTS).sentence,
        captions=TEXTS,
        ids=["a", "b", "c", "d", "e"],
        text_encoder=encoder,
    )


def make(config: ReMoDiffuseConfig | None = None, *, features: int = 263, **options) -> ReMoDiffuse:
    """With weights drawn everywhere: fresh ones are zero at the end, so that nothing could be seen."""
    torch.manual_seed(0)
    config = (config or remodiffuse_small()).model_copy(update=TINY | options)
    model = ReMoDiffuse(config, FakeTextEncoder(8, config.text_encoder), Normaliser.identity(features))
    if config.database is None:
        model.search_in(a_database(features, config.text_encoder))
    return drawn(model).eval()


@torch.no_grad()
def drawn(model: nn.Module) -> nn.Module:
    for parameter in model.parameters():
        if (parameter == 0).all():
            parameter.normal_(std=0.3)
    return model


def make_batch(features: int = 263, lengths: tuple[int, ...] = (22, 9, 13)) -> Batch:
    rng = torch.Generator().manual_seed(0)
    motion = Motion(torch.randn(len(lengths), max(lengths), features, generator=rng), torch.tensor(lengths))
    text = ["a person walks", "someone sits down slowly", "jump"][: len(lengths)]
    return Batch(motion, text, torch.zeros(len(lengths), 4), ["a", "b", "c"][: len(lengths)])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scene(model: ReMoDiffuse, text: list[str], frames: int = 8) -> tuple[Tensor, Condition, Tensor]:
    """Noise, a condition and a full mask."""
    lengths = torch.full((len(text),), frames)
    condition = model.condition(model.text_encoder(text), lengths)
    return torch.randn(len(text), frames, 263, generator=seeded()), condition, torch.ones(len(text), frames).bool()


@pytest.mark.parametrize(
    ("config", "features"),
    [(remodiffuse_humanml3d(), 263), (remodiffuse_kit(), 251), (remodiffuse_small(), 263)],
    ids=["published", "kit", "small"],
)
def test_every_preset_passes_every_check_that_applies(tmp_path, config, features):
    """The file of a generator names the database, so that it can be loaded again."""
    file = tmp_path / "database.safetensors"
    write_database(file, a_database(features, config.text_encoder))
    model = make(config, features=features, database=str(file))
    assert isinstance(model, Generator)
    results = check_generator(model, make_batch(features))
    assert [result for result in results if result.status == "fail"] == []
    skipped = {result.name for result in results if result.status == "not applicable"}
    assert skipped == ABOUT_COMPLETION | ABOUT_LENGTHS | ABOUT_STEPS


def test_one_softmax_runs_over_text_retrieved_motions_and_frames():
    """Trap. With equal keys everywhere, each token of the three weighs the same: the mean of all values."""
    config = remodiffuse_small().model_copy(update=TINY)
    block = ModulatedAttention(config, 8, 64)
    block.proj_out = nn.Identity()
    block.proj_out.forward = lambda added, style: added
    with torch.no_grad():
        for name in ("key_text", "key_retr", "key_motion", "value_text", "value_retr", "value_motion"):
            layer = getattr(block, name)
            layer.weight.zero_()
            layer.bias.fill_({"value_text": 3.0, "value_retr": 5.0, "value_motion": 7.0}.get(name, 0.0))
        frames = torch.tensor([[[True, True, False], [True, False, False]]])
        condition = Condition(torch.randn(1, 6, 8), torch.randn(1, 2, 3, 16), torch.randn(1, 2, 1, 8), frames)
        mask, on, off = torch.tensor([[True, True, True, False]]), torch.tensor([True]), torch.tensor([False])
        x, style = torch.randn(1, 4, 16), torch.randn(1, 64)
        # A query is a distribution over its head's channels, so a mean value of all channels comes out as it is.
        for text_on, retrieval_on, expected in (
            (on, on, (6 * 3 + 3 * 5 + 3 * 7) / 12),
            (on, off, (6 * 3 + 3 * 7) / 9),
            (off, on, (3 * 5 + 3 * 7) / 6),
            (off, off, 7.0),
        ):
            added = block(x, mask, condition, text_on, retrieval_on, style)
            torch.testing.assert_close(added, torch.full_like(added, expected))


def test_nothing_to_see_at_all_still_gives_numbers():
    """Trap: hidden keys stay finite, also where retrieved frames are padding and retrieval is off."""
    model = make()
    x_t, condition, mask = scene(model, ["walk"])
    nowhere = condition._replace(frames=torch.zeros_like(condition.frames))
    off = torch.tensor([False])
    assert model(x_t, torch.tensor([3]), nowhere, torch.zeros_like(mask), off, off).isfinite().all()


def test_weights_of_the_mixture_follow_the_level_of_the_full_schedule():
    """Trap: 1 + 999 / 1000 * 6.5 at the first step, whatever its number in a shortened run; fixed from 100 down."""
    heads = torch.tensor([True, False])
    first = 1 + 0.999 * 6.5
    coarse = mix_weights(Mixture(), 999, 1000, heads)
    torch.testing.assert_close(coarse, torch.tensor([[first, 0, 1 - first, 0], [0, first, 0, 1 - first]]))
    fine = mix_weights(Mixture(), 100, 1000, heads)
    torch.testing.assert_close(fine.sum(1), torch.ones(2))
    assert fine[0].tolist() == fine[1].tolist()
    assert fine[0, 3] < 0  # trap: the weight of none is what is left, and negative
    assert mix_weights(Mixture(), 101, 1000, heads)[0, 1] == 0


def test_only_estimates_that_weigh_something_are_made():
    """Two of the four at coarse levels, all four at fine ones, one where guidance is 1."""
    heads = torch.tensor([True, False])
    assert len(passes(mix_weights(Mixture(), 500, 1000, heads))) == 2
    assert len(passes(mix_weights(Mixture(), 50, 1000, heads))) == 4
    assert len(passes(guidance(1.0, 2, torch.device("cpu")))) == 1


def test_a_mixture_is_the_weighted_sum_of_the_four_estimates():
    model = make()
    x_t, condition, mask = scene(model, ["a person walks", "jump"])
    heads = torch.tensor([True, False])
    for level in (3, 700):
        t = torch.full((2,), level)
        kinds = [(True, True), (True, False), (False, True), (False, False)]
        four = torch.stack(
            [model(x_t, t, condition, mask, *(torch.full((2,), on) for on in kind)) for kind in kinds], dim=1
        )
        weight = mix_weights(model.config.mixture, level, 1000, heads)
        expected = (four * weight[..., None, None]).sum(1)
        torch.testing.assert_close(model.mixed(x_t, level, condition, mask, heads), expected, rtol=1e-4, atol=1e-4)


def test_coins_come_from_a_rows_own_seed(monkeypatch):
    """Trap: published sampling tosses one coin for the whole batch from a global generator."""
    model = make(sampling_sections=(10, 10))
    seen = []
    mixed = model.mixed
    monkeypatch.setattr(model, "mixed", lambda *args, **options: seen.append(args[4]) or mixed(*args, **options))
    lengths = torch.tensor([8, 8])
    model.sample(["walk", "walk"], lengths, seeds=[1, 2])
    together = torch.stack(seen)
    seen.clear()
    model.sample(["walk"], lengths[:1], seeds=[2])
    assert torch.equal(torch.stack(seen)[:, 0], together[:, 1])
    assert not torch.equal(together[:, 0], together[:, 1])
    assert 0 < together.float().mean() < 1


def test_the_time_alone_styles_the_blocks():
    """Trap: unlike in MotionDiffuse, no text joins it; there is no layer that could."""
    assert not [name for name, _ in make().named_parameters() if "text_proj" in name]


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_a_retrieved_motion_is_encoded_whole_and_then_thinned(patch):
    """Trap: frames between the kept ones matter; frames behind the motion's end do not."""
    config = remodiffuse_small().model_copy(update=TINY | {"frames_per_token": patch})
    encoder = RetrievalEncoder(config, 263, 8)
    motion, mask = torch.randn(1, 24, 263, generator=seeded()), torch.arange(24)[None] < 10
    kept, inside = encoder.encode_motions(motion, mask)
    assert kept.shape == (1, 6, 16)
    assert inside[0].tolist() == [True, True, True, False, False, False]
    between, behind = motion.clone(), motion.clone()
    between[0, 1], behind[0, 11:] = 5.0, 5.0
    assert not torch.allclose(encoder.encode_motions(between, mask)[0][0, 0], kept[0, 0])
    torch.testing.assert_close(encoder.encode_motions(behind, mask)[0][0, :3], kept[0, :3])


def test_a_retrieved_text_is_read_at_the_last_place_of_the_window():
    """Trap: position 76, whether or not the text is as long."""
    encoder = RetrievalEncoder(remodiffuse_small().model_copy(update=TINY), 263, 8)
    states = torch.randn(2, 6, 8, generator=seeded())
    torch.testing.assert_close(encoder.encode_texts(states)[:, 0], encoder.text_encoder(states)[:, 5])


def test_motions_of_a_database_in_published_units_are_normalised():
    model, entries = make(), a_database()
    model.normaliser = Normaliser(torch.full((263,), 5.0), torch.full((263,), 2.0))
    rows, found = torch.tensor([[0, 1]]), torch.ones(1, 2, dtype=torch.bool)
    ours = model.retrieved(rows, found)
    model.search_in(replace(entries, features=(entries.features - 5) / 2, normalised=True))
    torch.testing.assert_close(ours, model.retrieved(rows, found))


def test_what_is_not_found_is_not_seen():
    """A database of one motion has no second one to give: its place is padding."""
    model = make(retrieved=2)
    entries = a_database()
    one = replace(entries, lengths=entries.lengths[:1], starts=entries.starts[:1], sentence=entries.sentence[:1])
    model.search_in(replace(one, captions=TEXTS[:1], ids=["a"]))
    condition = model.condition(model.text_encoder(["walk"]), torch.tensor([8]))
    assert condition.frames[0, 0].any()
    assert not condition.frames[0, 1].any()


def test_a_step_does_not_retrieve_the_motion_that_it_learns():
    """Its id is that of entry a, whose text it shares: what that entry holds does not matter, to this row alone."""
    model, batch, entries = make(retrieval_dropout=0.0, retrieved=1), make_batch(lengths=(19, 8, 11)), a_database()
    junk = entries.features.clone()
    row = TEXTS.index("a person walks")
    junk[entries.starts[row] : entries.starts[row] + entries.lengths[row]] = 9.0
    model.search_in(replace(entries, features=junk))
    alone = replace(batch, motion=batch.motion[:1], text=batch.text[:1], ids=["a"], sentence=batch.sentence[:1])
    after = model.training_step(alone, seeded()).loss
    model.search_in(entries)
    torch.testing.assert_close(after, model.training_step(alone, seeded()).loss, rtol=0, atol=0)
    other = replace(alone, ids=["z"])
    own = model.training_step(other, seeded()).loss
    assert not torch.allclose(own, after)


def test_text_and_retrieval_are_withheld_from_their_shares_of_rows():
    """At a share close to 1 of each, neither text nor database can matter."""
    batch = make_batch()
    other = replace(batch, text=["run", "walk in a circle", "sit"])
    heard = make(text_dropout=0.0, retrieval_dropout=0.0)
    deaf = make(text_dropout=0.999999, retrieval_dropout=0.999999)
    assert not torch.allclose(heard.training_step(batch, seeded()).loss, heard.training_step(other, seeded()).loss)
    torch.testing.assert_close(deaf.training_step(batch, seeded()).loss, deaf.training_step(other, seeded()).loss)


def test_a_step_gives_its_estimate_in_the_units_of_the_data_and_says_how_far_it_was_noised():
    """A fresh network estimates zero, which is the mean pose."""
    config = remodiffuse_small().model_copy(update=TINY)
    normaliser = Normaliser(torch.full((263,), 5.0), torch.full((263,), 2.0))
    model = ReMoDiffuse(config, FakeTextEncoder(8, "minilm"), normaliser)
    model.search_in(a_database())
    batch = make_batch()
    step = model.training_step(batch, seeded(3))
    torch.testing.assert_close(step.motion.features, torch.full_like(batch.motion.features, 5.0))
    torch.testing.assert_close(step.noise_level, torch.randint(1000, (3,), generator=seeded(3)) / 999)
    squared = ((batch.motion.features - 5) / 2).square().mean(2)
    torch.testing.assert_close(step.loss.mean(), squared[batch.motion.mask].mean())


def test_sections_keep_both_ends_of_each_part():
    """Trap: 199 and 200 are both there, so betas are not smooth."""
    levels = section_levels(1000, (15, 15, 8, 6, 6))
    assert len(levels) == 50
    assert levels[:3] == [0, 14, 28]
    assert {199, 200, 399, 400, 599, 600, 799, 800, 999} <= set(levels)
    with pytest.raises(ValueError, match="1 to 5"):
        section_levels(10, (6, 1))


def test_a_model_without_a_database_says_what_to_do():
    config = remodiffuse_small().model_copy(update=TINY)
    model = ReMoDiffuse(config, FakeTextEncoder(8, "minilm"), Normaliser.identity(263))
    with pytest.raises(InputError, match="model.database=FILE"):
        model.sample(["walk"], torch.tensor([8]), seeds=[0])


def test_a_database_that_does_not_belong_to_the_model_is_refused():
    model = make()
    with pytest.raises(InputError, match=r"'minilm'.*'clip_b32_77_padded'"):
        model.search_in(a_database(encoder="clip_b32_77_padded"))
    with pytest.raises(InputError, match="263 features per frame, but the database holds motions of 251"):
        model.search_in(a_database(251))


@pytest.mark.parametrize("length", [0, 25])
def test_a_length_beyond_the_learned_positions_is_refused(length):
    with pytest.raises(InputError, match="1 to 24 frames"):
        make().sample(["walk"], torch.tensor([length]), seeds=[0])


def test_what_does_not_belong_together_is_refused():
    model = make()
    with pytest.raises(ValueError, match="one per row"):
        model.sample(["walk"], torch.tensor([8]), seeds=[0, 1])
    with pytest.raises(InputError, match=r"'minilm'.*'other'"):
        ReMoDiffuse(remodiffuse_small().model_copy(update=TINY), FakeTextEncoder(8, "other"), model.normaliser)
    with pytest.raises(ValueError, match="than a part"):
        ReMoDiffuseConfig(sampling_sections=(501, 1))
    with pytest.raises(ValueError, match="retrieval_stride 4 must be whole tokens of 3 frames"):
        ReMoDiffuseConfig(frames_per_token=3)
