"""The commands that train: from annotated sections, or from synthetic ones, to a model folder."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from thymusimg.errors import CallError, MissingExtraError

if TYPE_CHECKING:
    from thymusimg.train.finish import Finished

train = typer.Typer(
    name="train",
    help="Train a model on your own annotations. It is judged on animals that it was not trained on.",
    no_args_is_help=True,
)

# typer reads the annotations at run time, where X | None is not understood by all of its versions
Folder = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Argument(help="Folder of annotated sections with a study table (docs/training.md)."),
]
Out = Annotated[Path, typer.Option("--out", help="Model folder to write; its name becomes the model's.")]
Start = Annotated[
    str,
    typer.Option("--from", help="Model to begin with: name or folder; none: at random. Default: the shipped one."),
]
Epochs = Annotated[Optional[int], typer.Option(min=1, help="At most so many epochs.")]  # noqa: UP045
Rate = Annotated[Optional[float], typer.Option(help="Highest learning rate.")]  # noqa: UP045
Batch = Annotated[Optional[int], typer.Option(min=1, help="Crops in a batch; fewer need less memory.")]  # noqa: UP045
Patience = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(min=1, help="Stop after so many epochs without a better validation score."),
]
Seed = Annotated[int, typer.Option(min=0, help="Same data, same seed, same model.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Restart = Annotated[bool, typer.Option("--restart", help="Forget what an earlier call left in --out.")]
HoldOut = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--hold-out", help="Animal to hold out, in place of a drawn quarter; repeatable."),
]
Licence = Annotated[str, typer.Option("--licence", help="SPDX name of the weights' licence.")]
Name = Annotated[str, typer.Option("--name", help="Name of the model, in place of the folder's.")]
Phantoms = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--phantoms", min=1, help="Train on so many synthetic sections in place of a folder."),
]


@train.command()
def cells(
    out: Out,
    folder: Folder = None,
    start: Start = "",
    epochs: Epochs = None,
    rate: Rate = None,
    batch: Batch = None,
    patience: Patience = None,
    seed: Seed = 1,
    device: Device = "auto",
    restart: Restart = False,
    hold_out: HoldOut = None,
    licence: Licence = "",
    name: Name = "",
    phantoms: Phantoms = None,
    nuclei: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--nuclei", help="With --phantoms: folder of the Data Science Bowl 2018 images (CC0)."),
    ] = None,
) -> None:
    """Train a cell network on cells that somebody drew; fine-tunes the shipped one unless told otherwise."""
    _run(
        task="cells", out=out, folder=folder, start=start, epochs=epochs, rate=rate, batch=batch, patience=patience,
        seed=seed, device=device, restart=restart, hold_out=tuple(hold_out or ()), licence=licence, name=name,
        phantoms=phantoms, nuclei=nuclei,
    )  # fmt: skip


@train.command()
def compartments(
    out: Out,
    folder: Folder = None,
    method: Annotated[
        str, typer.Option("--method", help="forest (seconds, from scribbles on) or network.")
    ] = "forest",
    start: Start = "",
    epochs: Epochs = None,
    rate: Rate = None,
    batch: Batch = None,
    patience: Patience = None,
    seed: Seed = 1,
    device: Device = "auto",
    restart: Restart = False,
    hold_out: HoldOut = None,
    licence: Licence = "",
    name: Name = "",
    phantoms: Phantoms = None,
) -> None:
    """Train a forest or a network on compartments that somebody drew, or scribbled."""
    if method not in ("forest", "network"):
        raise CallError(f"--method {method}: expected forest or network.")
    _run(
        task="compartments", out=out, folder=folder, method=method, start=start, epochs=epochs, rate=rate,
        batch=batch, patience=patience, seed=seed, device=device, restart=restart, hold_out=tuple(hold_out or ()),
        licence=licence, name=name, phantoms=phantoms,
    )  # fmt: skip


def _run(**wanted: Any) -> None:
    if find_spec("torch") is None:
        raise MissingExtraError("training needs torch, which is not installed: pip install 'thymusimg[torch]'")
    from thymusimg.cli.training_console import TrainingConsole
    from thymusimg.train.finish import Finished
    from thymusimg.train.flow import TrainingCall, run_training

    _check_name(wanted["name"])
    call = TrainingCall(**wanted, command=_command())
    with TrainingConsole() as console:
        try:
            done = run_training(call, console)
        except KeyboardInterrupt:
            console.say(_stopped(console.epochs_done))
            raise typer.Exit(130) from None
    if isinstance(done, Finished):
        _report(done)
    typer.echo(f"Model: {done.folder}")
    # by its whole path: a folder called 'forest' is not the method of that name
    typer.echo(f"Use it: thymusimg run STUDY.csv --out DIR --{call.task} {shlex.quote(str(done.folder.resolve()))}")


def _check_name(name: str) -> None:
    from thymusimg.train.claim import is_model_name

    if name and not is_model_name(name):
        raise CallError(f"--name {name}: use letters, digits, '.', '_' and '-' only.")


def _stopped(epochs: int) -> str:
    kept = f"{epochs} epoch{'s are' if epochs != 1 else ' is'} kept" if epochs else "No epoch was finished"
    return f"Stopped. {kept}; the same command goes on from there."


def _report(done: Finished) -> None:
    from thymusimg.train.judge import as_text

    typer.echo("")
    typer.echo(as_text(done.table))
    typer.echo("")
    typer.echo(("!!! " if done.worse else "") + done.verdict)


def _command() -> str:
    return shlex.join(["thymusimg", *(a for a in sys.argv[1:] if a not in ("--restart", "--debug"))])
