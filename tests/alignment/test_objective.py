"""The objective as a generator's training step meets it: a linear space, so that expected values can be derived."""

from dataclasses import replace

import pytest
import torch
from cases import MeanFrameSpace, case
from torch.autograd import gradcheck
from torch.utils._python_dispatch import TorchDispatchMode

from atm.alignment import Alignment, AlignmentConfig, diagnostics, embed
from atm.alignment.losses import counterfactual_loss
from atm.base.config import changed
from atm.base.errors import InputError
from atm.interface import Batch, FineMeaning
from atm.motion import Motion

BOTH = changed(AlignmentConfig(), {"intra.gamma": 1})
"""Both losses, of every motion."""
INTER_ALONE = changed(BOTH, {"intra.weight": 0})
ALL_ON = changed(BOTH, {"counterfactual.weight": 0.1, "average": "active"})


def test_total_is_the_weighted_sum_of_both_losses_and_reaches_the_motion():
    space, generated, batch = case()
    weights = {"inter.weight": 0.5, "intra.weight": 0.25}
    output = Alignment(changed(BOTH, weights), space)(generated, batch)
    torch.testing.assert_close(output.total, 0.5 * output.inter + 0.25 * output.intra)
    output.total.backward()
    assert generated.features.grad.abs().sum() > 0
    assert output.inter > 0
    assert output.intra > 0


def test_the_space_gets_no_gradient_and_is_left_as_it_was():
    lookup, generated, batch = case()
    space = WatchedSpace(lookup.texts).train()
    Alignment(BOTH, space)(generated, batch).total.backward()
    assert set(space.seen) == {(False, False)}, "it is asked in evaluation mode, without gradients of its weights"
    assert space.weight.grad is None and generated.features.grad.abs().sum() > 0
    assert space.training and space.inner.training and space.weight.requires_grad
    space.eval().requires_grad_(False)
    Alignment(BOTH, space)(generated, batch)
    assert not (space.training or space.weight.requires_grad)


class WatchedSpace(MeanFrameSpace):
    """Notes the mode of its parts, and whether its weights ask for gradients, whenever it embeds motions."""

    def __init__(self, texts: dict):
        super().__init__(texts)
        self.inner, self.seen = torch.nn.Dropout(), []

    def encode_motion(self, motion: Motion) -> torch.Tensor:
        self.seen.append((self.inner.training, self.weight.requires_grad))
        return super().encode_motion(motion)


def test_padding_gets_no_gradient():
    space, generated, batch = case(lengths=[90, 60, 45, 90, 30])
    Alignment(BOTH, space)(generated, batch).total.backward()
    assert generated.features.grad[2, 45:].abs().sum() == 0


def test_the_real_motions_themselves_have_no_loss():
    space, _, batch = case()
    output = Alignment(BOTH, space)(batch.motion, batch)
    torch.testing.assert_close(output.total, torch.tensor(0.0), atol=1e-6, rtol=0)


def test_all_texts_near_duplicates_gives_no_negative_and_loss_zero_without_nan():
    space, generated, batch = case(same_text=True)
    output = Alignment(INTER_ALONE, space)(generated, batch)
    output.total.backward()
    assert output.inter == 0
    assert output.log["inter/without_negative"] == 1
    assert torch.isfinite(generated.features.grad).all()


def test_a_batch_of_one_has_loss_zero_and_a_finite_gradient():
    space, generated, batch = case(rows=1, frames=40)
    output = Alignment(BOTH, space)(generated, batch)
    output.total.backward()
    assert output.total == 0
    assert torch.isfinite(generated.features.grad).all()


def test_motions_shorter_than_a_clip_take_part_from_one_second_on():
    """At 20 frames a second: 19 frames have no clip at all, 20 frames are one clip."""
    space, generated, batch = case(lengths=[19] * 5)
    short = Alignment(BOTH, space)(generated, batch)
    assert short.intra == 0
    space, generated, batch = case(lengths=[20] * 5)
    output = Alignment(BOTH, space)(generated, batch)
    assert output.intra_result.mined.clips.length.tolist() == [20] * 5


def test_nothing_under_gamma_gives_no_intra_loss():
    space, generated, batch = case()
    output = Alignment(changed(AlignmentConfig(), {"intra.gamma": -1}), space)(generated, batch)
    assert output.intra == 0
    assert output.log["intra/under_gamma"] == 0


def test_a_motion_above_gamma_is_not_moved_as_an_anchor():
    """Row 0 is generated exactly right, so cos = 1 > gamma: its own loss is 0, whatever its proxies are."""
    space, generated, batch = case()
    features = generated.features.detach().clone()
    features[0] = batch.motion.features[0]
    output = Alignment(changed(AlignmentConfig(), {"intra.gamma": 0.999}), space)(
        Motion(features, generated.lengths), batch
    )
    assert output.intra_result.loss[0] == 0
    assert not output.intra_result.under_gamma[0]


