#!/usr/bin/env bash
# The unsafe modules of the core under Miri. Miri is part of nightly toolchains only.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cargo miri --version >/dev/null 2>&1 ||
    die "Miri is not installed; run: rustup toolchain install nightly --component miri rust-src, then: RUSTUP_TOOLCHAIN=nightly make miri"
MIRIFLAGS="-Zmiri-disable-isolation ${MIRIFLAGS:-}" \
    cargo miri test --locked -p plugward-abi -p plugward-core --lib --target-dir target/miri "$@"
