#!/usr/bin/env bash
# The core's tests under ThreadSanitizer and AddressSanitizer.
#   scripts/sanitize.sh [thread|address] [test name filter ...]
# The stable toolchain ships both runtimes; RUSTC_BOOTSTRAP opens the flag that links them. The standard library itself
# is not instrumented (that needs its source), so ThreadSanitizer is told that this mix is meant.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

which="${1:-all}"
[ "$#" = 0 ] || shift
target="$(rustc -vV | sed -n 's/^host: //p')"
export RUSTC_BOOTSTRAP=1
export TSAN_OPTIONS="halt_on_error=1 suppressions=$ROOT/scripts/tsan.supp ${TSAN_OPTIONS:-}"
export ASAN_OPTIONS="detect_leaks=1 ${ASAN_OPTIONS:-}"

under() {
    local kind="$1"
    shift
    echo "== $kind sanitizer"
    RUSTFLAGS="-Zsanitizer=$kind -Cunsafe-allow-abi-mismatch=sanitizer" \
        cargo test --locked --tests -p plugward-abi -p plugward-core \
        --target "$target" --target-dir "target/sanitize-$kind" -- "$@"
}

case "$which" in
thread | address) under "$which" "$@" ;;
all)
    under thread "$@"
    under address "$@"
    ;;
*) die "unknown sanitizer '$which'; use thread or address" ;;
esac
