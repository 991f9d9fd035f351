import time

import pytest
import torch

from atm.base.errors import InputError
from atm.interface import TextEmbedding, TextEncoder
from atm.text import CachedTextEncoder, default_cache


class CountingEncoder:
    """One token per letter, its code in every column; remembers what it was asked."""

    name, version, token_width, sentence_width = "counting", "1", 4, 2

    def __init__(self):
        self.asked: list[str] = []

    def __call__(self, text: list[str]) -> TextEmbedding:
        self.asked += text
        tokens = torch.zeros(len(text), max(map(len, text)), 4)
        mask = torch.zeros(tokens.shape[:2], dtype=torch.bool)
        for i, caption in enumerate(text):
            tokens[i, : len(caption)] = torch.tensor([float(ord(letter)) for letter in caption])[:, None]
            mask[i, : len(caption)] = True
        return TextEmbedding(tokens, mask, torch.tensor([[float(len(c)), 1.0] for c in text]))


def assert_same(found: TextEmbedding, expected: TextEmbedding):
    torch.testing.assert_close(found.tokens, expected.tokens)
    assert torch.equal(found.mask, expected.mask)
    torch.testing.assert_close(found.sentence, expected.sentence)


def test_answers_from_memory_what_the_encoder_says(tmp_path):
    encoder = CountingEncoder()
    cached = CachedTextEncoder(encoder, tmp_path)
    cached.prepare(["walk", "run", "jump up", "run"], progress=False)
    assert sorted(encoder.asked) == ["jump up", "run", "walk"]
    encoder.asked.clear()
    assert_same(cached(["run", "jump up", "run"]), CountingEncoder()(["run", "jump up", "run"]))
    assert encoder.asked == []
    assert isinstance(cached, TextEncoder)


def test_asks_the_encoder_for_what_was_not_prepared(tmp_path):
    encoder = CountingEncoder()
    cached = CachedTextEncoder(encoder, tmp_path)
    cached.prepare(["walk"], progress=False)
    encoder.asked.clear()
    assert_same(cached(["hop", "walk", "hop"]), CountingEncoder()(["hop", "walk", "hop"]))
    assert encoder.asked == ["hop"]


def test_the_empty_string_is_no_prompt_but_can_be_asked_for_and_is_asked_once(tmp_path):
    encoder = CountingEncoder()
    cached = CachedTextEncoder(encoder, tmp_path)
    with pytest.raises(InputError, match="prompt is empty"):
        cached([""])
    for _ in range(2):
        assert_same(cached.embed_nothing(), CountingEncoder()([""]))
    assert encoder.asked == [""]


def test_a_second_run_reads_from_disk_whatever_the_order(tmp_path):
    CachedTextEncoder(CountingEncoder(), tmp_path).prepare(["walk", "run"], progress=False)
    encoder = CountingEncoder()
    cached = CachedTextEncoder(encoder, tmp_path)
    cached.prepare(["run", "walk"], progress=False)
    assert encoder.asked == []
    assert_same(cached(["run"]), CountingEncoder()(["run"]))


class PaddedEncoder(CountingEncoder):
    """Says something behind a caption's end, up to 9 places."""

    padded = True

    def __call__(self, text: list[str]) -> TextEmbedding:
        short, mask, sentence = super().__call__(text)
        tokens, whole = torch.full((len(text), 9, 4), -1.0), torch.zeros(len(text), 9, dtype=torch.bool)
        whole[:, : mask.shape[1]] = mask
        tokens[whole] = short[mask]
        return TextEmbedding(tokens, whole, sentence)


def test_states_behind_the_end_are_kept_where_the_encoder_gives_any(tmp_path):
    for _ in ("computed", "from disk"):
        cached = CachedTextEncoder(PaddedEncoder(), tmp_path)
        cached.prepare(["walk", "run"], progress=False)
        assert_same(cached(["run", "walk", "hop"]), PaddedEncoder()(["run", "walk", "hop"]))


def test_a_second_caption_set_computes_only_what_is_new(tmp_path):
    encoder = CountingEncoder()
    cached = CachedTextEncoder(encoder, tmp_path)
    cached.prepare(["walk", "run"], progress=False)
    encoder.asked.clear()
    cached.prepare(["walk", "run", "hop"], progress=False)
    assert encoder.asked == ["hop"]
    assert_same(cached(["hop", "walk"]), CountingEncoder()(["hop", "walk"]))


def test_another_set_takes_from_disk_what_it_shares_with_those_that_are_there(tmp_path):
    CachedTextEncoder(CountingEncoder(), tmp_path).prepare(["walk", "run", "jump"], progress=False)
    CachedTextEncoder(CountingEncoder(), tmp_path).prepare(["sit"], progress=False)
    encoder = CountingEncoder()
    cached = CachedTextEncoder(encoder, tmp_path)
    cached.prepare(["run", "hop", "sit"], progress=False)
    assert encoder.asked == ["hop"]
    assert_same(cached(["hop", "run", "sit"]), CountingEncoder()(["hop", "run", "sit"]))


