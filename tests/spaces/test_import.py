"""What importing the package costs."""

import subprocess
import sys


def test_blocks_and_networks_need_nothing_installed():
    code = (
        "import sys; from edgenas.spaces import signature; from edgenas.spaces.blocks import ConvBnAct; "
        "signature(ConvBnAct(8), ((8, 8, 3),), 'int8'); "
        "print(sorted({'numpy', 'yaml', 'tensorflow', 'keras'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_exported_name_is_there():
    from edgenas import spaces

    for name in spaces.__all__:
        assert getattr(spaces, name) is not None
