"""The evaluator's embeddings, training step and files."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from atm.base.errors import InputError
from atm.evaluation.evaluator import Evaluator, EvaluatorConfig, contrastive_loss
from atm.evaluation.presets import evaluator_normaliser, evaluator_small, trainable
from atm.evaluation.weights import NETWORKS, from_published, frozen, load_evaluator, save_evaluator
from atm.interface import Batch
from atm.motion import Motion

WORDS = [["man/NOUN", "walk/VERB"], ["man/NOUN", "jump/VERB", "two/NUM", "time/NOUN"], ["run/VERB"]]
TINY = {"movement_width": 8, "motion_width": 8, "text_width": 8, "word_width": 6, "embedding": 5}


def tiny(seed: int = 0, **changes) -> Evaluator:
    torch.manual_seed(seed)
    config = evaluator_small().model_copy(update=TINY | changes)
    return trainable(config, np.zeros(263), np.ones(263), WORDS * 2)


def motion(*lengths: int, frames: int | None = None, seed: int = 1) -> Motion:
    frames = frames or max(lengths)
    features = torch.randn(len(lengths), frames, 263, generator=torch.Generator().manual_seed(seed))
    return Motion(features, torch.tensor(lengths))


def test_a_motion_has_one_embedding_in_any_company_and_padding():
    evaluator = frozen(tiny())
    many = motion(40, 64, 196, 12, frames=196)
    together = evaluator.encode_motion(many)
    assert together.shape == (4, 5)
    for row, length in enumerate(many.lengths.tolist()):
        alone = Motion(many.features[row : row + 1, :length], many.lengths[row : row + 1])
        torch.testing.assert_close(evaluator.encode_motion(alone)[0], together[row])


def test_a_caption_has_one_embedding_in_any_company():
    evaluator = frozen(tiny())
    together = evaluator.encode_text(WORDS)
    for row, words in enumerate(WORDS):
        torch.testing.assert_close(evaluator.encode_text([words])[0], together[row])


def test_frames_behind_the_end_do_not_matter_even_if_they_are_nan():
    evaluator = frozen(tiny())
    clean = motion(40, frames=60)
    dirty = clean.features.clone()
    dirty[:, 40:] = torch.nan
    torch.testing.assert_close(
        evaluator.encode_motion(Motion(dirty, clean.lengths)), evaluator.encode_motion(clean.zero_padding())
    )


def test_the_published_tail_is_seen_three_frames_far():
    """The last code sees frames up to L + 2; changing frame L + 2 shows, changing L + 3 does not."""
    evaluator = frozen(tiny())
    before = motion(40, frames=60)
    for frame, seen in ((42, True), (43, False)):
        features = before.features.clone()
        features[:, frame] += 1
        after = evaluator.encode_motion(Motion(features, before.lengths), tail="published")
        assert torch.equal(after, evaluator.encode_motion(before, tail="published")) != seen


def test_foot_contacts_are_not_seen():
    evaluator = frozen(tiny())
    one = motion(40)
    features = one.features.clone()
    features[..., -4:] += 1
    torch.testing.assert_close(evaluator.encode_motion(Motion(features, one.lengths)), evaluator.encode_motion(one))


def test_motions_of_another_skeleton_or_too_short_are_refused():
    evaluator = frozen(tiny())
    with pytest.raises(InputError, match="trained on 263 features per frame, but the motions have 251"):
        evaluator.encode_motion(Motion(torch.zeros(1, 40, 251), torch.tensor([40])))
    with pytest.raises(InputError, match="at least 4 frames, got 3"):
        evaluator.encode_motion(motion(3))


def test_contrastive_loss_by_hand():
    """Texts at 0 and 0; motions at 3 and 4. Own: 9 and 16. Wrong: (10 - 4)² = 36 and (10 - 3)² = 49."""
    texts, motions = torch.zeros(2, 1).double(), torch.tensor([[3.0], [4.0]]).double()
    loss = contrastive_loss(texts, motions, shift=1, margin=10.0)
    torch.testing.assert_close(loss, torch.tensor([45.0, 65.0]).double(), rtol=1e-5, atol=1e-5)


def test_contrastive_loss_has_the_gradient_of_its_value():
    z = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: contrastive_loss(z[:, 0], z[:, 1], shift=2, margin=10.0), z)


def batch(rows: int) -> Batch:
    words = [WORDS[row % 3] for row in range(rows)]
    return Batch(
        motion(*[8 + 4 * row for row in range(rows)]), [""] * rows, torch.zeros(rows, 4), [""] * rows, words=words
    )


def test_all_negatives_are_the_mean_over_the_single_ones():
    """Without dropout the loss with every negative is the average of the published loss over all shifts but 0."""
    evaluator = tiny(dropout=0.0, negatives=0)
    data = batch(4)
    z_text, z_motion = evaluator.encode_text(data.words), evaluator.encode_motion(data.motion)
    single = [contrastive_loss(z_text, z_motion, shift=shift, margin=10.0) for shift in (1, 2, 3)]
    step = evaluator.training_step(data, torch.Generator())
    torch.testing.assert_close(step.loss, torch.stack(single).mean(0))


@pytest.mark.parametrize(("train_words", "learns"), [(True, True), (False, False)])
def test_every_weight_learns_but_published_word_vectors(train_words, learns):
    evaluator = tiny(train_words=train_words)
    evaluator.training_step(batch(4), torch.Generator()).loss.mean().backward()
    without = {name for name, weight in evaluator.named_parameters() if weight.grad is None}
    assert without == (set() if learns else {"words.weight"})


def test_a_step_needs_words_and_wrong_pairs():
    with pytest.raises(InputError, match="at least 2"):
        tiny().training_step(batch(1), torch.Generator())
    data = batch(2)
    with pytest.raises(InputError, match="word/CLASS"):
        tiny().training_step(Batch(data.motion, data.text, data.sentence, data.ids), torch.Generator())


def test_a_few_steps_tell_texts_apart():
    """While all pairs look alike, at distance d, the loss is d² + (10 - d)², which is never below 50."""
    evaluator = tiny(dropout=0.0)
    optimizer = torch.optim.Adam(evaluator.parameters(), lr=3e-3)
    data = batch(3)
    for _ in range(100):
        loss = evaluator.training_step(data, torch.Generator()).loss.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 45


def test_root_and_contact_columns_weigh_more():
    std = evaluator_normaliser(np.zeros(263), np.ones(263), feature_bias=25.0).std
    small = torch.zeros(263, dtype=torch.bool)
    small[:4], small[-4:] = True, True
    torch.testing.assert_close(std, torch.where(small, 1 / 25, 1.0))


@pytest.mark.parametrize(("half", "tolerance"), [(False, 0.0), (True, 1e-2)])
def test_a_saved_evaluator_comes_back(tmp_path, half, tolerance):
    evaluator = frozen(tiny())
    save_evaluator(tmp_path / "evaluator.safetensors", evaluator, half=half)
    loaded = load_evaluator(tmp_path / "evaluator.safetensors")
    assert loaded.config == evaluator.config
    one = motion(40)
    torch.testing.assert_close(loaded.encode_motion(one), evaluator.encode_motion(one), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(loaded.encode_text(WORDS), evaluator.encode_text(WORDS), rtol=tolerance, atol=tolerance)


def publish(root: Path, evaluator: Evaluator) -> Path:
    """A published evaluator with these weights, as programs of the field have it; gives the folder of its data set."""
    folder, meta, glove = root / "t2m", root / "t2m" / "Comp_v6_KLD01" / "meta", root / "glove"
    model = folder / "text_mot_match" / "model"
    for place in (model, meta, glove):
        place.mkdir(parents=True)
    states = {name: getattr(evaluator, name).state_dict() for name in NETWORKS}
    torch.save({**states, "opt_text_encoder": {"state": {}, "param_groups": []}, "epoch": 3}, model / "finest.tar")
    np.save(meta / "mean.npy", evaluator.normaliser.mean.numpy())
    np.save(meta / "std.npy", evaluator.normaliser.std.numpy())
    words = list(evaluator.config.vocabulary)
    np.save(glove / "our_vab_data.npy", evaluator.words.weight.detach().numpy())
    (glove / "our_vab_words.pkl").write_bytes(pickle.dumps(words))
    (glove / "our_vab_idx.pkl").write_bytes(pickle.dumps({word: row for row, word in enumerate(words)}))
    return folder


def test_the_default_sizes_are_the_published_ones():
    """Numbers of parameters of `finest.tar`; its keys and shapes are what the golden files' weights are made from."""
    evaluator = Evaluator(EvaluatorConfig(), evaluator_normaliser(np.zeros(263), np.ones(263)))
    counts = {name: sum(weight.numel() for weight in getattr(evaluator, name).parameters()) for name in NETWORKS}
    assert counts == {"movement_encoder": 1_842_688, "motion_encoder": 15_747_584, "text_encoder": 4_100_288}


