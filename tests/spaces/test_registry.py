"""One registry for every extension point."""

import pytest

from edgenas.spaces.errors import InputError
from edgenas.spaces.registry import Registry


def test_a_name_is_taken_once_and_by_the_same_class_again() -> None:
    registry: Registry[type] = Registry("thing", attribute="kind")

    class First: ...

    class Second: ...

    assert registry.decorator("a")(First) is First
    assert First.kind == "a"  # type: ignore[attr-defined]
    registry.decorator("a")(First)
    with pytest.raises(InputError, match=r"thing 'a' is already registered by .*First"):
        registry.decorator("a")(Second)
    assert registry.get("a") is First
    assert list(registry) == ["a"]
    with pytest.raises(InputError, match=r"unknown thing 'b': expected one of a"):
        registry.get("b")
    registry.decorator("similar")(Second)
    with pytest.raises(InputError, match=r"unknown thing 'simlar': .*; did you mean 'similar'\?"):
        registry.get("simlar")
    other: Registry[type] = Registry("thing", also=", or one of your own")
    with pytest.raises(InputError, match=r"unknown thing 'b': expected one of , or one of your own$"):
        other.get("b")
    registry.remove("a")
    assert "a" not in registry


def test_what_is_kept_is_made_of_the_class() -> None:
    registry: Registry[object] = Registry("thing", make=lambda cls: cls())

    @registry.decorator("one")
    class One: ...

    assert isinstance(registry.get("one"), One)
