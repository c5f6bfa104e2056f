#!/usr/bin/env bash
# All checks: format, lint, types, floors, documentation, tests.   bash tools/test.sh [--slow] [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/environment.sh
edgenas_environment dashboard,detection,dev,docs,postgres,qat
edgenas_optional_extras ethos-u micro selective openvino fakes

selection=(-m "not slow")
if [ "${1:-}" = "--slow" ]; then
    selection=()
    shift
fi

ruff format --check .
ruff check .
mypy
lint-imports
zensical build --clean --strict
# A file's tests stay together, since they share what is slow to make.
python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile "${selection[@]}" "$@"