@pytest.mark.parametrize("below", [".", "text_mot_match", "text_mot_match/model/finest.tar", ".."])
def test_a_published_evaluator_is_read_from_any_of_its_folders(tmp_path, below):
    """Its sizes follow from the shapes, its statistics and words lie elsewhere."""
    evaluator = frozen(tiny())
    loaded = from_published(publish(tmp_path, evaluator) / below)
    assert loaded.config == evaluator.config.model_copy(update={"train_words": False, "negatives": 1})
    one = motion(40)
    torch.testing.assert_close(loaded.encode_motion(one), evaluator.encode_motion(one))
    torch.testing.assert_close(loaded.encode_text(WORDS), evaluator.encode_text(WORDS))


def test_several_statistics_must_agree(tmp_path):
    """HumanML3D's lie in two folders of other programs."""
    folder = publish(tmp_path, tiny())
    other = folder / "Comp_v6_KLD005" / "meta"
    other.mkdir(parents=True)
    for name in ("mean.npy", "std.npy"):
        np.save(other / name, np.load(folder / "Comp_v6_KLD01" / "meta" / name))
    from_published(folder)
    np.save(other / "std.npy", np.full(263, 2.0))
    with pytest.raises(InputError, match="several statistics, and they differ"):
        from_published(folder)


