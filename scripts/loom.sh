#!/usr/bin/env bash
# The model of the lifecycle's state word under loom, which runs every interleaving of a few threads.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need cargo "Rust 1.95 or newer (rustup)"

RUSTFLAGS="--cfg loom" cargo test --locked -p plugward-loom --tests --target-dir target/loom
