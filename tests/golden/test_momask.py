"""MoMask against its published code: tokeniser, both token models, decoding, editing, length, the whole way, BVH.

Weights are filled by rule under the published keys and come in through the key map of published checkpoints. Text
vectors are given. Tolerance is the fact sheet's: rtol 1e-4 with atol 1e-4, token ids exactly.
"""

import copy
from collections.abc import Callable
from operator import itemgetter

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from token_models import TEXT_WIDTH, Alone, assert_ids, assert_published, published_state, tensor, uniforms
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from atm.base.storage import load_state
from atm.export.template import NAMES, OFFSETS, ORDER, PARENTS, fit_template, planted
from atm.generators.momask.length import LengthEstimator
from atm.generators.momask.masked import MaskDraws, MaskedTransformer
from atm.generators.momask.model import MoMask
from atm.generators.momask.presets import (
    momask_humanml3d,
    momask_length_humanml3d,
    momask_mask_humanml3d,
    momask_residual_humanml3d,
    momask_rvq_humanml3d,
    momask_rvq_humanml3d_l1,
    momask_rvq_kit,
)
from atm.generators.momask.weights import our_state
from atm.generators.tokens.config import RVQConfig
from atm.generators.tokens.gumbel import gumbel
from atm.generators.tokens.quantiser import Codebook, Quantised, ResidualQuantiser
from atm.generators.tokens.residual import ResidualTransformer, drawn_level
from atm.generators.tokens.rvq import ResidualVQVAE
from atm.generators.tokens.stages import masked_error
from atm.motion import HUMANML3D, Motion
from atm.motion.layers import Normaliser, length_mask
from doubles import FakeTextEncoder

POSITIONS = HUMANML3D.columns["positions"]


def filled(name: str, network: nn.Module, table: str) -> nn.Module:
    load_state(Alone(name, network), our_state(name, published_state(f"momask.{table}")), source=table)
    return network.eval()


def rvq(config: RVQConfig | None = None) -> ResidualVQVAE:
    return filled("rvq", ResidualVQVAE(config or momask_rvq_humanml3d(), features=263), "rvq")


def masked(**changes) -> MaskedTransformer:
    config = momask_mask_humanml3d().model_copy(update=changes)
    return filled("mask", MaskedTransformer(config, TEXT_WIDTH), "mask_transformer")


def residual(table: str = "res_transformer", **changes) -> ResidualTransformer:
    config = momask_residual_humanml3d().model_copy(update=changes)
    return filled("residual", ResidualTransformer(config, TEXT_WIDTH), table)


def noise(key: object, shape: tuple[int, ...]) -> Callable[[], Tensor]:
    uniform = uniforms(str(key))
    return lambda: gumbel(uniform(shape))


def silence(shape: tuple[int, ...]) -> Callable[[], Tensor]:
    return lambda: torch.zeros(shape)


@pytest.mark.parametrize(
    ("name", "config", "table"),
    [("momask_rvq", momask_rvq_humanml3d(), "rvq"), ("momask_rvq_kit", momask_rvq_kit(), "rvq_kit")],
)
@torch.no_grad()
def test_the_tokeniser_gives_the_published_tokens_and_motions(golden, name, config, table):
    """Also with the last three tokens absent, and from the first level alone."""
    file = golden(f"{name}.npz")
    motion = tensor(file["motion"])
    network = filled("rvq", ResidualVQVAE(config, features=motion.shape[2]), table)
    assert_published(file, "encoder_out", network.encoder(motion).transpose(1, 2))
    mask = torch.ones(len(motion), motion.shape[1] // 4, dtype=torch.bool)
    quantised = network.encode(motion, mask)
    codes = quantised.codes
    assert_ids(file, "code_idx", codes)
    assert_published(file, "quantised_sum", quantised.latents.transpose(1, 2))
    levels = [layer.vectors(codes[:1, :, level]) for level, layer in enumerate(network.quantizer.layers)]
    assert_published(file, "quantised_per_level", torch.stack(levels).transpose(2, 3))
    assert_published(file, "commit_loss", quantised.commitment.mean())
    assert_published(file, "perplexity", quantised.perplexity)
    assert_published(file, "decoded", network.decode(codes))
    assert_published(file, "decoded_first_level_only", network.decode(codes[..., :1]))
    padded = codes.clone()
    padded[:, -3:] = -1
    assert_published(file, "decoded_last3_padded", network.decode(padded))


class KinkAt(TorchFunctionMode):
    """ReLUs have their kink at `edge` in place of 0: units nearer to 0 than float32 tells count as open, or as shut."""

    def __init__(self, edge: float):
        self.edge = edge

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.relu, torch.Tensor.relu, nn.functional.relu):
            return torch.where(args[0] > self.edge, args[0], 0.0)
        return func(*args, **(kwargs or {}))


