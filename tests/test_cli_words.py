"""What a shell completes, and the field's names of options."""

import os
import subprocess
import sys

import pytest
import typer

from atm.cli.app import app

SHELLS = ("bash", "zsh", "fish")


def completed(line: str, monkeypatch, capsys, shell: str = "zsh") -> str:
    """Asks as the shell does, through the variables that its script sets."""
    words = line.split(" ")
    monkeypatch.setenv("_ATM_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
    monkeypatch.setenv("COMP_WORDS", "\n".join(words))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    with pytest.raises(SystemExit) as ended:
        typer.main.get_command(app).main([], prog_name="atm", standalone_mode=False)
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_a_shell_completes_commands_and_options(monkeypatch, capsys):
    assert '"generate"' in completed("atm gen", monkeypatch, capsys)
    assert '"--samples"' in completed("atm generate --sam", monkeypatch, capsys)
    assert '"scripted"' in completed("atm data s", monkeypatch, capsys)
    said = completed("atm bench s", monkeypatch, capsys, "bash").split()
    assert sorted(said) == ["sample", "scale", "serve", "start"]


def test_names_of_the_field_are_not_completed(monkeypatch, capsys):
    assert completed("atm generate --num", monkeypatch, capsys, "bash").split() == []


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_a_shell_is_written_where_it_looks(tmp_path, shell):
    environment = os.environ | {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "atm", "--install-completion", shell], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and f"{shell} completion installed" in done.stdout, done.stderr
    scripts = [path.read_text() for path in tmp_path.rglob("*atm*") if path.is_file()]
    assert any("_ATM_COMPLETE" in script for script in scripts)


def parsed(*words: str) -> dict:
    command = typer.main.get_command(app).commands[words[0]]
    return command.make_context(words[0], list(words[1:])).params


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["--num_samples", "3"], {"samples": 3}),
        (["--num_repetitions", "3"], {"samples": 3}),
        (["--repeat_times=3"], {"samples": 3}),
        (["--motion_length", "4.5"], {"seconds": 4.5}),
        (["--duration=4.5"], {"seconds": 4.5}),
        (["--guidance_param", "2.5"], {"guidance": 2.5}),
    ],
)
@pytest.mark.parametrize("command", [["generate", "a person walks"], ["compare"]], ids=lambda words: words[0])
def test_the_names_of_the_field_mean_what_ours_mean(command, words, meant):
    assert {name: parsed(*command, *words)[name] for name in meant} == meant


def test_a_sentence_behind_two_dashes_is_no_option():
    assert parsed("generate", "--", "--duration")["text"] == ["--duration"]


def test_the_help_shows_one_name_of_each_option(capsys):
    for name in ("generate", "compare"):
        command = typer.main.get_command(app).commands[name]
        with pytest.raises(SystemExit):
            command.main(["--help"], prog_name=f"atm {name}")
        said = capsys.readouterr().out
        assert "--samples" in said and "_length" not in said and "--duration" not in said
