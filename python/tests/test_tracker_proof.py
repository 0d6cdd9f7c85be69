"""The proof of the tracker runs: both trackers on two sequences, motmetrics and the example's judge agreeing.

The whole of it is `make proof`; the Rust test `track_quality` holds the tracker to its recorded figures.
"""

from __future__ import annotations

import shutil
import warnings
from dataclasses import asdict

import pytest

for name in ("supervision", "motmetrics"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(
            name, reason=f"THE PROOF OF THE TRACKER WAS NOT RUN: {name} is missing; `make proof` gets it"
        )


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
def test_both_trackers_are_judged_alike() -> None:
    if shutil.which("cargo") is None:
        pytest.skip("THE PROOF OF THE TRACKER WAS NOT RUN: cargo is missing")
    from plugins.videotracker.proof import compare, peer
    from plugins.videotracker.proof.judge import judge

    videos = [one for one in peer.generate(0) if one.name in {"crossing pair", "10 frames a second"}]
    assert len(videos) == 2
    settings = compare.SETTINGS["supervision's defaults"]
    ours = peer.our_tracks(videos, settings)
    for video in videos:
        tracks, counts = ours[video.name]
        found, theirs = judge(video.truth, tracks), judge(video.truth, peer.their_tracks(video, settings))
        assert asdict(found) == counts, "motmetrics and the Rust judge count the same"
        assert found.idf1 >= theirs.idf1
        assert found.mota >= theirs.mota
        assert found.switches <= theirs.switches
