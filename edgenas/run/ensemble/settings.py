"""What kind of ensemble is made."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.export.files import file_name
from edgenas.spaces.errors import InputError

METHODS = ("non_adaptive", "adaptive", "residual", "intermixed")
COMBINATIONS = ("average", "learned")


@dataclass(frozen=True)
class EnsembleSettings:
    """Settings of one ensemble. Raises InputError naming the option, what was found and what was expected.

    Attributes:
        method: ``non_adaptive`` takes the best set of a pool of trained trials; ``adaptive`` adds one tower after the
            other where that helps; ``residual`` trains each new tower on what the ones before leave wrong;
            ``intermixed`` adds in turn the next best trial, and the one of two that helps most.
        towers: at most so many.
        combine: ``average``, or ``learned`` weights. Residual towers are added up.
        pool: trials that are trained, at most; None: two more than towers.
        distill: ship one network that has learned from the ensemble, instead of it.
        budget: ``COST=LIMIT`` each, in place of the run's: a search for small networks makes towers of a larger whole.
    """

    method: str = "adaptive"
    towers: int = 2
    combine: str = "average"
    pool: int | None = None
    distill: bool = False
    budget: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"--method: expected one of {', '.join(METHODS)}, found {self.method!r}")
        if self.combine not in COMBINATIONS:
            raise InputError(f"--combine: expected one of {', '.join(COMBINATIONS)}, found {self.combine!r}")
        if self.method == "residual" and self.combine != "average":
            raise InputError("--combine: residual towers are added up as they are; leave it out")
        if self.towers < 2:
            raise InputError(f"--towers: expected at least 2, found {self.towers}")
        if any("," in text for text in self.budget):
            raise InputError(f"--budget {' '.join(self.budget)}: expected one limit for the ensemble")
        if self.pool is not None and self.pool < self.towers:
            raise InputError(f"--pool: expected at least as many as --towers ({self.towers}), found {self.pool}")

    @property
    def trained(self) -> int:
        """Trials that are trained, at most."""
        return self.pool or self.towers + 2

    @property
    def name(self) -> str:
        """Of its folder under ``ensembles``."""
        found = f"{self.method}-{self.towers}-{self.combine}" + ("-distilled" if self.distill else "")
        return file_name("-".join([found, *self.budget]))
