"""Commands about what ReMoDiffuse retrieves from."""

from pathlib import Path
from typing import Annotated

import typer

from atm.cli.app import Force, Quiet, app, examples

retrieval_app = typer.Typer(help="Databases of motions that ReMoDiffuse retrieves from.", no_args_is_help=True)
app.add_typer(retrieval_app, name="retrieval")


@retrieval_app.command(
    "build",
    epilog=examples(
        "atm retrieval build scripted scripted.safetensors",
        "atm train remodiffuse_small data=scripted model.database=scripted.safetensors",
        "atm retrieval build HumanML3D humanml3d.safetensors --text-encoder clip_b32_77_padded",
    ),
)
def build(
    data: Annotated[Path, typer.Argument(help="Data folder in the HumanML3D layout.")],
    out: Annotated[Path, typer.Argument(help="File to write (.safetensors), for model.database=FILE.")],
    split: Annotated[str, typer.Option(help="List of motions to take; a model retrieves from its own.")] = "train",
    text_encoder: Annotated[str, typer.Option(help="Language model that it is searched by: the model's.")] = "minilm",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Make a database of every motion of a data set's split, searched by caption and length."""
    from atm.apps.retrieval_database import database_of_folder

    print(database_of_folder(data, out, split=split, text_encoder=text_encoder, show_progress=not quiet))
