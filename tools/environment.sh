# Sourced by quickstart.sh and test.sh: makes or reuses .venv with pinned versions and puts it on the PATH.
# Usage: source tools/environment.sh EXTRAS     (EXTRAS such as "" or "dev,qat"; PYTHON names the interpreter)

edgenas_environment() {
    local extras="$1" root stamp wanted python="${PYTHON:-python3}"
    root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
        echo "error: EdgeNAS needs Python 3.10 or newer; '$python' is $("$python" --version 2>&1)." \
            "Name another one: PYTHON=python3.11 bash tools/..." >&2
        return 2
    fi
    if [ ! -x "$root/.venv/bin/python" ]; then
        "$python" -m venv "$root/.venv" || return 1
    fi
    stamp="$root/.venv/installed-${extras//,/-}"
    wanted="$(cat "$root/pyproject.toml" "$root/tools/constraints.txt" | cksum) $root"
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        echo "Installing the pinned dependencies into .venv (once, about 2 minutes and 2 GB) ..." >&2
        "$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --constraint "$root/tools/constraints.txt" --editable "$root${extras:+[$extras]}" >&2 || return 1
        echo "$wanted" >"$stamp"
    fi
    PATH="$root/.venv/bin:$PATH"
    export PATH
}

# Extras that are not published for every Python: where one cannot be installed, its tests are skipped.
edgenas_optional_extras() {
    local root extra stamp
    root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
    for extra in "$@"; do
        stamp="$root/.venv/tried-$extra"
        [ -e "$stamp" ] && continue
        "$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --constraint "$root/tools/constraints.txt" --editable "$root[$extra]" >&2 ||
            echo "edgenas[$extra] cannot be installed here: its tests will be skipped" >&2
        touch "$stamp"
    done
}
