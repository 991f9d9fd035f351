"""Data folders as users have them: both layouts, parts with their own captions, and what is wrong with damaged ones."""

import json
import re

import numpy as np
import pytest

from atm.base.errors import InputError
from atm.data.batches import BatchSampler
from atm.data.humanml3d import by_length, open_dataset, read_captions
from doubles import FakeTextEncoder
from folders import make_folder


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "data")


def rewrite(folder, clip, line):
    (folder / "texts" / f"{clip}.txt").write_text(line + "\n")


@pytest.mark.parametrize(("width", "name"), [(263, "humanml3d"), (251, "kit")])
def test_both_layouts_are_told_by_their_width(tmp_path, width, name):
    dataset = open_dataset(make_folder(tmp_path / "data", width=width), "train")
    assert dataset.skeleton.name.lower().startswith(name[:3])
    assert dataset.features(dataset.items[0]).shape == (60, width)


def test_features_are_those_of_the_files(folder):
    dataset = open_dataset(folder, "val")
    for item in dataset.items:
        np.testing.assert_array_equal(dataset.features(item), np.load(folder / "new_joint_vecs" / f"{item.id}.npy"))


def items_of(folder, clip="000000"):
    return [item for item in open_dataset(folder, "train").items if item.clip == clip]


def with_times(folder, *times, clip="000000"):
    """One caption for each from and to."""
    lines = [f"line {row}#line/NOUN#{begin}#{end}" for row, (begin, end) in enumerate(times)]
    rewrite(folder, clip, "\n".join(lines))


def test_a_caption_with_times_becomes_an_entry_of_its_own(folder):
    """0.5 s to 2.6 s at 20 frames a second: frames 10 to 52, which are 42, enough for an entry of their own."""
    with (folder / "texts" / "000000.txt").open("a") as file:
        file.write("a person stops#a/DET person/NOUN stop/VERB#0.5#2.6\n")
    part, whole = items_of(folder)
    assert (whole.id, whole.first, whole.frames) == ("000000", 0, 60)
    assert (part.id, part.clip, part.first, part.frames) == ("000000@10-52", "000000", 10, 42)
    assert part.captions[0].text == "a person stops"
    clip = np.load(folder / "new_joint_vecs" / "000000.npy")
    np.testing.assert_array_equal(open_dataset(folder, "train").features(part), clip[10:52])


def test_every_line_with_times_is_an_entry_and_lines_without_share_one(folder):
    """Two lines of the same part are two entries, and a part of all 60 frames is not the whole: four, as published."""
    with_times(folder, (0, 0), (0.5, 2.6), (0.5, 2.6), (0, 3.0), ("nan", "nan"))
    assert [(item.id, [caption.text for caption in item.captions]) for item in items_of(folder)] == [
        ("000000@10-52", ["line 1"]),
        ("000000@10-52_2", ["line 2"]),
        ("000000@0-60", ["line 3"]),
        ("000000", ["line 0", "line 4"]),
    ]


def test_parts_of_a_motion_that_is_too_long_or_too_short_take_no_part(folder):
    """The rule is applied to the whole first: 230 frames with a part of 42 give no entry, and neither do 39 frames."""
    for clip, frames in (("000000", 230), ("000001", 39), ("000002", 199)):
        np.save(folder / "new_joint_vecs" / f"{clip}.npy", np.zeros((frames, 263), np.float32))
        with_times(folder, (0.5, 2.6), clip=clip)
    assert [len(items_of(folder, clip)) for clip in ("000000", "000001", "000002")] == [0, 0, 1]


def test_a_motion_without_a_caption_of_the_whole_has_no_entry_of_the_whole(folder):
    with_times(folder, (0.0, 2.5))
    assert [(item.id, item.frames) for item in items_of(folder)] == [("000000@0-50", 50)]


def test_shorter_motions_and_parts_can_be_asked_for(folder):
    """Frames 20 to 40 and 20 to 39: only the longer has the 20 frames that were asked for."""
    with_times(folder, (1.0, 2.0), (1.0, 1.99))
    items = open_dataset(folder, "train", min_frames=20).items
    assert [item.id for item in items if item.clip == "000000"] == ["000000@20-40"]


def test_the_published_order_is_by_length_and_equals_in_file_order(folder):
    """Clips have 60, 64, 68, 60, ... frames."""
    items = by_length(open_dataset(folder, "train").items)
    assert [item.id for item in items[:8]] == [*(f"{clip:06d}" for clip in range(0, 18, 3)), "000001", "000004"]


def test_kit_cuts_its_parts_at_20_frames_a_second_too(tmp_path):
    """As published: 1 s to 2.4 s are rows 20 to 48, though KIT's rows are 12.5 to the second."""
    folder = make_folder(tmp_path / "data", width=251)
    rewrite(folder, "000000", "a person stops#a/DET person/NOUN stop/VERB#1.0#2.4")
    (part,) = items_of(folder)
    assert (part.id, part.frames) == ("000000@20-48", 28)


