"""Videos that are long, given up, or end in the middle: memory, answers, files and numbers."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import plugward
from tests.videotracker.support import Load, ask, call, health, made, recovered, repeated

pytestmark = pytest.mark.timeout(400)


def peak(rt: plugward.Runtime) -> int:
    """The most memory that the worker ever held, in KiB."""
    status = Path(f"/proc/{health(rt)['pid']}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1])


def numbers(frames: list[dict[str, Any]]) -> set[int]:
    """Every number of an object."""
    return {one["track_id"] for frame in frames for one in frame["tracked_objects"]}


def test_the_frames_may_go_to_a_file(load: Load, clip: Path, tmp_path: Path) -> None:
    rt = load(permissions={"write": [str(tmp_path)]}, config={"output": str(tmp_path)})
    path = tmp_path / "frames.jsonl"
    written = ask(rt, "video_ball_detection", video_path=str(clip), frames_path="frames.jsonl")
    assert written["frames_path"] == str(path)
    assert "frames" not in written
    told = ask(rt, "video_ball_detection", video_path=str(clip))
    assert [json.loads(line) for line in path.read_text().splitlines()] == told["frames"]
    assert written["total_frames"] == told["total_frames"] == len(told["frames"])
    answer = call(rt, "video_ball_detection", video_path=str(clip), frames_path="/proc/frames.jsonl")
    assert not answer["ok"] and answer["code"] == "PW-VIDEO-015", answer


@pytest.mark.slow
def test_a_long_video_takes_no_more_memory_than_a_short_one(load: Load, clip: Path, tmp_path: Path) -> None:
    rt = load(permissions={"write": [str(tmp_path)]}, config={"output": str(tmp_path)})
    long = repeated(clip, tmp_path / "long.mp4", 6)
    ask(rt, "video_player_tracking", video_path=str(clip), frames_path="short.jsonl")
    before = peak(rt)
    result = ask(rt, "video_player_tracking", video_path=str(long), frames_path="long.jsonl")
    assert result["total_frames"] == 1050
    # As JSON values its frames take 27 MB.
    assert peak(rt) - before < 12_000


def test_what_no_answer_can_hold_is_refused_early(load: Load, clip: Path, tmp_path: Path) -> None:
    rt = load(limits={"result_mb": 1})
    long = repeated(clip, tmp_path / "long.mp4", 10)
    seen: list[int] = []
    runner = plugward.ToolRunner(rt)
    args = {"video_path": str(long)}
    answer = runner.run_tool("video", "video_player_tracking", args, progress=lambda now, _: seen.append(now))
    assert answer["code"] == "PW-VIDEO-016" and answer["error_type"] == "InvalidInput", answer
    assert "frames_path" in answer["error"] and "frames_path" in answer["remedy"]
    assert max(seen) < 600, "not after all the work"
    assert health(rt)["state"] == "INITIALIZED"
    assert ask(rt, "video_ball_detection", video_path=str(clip))["total_frames"] == 175


def test_a_cancelled_call_stops_between_frames(load: Load, clip: Path, tmp_path: Path, frame: Path) -> None:
    rt = load(permissions={"write": [str(tmp_path)]}, config={"output": str(tmp_path)})
    long = repeated(clip, tmp_path / "long.mp4", 30)
    before = health(rt)
    begun = threading.Event()

    async def give_up() -> None:
        runner = plugward.ToolRunner(rt)
        args = {"video_path": str(long), "annotated": True, "output_path": "given_up.mp4", "frames_path": "f.jsonl"}
        task = asyncio.create_task(
            runner.arun_tool("video", "video_player_tracking", args, progress=lambda *_: begun.set())
        )
        while not begun.is_set():
            assert not task.done(), task.result()
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    assert ask(rt, "player_detection", image_path=str(frame))["count"] >= 10
    after = health(rt)
    assert (after["pid"], after["generation"]) == (before["pid"], before["generation"]), "the worker lives"
    until = time.monotonic() + 60
    while (tmp_path / "given_up.mp4").exists() or (tmp_path / "f.jsonl").exists() or health(rt)["in_flight"]:
        assert time.monotonic() < until, "what was begun goes with its call"
        time.sleep(0.05)


def test_a_corrupted_frame_in_the_middle(load: Load, clip: Path, tmp_path: Path) -> None:
    rt = load()
    data = bytearray(made(tmp_path / "whole.mkv", "-i", str(clip), "-c", "copy").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes((n * 37 + 11) % 256 for n in range(400))
    damaged = tmp_path / "damaged.mkv"
    damaged.write_bytes(data)
    result = ask(rt, "video_player_tracking", video_path=str(damaged))
    assert result["total_frames"] >= 80
    assert [frame["frame_index"] for frame in result["frames"]] == list(range(result["total_frames"]))
    assert not result["complete"] and result["warnings"], result["warnings"]
    assert health(rt)["state"] == "INITIALIZED"


def test_a_good_file_without_frames(load: Load, tmp_path: Path) -> None:
    rt = load()
    sound = made(tmp_path / "sound.mp4", "-f", "lavfi", "-i", "sine=duration=1")
    none = made(tmp_path / "none.mp4", "-f", "lavfi", "-i", "testsrc=size=64x64:rate=5:duration=1", "-frames:v", "0")
    for empty in (sound, none):
        answer = call(rt, "video_player_tracking", video_path=str(empty))
        assert not answer["ok"] and answer["code"] == "PW-VIDEO-011", answer
        assert answer["error_type"] == "InvalidInput" and str(empty) in answer["error"], answer
    assert health(rt)["state"] == "INITIALIZED"


def test_a_stream_goes_on_after_its_worker_was_killed_in_a_video(
    load: Load, clip: Path, frame: Path, tmp_path: Path
) -> None:
    rt = load()
    still = made(tmp_path / "still.mp4", "-loop", "1", "-i", str(frame), "-t", "2", "-r", "10", "-c:v", "libx264")
    args = {"video_path": str(still), "stream": "left"}
    first = numbers(ask(rt, "video_player_tracking", **args)["frames"])
    assert first
    long = repeated(still, tmp_path / "long.mp4", 100)
    begun = threading.Event()
    pid = int(health(rt)["pid"])

    def kill() -> None:
        begun.wait(120)
        os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    runner = plugward.ToolRunner(rt)
    lost = {"video_path": str(long), "stream": "left"}
    answer = runner.run_tool("video", "video_player_tracking", lost, progress=lambda *_: begun.set())
    killer.join()
    assert not answer["ok"] and answer["code"] == "PW-WORKER-004", answer
    recovered(rt)
    second = numbers(ask(rt, "video_player_tracking", **args)["frames"])
    assert int(health(rt)["pid"]) != pid
    assert len(second & first) >= 0.8 * len(first), "who is still there keeps his number"
    others = numbers(ask(rt, "video_player_tracking", video_path=str(clip))["frames"])
    assert others
    assert not others & (first | second), "no number is given twice"


def test_named_streams_at_once_never_share_a_number(load: Load, clip: Path) -> None:
    rt = load(limits={"concurrency": 2})
    running: list[tuple[float, float]] = []

    def track(stream: str) -> set[int]:
        begun = time.monotonic()
        result = ask(rt, "video_player_tracking", video_path=str(clip), stream=stream)
        running.append((begun, time.monotonic()))
        return numbers(result["frames"])

    with ThreadPoolExecutor(2) as pool:
        left, right = pool.map(track, ["left", "right"])
    assert max(begun for begun, _ in running) < min(end for _, end in running), "they ran at once"
    assert left
    assert right
    assert not left & right


def test_a_batch_finds_what_single_frames_find(load: Load, clip: Path) -> None:
    one = ask(load(config={"batch": 1}), "video_player_tracking", video_path=str(clip))["frames"]
    eight = ask(load(config={"batch": 8}), "video_player_tracking", video_path=str(clip))["frames"]
    assert len(one) == len(eight) == 175
    for single, batched in zip(one, eight, strict=True):
        a, b = single["tracked_objects"], batched["tracked_objects"]
        assert [o["track_id"] for o in a] == [o["track_id"] for o in b]
        for x, y in zip(a, b, strict=True):
            assert x["xyxy"] == pytest.approx(y["xyxy"], abs=0.05)


def test_frames_that_change_their_size(load: Load, clip: Path, tmp_path: Path) -> None:
    rt = load(permissions={"write": [str(tmp_path)]}, config={"output": str(tmp_path)})
    parts = [
        made(tmp_path / f"{size}.ts", "-i", str(clip), "-t", "1", "-s", size, "-c:v", "libx264")
        for size in ("512x288", "256x144")
    ]
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    args = {"video_path": str(both), "annotated": True, "output_path": "both.mp4"}
    result = ask(rt, "video_ball_detection", **args)
    shown = ask(rt, "video_ball_detection", video_path=str(tmp_path / "both.mp4"))
    missing = result["total_frames"] - shown["total_frames"]
    # Whoever decodes may scale every frame to the first one's size; else it is told what is not shown.
    assert missing == 0 or any(f"{missing} frames" in text for text in result["warnings"]), result["warnings"]
