"""One thread for the small matrices of a search's models.

Matrices of 200 rows are too small to be shared: two threads wait for each other longer than they compute, and where
workers train on the same cores, one of the two is away from its core most of the time. That made a suggestion of
``auto`` cost 10 times as much as on an idle machine. What is computed is the same.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any


def one_blas_thread() -> AbstractContextManager[Any]:
    """Within it, NumPy's linear algebra uses one thread; afterwards as many as before.

    >>> import numpy as np
    >>> with one_blas_thread():
    ...     float(np.linalg.det(np.eye(3)))
    1.0
    """
    limits: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limits


@lru_cache(maxsize=1)
def _controller() -> Any:
    """Knows the libraries that are loaded: looked up once, as that takes milliseconds."""
    import numpy.linalg  # noqa: F401  (loads the library that is to be found)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
