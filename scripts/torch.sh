#!/usr/bin/env bash
# libtorch and an ffmpeg for plugins/videotracker, in .torch: 600 MB of wheels, 1.5 GB unpacked. Nothing of it is
# imported; the packages stand in a folder of their own, because --no-deps leaves torch unfit for `import torch`.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$VENV/bin/python" -m pip install --quiet --no-deps --require-hashes --upgrade --no-compile \
    --no-cache-dir --target "$ROOT/.torch" -r requirements/torch.txt

# The build script of torch-sys adds CUDA whenever it sees libtorch_cuda.so: show it only what the CPU needs.
mkdir -p .torch/link/lib
for library in libc10.so libtorch_cpu.so libtorch.so; do
    ln -sfn "../../torch/lib/$library" ".torch/link/lib/$library"
done
