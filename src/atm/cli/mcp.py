"""The command that serves the tools of the Model Context Protocol."""

from pathlib import Path
from typing import Annotated

import typer

from atm.base.errors import InputError
from atm.base.limits import MOST
from atm.cli.app import app, examples


@app.command(epilog=examples("atm mcp ~/motions", "atm mcp ~/motions --model runs/flow --space runs/space"))
def mcp(
    folder: Annotated[Path, typer.Argument(help="Folder of all files; the tools reach no other.")],
    model: Annotated[Path | None, typer.Option(help="Run folder or model file; default: the packaged model.")] = None,
    space: Annotated[Path | None, typer.Option(help="Space that chooses the best of several motions.")] = None,
    files: Annotated[int, typer.Option(min=1, max=MOST, help="Files that the folder may hold.")] = 1000,
) -> None:
    """Offer generate_motion, export_motion and explain to an assistant, over standard input and output."""
    try:
        from atm.apps.mcp.server import run_server
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("mcp"):
            raise
        raise InputError(f"atm mcp needs {error.name}: pip install 'atm-motion[mcp]'") from None
    run_server(folder, model=model, space=space, most_files=files)
