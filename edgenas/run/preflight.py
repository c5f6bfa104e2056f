"""What is checked before the first trial, so that nothing is found wrong after hours of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgenas.run.disk import check_space
from edgenas.run.initial import check_initial
from edgenas.run.preflight_training import check_trainings
from edgenas.run.profile import check_energy_known
from edgenas.run.teacher import check_distillation
from edgenas.spaces.errors import InputError
from edgenas.spaces.text import one_line, printable

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.spaces.network import Network

#: Weights, their optimizer's and average's state, and checkpoints of a training, in bytes for each parameter.
_BYTES_PER_PARAMETER = 40
#: What a trial takes in the study, its backup, its folder and the log.
_BYTES_PER_TRIAL = 16_000
_BYTES_OF_A_RUN = 4_000_000
_SAMPLED = 64


def check(context: RunContext) -> None:
    """Everything that can be wrong with a recipe and is cheap to find out: data, space, device, names, disk.

    Raises InputError, and WorkError when there is no space for the work.
    """
    from edgenas.export.quantization import get_recipe

    if missing := get_recipe(context.recipe.export.quantization).missing():
        raise InputError(f"export.quantization: {missing}")
    for device in context.devices:
        if context.precision not in device.device.precisions:
            raise InputError(
                f"export.quantization: device {device.name!r} cannot run {context.precision!r} models, expected "
                f"one of {', '.join(device.device.precisions)}"
            )
    check_trainings(context.recipe)
    check_energy_known(context)
    _check_data(context)
    data = context.recipe.data
    for remark in context.task.remarks(context.dataset, data.validation_fraction, context.recipe.seed):
        context.progress.say(f"data: {one_line(remark)}")
    networks = _sampled(context)  # loads the space
    _check_task(context, networks[0])
    _check_training(context)
    supernet_bytes = 0
    if context.recipe.is_one_shot:
        from edgenas.run.supernet.making import check_supernet

        supernet_bytes = check_supernet(context)
    _check_compression(context)
    _check_quantize_aware(context, networks)
    _check_bundle_folder(context)
    check_initial(context, networks)
    check_distillation(context, networks[0])
    parameters = max(network.params for network in networks)
    finals = min(context.recipe.export.candidates, 3)
    needed = _BYTES_OF_A_RUN + _BYTES_PER_TRIAL * context.recipe.trials + _BYTES_PER_PARAMETER * parameters * finals
    kept = context.recipe.search.kept_weights
    weights = min(kept.bytes, 4 * parameters * kept.trials) if context.recipe.keeps_weights else 0
    check_space(context.folder.path, needed + supernet_bytes + weights)


def _check_data(context: RunContext) -> None:
    """What the bundle, which comes last, would refuse; and whether there are images to compare candidates on."""
    from edgenas.export.bundle.contents import label_problem

    dataset, data = context.dataset, context.recipe.data
    if problem := label_problem(context.labels):
        source = printable(dataset.source, instead="?")
        raise InputError(
            f"data set {dataset.name!r} ({source}): {problem}; rename the class, whose name goes into labels.txt"
        )
    for what in ("name", "licence", "source"):
        text = getattr(dataset, what)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"data set {printable(text, instead='?')}: its {what} is no text that UTF-8 can write; rename it"
            ) from None
    dataset.split(data.validation_fraction, context.recipe.seed)


def _sampled(context: RunContext) -> list[Network]:
    population = context.space.sample(np.random.default_rng(0), _SAMPLED)
    return [context.space.decode(row) for row in population]


def _check_task(context: RunContext, network: Network) -> None:
    """Whether the networks of the space fit the data for the task."""
    context.task.check(context.dataset, network)


def _check_training(context: RunContext) -> None:
    """Whether the trainings' random changes and stages are for data of this kind."""
    recipe, task = context.recipe, context.task
    supernet = recipe.supernet
    if supernet is not None and (supernet.augmentation.mixup or supernet.augmentation.cutmix):
        raise InputError("supernet.augmentation: mixup and cutmix are not for a supernet's training; set them to 0")
    for key, training in (("search.training", recipe.search.training), ("training", recipe.training)):
        changes = training.augmentation
        if task.all_augmentations:
            continue
        if changes.randaugment or changes.mixup or changes.cutmix:
            raise InputError(
                f"{key}.augmentation: randaugment, mixup and cutmix are for image classification, not for {task.kind}; "
                "set them to 0"
            )
        if training.progressive is not None:
            raise InputError(f"{key}.progressive: is for image classification, not for {task.kind}; leave it out")


def _check_compression(context: RunContext) -> None:
    """Whether pruning and clustering find anything in the space."""
    from edgenas.export.quantization import get_recipe
    from edgenas.export.quantization.compression import compressible_ops

    name = context.recipe.export.quantization
    tuning = get_recipe(name).fine_tuning
    if tuning is None or not (tuning.pruned or tuning.clustered):
        return
    if not any(compressible_ops(entry.graph) for entry in context.space.entries):
        raise InputError(
            f"export.quantization: {name!r} finds nothing in space {context.space.name!r}: no network of it has a "
            "kernel large enough to prune or cluster; choose another quantization, such as int8"
        )


def _check_quantize_aware(context: RunContext, networks: list[Network]) -> None:
    """Whether quantization-aware training can round all that networks of the space compute."""
    from edgenas.export.quantization import get_recipe
    from edgenas.export.quantization.fine_tunable import not_quantize_aware

    name = context.recipe.export.quantization
    tuning = get_recipe(name).fine_tuning
    if tuning is None or not tuning.quantize_aware:
        return
    for network in networks:
        if problem := not_quantize_aware(network.graph):
            raise InputError(
                f"export.quantization: {name!r} cannot round what {problem} computes inside (a network of space "
                f"{context.space.name!r}); choose int8 or int16x8, or blocks without layer norms, and without batch "
                "norms that come before the convolutions"
            )


def _check_bundle_folder(context: RunContext) -> None:
    from edgenas.export.bundle.bundle import check_replaceable

    for view in context.budgets:
        check_replaceable(view.folder.bundle_path)
