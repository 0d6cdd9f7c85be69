#!/usr/bin/env bash
# The core's tests under ThreadSanitizer and AddressSanitizer.
#   scripts/sanitize.sh [thread|address] [test name filter ...]
# The stable toolchain ships both runtimes; RUSTC_BOOTSTRAP opens the flag that links them. The standard library itself
# is not instrumented (that needs its source), so ThreadSanitizer does not see what std's own locks, channels and scopes
# synchronise: scripts/tsan.supp names those, and the core synchronises through parking_lot and atomics.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

which="${1:-all}"
[ "$#" = 0 ] || shift
target="$(rustc -vV | sed -n 's/^host: //p')"
export RUSTC_BOOTSTRAP=1
export TSAN_OPTIONS="halt_on_error=0 history_size=7 suppressions=$ROOT/scripts/tsan.supp ${TSAN_OPTIONS:-}"
export ASAN_OPTIONS="detect_leaks=1 ${ASAN_OPTIONS:-}"
export LSAN_OPTIONS="suppressions=$ROOT/scripts/lsan.supp ${LSAN_OPTIONS:-}"

# A sanitizer that is not on would pass everything: show that it catches what it must.
prove() {
    local kind="$1" proof="$ROOT/target/sanitize-$1/proof"
    mkdir -p "$(dirname "$proof")"
    rustc --edition 2024 "-Zsanitizer=$kind" -Cunsafe-allow-abi-mismatch=sanitizer -o "$proof" tests/sanitizer/proof.rs
    if "$proof" "$kind" >"$proof.log" 2>&1 || ! grep -qi "${kind}sanitizer" "$proof.log"; then
        die "the $kind sanitizer did not report the fault of tests/sanitizer/proof.rs"
    fi
}

under() {
    local kind="$1"
    shift
    echo "== $kind sanitizer"
    prove "$kind"
    CARGO_PROFILE_DEV_OPT_LEVEL=1 RUSTFLAGS="-Zsanitizer=$kind -Cunsafe-allow-abi-mismatch=sanitizer" \
        cargo test --locked --no-fail-fast --tests -p plugward-abi -p plugward-core \
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
