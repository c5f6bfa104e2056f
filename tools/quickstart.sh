#!/usr/bin/env bash
# The whole job on bundled real data: measures this CPU, searches, trains, quantizes, exports, reports.
#   bash tools/quickstart.sh [arguments of `edgenas run`, such as --data-dir DIR --output DIR]
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/environment.sh
edgenas_environment ""

# --resume: a second call continues what an interruption left, and starts anew where there is nothing.
exec edgenas run edgenas/recipes/quickstart.yaml --resume "$@"
