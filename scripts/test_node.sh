#!/usr/bin/env bash
# Builds the Node package from its lock file and runs its tests.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
[ -f node/package.json ] || { echo "node: no package.json yet, nothing to test"; exit 0; }
need npm "Node.js 20 or newer"

[ node/node_modules/.package-lock.json -nt node/package-lock.json ] || npm --prefix node ci --no-audit --no-fund
npm --prefix node run build
npm --prefix node test
