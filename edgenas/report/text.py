"""Numbers and texts as people read them. Every function takes None for 'not known' and returns a dash."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable

DASH, MINUS, TIMES = "\N{EN DASH}", "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"


def escape(value: object) -> str:
    """Safe inside HTML text and double-quoted attributes."""
    return html.escape(str(value), quote=True)


def percent(share: float | None, digits: int = 1) -> str:
    """``0.8734`` as ``87.3 %``."""
    return DASH if _unknown(share) else f"{100 * share:.{digits}f} %"  # type: ignore[operator]


def signed_percent(share: float | None, digits: int = 1) -> str:
    """``-0.0213`` as ``-2.1 %`` with a true minus sign."""
    return DASH if _unknown(share) else f"{100 * share:+.{digits}f} %".replace("-", MINUS)  # type: ignore[operator]


def milliseconds(value_ms: float | None) -> str:
    """Three significant digits: ``0.213 ms``, ``12.4 ms``."""
    return DASH if _unknown(value_ms) else f"{significant(value_ms)} ms"


def millijoules(value_mj: float | None) -> str:
    """Three significant digits: ``0.213 mJ``, ``12.4 mJ``."""
    return DASH if _unknown(value_mj) else f"{significant(value_mj)} mJ"


def significant(value: float | None, digits: int = 3) -> str:
    """Plain notation with so many significant digits, zeros kept: ``0.210``."""
    if _unknown(value):
        return DASH
    assert value is not None
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"


def count(value: float | None) -> str:
    """``1234567`` as ``1.23 M``."""
    if _unknown(value):
        return DASH
    assert value is not None
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= limit:
            return significant(value / limit) + unit
    return f"{value:,.0f}"


def size(value_bytes: float | None) -> str:
    """``312345`` bytes as ``305 KiB``."""
    if _unknown(value_bytes):
        return DASH
    assert value_bytes is not None
    for limit, unit in ((2**20, "MiB"), (2**10, "KiB")):
        if value_bytes >= limit:
            return f"{significant(value_bytes / limit)} {unit}"
    return f"{value_bytes:.0f} B"


def duration(seconds: float | None) -> str:
    """``312`` seconds as ``5 min 12 s``."""
    if _unknown(seconds):
        return DASH
    assert seconds is not None
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def wrapped(text: str, width: int = 44) -> str:
    """An escaped text broken with ``<br>`` every ``width`` characters: hover boxes do not wrap by themselves."""
    return "<br>".join(escape(text[start : start + width]) for start in range(0, len(text), width))


def wilson_interval(share: float, examples: int) -> tuple[float, float]:
    """95 % confidence interval of a share seen on so many examples (Wilson 1927).

    >>> low, high = wilson_interval(0.87, 2000)
    >>> round(low, 3), round(high, 3)
    (0.855, 0.884)
    """
    z = 1.959964
    centre = (share + z * z / (2 * examples)) / (1 + z * z / examples)
    half = z * math.sqrt(share * (1 - share) / examples + z * z / (4 * examples**2)) / (1 + z * z / examples)
    return centre - half, centre + half


def sides(shape: Iterable[int]) -> str:
    """A shape's sides joined by multiplication signs."""
    return TIMES.join(str(side) for side in shape)


def _unknown(value: float | None) -> bool:
    return value is None or math.isnan(value)


def metric_title(metric: str) -> str:
    """A metric as people write it.

    >>> metric_title("top1"), metric_title("mean_error")
    ('top-1', 'mean error')
    """
    known = {"top1": "top-1", "miou": "mIoU", "map": "mAP", "f1": "F1", "r2": "R²", "rmse": "RMSE", "mae": "MAE"}
    known |= {"d2_log_loss": "D² of the log loss", "d2_absolute_error": "D² of the absolute error"}
    return known.get(metric, metric.replace("_", " "))
