"""Prompt files, and the page that compares models on them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from atm.apps.compare.answers import Answer, answer_prompts
from atm.apps.compare.command import compare_models
from atm.apps.compare.prompts import Prompt, read_prompts
from atm.apps.compare.sections import MOST_MOTIONS, answer_view, motion_section, score_rows
from atm.base.errors import InputError
from atm.generators.mdm.config import MDMConfig
from atm.generators.mdm.model import MDM
from atm.interface import Capabilities
from atm.models import save_generator
from atm.motion import HUMANML3D, Motion
from atm.motion.layers import Normaliser
from atm.motion.program import Action, Program
from atm.scripted.asked import Asked
from atm.scripted.examine import examine
from atm.scripted.motion.perform import perform
from atm.text import load_text_encoder

CLAP = Program((Action("clap", 3),))


def written(file: Path, content: str) -> Path:
    file.write_text(content, encoding="utf-8")
    return file


def test_a_text_file_has_a_prompt_a_line(tmp_path):
    file = written(tmp_path / "mine.txt", "# counts\n\na person claps 3 times\n  he bows  \n")
    prompts = read_prompts(file, seconds=5)
    assert [(prompt.text, prompt.seconds) for prompt in prompts] == [("a person claps 3 times", 5), ("he bows", 5)]
    assert prompts[0].asked.program == CLAP


def test_a_json_file_may_say_seconds_and_what_is_asked(tmp_path):
    rows = ["he bows", {"text": "applause, thrice", "seconds": 3, "program": [{"verb": "clap", "count": 3}]}]
    first, second = read_prompts(written(tmp_path / "mine.json", json.dumps(rows)))
    assert first.seconds == 6 and first.asked.program == Program((Action("bow"),))
    assert second.seconds == 3 and second.asked.program == CLAP


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "# nothing\n\n", "holds no prompts: expected one sentence a line"),
        ("a.json", "{", "cannot read the prompts"),
        ("a.json", "[]", "holds no prompts"),
        ("a.json", '{"text": "he bows"}', "holds no prompts"),
        ("a.json", '["he bows", {"seconds": 3}]', "prompt 2 of .* has no sentence"),
        (
            "a.json",
            '[{"text": "he bows", "second": 3}]',
            "unknown key in prompt 1 of .* 'second': did you mean 'seconds'",
        ),
        ("a.json", '[{"text": "he bows", "seconds": 0}]', "seconds must be a number > 0, got 0"),
        ("a.json", '[{"text": "he bows", "program": [{"word": "bow"}]}]', "no list of actions as in programs.json"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, name, content, message):
    with pytest.raises(InputError, match=message):
        read_prompts(written(tmp_path / name, content))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot read the prompts"):
        read_prompts(tmp_path / "none.txt")


class Still:
    """A generator whose motion says which sentence and which noise it was made of: both move the root sideways."""

    capabilities = Capabilities()

    def __init__(self):
        self.normaliser = Normaliser.identity(263)
        self.config = MDMConfig()

    def training_step(self, batch, rng):
        raise NotImplementedError

    def sample(self, text, lengths, *, seeds, guidance_scale=None, progress=False) -> Motion:
        features = torch.zeros(len(text), int(lengths.max()), 263)
        features[:, :, 3] = 1.0
        features[:, :, 1] = torch.tensor(
            [[len(sentence) + seed % 97] for sentence, seed in zip(text, seeds, strict=True)]
        )
        return Motion(features, lengths)


def prompt(text: str, seconds: float = 2.0) -> Prompt:
    return Prompt(text, seconds, Asked(CLAP))


def test_every_model_gets_the_same_sentences_and_noise():
    prompts = [prompt("he claps"), prompt("she claps slowly", 3.0), prompt("clap")]
    answers = answer_prompts({"a": Still(), "b": Still()}, prompts, samples=2, seed=1, show_progress=False)
    order = [(one.prompt.text, one.sample, one.model) for one in answers]
    assert order == [(p.text, k, model) for p in prompts for k in (0, 1) for model in ("a", "b")]
    for first, second in zip(answers[::2], answers[1::2], strict=True):
        np.testing.assert_array_equal(first.joints, second.joints)
    assert not np.array_equal(answers[0].joints, answers[2].joints)
    assert [len(one.joints) for one in answers[::4]] == [40, 60, 40]


def answer(text: str, model: str, claps: int) -> Answer:
    joints = perform(Program((Action("clap", claps),)), np.random.default_rng(0))
    return Answer(prompt(text), model, 0, joints, HUMANML3D, examine(joints, Asked(CLAP)))


def test_scores_count_the_right_motions_of_each_model():
    answers = [answer("one", "a", 3), answer("one", "b", 2), answer("two", "a", 3), answer("two", "b", 3)]
    assert score_rows(answers) == [
        ("a", ["2 of 2", "2 of 2", None, None, None]),
        ("b", ["1 of 2", "1 of 2", None, None, None]),
    ]


def test_a_view_has_a_column_for_each_model_and_the_verdict_below():
    html = answer_view([answer("one", "a", 3), answer("one", "b", 2)], {"b": "the better"})
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html)[1])
    assert data["columns"] == 2 and data["title"] == "“one”"
    assert [pane["label"] for pane in data["panes"]] == ["a", "the better"]
    assert [pane["caption"] for pane in data["panes"]] == ["✓ 3 claps", "✗ asked 3 claps, made 2"]


def test_a_page_shows_no_more_motions_than_it_can_carry_and_says_so():
    one = answer("same", "a", 3)
    many = [Answer(prompt(f"prompt {i}"), "a", 0, one.joints, HUMANML3D, one.examined) for i in range(MOST_MOTIONS + 1)]
    html = motion_section(many)
    assert html.count("<figure") == MOST_MOTIONS
    assert f"The page ends here, at {MOST_MOTIONS} motions" in html


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A tiny MDM with random weights, as a run folder's model."""
    minilm = load_text_encoder()
    config = MDMConfig(
        width=16, heads=2, feed_forward=16, layers=1, diffusion_steps=4, mask_frames=True, text_encoder="minilm"
    )
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("runs") / "first"
    folder.mkdir()
    save_generator(folder / "model.safetensors", MDM(config, minilm, Normaliser.identity(263)))
    return folder


