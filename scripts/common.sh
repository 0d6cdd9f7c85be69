# Sourced by every script here: strict mode, the project root, and clear errors.
# shellcheck shell=bash
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="$ROOT/.venv"
cd "$ROOT"

# Downloads are kept inside the project, so that removing the folder removes everything.
export PIP_CACHE_DIR="$ROOT/.tools/pip"
export PIP_DISABLE_PIP_VERSION_CHECK=1
export npm_config_cache="$ROOT/.tools/npm"

die() {
    printf 'plugward: %s\n' "$*" >&2
    exit 1
}

# need TOOL WHAT-TO-INSTALL
need() {
    command -v "$1" >/dev/null 2>&1 || die "$1 was not found; install $2"
}
