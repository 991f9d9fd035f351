"""The tools over the Model Context Protocol. Imported by the command alone: `mcp` is no part of the package."""

import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

import atm
from atm.apps.api import load
from atm.apps.mcp.tools import MOST_FILES, Tools
from atm.apps.studio.models import StudioModel
from atm.base.config import validate
from atm.base.errors import InputError, unknown

_ABOUT = (
    "Makes human motion from English sentences with a local text-to-motion model. Ask `explain` what is understood of "
    "a sentence, make motions of it with `generate_motion`, read each one's verdict, and turn the best into a file for "
    "Blender, a game engine or a browser with `export_motion`."
)


def run_server(
    folder: Path, *, model: Path | None = None, space: Path | None = None, most_files: int = MOST_FILES
) -> None:
    """Load the model, and answer on standard input and output until the client closes them.

    Args:
        folder: all files are read from it and written to it.
        model: run folder, model file or packaged name; None: the packaged generator.
        space: what chooses among candidates of a model of one's own.
        most_files: that the folder may hold.

    Raises:
        InputError: a file that is no generator, or a folder that cannot be made.
    """
    given = model or Path("generator")
    server = create_server(Tools(StudioModel(load(given), str(given), space), folder, most_files=most_files))

    async def serve() -> None:
        async with stdio_server() as (requests, answers):
            await server.run(requests, answers, server.create_initialization_options())

    anyio.run(serve)


def create_server(tools: Tools) -> Server[Any]:
    """Return the server; calls are carried out one after the other."""
    table, one_at_a_time = tools.table, anyio.CapacityLimiter(1)

    async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=name,
                    description=tool.about,
                    input_schema=tool.takes.model_json_schema(),
                    annotations=types.ToolAnnotations(
                        read_only_hint=not tool.writes, destructive_hint=False, open_world_hint=False
                    ),
                )
                for name, tool in table.items()
            ]
        )

    def carried_out(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if name not in table:
            raise unknown("tool", name, table)
        return table[name].call(validate(table[name].takes, arguments, source=name))

    async def call_tool(_: Any, call: types.CallToolRequestParams) -> types.CallToolResult:
        work = partial(carried_out, call.name, call.arguments or {})
        try:
            told = await anyio.to_thread.run_sync(work, limiter=one_at_a_time)
        except InputError as refused:
            return _refused(str(refused))
        except Exception as failed:  # the next call may go well
            logging.getLogger(__name__).exception("%s failed", call.name)
            return _refused(f"{call.name} failed ({type(failed).__name__}): the server's own output says more")
        text = types.TextContent(type="text", text=json.dumps(told, ensure_ascii=False, indent=1))
        return types.CallToolResult(content=[text], structured_content=told)

    return Server(
        "atm",
        version=atm.__version__,
        instructions=_ABOUT,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _refused(sentence: str) -> types.CallToolResult:
    """Return an error that the assistant reads, so that it can ask better."""
    return types.CallToolResult(content=[types.TextContent(type="text", text=sentence)], is_error=True)
