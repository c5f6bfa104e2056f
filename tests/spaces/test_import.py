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


def test_a_block_of_ones_own_is_refused_the_name_of_one_that_is_not_imported_yet():
    code = (
        "import sys; from edgenas.spaces.errors import InputError\n"
        "assert 'edgenas.spaces.block' not in sys.modules\n"
        "from edgenas.spaces.block import Block, register_block\n"
        "assert 'edgenas.spaces.blocks' not in sys.modules\n"
        "class Mine(Block): ...\n"
        "try: register_block('conv')(Mine)\n"
        "except InputError as error: print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "block 'conv' is already registered by ConvBnAct"


def test_every_exported_name_is_there():
    from edgenas import spaces

    for name in spaces.__all__:
        assert getattr(spaces, name) is not None
