#!/usr/bin/env bash
# Makes .venv with a Python of 3.11 or newer and the pinned packages of a requirements file.
#   scripts/python.sh requirements/dev.txt
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usable() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
        if usable "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    die "no Python 3.11 or newer with venv was found; install it (Debian: python3 python3-venv), or set PYTHON="
}

if ! "$VENV/bin/python" -c 'import pip' >/dev/null 2>&1; then
    python="$(find_python)"
    "$python" -m venv "$VENV"
fi
"$VENV/bin/python" -m pip install --quiet --require-hashes -r "$1"