def test_a_part_is_cut_at_the_end_of_its_motion(folder):
    """0.5 s to 9 s of 60 frames: frames 10 to 60; nothing is left of a part that starts behind the end or before 0."""
    lines = ["one#one/NUM#0.5#9", "two#two/NUM#4#9", "three#three/NUM#-1.5#9", "four#four/NUM#0#nan"]
    rewrite(folder, "000000", "\n".join(lines))
    entries = [(item.id, item.captions[0].text) for item in items_of(folder)]
    assert entries == [("000000@10-60", "one"), ("000000", "four")]


def as_collected(folder):
    """The names of the other variant that circulates."""
    for old, new in (("new_joint_vecs", "motions"), ("Mean.npy", "mean.npy"), ("Std.npy", "std.npy")):
        (folder / old).rename(folder / new)
    return folder


def as_unpacked_twice(folder):
    """Archives in folders of their own name."""
    for name in ("texts", "new_joint_vecs"):
        (folder / name).rename(folder / "inner")
        (folder / name).mkdir()
        (folder / "inner").rename(folder / name / name)
    return folder


def as_cloned(folder):
    """The data folder inside a folder of something else, as its repository has it."""
    folder.rename(folder.with_name("inner"))
    (folder / "assets").mkdir(parents=True)
    folder.with_name("inner").rename(folder / "HumanML3D")
    return folder


@pytest.mark.parametrize("width", [263, 251])
@pytest.mark.parametrize("arranged", [as_collected, as_unpacked_twice, as_cloned])
def test_the_variants_that_circulate_are_read_alike(tmp_path, width, arranged):
    plain = open_dataset(make_folder(tmp_path / "plain", width=width), "train")
    other = open_dataset(arranged(make_folder(tmp_path / "other", width=width)), "train")
    assert other.skeleton == plain.skeleton
    assert [(item.id, item.captions) for item in other.items] == [(item.id, item.captions) for item in plain.items]
    for one, same in zip(plain.items, other.items, strict=True):
        np.testing.assert_array_equal(other.features(same), plain.features(one))


def test_a_folder_of_several_data_folders_is_asked_for_one(tmp_path):
    make_folder(tmp_path / "HumanML3D"), make_folder(tmp_path / "KIT-ML", width=251)
    with pytest.raises(InputError, match="several data folders .HumanML3D, KIT-ML."):
        open_dataset(tmp_path, "train")


def test_an_id_without_a_file_is_left_out_and_named(folder):
    with (folder / "train.txt").open("a") as file:
        file.write("999999\n")
    assert open_dataset(folder, "train").skipped == {"999999": "has no file"}


def test_short_and_long_motions_are_left_out_as_published(folder):
    for clip, frames in (("000000", 39), ("000001", 200), ("000002", 40), ("000003", 199)):
        np.save(folder / "new_joint_vecs" / f"{clip}.npy", np.zeros((frames, 263), np.float32))
    ids = {item.id for item in open_dataset(folder, "train").items}
    assert ids & {"000000", "000001", "000002", "000003"} == {"000002", "000003"}


def test_a_changed_clip_makes_another_store(folder):
    open_dataset(folder, "train")
    np.save(folder / "new_joint_vecs" / "000000.npy", np.full((44, 263), 7, np.float32))
    dataset = open_dataset(folder, "train")
    assert dataset.features(dataset.items[0])[0, 0] == 7


def test_a_changed_caption_is_read_and_what_was_built_before_is_gone(folder):
    open_dataset(folder, "train")
    built = set((folder / ".atm").iterdir())
    rewrite(folder, "000000", "a person swims#a/DET person/NOUN swim/VERB#0.0#0.0")
    assert open_dataset(folder, "train").items[0].captions[0].text == "a person swims"
    kept = set((folder / ".atm").iterdir()) & built
    assert len(kept) == len(built) - 2 == 4, "all but the captions and their seal"


def test_a_byte_order_mark_is_no_part_of_a_caption(folder):
    text = "a person swims#a/DET person/NOUN swim/VERB#0.0#0.0\n"
    (folder / "texts" / "000000.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert open_dataset(folder, "train").items[0].captions[0].text == "a person swims"


def test_a_text_that_is_no_utf8_is_named(folder):
    (folder / "texts" / "000000.txt").write_bytes("a café#café/NOUN#0#0".encode("latin-1"))
    with pytest.raises(InputError, match=r"000000\.txt: it is no UTF-8"):
        open_dataset(folder, "train")


@pytest.mark.parametrize("content", ["{", "[]", '{"000000": 3}'])
def test_a_broken_programs_file_is_named(folder, content):
    (folder / "programs.json").write_text(content)
    with pytest.raises(InputError, match=r"cannot read .*programs\.json"):
        open_dataset(folder, "train")


def test_programs_of_scripted_clips_come_with_their_items(folder):
    programs = {f"{i:06d}": [{"verb": "walk", "count": i}] for i in range(24)}
    (folder / "programs.json").write_text(json.dumps(programs))
    assert all(item.program == programs[item.id] for item in open_dataset(folder, "train").items)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda f: np.save(f, np.full((60, 263), np.nan, np.float32)), "NaN"),
        (lambda f: np.save(f, np.zeros((60, 251), np.float32)), r"shape \(60, 251\)"),
        (lambda f: f.write_bytes(b"no array"), "cannot be read"),
        (lambda f: np.save(f, np.zeros((0, 263), np.float32)), "no frames"),
    ],
)
def test_a_bad_clip_is_left_out_and_named(folder, damage, reason):
    damage(folder / "new_joint_vecs" / "000001.npy")
    dataset = open_dataset(folder, "train")
    assert "000001" not in {item.id for item in dataset.items}
    assert re.search(reason, dataset.skipped["000001"])


