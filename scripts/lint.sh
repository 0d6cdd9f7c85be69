#!/usr/bin/env bash
# Every static check. All of them run, then the names of the failed ones are printed.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

failed=()
step() {
    local name="$1"
    shift
    printf '== %s\n' "$name"
    "$@" || failed+=("$name")
}

step rustfmt cargo fmt --all --check
step clippy cargo clippy --workspace --all-targets --locked -- -D warnings
step ruff "$VENV/bin/ruff" check .
step "ruff format" "$VENV/bin/ruff" format --check .
step mypy "$VENV/bin/mypy"
if [ -f python/plugward/_native.pyi ]; then
    allow=()
    [ -f python/stubtest.allow ] && allow=(--allowlist python/stubtest.allow)
    step stubtest "$VENV/bin/python" -m mypy.stubtest plugward._native "${allow[@]}" --mypy-config-file pyproject.toml
fi
if [ -f node/package.json ]; then
    scripts/node_modules.sh
    step "tsc build" npm --prefix node run --silent build
    step "tsc types" npm --prefix node run --silent types
fi

[ "${#failed[@]}" = 0 ] || die "lint failed: ${failed[*]}"
echo "lint: all clean"
