"""Opening a run: its recipe, its folder, the lock, and what is said when it is interrupted or was given wrong input."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from edgenas.plugins import given
from edgenas.recipe.recipe import Recipe
from edgenas.run.context import RunContext
from edgenas.run.device_leases import leased_devices
from edgenas.run.disk import is_full, no_space
from edgenas.run.folder import RunFolder
from edgenas.run.preflight import check
from edgenas.run.progress import Progress
from edgenas.run.saved import saved_words
from edgenas.run.take_over import take_over
from edgenas.spaces.errors import EdgeNASError, InputError, WorkError


def load_recipe(path: Path | str, data_dir: Path | None) -> Recipe:
    """The recipe in a file, also the one inside a run's folder. Raises InputError when it is wrong."""
    path = recipe_file(path)
    # The recipe inside a run folder names its files from there, and the folder may have been moved without them.
    recipe = RunFolder(path.parent).read_recipe() if _is_of_a_run(path) else Recipe.load(path)
    recipe = recipe.with_plugins(given())
    return recipe if data_dir is None else recipe.with_data_directory(data_dir)


def recipe_file(path: Path | str) -> Path:
    """The recipe that is meant: of a run's folder the one inside it."""
    inside = Path(path) / "recipe.yaml"
    return inside if _is_of_a_run(inside) else Path(path)


def _is_of_a_run(path: Path) -> bool:
    return path.name == "recipe.yaml" and path.is_file() and (path.parent / "inputs.json").is_file()


def output_of(path: Path | str, output: Path | None, resume: bool) -> Path | None:
    """Where to run: ``edgenas run RUN --resume``, or ``RUN/recipe.yaml``, continues RUN, wherever that was moved."""
    path = recipe_file(path)
    return path.parent if output is None and resume and _is_of_a_run(path) else output


def open_searched(folder: Path | str, data_dir: Path | None) -> RunContext:
    """A run that was searched, checked. Raises InputError when there is none, or its recipe is wrong now."""
    run_folder = RunFolder(folder)
    recipe = run_folder.read_recipe()
    if data_dir is not None:
        recipe = recipe.with_data_directory(data_dir)
    if not run_folder.study_path.is_file():
        raise InputError(f"{folder}: nothing was searched yet; `edgenas search` does that")
    context = RunContext(recipe, run_folder, Progress())
    check(context)
    return context


@contextmanager
def removed_if_wrong(folder: RunFolder, fresh: bool) -> Iterator[None]:
    """Takes a new folder away again when the recipe turns out to be wrong, so that the mended one can just be run.

    A folder that holds anything that took long is kept, and how to go on is said.
    """
    try:
        yield
    except InputError as error:
        if not fresh or folder.remove_if_cheap() or not folder.path.exists():
            raise
        if "--resume" in str(error):
            raise
        raise InputError(
            f"{error}. Everything finished so far is kept in {folder.path}; mend that and continue with the same "
            "command and --resume"
        ) from None


@contextmanager
def working(context: RunContext) -> Iterator[None]:
    """Locks the folder, shows progress, and says how to go on when the user interrupts or the disk is full."""
    with context.folder, context.progress:
        try:
            with leased_devices(context):
                yield
        except KeyboardInterrupt:
            with suppress(EdgeNASError):
                context.log.event("interrupted")
            raise WorkError(
                f"interrupted; everything finished so far is saved in {context.folder.path} ({saved_words(context)}); "
                "continue with the same command and --resume"
            ) from None
        except EdgeNASError as error:
            if isinstance(error, WorkError) and is_full(error) and "--resume" not in str(error):
                raise WorkError(f"{error}; {no_space(context.folder.path)}") from None
            raise
        except Exception as error:  # libraries tell of a full disk in exceptions of their own
            if not is_full(error):
                raise
            raise WorkError(no_space(getattr(error, "filename", None) or context.folder.path)) from None


def prepare(context: RunContext, *, resume: bool) -> bool:
    """Makes the run's folder or checks that it is the same run; True when there was one."""
    folder, recipe = context.folder, context.recipe
    existed = folder.prepare(recipe, resume=resume)
    # One that was killed before its first trial may lack its inputs: what is there now is what it is made from.
    if existed and (folder.inputs.path.is_file() or folder.study_path.is_file()):
        check_inputs(context)
        take_over(context)
    else:
        folder.accept(recipe)
        folder.inputs.write(recipe, context.space, context.dataset, context.labels)
    return existed


def check_inputs(context: RunContext) -> None:
    """Refuses another space or other data than those that the finished trials are of."""
    if remark := context.folder.inputs.check(context.space, context.dataset, context.labels):
        context.progress.say(f"{context.folder.path}: {remark}")
    if context.folder.study_path.is_file():
        with closing(context.open_study()) as study:
            for trial in study.trials:
                if not trial.foreign and str(context.space.parse(trial.architecture)) != trial.architecture:
                    raise InputError(f"{context.folder.path}: trial {trial.number} is of another space")
