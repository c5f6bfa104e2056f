"""Section ``space`` of a recipe: what may be built."""

from __future__ import annotations

from pydantic import Field, model_validator

from edgenas.recipe.section import Section


class SpaceRecipe(Section):
    """What may be built. Input shape and classes follow the data."""

    name: str | None = Field(
        default=None, examples=["tiny_edge"], description="A space of the catalog; see `edgenas spaces list`."
    )
    path: str | None = Field(default=None, description="Instead of a name: the YAML file of a space of your own.")
    architecture: str | None = Field(
        default=None,
        description="Instead of a space: one network, which is trained, exported and measured without a search: a "
        "reference network's name, SPACE:STRING, or the path of an architecture.yaml. It needs no budget.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> SpaceRecipe:
        if sum(key is not None for key in (self.name, self.path, self.architecture)) != 1:
            raise ValueError("expected exactly one of the keys 'name', 'path' and 'architecture'")
        return self

    @property
    def spec(self) -> str:
        """What ``SearchSpace.load`` takes; the architecture where there is no space."""
        return str(self.path or self.name or self.architecture)

    @property
    def files(self) -> dict[str, str]:
        """The file that it names, by key."""
        found = {"path": self.path}
        if self.architecture is not None and _names_file(self.architecture):
            found["architecture"] = self.architecture
        return {key: value for key, value in found.items() if value}


def _names_file(architecture: str) -> bool:
    """Whether an architecture is, or begins with, the path of a file: ``architecture.yaml``, ``my_space.yaml:0102``."""
    return any(part.endswith((".yaml", ".yml")) for part in (architecture, architecture.rpartition(":")[0]))