def test_a_stopped_run_keeps_what_it_computed_and_leaves_no_parts_behind(tmp_path, monkeypatch):
    """Parts of 4 captions, 2 at a time: the fifth batch fails, so that two parts are there."""
    monkeypatch.setattr("atm.text.cached._BATCH", 2)
    monkeypatch.setattr("atm.text.cached._PART", 4)
    captions = ["walk " + "x" * i for i in range(11)]

    class Failing(CountingEncoder):
        def __call__(self, text):
            if len(self.asked) == 8:
                raise KeyboardInterrupt
            return super().__call__(text)

    with pytest.raises(KeyboardInterrupt):
        CachedTextEncoder(Failing(), tmp_path).prepare(captions, progress=False)
    encoder = CountingEncoder()
    cached = CachedTextEncoder(encoder, tmp_path)
    cached.prepare(captions, progress=False)
    assert sorted(encoder.asked) == captions[8:]
    assert_same(cached(captions), CountingEncoder()(captions))
    assert [file.name[:5] for file in tmp_path.rglob("*.safetensors") if file.name.startswith("part-")] == []


def test_captions_of_like_length_are_computed_together(tmp_path, monkeypatch):
    monkeypatch.setattr("atm.text.cached._BATCH", 2)
    encoder = CountingEncoder()
    CachedTextEncoder(encoder, tmp_path).prepare(["a" * n for n in (5, 1, 4, 2, 3, 6)], progress=False)
    assert [len(caption) for caption in encoder.asked] == [1, 2, 3, 4, 5, 6]


def test_what_was_not_prepared_is_asked_few_at_a_time_with_those_of_like_length(tmp_path, monkeypatch):
    monkeypatch.setattr("atm.text.cached._AT_ONCE_ON_CPU", 2)

    class Batches(CountingEncoder):
        def __call__(self, text):
            self.batches = [*getattr(self, "batches", []), [len(caption) for caption in text]]
            return super().__call__(text)

    encoder, captions = Batches(), ["a" * n for n in (5, 1, 4, 2, 3, 5)]
    assert_same(CachedTextEncoder(encoder, tmp_path)(captions), CountingEncoder()(captions))
    assert encoder.batches == [[1, 2], [3, 4], [5]]


def test_computing_shows_in_a_log_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("atm.base.progress.LINE_EVERY", 0.0)
    CachedTextEncoder(CountingEncoder(), tmp_path).prepare(["walk", "run"], progress=True)
    assert "embedding captions with counting: 2 of 2" in capsys.readouterr().err


def test_other_weights_have_their_own_entries(tmp_path):
    CachedTextEncoder(CountingEncoder(), tmp_path).prepare(["walk"], progress=False)
    changed = CountingEncoder()
    changed.version = "2"
    CachedTextEncoder(changed, tmp_path).prepare(["walk"], progress=False)
    assert changed.asked == ["walk"]


def test_a_damaged_file_is_made_again(tmp_path):
    CachedTextEncoder(CountingEncoder(), tmp_path).prepare(["walk"], progress=False)
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-5])
    cached = CachedTextEncoder(CountingEncoder(), tmp_path)
    cached.prepare(["walk"], progress=False)
    assert_same(cached(["walk"]), CountingEncoder()(["walk"]))
    assert sorted(f.name for f in tmp_path.rglob("*") if f.is_file()) == [file.name, f"{file.name}.seal"]


def test_a_folder_that_cannot_be_written_costs_a_warning_only(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cached = CachedTextEncoder(CountingEncoder(), tmp_path / "file")
    with pytest.warns(UserWarning, match="cannot keep text embeddings"):
        cached.prepare(["walk"], progress=False)
    assert_same(cached(["walk"]), CountingEncoder()(["walk"]))


def test_blank_captions_are_refused(tmp_path):
    cached = CachedTextEncoder(CountingEncoder(), tmp_path)
    with pytest.raises(InputError, match="empty"):
        cached([" "])
    with pytest.raises(InputError, match="empty"):
        cached.prepare(["walk", ""], progress=False)


def test_the_default_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("ATM_CACHE", str(tmp_path))
    assert default_cache() == tmp_path / "text"


def test_a_batch_of_64_takes_few_milliseconds(tmp_path):
    """Ten times the 3 ms that a quiet machine is far below, so that a busy one does not fail."""
    captions = ["x" * (8 + i % 16) for i in range(16)] + [f"caption number {i}" for i in range(48)]
    cached = CachedTextEncoder(CountingEncoder(), tmp_path)
    cached.prepare(captions, progress=False)
    times = []
    for _ in range(10):
        start = time.perf_counter()
        cached(captions)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.03