def test_proxies_from_the_same_motion_have_its_owner():
    space, generated, batch = case()
    output = Alignment(changed(BOTH, {"intra.proxies_from": "motion"}), space)(generated, batch)
    mined = output.intra_result.mined
    owner = mined.clips.owner
    assert (owner[mined.positive.index[:, 0]] == owner[mined.anchor]).all()
    assert (owner[mined.negative.index[:, 0]] == owner[mined.anchor]).all()


@pytest.mark.parametrize("form", ["hard_negative", "triplet", "contrastive"])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_every_form_and_distance_gives_a_finite_loss_and_gradient(form, distance):
    space, generated, batch = case()
    values = {"inter.loss": form, "distance": distance, "inter.negatives": 3, "intra.proxy_pairs": 3}
    config = changed(BOTH, values)
    output = Alignment(config, space)(generated, batch)
    output.total.backward()
    assert torch.isfinite(generated.features.grad).all()
    assert output.inter > 0


def test_rows_noised_above_max_noise_take_no_part():
    space, generated, batch = case()
    config = changed(BOTH, {"max_noise": 0.5})
    assert Alignment(config, space)(generated, batch, torch.full((5,), 0.6)).total == 0
    assert Alignment(config, space)(generated, batch, torch.full((5,), 0.4)).total > 0


def test_the_mean_over_active_rows_is_the_mean_over_the_batch_over_the_active_share():
    space, generated, batch = case()
    by_batch = Alignment(INTER_ALONE, space)(generated, batch)
    by_active = Alignment(changed(INTER_ALONE, {"average": "active"}), space)(generated, batch)
    torch.testing.assert_close(by_active.inter * by_batch.log["inter/active"], by_batch.inter)


def test_similarity_in_the_space_reads_the_text_embeddings():
    """All texts at one place of the space: with similarity=space none is a negative, with sentences all are."""
    space, generated, batch = case()
    space.texts = {text: torch.ones(4) for text in space.texts}
    config = INTER_ALONE
    assert Alignment(config.model_copy(update={"similarity": "space"}), space)(generated, batch).inter == 0
    assert Alignment(config, space)(generated, batch).log["inter/admissible"] == 4


def meaning(rows: int, counterfactual: list[str | None] | None = None) -> FineMeaning:
    """All contradict one another."""
    itself = torch.eye(rows, dtype=torch.bool)
    return FineMeaning(~itself, itself, counterfactual or [None] * rows)


def test_captions_that_contradict_are_negatives_though_the_language_model_calls_them_one():
    space, generated, batch = case()
    batch = replace(batch, sentence=torch.ones(5, 3), meaning=meaning(5))
    config = INTER_ALONE
    assert Alignment(config, space)(generated, batch).log["inter/admissible"] == 0
    by_meaning = config.model_copy(update={"similarity": "meaning"})
    assert Alignment(by_meaning, space)(generated, batch).log["inter/admissible"] == 4


def test_the_counterfactual_term_is_the_mean_over_the_batch_and_only_rows_with_a_counterfactual_have_it():
    space, generated, batch = case()
    space.texts["false"] = torch.tensor([1.0, -2.0, 0.5, 0.0])
    batch = replace(batch, meaning=meaning(5, [None, "false", None, None, "false"]))
    weights = {"inter.weight": 0, "intra.weight": 0, "counterfactual.weight": 0.5}
    config = changed(AlignmentConfig(), {**weights, "counterfactual.margin": 2.0})
    output = Alignment(config, space)(generated, batch)
    own = space.encode_text(batch.text)
    false = space.encode_text(["false"] * 5)
    each = counterfactual_loss(own, false, space.encode_motion(generated), space.encode_motion(generated), margin=2.0)
    torch.testing.assert_close(output.counterfactual, (each[1] + each[4]) / 5)
    torch.testing.assert_close(output.total, 0.5 * output.counterfactual)
    assert output.log["counterfactual/rows"] == pytest.approx(0.4)
    output.total.backward()
    assert [row.abs().sum().item() > 0 for row in generated.features.grad] == [False, True, False, False, True]


def test_a_batch_without_any_counterfactual_has_loss_zero():
    space, generated, batch = case()
    weights = {"inter.weight": 0, "intra.weight": 0, "counterfactual.weight": 1}
    config = changed(AlignmentConfig(), weights)
    assert Alignment(config, space)(generated, replace(batch, meaning=meaning(5))).total == 0


@pytest.mark.parametrize("change", [{"similarity": "meaning"}, {"counterfactual.weight": 1}])
def test_a_batch_without_the_meaning_that_the_config_reads_is_refused(change: dict):
    space, generated, batch = case()
    with pytest.raises(ValueError, match="meaning"):
        Alignment(changed(AlignmentConfig(), change), space)(generated, batch)


