#!/usr/bin/env bash
# Pins requirements/*.in into requirements/*.txt with hashes, for every platform, naming no package index.
# Existing pins are kept; `UPGRADE=1 make lock` moves all of them to the newest versions.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

export UV_CACHE_DIR="$ROOT/.tools/uv"
tool="$ROOT/.tools/lock"
[ -x "$tool/bin/uv" ] || { "$VENV/bin/python" -m venv "$tool" && "$tool/bin/pip" install --quiet uv; }
for name in dev bench train video; do
    "$tool/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-emit-index-url --no-emit-find-links ${UPGRADE:+--upgrade} \
        --output-file "requirements/$name.txt" "requirements/$name.in"
done
# libtorch without its 2 GB of CUDA libraries: no dependencies, one platform.
"$tool/bin/uv" pip compile --quiet --no-deps --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
    --generate-hashes --no-header --no-emit-index-url --no-emit-find-links ${UPGRADE:+--upgrade} \
    --output-file requirements/torch.txt requirements/torch.in
