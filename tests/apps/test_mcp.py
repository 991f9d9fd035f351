"""The tools for assistants: asked by the protocol's own client, in one folder that nothing leads out of."""

import builtins
import json
import re
import sys
from pathlib import Path

import anyio
import numpy as np
import pytest
import typer

import atm
from atm.apps.export import SUFFIXES
from atm.apps.mcp.tools import Tools
from atm.apps.studio.models import StudioModel
from atm.cli.app import app
from atm.motion.program import Action, Program
from atm.scripted.motion.perform import perform

mcp = pytest.importorskip("mcp", reason="atm-motion[mcp] is not installed")

from atm.apps.mcp.server import create_server, run_server  # noqa: E402

WALK = "a person walks forward"


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "motions"


@pytest.fixture
def tools(model, folder) -> Tools:
    return Tools(StudioModel(model, str(model.file)), folder, most_files=4)


@pytest.fixture
def ask(tools):
    """Calls a tool through client and server, and gives its answer as data."""

    def call(name: str, **arguments):
        async def called():
            async with mcp.Client(create_server(tools)) as client:
                return await client.call_tool(name, arguments)

        answer = anyio.run(called)
        (content,) = answer.content
        if answer.is_error:
            raise AssertionError(content.text)
        assert json.loads(content.text) == answer.structured_content
        return answer.structured_content

    return call


@pytest.fixture
def refused(ask):
    """Calls a tool that must refuse, and gives its one sentence."""

    def call(name: str, **arguments) -> str:
        with pytest.raises(AssertionError) as error:
            ask(name, **arguments)
        sentence = str(error.value)
        assert "\n" not in sentence
        return sentence

    return call


@pytest.fixture
def kick(folder, tools) -> atm.Take:
    """Two kicks with the left leg, by formula, in the folder."""
    joints = perform(Program((Action("kick", 2, side="left"),)), np.random.default_rng(0))
    take = atm.Take(joints, "a person kicks twice with the left leg")
    take.save(folder / "kick.npz")
    return take


def test_the_client_is_told_three_tools_with_their_limits(tools):
    async def listed():
        async with mcp.Client(create_server(tools)) as client:
            return client.server_info, (await client.list_tools()).tools

    about, offered = anyio.run(listed)
    assert (about.name, about.version) == ("atm", atm.__version__)
    generate, export, explain = offered
    assert [tool.name for tool in offered] == ["generate_motion", "export_motion", "explain"]
    assert "0.5 to 9.8 seconds" in generate.description  # 196 frames at 20 per second
    fields = generate.input_schema["properties"]
    assert (fields["samples"]["maximum"], fields["text"]["maxLength"]) == (8, 500)
    assert export.input_schema["properties"]["format"]["enum"] == [suffix.lstrip(".") for suffix in SUFFIXES]
    assert generate.input_schema["required"] == ["text"] and explain.annotations.read_only_hint
    assert not generate.annotations.read_only_hint and not export.annotations.read_only_hint


def test_a_sentence_becomes_the_motions_that_python_makes_of_it(ask, folder, model):
    told = ask("generate_motion", text=WALK, seconds=1, samples=2, seed=5)
    assert told["folder"] == str(folder.resolve())
    assert [one["file"] for one in told["motions"]] == ["a-person-walks-forward.npz", "a-person-walks-forward-2.npz"]
    for one, take in zip(told["motions"], model.generate(WALK, seconds=1, samples=2, seed=5), strict=True):
        again = atm.load_motion(folder / one["file"])
        np.testing.assert_allclose(again.joints, take.joints, atol=1e-6)
        assert (one["seconds"], one["frames"], one["verdict"]) == (1.0, 20, take.verdict)
    assert told["understood"]["actions"] == [
        {"action": "walk", "taught": True, "direction": ["forward"], "link": "first"}
    ]


