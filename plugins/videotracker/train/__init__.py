"""Makes the demo models of the VideoTracker: a synthetic football world, the networks, their training and scores."""

import os

# Idle threads of torch sleep instead of spinning: on a shared machine training is then several times as fast.
# OpenMP reads it when torch is loaded, so it must stand here, before any module of the package imports torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