def test_lengths_that_differ_are_refused():
    space, generated, batch = case()
    with pytest.raises(ValueError, match="same lengths"):
        Alignment(AlignmentConfig(), space)(Motion(generated.features, generated.lengths - 1), batch)


def test_equal_real_motions_everywhere_give_finite_losses():
    space, generated, batch = case()
    same = Motion(batch.motion.features[:1].expand(5, -1, -1), batch.motion.lengths)
    output = Alignment(BOTH, space)(generated, Batch(same, batch.text, batch.sentence, batch.ids))
    assert torch.isfinite(output.total)


def test_a_model_without_a_motion_is_refused():
    space, _, batch = case()
    with pytest.raises(InputError, match="need a motion, and this model's training step gives none"):
        Alignment(BOTH, space)(None, batch)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_motion_of_any_precision_is_read_in_that_of_the_space(dtype):
    """The weights are in float32, and so is all that follows; bfloat16 has 8 bits of each feature."""
    space, generated, batch = case()
    whole = Alignment(BOTH, space)(generated, batch)
    features = generated.features.detach().to(dtype).requires_grad_()
    output = Alignment(BOTH, space)(replace(generated, features=features), batch)
    output.total.backward()
    assert output.total.dtype == torch.float32 and features.grad.dtype == dtype
    close = 1e-6 if dtype == torch.float64 else 2e-2
    torch.testing.assert_close(output.inter, whole.inter, atol=close, rtol=close)
    torch.testing.assert_close(output.intra, whole.intra, atol=close, rtol=close)


def test_autocast_changes_nothing():
    """bfloat16 would make of 1 - cosine a multiple of 0.004."""
    space, generated, batch = case()
    plain = Alignment(BOTH, space)(generated, batch).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(Alignment(BOTH, space)(generated, batch).total, plain)


def test_a_space_in_double_precision_gives_losses_that_pass_gradcheck():
    space, generated, batch = case(rows=3, frames=80, dtype=torch.float64)
    alignment = Alignment(changed(BOTH, {"inter.margin": 2.0, "intra.margin": 2.0}), space)
    first = generated.features.detach()[:, :, :4].mean(1, keepdim=True).requires_grad_()

    def total(moved):
        features = torch.cat([generated.features.detach()[..., :4] + moved, generated.features.detach()[..., 4:]], -1)
        return alignment(replace(generated, features=features), batch).total

    assert total(first).dtype == torch.float64
    assert gradcheck(total, (first,))


def test_captions_are_embedded_once_and_each_alone():
    """In a batch the last bits of one would depend on the others, and a resumed run would not be the stopped one."""
    space, generated, batch = case()
    space.texts |= {"new": torch.ones(4), "false": torch.zeros(4) - 1}
    batch = replace(batch, meaning=meaning(5, ["false", None, "false", None, "text 1"]))
    alignment = Alignment(ALL_ON, space)
    first = alignment(generated, batch)
    assert space.asked == [*([f"text {i}"] for i in range(5)), ["false"]]
    assert torch.equal(alignment(generated, batch).total, first.total)
    alignment(generated, replace(batch, text=["text 3", "new", "text 0", "new", "text 1"]))
    assert space.asked[6:] == [["new"]]


def test_captions_are_embedded_again_when_the_weights_of_the_space_have_changed():
    space, generated, batch = case()
    alignment = Alignment(INTER_ALONE, space)
    alignment(generated, batch)
    with torch.no_grad():
        space.weight.mul_(2)
    alignment(generated, batch)
    assert space.asked == 2 * [[f"text {i}"] for i in range(5)]


def test_only_so_many_captions_are_remembered(monkeypatch):
    monkeypatch.setattr(embed, "REMEMBERED", 3)
    space, generated, batch = case()
    alignment = Alignment(INTER_ALONE, space)
    totals = [alignment(generated, batch).total for _ in range(3)]
    assert totals[0] == totals[1] == totals[2]
    assert [int(caption[-1]) for (caption,) in space.asked] == [0, 1, 2, 3, 4, 0, 1, 2, 3]


class Reads(TorchDispatchMode):
    """Notes what makes a program wait for its device: values that are read, and sizes that depend on values.

    Integers are left out: they are lengths and places of clips, which a call keeps on the CPU.
    """

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        masked = name.startswith("index") and any(i is not None and i.dtype == torch.bool for i in args[1])
        waiting = name in ("_local_scalar_dense", "nonzero", "_unique2", "masked_select", "is_nonzero", "equal")
        if masked or (waiting and args[0].dtype != torch.int64):
            self.found.append(name)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("form", ["hard_negative", "triplet", "contrastive"])
