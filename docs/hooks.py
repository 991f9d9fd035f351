"""Steps of `make docs` beside the pages: the reference of all commands, the results' list, links out of the site."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

DOCS = Path(__file__).parent
COMMANDS = "<!-- every command stands here -->"
_LINK = re.compile(r"\[(?P<label>[^\]]+)\]\((?P<target>\.\./[^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Add to the navigation what is not listed by hand: dated results, and how-tos that have come since."""
    listed = set(re.findall(r"[\w./-]+\.md", str(config["nav"])))
    results = sorted((DOCS / "results").glob("*.md"), reverse=True)
    others = [page for page in sorted(DOCS.glob("*.md")) if page.name not in listed]
    config["nav"] += [{"More": [page.name for page in others]}] if others else []
    config["nav"].append({"Results": [f"results/{page.name}" for page in results]})
    return config


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Put the commands' reference where it belongs, and leave links out that lead out of the site."""
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, commands_reference())
    return without_foreign_links(markdown, PurePosixPath(page.file.src_uri))


def without_foreign_links(markdown: str, page: PurePosixPath) -> str:
    """Return a page without its links to files of the repository that are no part of the site, such as sources."""

    def plain(link: re.Match[str]) -> str:
        inside = (DOCS / page.parent / link["target"]).resolve().is_relative_to(DOCS)
        return link[0] if inside else link["label"]

    return _LINK.sub(plain, markdown)


def commands_reference() -> str:
    """Return every command with its arguments, options and examples, from what `--help` is made of."""
    import typer

    from atm.cli.app import app

    return "\n\n".join(
        part for path, command in every_command(typer.main.get_command(app), "atm") for part in _section(path, command)
    )


def every_command(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Give the commands below a group with their whole names; a group itself where it can be called."""
    for name, command in group.commands.items():
        below = f"{path} {name}"
        if command.hidden:
            continue
        if not hasattr(command, "commands"):
            yield below, command
            continue
        if command.invoke_without_command:
            yield below, command
        yield from every_command(command, below)


def _section(path: str, command: Any) -> Iterator[str]:
    yield f"## {path}"
    yield _text(command.help)
    rows = [_row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
    if rows:
        yield "\n".join(["| | what | default |", "| --- | --- | --- |", *rows])
    examples = [line.strip() for line in (command.epilog or "").split("\n\n")[1:]]
    if examples:
        yield "\n".join(["```console", *(line.replace(r"\[", "[") for line in examples), "```"])


def _row(parameter: Any) -> str:
    is_option = parameter.param_type_name == "option"
    names = (
        ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
        if is_option
        else (f"`{parameter.name.upper()}`")
    )
    given = parameter.default
    shown = "" if given in (None, "", ()) or isinstance(given, bool) or callable(given) else f"`{given}`"
    shown = "required" if parameter.required else shown
    return f"| {names} | {_text(getattr(parameter, 'help', '')).replace('|', chr(92) + '|')} | {shown} |"


def _text(said: str | None) -> str:
    return " ".join((said or "").replace(r"\[", "[").split())
