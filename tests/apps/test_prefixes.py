"""A run that dies between any two of its files goes on from there, and comes to the same end as one that never died."""

from pathlib import Path

import pytest
import torch

from atm.apps import train as start
from atm.base import storage
from atm.base.config import override
from atm.base.errors import InputError
from atm.base.storage import read_model
from atm.text import load_text_encoder
from atm.training.config import TrainConfig
from atm.training.presets import preset
from atm.training.record import RunFolder
from folders import make_folder

TINY = ["model.width=16", "model.feed_forward=16", "model.layers=1", "model.heads=2", "model.frame_width=8"]
SHORT = ["steps=2", "batch_size=4", "precision=32-true", "log_every=1", "checkpoint_every=1"]


class Died(BaseException):
    """As a killed process: no line of the project handles it."""


@pytest.fixture(scope="module")
def minilm():
    return load_text_encoder()


@pytest.fixture(autouse=True)
def one_language_model(minilm, monkeypatch):
    monkeypatch.setattr(start, "load_text_encoder", lambda _name: minilm)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("data") / "data", clips=16)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory, minilm):
    """The weights of a run that nothing happened to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "load_text_encoder", lambda _name: minilm)
        out = tmp_path_factory.mktemp("whole") / "run"
        start.start(config(data), out, show_progress=False)
    return read_model(out / "model.safetensors").state


def config(data) -> TrainConfig:
    return override(preset("mdm_small"), [f"data={data}", *TINY, *SHORT])


def die_at(monkeypatch, run: Path, number: int) -> None:
    """Let the process die before file `number` of the run folder takes its place."""
    moved = 0
    replace = Path.replace

    def counted(self, target):
        nonlocal moved
        if Path(target).is_relative_to(run):
            if moved == number:
                raise Died
            moved += 1
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", counted)


def train(data, run: Path) -> None:
    start.start(config(data), run, show_progress=False)


def resume(_data, run: Path) -> None:
    start.resume(run, show_progress=False)


def study(data, run: Path) -> None:
    """What the demo and the studies call."""
    start.start_or_resume(config(data), run, minutes=5, show_progress=False)


def the_hint(data, run: Path) -> None:
    """A user who types one of the two commands, and then what its answer says."""
    try:
        train(data, run)
    except InputError as error:
        assert f"atm train --resume {run}" in str(error)
        resume(data, run)


@pytest.mark.parametrize("go_on", [study, the_hint])
@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, pytest.param(5, marks=pytest.mark.slow), 8])
def test_a_run_goes_on_from_every_prefix_of_its_files(tmp_path, data, whole, monkeypatch, number, go_on):
    run = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(Died):
        die_at(patch, run.resolve(), number)
        train(data, run)
    go_on(data, run)
    state = read_model(run / "model.safetensors").state
    assert all(torch.equal(value, whole[name]) for name, value in state.items())
    assert [line["step"] for line in RunFolder(run).read_metrics()] == [1, 2]
    assert RunFolder(run).read_record()["step"] == 2
    left = [path.name for path in run.rglob("*") if ".part" in path.name or path.suffix == ".lock"]
    assert not left


def test_a_run_that_died_before_its_first_checkpoint_begins_anew_from_the_same_model(tmp_path, data, monkeypatch):
    start.start(config(data), tmp_path / "first", show_progress=False)
    second = start.with_model_of(config(data), tmp_path / "first")
    start.start(second, tmp_path / "second", from_model=tmp_path / "first", show_progress=False)
    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr("atm.training.loop.save_checkpoint", lambda *_: (_ for _ in ()).throw(Died))
        start.start(second, tmp_path / "third", from_model=tmp_path / "first", show_progress=False)
    start.resume(tmp_path / "third", show_progress=False)
    kept, again = (read_model(tmp_path / name / "model.safetensors").state for name in ("second", "third"))
    assert all(torch.equal(value, kept[name]) for name, value in again.items())


def test_a_config_without_a_record_is_begun_again_by_train_and_resume_says_so(tmp_path, data):
    from atm.base.config import save

    run = tmp_path / "run"
    run.mkdir()
    save(config(data), run / "config.yaml")
    with pytest.raises(InputError, match="neither a checkpoint nor a record .*: start it again with `atm train"):
        resume(data, run)
    train(data, run)
    assert RunFolder(run).read_record()["step"] == 2


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_damaged_record_is_one_sentence(tmp_path, content):
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(InputError, match="record"):
        RunFolder(tmp_path).read_record()


@pytest.mark.parametrize("content", [b"\0" * 64 + b"\xff\n", b"{}\n", b"[]\n", b'{"step": "x"}\n', b"[" * 50_000])
def test_metrics_that_are_none_are_left_out(tmp_path, content):
    run = RunFolder(tmp_path)
    run.append_metrics({"step": 1, "loss": 2.0})
    with run.metrics.open("ab") as file:
        file.write(content)
    run.drop_metrics_after(1)
    assert run.read_metrics() == [{"step": 1, "loss": 2.0}]


def test_nothing_is_written_by_another_way_than_the_one_function():
    """`Path.replace` stands in `storage` alone, so that the test above sees every file that a run moves."""
    source = Path(storage.__file__).parents[1]
    others = [
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if path.name != "storage.py" and (".replace(target)" in path.read_text() or "os.replace" in path.read_text())
    ]
    assert not others
