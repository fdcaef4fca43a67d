"""botan-fast info"""

import json

from .parser import _add_command, _Parser


def _info(arguments) -> int:
    from ..info import build_info

    info = build_info()
    if arguments.json:
        print(json.dumps(info))
    else:
        for name, value in info.items():
            print(f"{name:20}{value}")
    return 0


def _add_info(commands) -> _Parser:
    parser = _add_command(commands, "info", _info, "Print versions, instruction set, threads and devices.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser
