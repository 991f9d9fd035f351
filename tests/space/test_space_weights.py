"""Spaces on disk: what comes back, and what a file that does not fit is answered."""

import pytest
import torch

from atm.base.errors import InputError
from atm.motion import Motion
from atm.motion.layers import Normaliser
from atm.space import Space, SpaceConfig, load_space, save_space
from atm.space.weights import from_published, read_published, read_published_statistics, with_weights
from doubles import FakeTextEncoder

TINY = SpaceConfig(width=16, feed_forward=32, layers=1, decoder_layers=1, heads=2, epsilon=0.7)


def tiny_space() -> Space:
    torch.manual_seed(0)
    return Space(TINY, FakeTextEncoder(), Normaliser(torch.randn(263), torch.rand(263) + 0.5)).eval()


def motion() -> Motion:
    return Motion(torch.randn(2, 9, 263, generator=torch.Generator().manual_seed(1)), torch.tensor([9, 5]))


def weights_of(space: Space) -> dict[str, torch.Tensor]:
    return {key: value for key, value in space.state_dict().items() if not key.startswith("normaliser")}


@torch.no_grad()
def test_a_saved_space_comes_back_as_it_was(tmp_path):
    space = tiny_space()
    save_space(space, tmp_path / "model.safetensors")
    for place in (tmp_path, tmp_path / "model.safetensors"):
        again = load_space(place, FakeTextEncoder()).eval()
        assert again.config == space.config
        assert torch.equal(again.encode_motion(motion()), space.encode_motion(motion()))
        assert torch.equal(again.encode_text(["he jumps"]), space.encode_text(["he jumps"]))


@torch.no_grad()
def test_half_precision_halves_the_file_and_keeps_the_statistics_exact(tmp_path):
    space, whole, half = tiny_space(), tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    save_space(space, whole)
    save_space(space, half, half=True)
    again = load_space(half, FakeTextEncoder()).eval()
    assert half.stat().st_size < 0.65 * whole.stat().st_size
    assert torch.equal(again.normaliser.std, space.normaliser.std)
    torch.testing.assert_close(again.encode_motion(motion()), space.encode_motion(motion()), rtol=0.02, atol=0.02)


def test_a_file_of_another_kind_is_refused(tmp_path):
    from atm.base.storage import save_model

    save_model(tmp_path / "model.safetensors", torch.nn.Linear(2, 2), TINY, "evaluator")
    with pytest.raises(InputError, match=r"expected a text-motion space, but .* holds a model of kind 'evaluator'"):
        load_space(tmp_path, FakeTextEncoder())


def test_a_language_model_of_another_width_is_refused(tmp_path):
    save_space(tiny_space(), tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"text_encoder.projection.weight \(16, 8\) instead of \(16, 12\)"):
        load_space(tmp_path, FakeTextEncoder(12))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.safetensors"):
        load_space(tmp_path / "nothing.safetensors", FakeTextEncoder())


def publish(copy, space: Space, run: str = "tmr_humanml3d_guoh3dfeats", data: str = "humanml3d"):
    """A copy of TMR's code with these weights, as the publication lays it out: a file per part without prefix."""
    folder, stats = copy / "models" / run, copy / "stats" / data / "guoh3dfeats"
    (folder / "last_weights").mkdir(parents=True)
    stats.mkdir(parents=True)
    for part in ("motion_encoder", "text_encoder", "motion_decoder"):
        torch.save(getattr(space, part).state_dict(), folder / "last_weights" / f"{part}.pt")
    torch.save(space.normaliser.mean, stats / "mean.pt")
    torch.save(space.normaliser.std, stats / "std.pt")
    return folder


@pytest.mark.parametrize(
    ("run", "data"), [("tmr_humanml3d_guoh3dfeats", "humanml3d"), ("tmr_kitml_guoh3dfeats", "kitml")]
)
@torch.no_grad()
def test_a_published_folder_is_read_with_the_statistics_of_its_data_set(tmp_path, run, data):
    """The sizes follow from the shapes; the heads do not, so both have the published four."""
    torch.manual_seed(0)
    space = Space(
        TINY.model_copy(update={"heads": 4}), FakeTextEncoder(), Normaliser(torch.randn(263), torch.rand(263) + 0.5)
    ).eval()
    folder = publish(tmp_path, space, run, data)
    for path in (folder, folder / "last_weights", folder / "last_weights" / "motion_encoder.pt"):
        again = from_published(path, text_encoder=FakeTextEncoder())
        torch.testing.assert_close(again.encode_motion(motion()), space.encode_motion(motion()))
        assert not again.training
    whole = tmp_path / "last.ckpt"
    torch.save({"state_dict": weights_of(space), "epoch": 499}, whole)
    again = from_published(whole, space.normaliser, FakeTextEncoder())
    assert torch.equal(again.encode_text(["he jumps"]), space.encode_text(["he jumps"]))


def test_published_weights_without_their_statistics_ask_for_them(tmp_path):
    folder = publish(tmp_path, tiny_space())
    (tmp_path / "stats" / "humanml3d").rename(tmp_path / "stats" / "elsewhere")
    with pytest.raises(InputError, match=r"give the folder with its mean.pt and std.pt"):
        from_published(folder, text_encoder=FakeTextEncoder())
    with pytest.raises(InputError, match=r"take 263 features per frame .* statistics are of 251"):
        from_published(folder, Normaliser.identity(251), FakeTextEncoder())


def test_a_published_column_that_never_changes_divides_by_no_zero(tmp_path):
    torch.save(torch.zeros(3), tmp_path / "mean.pt")
    torch.save(torch.tensor([1.0, 0.0, 2.0]), tmp_path / "std.pt")
    assert torch.isfinite(read_published_statistics(tmp_path)(torch.zeros(1, 3))).all()


def test_published_weights_that_do_not_fit_are_named_by_key():
    space = tiny_space()
    state = weights_of(space)
    del state["motion_encoder.tokens"]
    state["motion_encoder.tail"] = torch.zeros(1)
    state["motion_decoder.final_layer.bias"] = torch.zeros(251)
    with pytest.raises(InputError) as error:
        with_weights(state, space.normaliser, TINY, FakeTextEncoder(), source="a file")
    for named in ("motion_encoder.tokens", "motion_encoder.tail", "motion_decoder.final_layer.bias (251,)"):
        assert named in str(error.value)


def test_a_damaged_published_file_is_named(tmp_path):
    (tmp_path / "last_weights").mkdir()
    (tmp_path / "last_weights" / "motion_encoder.pt").write_bytes(b"no tensors")
    with pytest.raises(InputError, match=r"motion_encoder\.pt"):
        read_published(tmp_path)