def test_a_page_and_its_data_are_written(model, tmp_path):
    prompts = written(tmp_path / "mine.txt", "a person claps 3 times\na person juggles\n")
    out = tmp_path / "new" / "page.html"
    answers = compare_models([model], prompts=prompts, seconds=2, out=out, show_progress=False)
    assert len(answers) == 2
    rows = json.loads(out.with_suffix(".json").read_text())
    assert [(row["prompt"], row["model"]) for row in rows] == [(answer.prompt.text, "first") for answer in answers]
    assert rows[0]["program"] == [{"verb": "clap", "count": 3, "speed": "normal"}]
    assert rows[0]["findings"][0]["text"] == answers[0].examined.findings[0].text
    assert rows[1]["right"] is None and rows[1]["not judged"] == ["juggle"]
    page = out.read_text()
    assert "Not judged, since the oracles do not know it: juggle." in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


def test_models_of_one_name_are_told_apart_and_one_twice_is_refused(model, tmp_path):
    other = tmp_path / "second" / "first"
    other.mkdir(parents=True)
    (other / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes())
    prompts = written(tmp_path / "mine.txt", "he bows\n")
    answers = compare_models([model, other], prompts=prompts, seconds=2, out=tmp_path / "p.html", show_progress=False)
    assert [answer.model for answer in answers] == [f"{model.parent.name}/first", "second/first"]
    with pytest.raises(InputError, match="compared with itself"):
        compare_models([model, model], prompts=prompts, out=tmp_path / "p.html")


def test_a_page_has_the_suffix_of_one(model):
    with pytest.raises(InputError, match="ends in .html, got page.json"):
        compare_models([model], out=Path("page.json"))
