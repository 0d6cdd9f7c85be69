#!/usr/bin/env bash
# Builds the VideoTracker plugin and the worker that runs it, in release mode, into plugins/videotracker.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need g++ "a C++17 compiler (Debian: build-essential)"

export LIBTORCH="$ROOT/.torch/torch" LIBTORCH_INCLUDE="$ROOT/.torch/torch" LIBTORCH_LIB="$ROOT/.torch/link"
here="$ROOT/plugins/videotracker"
built="${CARGO_TARGET_DIR:-$ROOT/target}/release"

# A copy that can be made to fail as a GPU would, for the tests only.
cargo build --quiet --release --locked -p plugward-videotracker-torch --features faults
mkdir -p "$here/tests/faults"
cp -f "$built/libvideotracker_torch.so" "$here/tests/faults/"

cargo build --quiet --release --locked -p plugward-videotracker-torch --features torch
# Without its rlib, which is for tests: for that, all that it stands on would be compiled in another way than for the
# doors, whose libraries are linked with LTO only.
cargo rustc --quiet --release --locked -p plugward-videotracker --crate-type cdylib
cargo build --quiet --release --locked -p plugward-worker
cp -f "$built/libvideotracker_torch.so" "$built/libvideotracker.so" "$here/"
cp -f "$built/libvideotracker.so" "$here/tests/faults/"

# What only libtorch may bring must be needed by nothing that the host or the plain plugin opens.
if readelf -d "$here/libvideotracker.so" | grep -q 'NEEDED.*\(torch\|c10\)'; then
    die "libvideotracker.so links libtorch: only libvideotracker_torch.so may"
fi
"$VENV/bin/python" plugins/videotracker/manifests.py --check
echo "built plugins/videotracker"
