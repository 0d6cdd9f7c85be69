#!/usr/bin/env bash
# Builds the Node addon and package from the lock file and runs their tests.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
[ -f node/package.json ] || { echo "node: no package.json yet, nothing to test"; exit 0; }

scripts/node_modules.sh
[ ! -f node/Cargo.toml ] || npm --prefix node run addon
npm --prefix node test
npm --prefix examples/ts_host ci --no-audit --no-fund --ignore-scripts
npm --prefix examples/ts_host test