def test_what_is_understood_of_a_sentence_is_told_and_what_is_not(ask):
    told = ask("explain", text="a person walks four steps, then kicks with the left leg near the fnord")["sentence"]
    assert told["actions"] == [
        {"action": "walk", "taught": True, "count": "4", "counted_in": "steps", "link": "first"},
        {"action": "kick", "taught": True, "side": "left", "body_part": "leg", "link": "then"},
    ]
    assert (told["words_without_meaning"], told["warning"]) == (["fnord"], None)
    told = ask("explain", text="asdf qwer")["sentence"]
    assert told["actions"] == [] and told["words_without_meaning"] == ["asdf", "qwer"]
    assert told["warning"].startswith("no action that the model was taught was read in 'asdf qwer'")


def test_a_motion_is_judged_by_its_sentence_or_by_another(ask, kick):
    told = ask("explain", motion="kick.npz")
    assert told["motion"]["judged"] == [{"asked": "2 kicks with the left foot", "right": True}]
    assert told["motion"]["verdict"] == kick.verdict and "sentence" not in told
    told = ask("explain", motion="kick.npz", text="a person kicks once and swims")
    assert [one["right"] for one in told["motion"]["judged"]] == [False]
    assert told["motion"]["not_judged"] == ["swim"] and told["sentence"]["text"] == "a person kicks once and swims"


def test_a_motion_is_exported_beside_it_and_nothing_is_written_over(ask, folder, kick):
    told = ask("export_motion", motion="kick.npz", format="bvh", names="mixamo", unit="cm", fps=30, up="z")
    assert told["file"] == "kick.bvh" and told["bytes"] == (folder / "kick.bvh").stat().st_size
    text = (folder / "kick.bvh").read_text()
    assert "ROOT mixamorigHips" in text and "Frame Time: 0.03333333" in text
    assert ask("export_motion", motion="kick.npz", format="bvh")["file"] == "kick-2.bvh"
    assert (folder / "kick.bvh").read_text() == text


def test_no_name_leads_out_of_the_folder(refused, folder, tmp_path, kick):
    kick.save(tmp_path / "secret.npz")
    (folder / "link.npz").symlink_to(tmp_path / "secret.npz")
    for name in (
        "../secret.npz",
        str(tmp_path / "secret.npz"),
        "..",
        "",
        "kick.npz/../../secret.npz",
        "kick",
        "a\0.npz",
    ):
        for tool, rest in (("explain", {}), ("export_motion", {"format": "csv"})):
            assert "the name of a .npz or .npy file in the folder" in refused(tool, motion=name, **rest), name
    assert refused("explain", motion="link.npz").startswith("unknown motion 'link.npz': did you mean")
    assert refused("explain", motion="kik.npz") == "unknown motion 'kik.npz': did you mean 'kick.npz' or 'link.npz'?"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["motions", "secret.npz"]