def test_a_call_reads_from_the_device_nothing_but_whether_a_motion_is_under_gamma(form):
    space, generated, batch = case()
    space.texts["false"] = torch.ones(4)
    batch = replace(batch, meaning=meaning(5, ["false", None, "false", None, None]))
    alignment = Alignment(changed(ALL_ON, {"inter.loss": form, "max_noise": 0.5}), space)
    with Reads() as reads:
        alignment(generated, batch, torch.linspace(0, 1, 5))
    assert reads.found == ["_local_scalar_dense"]


def test_the_log_is_computed_when_it_is_asked_for_and_read_at_once(monkeypatch):
    space, generated, batch = case()
    space.texts["false"] = torch.ones(4)
    batch = replace(batch, meaning=meaning(5, ["false", None, "false", None, None]))
    output = Alignment(ALL_ON, space)(generated, batch)
    read = []
    as_it_is = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: read.append(self) or as_it_is(self))
    with Reads() as reads:
        log = output.log
    assert not reads.found and len(read) == 1
    assert output.log is log and len(read) == 1, "twice asked for, once computed"
    assert diagnostics(output) == log


def test_the_log_says_what_a_batch_compared():
    """Shares, counts and quantiles by loops over the output; rows 3 and 4 have one text, row 0 is noised too much."""
    space, generated, batch = case(rows=6, lengths=[90, 60, 45, 90, 100, 30])
    texts = [*batch.text[:4], batch.text[3], batch.text[5]]
    config = changed(BOTH, {"max_noise": 0.5, "intra.gamma": 0.5, "inter.negatives": 5})
    noise = torch.tensor([0.9, 0.1, 0.2, 0.3, 0.4, 0.5])
    output = Alignment(config, space)(generated, replace(batch, text=texts), noise)
    log, inter, intra = output.log, output.inter_result, output.intra_result
    others = [[j for j in range(6) if texts[j] != texts[i]] for i in range(6)]
    assert log["inter/admissible"] == pytest.approx(sum(map(len, others)) / 6)
    assert inter.mined.valid.sum(1).tolist() == [len(row) for row in others]
    assert log["inter/without_negative"] == 0
    ratios = [
        ratio
        for row in range(1, 6)
        for ratio, valid in zip(inter.mined.ratio[row].tolist(), inter.mined.valid[row].tolist(), strict=True)
        if valid
    ]
    for name, share in (("p10", 0.1), ("p50", 0.5), ("p90", 0.9)):
        expected = torch.tensor(ratios).quantile(share).item()
        assert log[f"inter/ratio/{name}"] == pytest.approx(expected, rel=1e-5)
    assert log["inter/active"] == pytest.approx(sum(loss > 0 for loss in inter.loss.tolist()) / 6)
    assert log["intra/active"] == pytest.approx(sum(loss > 0 for loss in intra.loss.tolist()) / 6)
    cosine = torch.nn.functional.cosine_similarity(output.embedded.generated, output.embedded.real)
    assert log["intra/under_gamma"] == pytest.approx(
        sum(c < 0.5 and level <= 0.5 for c, level in zip(cosine.tolist(), noise.tolist(), strict=True)) / 6
    )
    assert log["inter/loss"] == output.inter.item() and log["intra/loss"] == output.intra.item()


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({}, {"inter": "loss admissible active without_negative ratio margin distance_to_text",
              "intra": "loss under_gamma active ratio_positive ratio_negative clip_distance"}),
        ({"inter.loss": "contrastive", "intra.weight": 0}, {"inter": "loss admissible active", "intra": "loss"}),
        ({"inter.weight": 0, "intra.gamma": -1}, {"inter": "loss", "intra": "loss under_gamma active"}),
        ({"inter.weight": 0, "intra.weight": 0, "counterfactual.weight": 1},
         {"inter": "loss", "intra": "loss", "counterfactual": "loss rows active margin"}),
        ({"epsilon": -1, "intra.weight": 0},
         {"inter": "loss admissible active without_negative distance_to_text", "intra": "loss"}),
    ],
)  # fmt: skip
def test_the_log_names_what_there_is_to_say(changes, parts):
    """The names are those of every log since the losses were written: pages and results read them."""
    space, generated, batch = case()
    space.texts["false"] = torch.ones(4)
    batch = replace(batch, meaning=meaning(5, ["false"] * 5))
    log = Alignment(changed(BOTH, changes), space)(generated, batch).log
    spread = {"ratio", "margin", "distance_to_text", "ratio_positive", "ratio_negative", "clip_distance"}
    assert log.keys() == {
        f"{group}/{name}{point}"
        for group, names in parts.items()
        for name in names.split()
        for point in (("/p10", "/p50", "/p90") if name in spread else ("",))
    }