@pytest.mark.parametrize("name", ["Mean.npy", "Std.npy", "texts", "new_joint_vecs"])
def test_a_missing_part_of_the_folder_is_named(folder, name):
    (folder / name).rename(folder / "elsewhere")
    with pytest.raises(InputError, match=f"has no {name}"):
        open_dataset(folder, "train")


def test_a_missing_split_lists_those_that_are_there(folder):
    with pytest.raises(InputError, match="no split 'trian'.*test, train, val"):
        open_dataset(folder, "trian")


def test_no_folder_is_said_with_what_to_do(tmp_path):
    with pytest.raises(InputError, match="no data folder.*atm data scripted"):
        open_dataset(tmp_path / "nowhere", "train")


def test_a_text_file_without_captions_is_named(folder):
    rewrite(folder, "000000", "")
    with pytest.raises(InputError, match=r"000000\.txt holds no caption"):
        open_dataset(folder, "train")


def test_a_line_of_another_form_is_shown(folder):
    rewrite(folder, "000000", "a caption without anything behind it")
    with pytest.raises(InputError, match="expected caption#word/POS"):
        read_captions(folder / "texts" / "000000.txt")


def sampler(folder, **options):
    options = {"batch_size": 4, "seed": 1} | options
    return BatchSampler(open_dataset(folder, "train"), FakeTextEncoder(), **options)


def test_a_batch_depends_on_seed_and_step_alone(folder):
    first, again = sampler(folder), sampler(folder)
    again(0)
    assert first(5).text == again(5).text
    assert (first(5).motion.features == again(5).motion.features).all()
    assert sampler(folder, seed=2)(5).ids != first(5).ids


@pytest.mark.parametrize("sort_over", [1, 2])
def test_an_epoch_visits_every_motion_at_most_once(folder, sort_over):
    draw = sampler(folder, sort_over=sort_over)
    seen = [clip for step in range(4) for clip in draw(step).ids]
    assert len(seen) == len(set(seen)) == 16


def test_crops_are_multiples_of_four_and_pieces_of_their_clip(folder):
    batch = sampler(folder)(0)
    for row, clip in enumerate(batch.ids):
        frames = int(batch.motion.lengths[row])
        whole = np.load(folder / "new_joint_vecs" / f"{clip}.npy")
        crop = batch.motion.features[row, :frames].numpy()
        assert frames % 4 == 0
        assert any((whole[s : s + frames] == crop).all() for s in range(len(whole) - frames + 1))
        assert not batch.motion.features[row, frames:].any()


def test_sorting_by_length_puts_motions_of_like_length_together(folder):
    for clip in range(18):
        np.save(folder / "new_joint_vecs" / f"{clip:06d}.npy", np.zeros((40 + 8 * clip, 263), np.float32))
    spread = {}
    for sort_over in (1, 4):
        batches = [sampler(folder, sort_over=sort_over)(step).motion.lengths for step in range(4)]
        spread[sort_over] = sum(int(lengths.max() - lengths.min()) for lengths in batches)
    assert spread[4] < spread[1] / 2


def test_putting_like_actions_together_fills_batches_with_motions_that_differ_in_numbers_alone(folder):
    """Sixteen motions of four actions, four times each: whole epochs sorted by action give batches of one action."""
    for clip in range(18):
        said = ["walks", "jumps", "waves", "sits down"][clip % 4]
        (folder / "texts" / f"{clip:06d}.txt").write_text(f"a person {said} {clip + 2} times#a/DET#0.0#0.0\n")
    ways = {}
    for alike_over in (1, 4):
        draw = sampler(folder, alike_over=alike_over)
        texts = [draw(step).text for step in range(4)]
        assert len({text for batch in texts for text in batch}) == 16
        ways[alike_over] = [len({text.split()[2] for text in batch}) for batch in texts]
    assert sum(ways[4]) < sum(ways[1])
    assert max(ways[4]) <= 2


def test_a_fixed_number_of_frames_is_padded_to(folder):
    assert sampler(folder, pad_to=196)(0).motion.features.shape == (4, 196, 263)


def test_too_few_frames_to_pad_to_are_refused_at_the_start(folder):
    """The motions have 60, 64 and 68 frames, so the longest crop has 68."""
    assert sampler(folder, pad_to=68)(0).motion.features.shape[1] == 68
    with pytest.raises(InputError, match="pad_to=67 .* up to 68 frames"):
        sampler(folder, pad_to=67)
