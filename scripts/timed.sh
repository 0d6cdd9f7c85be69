#!/usr/bin/env bash
# timed.sh NAME COMMAND ...: runs the command and says how long it took.
set -euo pipefail
name="$1"
shift
status=0
"$@" || status=$?
echo "== $name: $SECONDS s"
exit "$status"