def gradients_of(network: ResidualVQVAE, step: Callable[[ResidualVQVAE], Tensor], edge: float) -> dict[str, Tensor]:
    other = copy.deepcopy(network)
    with KinkAt(edge):
        step(other).backward()
    return {key: weight.grad for key, weight in other.named_parameters()}


@pytest.mark.parametrize(("name", "levels"), [("full", None), ("drop2", 3)])
def test_a_training_step_of_the_tokeniser_is_the_published_one(golden, name, levels):
    """Losses, tokens drawn with noise, every gradient, and the codebooks after it.

    Which side of its kink a ReLU is on that stands at it depends on the order of sums, as on the number of threads:
    there the gradient may be either. A code that no vector took becomes a vector of the batch with noise of deviation
    0.01 / sqrt(512): there the file is met within 6 deviations.
    """
    file = golden("momask_rvq_train.npz")
    motion = tensor(file["motion"])
    start = rvq(momask_rvq_humanml3d().model_copy(update={"dropout": 0.0})).train()
    mask = torch.ones(motion.shape[0], motion.shape[1] // 4, dtype=torch.bool)
    whole = torch.ones(motion.shape[:2], dtype=torch.bool)
    with torch.no_grad():
        first_level = start.encoder(motion).flatten(0, 1)

    def step(network: ResidualVQVAE) -> tuple[Tensor, Quantised, list[Tensor]]:
        motion_hat, quantised = network(motion, mask, levels=levels, uniform=uniforms(str(file["noise_key"])))
        rec = masked_error(motion_hat, motion, whole, "l1_smooth").mean()
        explicit = masked_error(motion_hat[..., POSITIONS], motion[..., POSITIONS], whole, "l1_smooth").mean()
        commitment = quantised.commitment.mean()
        return motion_hat, quantised, [rec + 0.5 * explicit + 0.02 * commitment, rec, explicit, commitment]

    open_, shut = (gradients_of(start, lambda network: step(network)[2][0], edge) for edge in (-3e-6, 3e-6))
    network = copy.deepcopy(start)
    motion_hat, quantised, losses = step(network)
    losses[0].backward()

    assert_ids(file, f"{name}_code_idx", quantised.codes)
    assert_published(file, f"{name}_out", motion_hat)
    assert_published(file, f"{name}_losses", torch.stack([*losses, quantised.perplexity]))
    names = [str(key) for key in file["param_names"]]
    weights = dict(network.named_parameters())
    for row, key in enumerate(names):
        own = itemgetter(row)
        gradient, either = weights[key].grad, (open_[key] - shut[key]).abs()
        size = gradient.square().mean().sqrt().item()
        norm, head = gradient.norm(), gradient.flatten()[:8]
        file.compare(f"{name}_grad_l2", norm, rtol=1e-3, atol=either.norm().item(), view=own)
        file.compare(
            f"{name}_grad_head", head, rtol=1e-3, atol=1e-3 * size + either.flatten()[:8].max().item(), view=own
        )
    for level, layer in enumerate(network.quantizer.layers):
        own = itemgetter(level)
        assert_published(file, f"{name}_code_count", layer.code_count, view=own)
        used = (layer.code_count >= 1) | (levels is not None and level >= levels)
        head, codebook = layer.codebook[:, :4], f"{name}_codebook_head"
        file.compare(codebook, head, atol=1e-4, view=own, inside=used)
        file.compare(codebook, head, rtol=0, atol=12 * 0.01 / 512**0.5, view=own, inside=~used)
        if level == 0:
            rows = first_level[torch.arange(512) % len(first_level), :4]
            file.compare(codebook, rows, rtol=0, atol=6 * 0.01 / 512**0.5, view=own, inside=~used)


@pytest.mark.parametrize(("name", "config"), [("l1_smooth", momask_rvq_humanml3d()), ("l1", momask_rvq_humanml3d_l1())])
@torch.no_grad()
def test_both_reconstruction_losses_are_the_published_ones(golden, name, config):
    file = golden("momask_rvq_train.npz")
    motion = tensor(file["motion"])
    whole = torch.ones(motion.shape[:2], dtype=torch.bool)
    motion_hat, quantised = rvq(config)(motion, whole[:, ::4])
    rec = masked_error(motion_hat, motion, whole, config.criterion).mean()
    explicit = masked_error(motion_hat[..., POSITIONS], motion[..., POSITIONS], whole, config.criterion).mean()
    commitment = quantised.commitment.mean()
    total = rec + 0.5 * explicit + 0.02 * commitment
    assert_published(file, f"eval_losses_{name}", torch.stack([total, rec, explicit, commitment]))


@torch.no_grad()
def test_a_codebook_starts_and_moves_the_published_way(golden):
    """From nothing: the first step takes its codes from the data."""
    file = golden("momask_ema.npz")
    codes, width = file["codebook0"].shape
    config = RVQConfig(levels=1, codes=codes, code_width=width, code_temperature=0.0)
    quantiser = ResidualQuantiser(config).train()
    book: Codebook = quantiser.layers[0]
    for step in range(3):
        x = tensor(file[f"x{step}"]).transpose(1, 2)
        quantised = quantiser(x, torch.ones(x.shape[:2], dtype=torch.bool))
        assert_ids(file, f"idx{step}", quantised.codes[..., 0])
        assert_published(file, f"out{step}", quantised.latents.transpose(1, 2))
        assert_published(file, f"commit{step}", quantised.commitment.mean())
        assert_published(file, f"perplexity{step}", quantised.perplexity)
        assert_published(file, f"codebook{step}", book.codebook)
        assert_published(file, f"code_sum{step}", book.code_sum)
        assert_published(file, f"code_count{step}", book.code_count)


@torch.no_grad()
def test_the_masked_transformer_gives_the_published_logits(golden):
    file = golden("momask_mask_logits.npz")
    network, ids, text = masked(), tensor(file["ids"]), tensor(file["text"])
    mask = length_mask(tensor(file["token_lens"]), ids.shape[1])
    assert_ids(file, "padding_mask", ~mask)
    scales = {"logits_cond": 1.0, "logits_uncond_first8": 0.0} | dict(file.numbered(r"logits_cfg(\d+)"))
    for key, scale in scales.items():
        logits = network.guided(ids, text, mask, scale=float(scale)).transpose(1, 2)
        assert_published(file, key, logits[..., :8] if key.endswith("first8") else logits)


@torch.no_grad()
def test_a_training_step_of_the_masked_transformer_is_the_published_one(golden):
    file = golden("momask_mask_train.npz")
    network, codes, text = masked(), tensor(file["ids"]), tensor(file["text"])
    mask = length_mask(tensor(file["token_lens"]), codes.shape[1])
    names = ("rand_time", "perm", "rid", "rand_id", "mid")
    draws = MaskDraws(*(tensor(file[f"draw_{name}"]) for name in names))
    shown, asked = network.corrupt(codes, mask, draws)
    assert_ids(file, "x_ids", shown)
    assert_ids(file, "labels", torch.where(asked, codes, network.mask_id))
    guess = network.loss(codes, text, mask, draws)
    assert_published(file, "loss", guess.loss.mean())
    file.compare("acc", guess.accuracy, rtol=1e-6)
    assert_ids(file, "pred_id", network(shown, text, mask).argmax(-1), inside=mask)


class Trace:
    """What a masked transformer was shown, round by round."""

    def __init__(self, network: MaskedTransformer):
        self.shown: list[Tensor] = []
        forward = network.guided

        def guided(ids: Tensor, *args, **options) -> Tensor:
            self.shown.append(ids)
            return forward(ids, *args, **options)

        network.guided = guided


@pytest.mark.parametrize("run", ["greedy10", "noise10", "noise18"])
@torch.no_grad()
def test_unmasking_goes_the_published_way(golden, run):
    file = golden("momask_mask_generate.npz")
    file.starts_with(f"trace_{run}")
    trace = file[f"trace_{run}"]
    network = masked(steps=len(trace))
    seen, text = Trace(network), tensor(file["text"])
    mask = length_mask(tensor(file["token_lens"]), trace.shape[2])
    shape = (*mask.shape, 512)
    draw = silence(shape) if run.startswith("greedy") else noise(file[f"noise_key_{run}"], shape)
    ids = network.generate(text, mask, draw, scale=4.0)
    of_motions = mask.expand(len(trace), -1, -1)
    assert_ids(file, f"trace_{run}", torch.stack(seen.shown), inside=of_motions)
    assert_ids(file, f"ids_{run}", ids, inside=mask)


@torch.no_grad()
def test_editing_redraws_the_tokens_that_the_published_program_redraws(golden):
    file = golden("momask_mask_edit.npz")
    network = masked()
    seen, text, codes = Trace(network), tensor(file["text"]), tensor(file["tokens"])
    mask = length_mask(tensor(file["token_lens"]), codes.shape[1])
    draw = noise(file["noise_key"], (*mask.shape, 512))
    ids = network.edit(codes, tensor(file["edit_mask"]), text, mask, draw, scale=4.0)
    shown = torch.stack(seen.shown)
    assert_ids(file, "trace", shown, inside=mask.expand(shown.shape))
    assert_ids(file, "ids", ids, inside=mask)


@torch.no_grad()
def test_free_editing_redraws_the_tokens_that_the_published_program_redraws(golden):
    """The first round has nothing to go by: what it redraws is the file's."""
    file = golden("momask_mask_edit.npz")
    network = masked()
    seen, text, codes = Trace(network), tensor(file["text"]), tensor(file["tokens"])
    mask = length_mask(tensor(file["token_lens"]), codes.shape[1])
    trace = tensor(file["trace_mask_free"])
    draw = noise(file["noise_key_mask_free"], (*mask.shape, 512))
    ids = network.edit_freely(codes, text, mask, draw, scale=4.0, first=trace[0] == network.mask_id)
    assert_ids(file, "trace_mask_free", torch.stack(seen.shown), inside=mask.expand(trace.shape))
    assert_ids(file, "ids_mask_free", ids, inside=mask)


@torch.no_grad()
def test_the_residual_transformer_gives_the_published_logits(golden):
    """With shared tables, with separate ones, and guided."""
    file = golden("momask_res_logits.npz")
    history, text, level = tensor(file["history"]), tensor(file["text"]), tensor(file["qids"])
    mask = length_mask(tensor(file["token_lens"]), history.shape[1])
    network = residual()
    assert_published(file, "logits", network(history, level, text, mask).transpose(1, 2))
    for key, asked in file.numbered(r"logits_cfg5_q(\d+)_first16"):
        logits = network.guided(history, torch.full_like(level, asked), text, mask, scale=5.0)
        assert_published(file, key, logits.transpose(1, 2)[..., :16])
    separate = residual("res_transformer_noshare", share_weights=False)
    assert_published(file, "logits_noshare_first16", separate(history, level, text, mask).transpose(1, 2)[..., :16])


@torch.no_grad()
def test_a_training_step_of_the_residual_transformer_is_the_published_one(golden):
    file = golden("momask_res_generate.npz")
    assert_ids(file, "q_schedule_grid", drawn_level(torch.arange(101) / 100, 6))
    level = drawn_level(tensor(file["draw_q"]), 6)
    assert_ids(file, "active_q", level)
    codes, text = tensor(file["train_ids"]), tensor(file["text"])
    mask = length_mask(tensor(file["token_lens"]), codes.shape[1])
    loss, parts = residual().loss(codes, text, mask, level)
    assert_published(file, "train_loss", loss.mean())
    file.compare("train_acc", parts["accuracy"], rtol=1e-6)


@pytest.mark.parametrize("run", ["noise", "greedy", "noise_2_levels"])
@torch.no_grad()
def test_the_further_levels_are_drawn_the_published_way(golden, run):
    file = golden("momask_res_generate.npz")
    base, text = tensor(file["base_ids"]), tensor(file["text"])
    mask = length_mask(tensor(file["token_lens"]), base.shape[1])
    shape = (*mask.shape, 513)
    file.starts_with(f"ids_{run}")
    draw = silence(shape) if run == "greedy" else noise(file["noise_key"], shape)
    levels = file[f"ids_{run}"].shape[2] - 1
    ids = residual().generate(base, text, mask, draw, scale=5.0, levels=levels)
    assert_ids(file, f"ids_{run}", ids, inside=mask)


@torch.no_grad()
def test_the_length_estimator_gives_the_published_logits(golden):
    file = golden("momask_length.npz")
    network = filled("length", LengthEstimator(momask_length_humanml3d(), TEXT_WIDTH), "length_estimator")
    assert_published(file, "logits", network(tensor(file["text"])))


@torch.no_grad()
def test_the_whole_way_from_text_to_joints_is_the_published_one(golden):
    file = golden("momask_pipeline.npz")
    config = momask_humanml3d()
    encoder = FakeTextEncoder(TEXT_WIDTH, config.text_encoder)
    model = MoMask(config, encoder, Normaliser.identity(263)).eval()
    tables = {"rvq": "rvq", "mask": "mask_transformer", "residual": "res_transformer", "length": "length_estimator"}
    state = {f"normaliser.{key}": value for key, value in model.normaliser.state_dict().items()}
    for network, table in tables.items():
        state |= our_state(network, published_state(f"momask.{table}"))
    load_state(model, state, source="the rule")

    text, lens = tensor(file["text"]), tensor(file["token_lens"])
    mask = length_mask(lens, file["base_ids"].shape[1])
    base = model.mask.generate(text, mask, noise(file["noise_key_mask"], (*mask.shape, 512)), scale=4.0)
    assert_ids(file, "base_ids", base, inside=mask)
    codes = model.residual.generate(base, text, mask, noise(file["noise_key_res"], (*mask.shape, 513)), scale=5.0)
    assert_ids(file, "all_ids", codes, inside=mask)
    features = model.rvq.decode(codes)
    assert_published(file, "features", features, lengths=4 * lens)
    assert_published(file, "joints_of_tenth", Motion(0.1 * features, 4 * lens).joints, lengths=4 * lens)


@pytest.mark.parametrize(("run", "iterations"), [("plain", 10), ("plain100", 100), ("foot_ik", 10)])
def test_the_template_body_moves_as_the_published_program_moves_it(golden, run, iterations):
    """Joints within a millimetre, as the fact sheet asks; rotations and the file's angles within 0.1 degrees."""
    file = golden("momask_bvh.npz")
    given = file["joints"][:, ORDER].astype(np.float64)
    pose = fit_template(planted(given) if run == "foot_ik" else given, given[:, 0], iterations=iterations)
    file.compare(f"{run}_joints", pose.joints[:, file["re_order_inv"]], rtol=0, atol=1e-3)
    file.compare(f"{run}_motion_rows", given[:, 0], rtol=0, atol=1e-6, view=lambda rows: rows[:, :3])
    turned = Rotation.from_matrix(pose.rotations.reshape(-1, 3, 3)).inv()
    if (rows := file.expected(f"{run}_motion_rows")) is not None:
        angles = Rotation.from_euler("ZYX", rows[:, 3:].reshape(-1, 3), degrees=True)
        assert np.degrees((turned * angles).magnitude()).max() < 0.1
    if (quaternions := file.expected(f"{run}_rotations_wxyz")) is not None:
        published = Rotation.from_quat(quaternions.reshape(-1, 4), scalar_first=True)
        assert np.degrees((turned * published).magnitude()).max() < 0.1


def test_the_template_body_is_the_published_one(golden):
    file = golden("momask_bvh.npz")
    file.same("names", NAMES)
    file.same("parents", PARENTS)
    file.same("re_order", ORDER)
    file.compare("offsets", OFFSETS, rtol=0, atol=1e-6)
