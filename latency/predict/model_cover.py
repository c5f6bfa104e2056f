"""Blocks found again in a model: its operators covered with as many measured blocks as fit.

A block is recognised by the fingerprints of its operators and by who reads whose output, in the order in which they
run; names and weights do not matter, so a trained and converted model is covered like the network it was built from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgenas.latency.predict.operators import OUTSIDE, OperatorWork, signature_work
from edgenas.spaces.errors import InputError

Pattern = tuple[Any, ...]
#: What no block covers is cut into pieces of at most this many operators, as blocks have.
_LONGEST_PIECE = 6
#: Numbers of fused activations that cost nothing: RELU, RELU_N1_TO_1, RELU6.
_CLAMPS = (1, 2, 3)


@dataclass(frozen=True)
class Piece:
    """Operators that follow each other: those of the measured block ``signature``, or of none."""

    works: tuple[OperatorWork, ...]
    signature: str | None = None


class BlockIndex:
    """Signatures by the operators of their blocks. Signatures that cannot be read are left out.

    In a model a block's last operator may take along a ReLU of what reads it, which costs nothing: where no block has
    that, one without it is found.
    """

    def __init__(self, signatures: Iterable[str]) -> None:
        self._by_pattern: dict[Pattern, str] = {}
        self._plainly: dict[Pattern, str] = {}
        for signature in sorted(signatures):
            try:
                works = signature_work(signature)
            except InputError:
                continue
            if works:
                self._by_pattern.setdefault(_pattern(works, 0, len(works)), signature)
                self._plainly.setdefault(_plain(_pattern(works, 0, len(works))), signature)
        self._lengths = sorted({len(pattern) for pattern in self._by_pattern}, reverse=True)

    def cover(self, works: Sequence[OperatorWork]) -> tuple[Piece, ...]:
        """Cuts a model into blocks such that the fewest operators are left without one, then the fewest pieces."""
        readers = _readers(works)
        # best[end]: operators without a block, blocks, where the last piece starts, its signature.
        best: list[tuple[int, int, int, str | None]] = [(0, 0, 0, None)]
        for end in range(1, len(works) + 1):
            single = best[end - 1]
            choice: tuple[int, int, int, str | None] = (single[0] + 1, single[1], end - 1, None)
            for length in self._lengths:
                start = end - length
                if start < 0 or not _closed(works, readers, start, end):
                    continue
                pattern = _pattern(works, start, end)
                signature = self._by_pattern.get(pattern) or self._plainly.get(_plain(pattern))
                before = best[start]
                if signature is not None and (before[0], before[1] + 1) < choice[:2]:
                    choice = (before[0], before[1] + 1, start, signature)
            best.append(choice)
        return _pieces(works, best, readers)


def _pattern(works: Sequence[OperatorWork], start: int, end: int) -> Pattern:
    """Fingerprints, and sources by their place within the pattern; one mark for all that comes from outside."""
    return tuple(
        (
            work.fingerprint,
            tuple(sorted(source - start if source >= start else OUTSIDE for source in work.sources)),
        )
        for work in works[start:end]
    )


def _plain(pattern: Pattern) -> Pattern:
    """The same with a last operator that takes no clamp along."""
    *before, (fingerprint, sources) = pattern
    *rest, options = fingerprint
    left = tuple(each for each in options if each[0] != "fusedActivationFunction" or each[1] not in _CLAMPS)
    return (*before, ((*rest, left), sources))


def _readers(works: Sequence[OperatorWork]) -> Mapping[int, list[int]]:
    readers: dict[int, list[int]] = defaultdict(list)
    for place, work in enumerate(works):
        for source in work.sources:
            readers[source].append(place)
    return readers


def _closed(works: Sequence[OperatorWork], readers: Mapping[int, list[int]], start: int, end: int) -> bool:
    """Whether only the last operator's output is read behind the end, as that of a block, or that of a first operator
    without weights: what several blocks would do is done once.
    """

    def is_shared(place: int) -> bool:
        return not works[place].parameter_bytes and all(source < start for source in works[place].sources)

    return all(reader < end or is_shared(place) for place in range(start, end - 1) for reader in readers.get(place, ()))


def _pieces(
    works: Sequence[OperatorWork],
    best: Sequence[tuple[int, int, int, str | None]],
    readers: Mapping[int, list[int]],
) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    end = len(works)
    while end:
        _, _, start, signature = best[end]
        pieces.append(Piece(tuple(works[start:end]), signature))
        end = start
    joined: list[Piece] = []
    for piece in reversed(pieces):
        last = joined[-1] if joined else None
        if piece.signature is None and last is not None and last.signature is None and not _ends(last.works):
            joined[-1] = Piece((*last.works, *piece.works))
        else:
            joined.append(piece)
    return tuple(joined)


def _ends(works: Sequence[OperatorWork]) -> bool:
    """Whether a piece without a block ends here: behind an addition, or when it is as long as blocks are."""
    return works[-1].name == "ADD" or len(works) >= _LONGEST_PIECE
