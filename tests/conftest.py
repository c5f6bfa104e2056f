"""What holds for all tests."""

import importlib.util
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A shell's background jobs ignore Ctrl-C, and so would every program that a test starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A shared machine stands still for tenths of a second: no unit test fails for the time that it takes.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def _graph_spaces():
    path = Path(__file__).with_name("graph_spaces.py")
    spec = importlib.util.spec_from_file_location("graph_spaces", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["graph_spaces"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(
    scope="session",
    params=["two_ends", "pyramid", "searched_edges", "transformer", "recurrent", "third_party"],
)
def graph_space(request):
    """Search spaces that are graphs, one after the other."""
    return (sys.modules.get("graph_spaces") or _graph_spaces()).load(request.param)
