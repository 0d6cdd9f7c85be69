#!/usr/bin/env bash
# A Python with all of torch (5 GB), supervision and OpenCV, in .tools/torch-python: for training the demo models of
# plugins/videotracker and for the row video_pipeline of `make bench`. Nothing else needs it.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder="$ROOT/.tools/torch-python"
[ -x "$folder/bin/python" ] || "$VENV/bin/python" -m venv "$folder"
for name in train video; do
    "$folder/bin/python" -m pip install --quiet --no-cache-dir --require-hashes -r "requirements/$name.txt"
done
