#!/usr/bin/env bash
# Is everything here that a build needs? Names what to install, all of it, not only the first.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

missing=0
check() {
    command -v "$1" >/dev/null 2>&1 && return
    printf 'plugward: %s was not found; install %s\n' "$1" "$2" >&2
    missing=1
}

check cargo "Rust 1.95 or newer (rustup)"
check rustc "Rust 1.95 or newer (rustup)"
check gcc "a C compiler (Debian: build-essential)"
check g++ "a C++17 compiler (Debian: build-essential)"
if [ -f node/package.json ]; then
    check node "Node.js 20 or newer"
    check npm "npm (it comes with Node.js)"
fi
[ "$missing" = 0 ] || exit 1

rust="$(rustc --version | cut -d' ' -f2 | cut -d. -f1,2)"
wanted="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)"
[ "$(printf '%s\n%s\n' "$wanted" "$rust" | sort -V | head -n 1)" = "$wanted" ] ||
    die "rustc is $rust, the workspace needs $wanted or newer; run: rustup update"
if [ -f node/package.json ]; then
    node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' ||
        die "node is $(node --version), version 20 or newer is needed"
fi