@pytest.mark.parametrize(
    ("tool", "asked", "sentence"),
    [
        ("generate_motion", {}, "text: Field required"),
        ("generate_motion", {"text": " "}, "the sentence is empty"),
        ("generate_motion", {"text": "x" * 501}, "String should have at most 500 characters"),
        ("generate_motion", {"text": WALK, "samples": 9}, "samples = 9: Input should be less than or equal to 8"),
        ("generate_motion", {"text": WALK, "samples": True}, "samples = True: Input should be a valid integer"),
        ("generate_motion", {"text": WALK, "seconds": 60}, "seconds must be 0.5 to 9.8 for this model, got 60"),
        ("generate_motion", {"text": WALK, "seconds": "3"}, "seconds = '3': Input should be a valid number"),
        ("generate_motion", {"text": WALK, "out": "/etc/x"}, "out = '/etc/x': Extra inputs are not permitted"),
        ("generate_motion", {"text": WALK, "best_of": 2}, "give --space RUN"),
        ("export_motion", {"motion": "kick.npz", "format": "fbxx"}, "unknown format 'fbxx'"),
        ("export_motion", {"motion": "kick.npz", "format": "mp4", "fps": 30}, "fps can be chosen for .bvh, .glb"),
        ("explain", {}, "explain needs a text, a motion or both, got neither"),
        ("explian", {}, "unknown tool 'explian': did you mean 'explain' or"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(refused, kick, folder, tool, asked, sentence):
    assert sentence in refused(tool, **asked)
    assert [path.name for path in folder.iterdir()] == ["kick.npz"]


def test_a_file_that_is_no_motion_is_one_sentence(refused, folder, tools):
    (folder / "broken.npz").write_bytes(b"no zip")
    assert "broken.npz" in refused("explain", motion="broken.npz")


def test_a_folder_takes_no_more_files_than_it_may_hold(ask, refused, kick, folder):
    """Four at most, as the fixture says; one is there."""
    assert "holds 1 of 4 files that it may hold, and 4 more are asked for" in refused(
        "generate_motion", text=WALK, seconds=1, samples=4
    )
    ask("generate_motion", text=WALK, seconds=1, samples=3)
    assert "holds 4 of 4 files" in refused("export_motion", motion="kick.npz", format="csv")
    assert len(list(folder.iterdir())) == 4


def test_a_tool_that_fails_says_so_and_the_next_call_goes_well(ask, refused, tools, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(tools.model, "read", lambda text: 1 / 0)
        assert refused("explain", text=WALK) == (
            "explain failed (ZeroDivisionError): the server's own output says more"
        )
    assert ask("explain", text=WALK)["sentence"]["actions"]


def test_calls_that_come_together_are_carried_out_one_after_the_other(tools, folder):
    """Ten at once would take one another's file names."""
    found = []

    async def ten():
        async with mcp.Client(create_server(tools)) as client, anyio.create_task_group() as group:

            async def one():
                answer = await client.call_tool("generate_motion", {"text": WALK, "seconds": 0.5})
                found.append(answer.structured_content["motions"][0]["file"])

            for _ in range(4):
                group.start_soon(one)

    anyio.run(ten)
    assert sorted(found) == sorted(path.name for path in folder.iterdir()) and len(found) == 4


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(atm.InputError, match="cannot be the folder of the motions"):
        run_server(tmp_path / "file" / "motions")


def test_without_the_library_the_command_names_the_extra(monkeypatch, capsys, tmp_path):
    from atm import cli

    imported = builtins.__import__

    def without(name, *rest):
        if name == "mcp" or name.startswith("mcp."):
            raise ModuleNotFoundError("No module named 'mcp'", name="mcp")
        return imported(name, *rest)

    for name in [name for name in sys.modules if name.startswith("atm.apps.mcp.server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(sys, "argv", ["atm", "mcp", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == "error: atm mcp needs mcp: pip install 'atm-motion[mcp]'"


def test_the_configuration_of_the_page_starts_the_command():
    page = (Path(__file__).parents[2] / "docs" / "mcp.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```json\n(.*?)```", page, flags=re.DOTALL)
    server = json.loads(block)["mcpServers"]["atm"]
    assert (server["command"], server["args"][0]) == ("atm", "mcp")
    context = typer.main.get_command(app).commands["mcp"].make_context("mcp", server["args"][1:])
    assert context.params["folder"] == Path("/home/me/motions")


@pytest.mark.slow
def test_the_command_answers_a_client_over_standard_input_and_output(model, folder):
    """Nothing but the protocol may stand on the output, not even a model's warning of what it was not taught."""
    command = mcp.StdioServerParameters(
        command=sys.executable, args=["-m", "atm", "mcp", str(folder), "--model", str(model.file)]
    )

    async def asked():
        async with mcp.Client(mcp.stdio_client(command)) as client:
            tools = await client.list_tools()
            made = await client.call_tool("generate_motion", {"text": "asdf qwer", "seconds": 1})
            return [tool.name for tool in tools.tools], made.structured_content

    names, made = anyio.run(asked)
    assert names == ["generate_motion", "export_motion", "explain"]
    assert made["motions"][0]["file"] == "asdf-qwer.npz" and (folder / "asdf-qwer.npz").is_file()
    assert "no action" in made["understood"]["warning"]
