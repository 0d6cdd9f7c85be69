#!/usr/bin/env bash
# Rust tests of the whole workspace: cargo-nextest where it is installed, else cargo test.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need cargo "Rust 1.95 or newer (rustup)"

if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked --no-fail-fast --no-tests=fail "$@"
    cargo test --workspace --locked --doc
else
    cargo test --workspace --locked --no-fail-fast "$@"
fi
