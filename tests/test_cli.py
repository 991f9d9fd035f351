"""The command line: what works prints the path last; what is wrong gets one sentence and exit code 2."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from atm import cli
from atm.export import load_motion
from atm.generators.mdm.config import MDMConfig
from atm.generators.mdm.model import MDM
from atm.models import save_generator
from atm.motion import HUMANML3D, bone_stretch, joints_from_features
from atm.motion.layers import Normaliser
from atm.text import load_text_encoder
from atm.training.presets import all_presets
from folders import make_folder

PROMPT = "a person walks forward"
TINY = ["model.width=16", "model.feed_forward=16", "model.layers=1", "model.heads=2", "model.frame_width=8"]
TRAIN = ["train", "mdm_small", *TINY, "steps=1", "batch_size=4"]


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def atm(monkeypatch, capsys, tmp_path):
    """Runs a command as the shell would, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["atm", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return Done(ended.value.code or 0, captured.out, captured.err)

    return run


@pytest.fixture
def refused(atm):
    """Runs a command that must fail; gives its one sentence."""

    def run(*arguments: object) -> str:
        done = atm(*arguments)
        lines = [line for line in done.err.splitlines() if line.startswith("error: ")]
        assert done.code == 2, done.err
        assert len(lines) == 1 and done.err.strip().splitlines()[-1] == lines[0], done.err
        assert "Traceback" not in done.err
        return lines[0].removeprefix("error: ")

    return run


@pytest.fixture(scope="module")
def minilm():
    return load_text_encoder()


@pytest.fixture(scope="module")
def model(tmp_path_factory, minilm) -> Path:
    """A tiny MDM with random weights."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_generator(path, tiny_mdm(minilm))
    return path


def tiny_mdm(minilm, width: int = 263) -> MDM:
    torch.manual_seed(0)
    config = MDMConfig(
        width=16, heads=2, feed_forward=16, layers=1, diffusion_steps=4, mask_frames=True, text_encoder="minilm"
    )
    return MDM(config, minilm, Normaliser.identity(width))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_folder(tmp_path_factory.mktemp("data") / "data", clips=16)


def test_the_last_line_of_generate_is_the_path_and_one_seed_gives_one_motion(atm, model):
    for name in ("a", "b"):
        done = atm("generate", PROMPT, "--model", model, "--seconds", 2, "--out", f"{name}.npz", "--quiet")
        assert done.code == 0, done.err
        assert done.out.splitlines()[-1] == f"{name}.npz"
    first, again = (np.load(f"{name}.npz") for name in ("a", "b"))
    assert first["joints"].shape == (40, 22, 3)  # 2 s at 20 frames per second
    np.testing.assert_array_equal(first["joints"], again["joints"])


def test_several_sentences_and_samples_become_several_files(atm, model):
    done = atm(
        "generate", PROMPT, "he sits", "--samples", 2, "--model", model, "--seconds", 1, "--out", "all",
        "--format", "bvh", "--quiet",
    )  # fmt: skip
    names = [Path(line).name for line in done.out.splitlines()]
    assert names == [f"0-a-person-walks-forward-{k}.bvh" for k in (0, 1)] + [f"1-he-sits-{k}.bvh" for k in (0, 1)]
    assert all((Path("all") / name).is_file() for name in names)


@pytest.mark.slow
def test_the_best_of_several_motions_says_so_in_its_file(atm, model):
    asked = ["generate", PROMPT, "--model", model, "--best-of", 2, "--seconds", 1, "--out", "best.npz", "--quiet"]
    done = atm(*asked, "--space", "space_meaning")
    assert done.code == 0, done.err
    assert load_motion(Path("best.npz")).provenance["best_of"] == 2


def test_trained_stages_become_a_model_that_generates(atm, refused, data):
    codes = ["model.codes=16", "model.code_width=8"]
    trunk = [f"model.trunk.{size}" for size in ("width=16", "layers=1", "heads=2", "feed_forward=16")]
    sizes = {
        "momask_rvq": [*codes, "model.width=16", "model.depth=1", "model.levels=2"],
        "momask_residual": [*codes, *trunk, "model.levels=2", "model.tokeniser=momask_rvq"],
        "bamm_transformer": [*codes, *trunk, "model.tokeniser=momask_rvq"],
    }
    for name, settings in sizes.items():
        done = atm(
            "train", f"{name}_small", f"data={data}", *settings, "steps=1", "batch_size=4", "--out", name, "--quiet"
        )
        assert done.code == 0, done.err
    assert "there is none of bamm_transformer" in refused("assemble", "bamm", "momask_residual", "momask_rvq")
    done = atm("assemble", "bamm", *sizes, "--out", "whole")
    assert done.out.splitlines()[-1] == "whole"
    done = atm("generate", PROMPT, "--model", "whole", "--seconds", 1, "--out", "motion.npz", "--quiet")
    assert done.code == 0, done.err
    assert np.load("motion.npz")["joints"].shape == (20, 22, 3)


def test_a_motion_file_becomes_another(atm, model):
    atm("generate", PROMPT, "--model", model, "--seconds", 1, "--quiet")
    done = atm("export", "motion.npz", "motion.html")
    assert (done.code, done.out) == (0, "motion.html\n")
    assert PROMPT in Path("motion.html").read_text()
    done = atm("export", "motion.npz", "motion.bvh", "--template", "--fix-feet")
    assert (done.code, done.out) == (0, "motion.bvh\n")
    done = atm("export", "motion.npz", "files", "--format", "glb,amass", "--format", "csv")
    assert (done.code, done.out) == (0, "files/motion.glb\nfiles/motion.amass.npz\nfiles/motion.csv\n")
    assert "motion.amass.npz: on SMPL's mean body the joints come within" in done.err
    assert Path("motion.bvh").read_text().startswith("HIERARCHY\nROOT Hips\n")


def test_a_motion_is_on_a_body_that_holds_unless_it_shall_be_raw(atm, model):
    """Bones as in no network's output; features in the file say what the joints say; raw ones are the network's."""
    asked = ["generate", PROMPT, "--model", model, "--seconds", 2, "--quiet", "--out"]
    atm(*asked, "held.npz")
    atm(*asked, "raw.npz", "--raw")
    held, raw = (load_motion(Path(f"{name}.npz")) for name in ("held", "raw"))
    stretch = [bone_stretch(torch.from_numpy(motion.joints).double(), HUMANML3D) for motion in (held, raw)]
    assert stretch[0] < 1e-3 < 1 < stretch[1]  # cm; the file has float32
    assert [motion.provenance["raw"] for motion in (held, raw)] == [False, True]
    for motion in (held, raw):
        joints = joints_from_features(torch.from_numpy(motion.features), HUMANML3D)
        np.testing.assert_allclose(joints.numpy(), motion.joints, atol=1e-3)


def test_a_sentence_that_was_not_understood_gets_one_warning_and_a_motion(atm, model):
    done = atm("generate", "asdf qwer", "--samples", 2, "--model", model, "--seconds", 1, "--out", "a", "--quiet")
    assert done.code == 0
    (line,) = done.err.splitlines()
    assert line.startswith("warning: no action that the model was taught was read in 'asdf qwer', and it reads English")


@pytest.mark.parametrize("raw", [(), ("--raw",)])
def test_a_model_that_gives_no_numbers_is_said_to_give_none(refused, tmp_path, minilm, raw):
    broken = tiny_mdm(minilm)
    with torch.no_grad():
        next(broken.parameters()).fill_(3e38)
    save_generator(tmp_path / "huge.safetensors", broken)
    said = refused("generate", PROMPT, "--model", "huge.safetensors", "--seconds", 1, *raw, "--quiet")
    assert said.startswith("the generated motion: 20 of 20 frames hold NaN or infinity")


def test_names_unit_rate_and_axis_of_a_bvh_file(atm, refused, model):
    style = ["--names", "mixamo", "--unit", "cm", "--fps", 30, "--up", "z"]
    done = atm("generate", PROMPT, "--model", model, "--seconds", 2, "--out", "a.bvh", *style, "--quiet")
    assert done.code == 0, done.err
    written = Path("a.bvh").read_text()
    assert "ROOT mixamorigHips" in written and "Frame Time: 0.03333333" in written
    atm("generate", PROMPT, "--model", model, "--seconds", 2, "--out", "a.npz", "--quiet")
    done = atm("export", "a.npz", "b.bvh", *style)
    assert (done.code, done.out) == (0, "b.bvh\n")
    numbers = [
        np.array(text.split("Frame Time")[1].split()[2:], float) for text in (written, Path("b.bvh").read_text())
    ]
    assert np.abs(numbers[0] - numbers[1]).max() < 0.01  # the npz between holds float32
    said = refused("export", "a.npz", "b.mp4", "--fps", 30)
    assert said.startswith("fps can be chosen for .bvh, .glb") and said.endswith("the file is a .mp4: leave it out")
    said = refused("generate", PROMPT, "--model", model, "--names", "mixamoo", "--out", "a.bvh")
    assert said == "unknown names 'mixamoo': did you mean 'mixamo'?"
    assert "leave --names" in refused("export", "a.npz", "b.bvh", "--template", "--names", "vrm")


def test_a_prompt_over_the_encoders_length_is_cut_with_a_warning(atm, model):
    done = atm("generate", "walks and " * 200, "--model", model, "--seconds", 1, "--quiet")
    assert done.code == 0, done.err
    assert re.search(r"^warning: minilm reads 256 tokens; the rest of 'walks and .*is cut off$", done.err, re.M)


@pytest.mark.parametrize("prompt", ["", "   ", "\n"])
def test_an_empty_prompt_is_refused(refused, model, prompt):
    assert "the sentence is empty" in refused("generate", prompt, "--model", model)


@pytest.mark.parametrize("seconds", ["0", "-3", "1000", "nan", "inf"])
def test_impossible_seconds_are_refused(refused, model, seconds):
    said = refused("generate", PROMPT, "--model", model, "--seconds", seconds)
    assert said.startswith("seconds must be 0.5 to 9.8 for this model, got ")  # 196 frames at 20 per second


PUBLISHED = ["evaluate", "run", "--data", "data", "--protocol", "published"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generate", PROMPT, "--out", "walk.bhv"], "unknown output suffix '.bhv': did you mean '.bvh'"),
        (["generate", PROMPT, "--out", "walks", "--format", "mp5"], "unknown output format 'mp5': did you mean 'mp4'"),
        (["train", "mdm_smal"], "unknown preset 'mdm_smal': did you mean 'mdm_small'"),
        (["generate", PROMPT, "--sedd", "1"], "unknown option '--sedd': did you mean '--seed'"),
        (["trian"], "No such command 'trian'. Did you mean 'train'?"),
        (["data", "scriptd"], "No such command 'scriptd'. Did you mean 'scripted'?"),
        ([*TRAIN, "sede=1"], "unknown key 'sede': did you mean 'seed'"),
        ([*TRAIN, "alignment.gama=0.5"], "unknown key 'alignment.gama': did you mean 'alignment.intra.gamma'"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(refused, model, arguments, said):
    with_model = ["--model", model] if arguments[0] == "generate" else []
    assert refused(*arguments, *with_model).startswith(said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generate", PROMPT, "--samples", "0"], "'--samples'.*greater than or equal to 1"),
        (["generate", PROMPT, "--seed", "-1"], "'--seed'.*greater than or equal to 0"),
        (["generate", PROMPT, "--seconds", "six"], "'--seconds'.*valid number"),
        (["generate", PROMPT, "--guidance", "-1"], "guidance must be a number >= 0, got -1"),
        (["generate", PROMPT, "--guidance", "nan"], "guidance must be a number >= 0, got nan"),
        (["generate", PROMPT, "--steps", "0"], "steps must be 1 to 4 for this model, got 0"),
        (["generate", PROMPT, "--steps", "5"], "steps must be 1 to 4 for this model, got 5"),
        (["generate"], "Missing argument"),
        (["explain", "nowhere"], "no model at nowhere"),
        (["explain", "--text", "he bows", "--index", "1"], "either an index or a text"),
        (["compare", "--prompts", "none.txt"], "cannot read the prompts: none.txt is not there"),
        (["compare", "--seconds", "0"], "seconds must be > 0, got 0"),
        (["retrieve", " ", "--data", "."], "the sentence is empty"),
        (["evaluate", "run", "--data", "data", "--repeats", "0"], "'--repeats'.*greater than or equal to 1"),
        (["evaluate", "run", "--data", "data", "--tail", "none"], "tail must be zero or published, got 'none'"),
        ([*PUBLISHED, "--repeats", "5"], "--protocol published and --repeats 5 contradict each other: it has 20"),
        ([*PUBLISHED, "--limit", "1000"], "--protocol published and --limit 1000 contradict .* authors decide"),
        ([*PUBLISHED, "--tail", "zero"], "--protocol published and --tail zero contradict .* as they came"),
        ([*PUBLISHED, "--best-of", "4"], "--protocol published and --best-of contradict .* every motion"),
        (["evaluate", "run", "--data", "data", "--protocol", "mdm"], "takes ours or published, got 'mdm'"),
        (["evaluate", "space", "--data", "data", "--protocol", "published"], "--protocol says how .* is no generator"),
        (["study", "losses", "--protocol", "published", "--repeats", "3"], "published and --repeats 3 contradict"),
        (["study", "losses", "--protocol", "published", "--quick"], "--quick as little as it can: leave one out"),
        (["train", "mdm_small", "--minutes", "0"], "minutes must be > 0, got 0"),
        (["train", "mdm_small", "--minutes", "nan"], "minutes must be > 0, got nan"),
        (["demo", "--steps", "0"], "steps must be at least 1, got 0"),
        (["data", "scripted", "out", "--clips", "0"], "'--clips'.*greater than or equal to 1"),
        ([*TRAIN, "alignment.gamma=3"], "alignment.intra.gamma = 3: Input should be less than or equal to 1"),
        ([*TRAIN, "seed=-1"], "seed = -1: .*greater than or equal to 0"),
        ([*TRAIN, "learning_rate=nan"], "learning_rate = 'nan'"),
        ([*TRAIN, "learning_rate=inf"], "learning_rate = 'inf': Input should be a finite number"),
        ([*TRAIN, "keep=best"], "keep=best needs a validation loss"),
        ([*TRAIN, "seed"], "expected key=value, got 'seed'"),
        (["train"], "what to train"),
        (["train", "mdm_small", "--resume", "run"], "--resume goes on by what the run holds"),
    ],
)
def test_a_value_out_of_range_is_refused(refused, model, arguments, said):
    with_model = ["--model", model] if arguments[0] == "generate" and len(arguments) > 1 else []
    assert re.search(said, refused(*arguments, *with_model))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: (data / "Mean.npy").unlink(), "has no Mean.npy"),
        (lambda data: (data / "train.txt").unlink(), "has no split 'train': expected train.txt"),
        (lambda data: (data / "texts" / "000003.txt").write_text(""), "000003.txt holds no caption"),
        (lambda data: (data / "texts" / "000003.txt").unlink(), "cannot read the captions: .*000003.txt"),
        (lambda data: (data / "texts" / "000003.txt").write_text("walks\n"), "expected caption#word/POS"),
        (lambda data: make_wide(data, 251), r"has shape \(60, 251\), expected \(frames, 263\)"),
        (lambda data: (data / "Std.npy").write_bytes(b"junk"), "Std.npy"),
    ],
    ids=["no mean", "no split", "no caption", "no text", "odd line", "251 features", "torn std"],
)
def test_a_broken_data_folder_is_named(refused, tmp_path, spoil, said):
    data = make_folder(tmp_path / "data", clips=8)
    spoil(data)
    assert re.search(said, refused(*TRAIN, f"data={data}"))


def make_wide(data: Path, width: int) -> None:
    for file in (data / "new_joint_vecs").glob("*.npy"):
        np.save(file, np.load(file)[:, :width])


def test_a_clip_of_nan_is_left_out_named_and_training_goes_on(atm, tmp_path):
    data = make_folder(tmp_path / "data", clips=8)
    np.save(data / "new_joint_vecs" / "000002.npy", np.full((60, 263), np.nan, np.float32))
    done = atm(*TRAIN, f"data={data}", "--quiet")
    assert done.code == 0, done.err
    assert "warning: 1 clips are left out: 000002 holds NaN or infinite values" in done.err
    assert done.out.splitlines()[-1] == "runs/mdm_small-0"


def test_quiet_hides_the_bars_of_data_that_is_read_for_the_first_time(atm, tmp_path):
    loud, quiet = (
        atm(*TRAIN, f"data={make_folder(tmp_path / out)}", "--out", out, *more)
        for out, more in (("loud", ()), ("quiet", ("--quiet",)))
    )
    assert "reading clips" in loud.err
    assert quiet.err == ""


def test_a_nan_motion_is_not_exported(refused, tmp_path):
    np.save(tmp_path / "nan.npy", np.full((60, 22, 3), np.nan, np.float32))
    assert "60 of 60 frames hold NaN" in refused("export", "nan.npy", "nan.bvh")
    assert "--fix-feet goes with --template" in refused("export", "nan.npy", "nan.bvh", "--fix-feet")


@pytest.mark.parametrize("content", ["truncated", "random", "empty", "absent", "no model of ours"])
def test_a_damaged_model_is_refused(refused, tmp_path, model, content):
    path = tmp_path / "damaged.safetensors"
    if content == "no model of ours":
        from safetensors.torch import save_file

        save_file({"weight": torch.zeros(3)}, path)
    elif content != "absent":
        whole = model.read_bytes()
        noise = np.random.default_rng(0).bytes(999)
        path.write_bytes({"truncated": whole[: len(whole) // 2], "random": noise, "empty": b""}[content])
    said = refused("generate", PROMPT, "--model", path, "--seconds", 2)
    assert "damaged.safetensors" in said


def test_a_folder_that_is_no_run_is_refused(refused, tmp_path, data):
    (tmp_path / "empty").mkdir()
    assert "is not a run folder" in refused("generate", PROMPT, "--model", "empty")
    assert "is not a run folder" in refused("train", "--resume", "empty")
    assert "no model at nowhere" in refused("generate", PROMPT, "--model", "nowhere")
    assert "is not a run folder" in refused("check-generator", "empty")


def test_a_truncated_checkpoint_is_refused(atm, refused, tmp_path, data):
    assert atm(*TRAIN, f"data={data}", "--out", "run", "--quiet").code == 0
    checkpoint = tmp_path / "run" / "checkpoints" / "last.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    assert "last.pt is no whole checkpoint" in refused("train", "--resume", "run", "--quiet")


def test_a_model_of_other_features_than_the_data_is_refused(refused, tmp_path, minilm, data):
    save_generator(tmp_path / "kit.safetensors", tiny_mdm(minilm, width=251))
    said = refused(*TRAIN, f"data={data}", "--from", "kit.safetensors", "--quiet")
    assert "(251,) instead of (263,)" in said


def test_what_the_system_refuses_is_one_sentence(refused, model, tmp_path):
    (tmp_path / "file").write_text("")
    assert refused("generate", PROMPT, "--model", model, "--seconds", 1, "--out", "file/motion.npz", "--quiet")


def test_a_studio_without_its_model_is_refused(refused):
    assert "no model at nowhere" in refused("studio", "nowhere", "--port", 0, "--no-browser")


def test_presets_lists_all_that_can_be_trained(atm):
    done = atm("presets")
    assert all(name in done.out for name in all_presets())


@pytest.mark.parametrize(
    "command", ["demo", "train", "study", "evaluate", "generate", "studio", "export", "check-generator"]
)
def test_every_command_explains_itself_with_examples(atm, command):
    done = atm(command, "--help")
    assert done.code == 0
    assert "Examples:" in done.out and f"atm {command}" in done.out


def test_study_lists_the_papers_and_prints_one_that_can_be_given_back(atm):
    assert "metric-losses" in atm("study").out
    printed = atm("study", "margins", "--base", "mdm_kit_atm", "--rows", "0.3,adaptive", "--print", "batch_size=7").out
    Path("mine.yaml").write_text(printed)
    assert atm("study", "mine.yaml", "--print").out == printed
    assert "batch_size=7" in printed and "margin=0.3" in printed and "margin=0.2" not in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["loses"], "unknown study 'loses': did you mean 'losses'"),
        (["absent.yaml"], "cannot read the config: absent.yaml is not there"),
        (["losses", "--rows", "nobody"], "unknown row 'nobody'"),
        (["losses", "--seeds", "1,1"], "each once, got '1,1'"),
        (["losses", "--seeds", "-1"], "whole numbers from 0 to 999999999"),
        (["losses", "--launcher", "pbs"], "launcher must be local or slurm"),
        (["losses", "--submit", "timeout_min=5"], "give it with --launcher slurm"),
        (["losses", "--jobs", "2", "--launcher", "slurm"], "the cluster decides"),
        (["losses", "--submit", "timeout"], "--submit takes key=value"),
        (["losses", "--base", "mdm_small"], "its base has none"),
        (["losses", "--minutes-per-row", "0"], "minutes-per-row must be > 0"),
        (["losses", "--data", "nowhere"], "no data folder at"),
        (["losses", "--data", "here", "--evaluator", "absent"], "no model at"),
        (["losses", "--data", "here"], "needs at least 32 motions, the test split has 2"),
        (["losses", "--data", "kit"], "it is no evaluator of 251 features"),
        (["losses", "stepz=3"], "stepz"),
    ],
)
def test_a_study_that_cannot_be_run_is_refused_before_anything_is_made(refused, arguments, said, tmp_path):
    for name, width in (("here", 263), ("kit", 251)):
        if name in arguments:
            make_folder(tmp_path / name, clips=16, width=width)
    assert said in refused("study", *arguments, "--out", "study", "--quiet")
    assert not list((tmp_path / "study").rglob("job.json"))


def test_the_module_runs_and_asking_for_help_does_not_wait_for_torch():
    script = "import sys, runpy; sys.argv = ['atm', '--help']\ntry: runpy.run_module('atm', run_name='__main__')\n"
    script += "except SystemExit as end: print('code', end.code, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert "Usage: atm" in done.stdout
    assert done.stdout.splitlines()[-1] in ("code 0 False", "code None False"), done.stderr


def test_the_version_is_that_of_the_package():
    from importlib import metadata

    done = subprocess.run([sys.executable, "-m", "atm", "--version"], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, metadata.version("atm-motion"))
