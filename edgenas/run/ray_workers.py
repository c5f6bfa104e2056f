"""Workers of a search as Ray actors: Ray says where they run, the study says what they do.

An actor whose process or node is lost is started again by Ray, on another node where its own is gone, under its name;
so it gets its trial back, and if Ray cannot start it, another worker takes the trial.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.plugins import is_module
from edgenas.run.shared import study_url
from edgenas.spaces.errors import InputError, WorkError
from edgenas.study.scheduler import SchedulerFactory
from edgenas.study.workers import EvaluatorFactory

if TYPE_CHECKING:
    from edgenas.run.context import RunContext

LOCAL = "local"
#: How often the search looks whether its actors are alive.
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class RayCrew:
    """Where a search evaluates its candidates.

    Args:
        address: of a running Ray cluster, as ``ray.init`` takes it; ``local`` starts one on this machine.
        workers: actors, each evaluating one candidate at a time.
        gpus_per_worker: GPUs that Ray keeps for each; a share such as 0.5 lets two use one.
        cpus_per_worker: CPUs that Ray keeps for each.
    """

    address: str = LOCAL
    workers: int = 1
    gpus_per_worker: float = 0.0
    cpus_per_worker: float = 1.0

    def url(self, context: RunContext) -> str:
        """The study that the actors share. Raises InputError when other machines could not reach it."""
        if context.recipe.search.study is not None:
            return study_url(context.recipe)
        if self.address == LOCAL:
            return f"sqlite:///{context.folder.study_path.resolve()}"
        raise InputError(
            "--ray: the workers of a cluster need a study that they can reach; name one with --study, such as "
            "postgresql://HOST/DATABASE, or grpc://HOST:PORT of `edgenas serve`"
        )

    def artifacts(self, context: RunContext) -> str | None:
        """The store of weights: the recipe's; without one, actors on this machine use a folder of the run."""
        store = context.recipe.search.artifacts.store
        local = str(context.folder.path.resolve() / "artifacts") if self.address == LOCAL else None
        return store or local

    def work(
        self,
        context: RunContext,
        evaluator: EvaluatorFactory | None = None,
        scheduler: SchedulerFactory | None = None,
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        """Evaluates all trials of the run's study; ``tell`` is called now and then.

        Raises WorkError when an actor fails for good.
        """
        ray = load_ray()
        url, recipe = self.url(context), context.recipe
        options: dict[str, Any] = {
            "data_dir": recipe.data.directory and Path(recipe.data.directory),
            "data_path": recipe.data.path and Path(recipe.data.path).resolve(),
            "plugins": [Path(plugin) for plugin in recipe.plugins if not is_module(plugin)],
            "evaluator": evaluator,
            "scheduler": scheduler,
            "quiet": True,
            "artifacts": self.artifacts(context),
        }
        with cluster(ray, self):
            actor = ray.remote(
                num_cpus=self.cpus_per_worker, num_gpus=self.gpus_per_worker, max_restarts=-1, max_task_retries=-1
            )(Worker)
            names = [f"ray-{recipe.name}-{number}" for number in range(self.workers)]
            folder = context.folder.path.resolve() / "workers" if self.address == LOCAL else None
            actors = [actor.remote(url, name, folder and folder / name, options) for name in names]
            pending = [one.work.remote() for one in actors]
            while pending:
                done, pending = ray.wait(pending, timeout=_POLL_SECONDS)
                for one in done:
                    _result(ray, one)
                tell()


def crew_of(address: str | None, workers: int | None, gpus_per_worker: float | None) -> RayCrew | None:
    """The crew that the command line asks for. Raises InputError for options that belong to ``--ray`` without it."""
    if address is None:
        if workers is not None or gpus_per_worker is not None:
            raise InputError(
                "--workers and --gpus-per-worker belong to --ray; search.workers of the recipe is the rest"
            )
        return None
    load_ray()
    return RayCrew(address, workers or 1, gpus_per_worker or 0.0)


class Worker:
    """The loop of ``edgenas worker`` in an actor."""

    def __init__(self, url: str, name: str, folder: Path | None, options: dict[str, Any]) -> None:
        self.url, self.name, self.folder, self.options = url, name, folder, options

    def work(self) -> int:
        """Takes part until the study has all its trials; returns how many ended here."""
        from edgenas.run.worker import work

        return work(self.url, name=self.name, folder=self.folder, **self.options).trials


def _result(ray: Any, done: Any) -> int:
    try:
        return int(ray.get(done))
    except ray.exceptions.RayTaskError as error:
        words = str(error.cause) if getattr(error, "cause", None) else str(error).strip().splitlines()[-1]
        raise WorkError(f"a Ray worker failed: {words}") from None
    except ray.exceptions.RayError as error:
        raise WorkError(f"Ray cannot run the workers: {' '.join(str(error).split())[:300]}") from None


def load_ray() -> Any:
    """Ray. Raises InputError naming the extra where it is not installed."""
    try:
        import ray
    except ImportError:
        raise InputError("--ray needs the extra edgenas[ray]: pip install 'edgenas[ray]'") from None
    return ray


@contextlib.contextmanager
def cluster(ray: Any, crew: RayCrew) -> Iterator[None]:
    """A connection to the cluster; one that was started here ends with it."""
    if ray.is_initialized():
        yield
        return
    paths = os.environ.get("PYTHONPATH", "")
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "include_dashboard": False}
    if crew.address == LOCAL:
        cpus = max(crew.workers * crew.cpus_per_worker, 1)
        settings |= {"num_cpus": int(cpus + 0.999), "address": "local"}
    else:
        settings = {"log_to_driver": False, "logging_level": "ERROR", "address": crew.address}
    settings["runtime_env"] = {"env_vars": {"PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "2"}}
    try:
        ray.init(**settings)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"--ray {crew.address}: {' '.join(str(error).split())[:300]}") from None
    except Exception as error:  # Ray raises the bare class where its own processes do not come up
        ray.shutdown()
        words = " ".join(str(error).split())[:300]
        raise WorkError(f"--ray {crew.address}: Ray did not start: {words}; nothing is lost, try --resume") from None
    try:
        yield
    finally:
        ray.shutdown()
