"""Where EdgeNAS keeps what belongs to the user: device descriptions, latency tables, workers' folders."""

from __future__ import annotations

import os
from pathlib import Path


def edgenas_home() -> Path:
    """``$EDGENAS_HOME``, or ``~/.edgenas``. It may not exist yet."""
    configured = os.environ.get("EDGENAS_HOME")
    return Path(configured).expanduser() if configured else Path.home() / ".edgenas"