def test_what_an_evaluator_lacks_is_named(tmp_path):
    folder = publish(tmp_path, tiny())
    (tmp_path / "glove").rename(tmp_path / "words")
    with pytest.raises(InputError, match="no folder glove above"):
        from_published(folder)
    from_published(folder, glove=tmp_path / "words")
    (folder / "Comp_v6_KLD01").rename(folder / "Other")
    with pytest.raises(InputError, match="no statistics beside its weights"):
        from_published(folder)
    with pytest.raises(InputError, match="no finest.tar"):
        from_published(tmp_path / "words")
    (tmp_path / "t2m").rename(tmp_path / "kit")
    shutil.copytree(tmp_path / "kit", tmp_path / "t2m")
    with pytest.raises(InputError, match="2 of them"):
        from_published(tmp_path)


def test_checkpoints_that_are_no_evaluator_are_named(tmp_path):
    folder = publish(tmp_path, tiny())
    file = folder / "text_mot_match" / "model" / "finest.tar"
    content = torch.load(file)
    content["motion_encoder"]["gru.tail"] = content["motion_encoder"].pop("hidden")
    torch.save(content, file)
    with pytest.raises(InputError, match="do not fit this MotionEncoder.*unknown .gru.tail"):
        from_published(folder)
    torch.save({"movement_encoder": {"weight": torch.zeros(1)}}, file)
    with pytest.raises(InputError, match="has no motion_encoder, text_encoder"):
        from_published(folder)
    file.write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match="cannot read"):
        from_published(folder)
