"""What can go wrong with the plugin, and that each is its own structured error: real libtorch, real workers."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plugward
from tests.videotracker.support import PLUGIN, ROOT, Load, made

pytestmark = pytest.mark.timeout(300)

DETECTOR = PLUGIN / "models" / "detector.pt"


def call(rt: plugward.Runtime, tool: str, **args: Any) -> dict[str, Any]:
    """The outcome, good or bad."""
    return plugward.ToolRunner(rt).run_tool("video", tool, args)


def state(rt: plugward.Runtime) -> tuple[str, str]:
    """The plugin's state and the reason for it."""
    health = rt.plugin_health("video") or {}
    return str(health.get("state")), str(health.get("reason"))


def unavailable(rt: plugward.Runtime, code: str, *words: str) -> None:
    """It never got ready, and every caller is told why and what to do."""
    found, reason = state(rt)
    assert found == "UNAVAILABLE", reason
    answer = call(rt, "player_detection", image_path="x.png")
    assert not answer["ok"]
    assert answer["effect"] == "not_started"
    text = f"{reason} {answer['error']} {answer['cause']} {answer['remedy']} {answer.get('code')}"
    for word in (code, *words):
        assert word in text or word in str(rt.plugin_health("video")), f"{word} in {text}"
    assert answer["remedy"]


def model(path: Path, pin: str | None = None) -> dict[str, Any]:
    """A model as the manifest names it, pinned to what it is now."""
    digest = pin or hashlib.sha256(path.read_bytes()).hexdigest()
    return {"detector": {"path": str(path), "sha256": digest, "format": "torchscript"}}


def good(rt: plugward.Runtime, frame: Path) -> dict[str, Any]:
    """The plugin works (again)."""
    answer = call(rt, "player_detection", image_path=str(frame))
    assert answer["ok"], answer
    result: dict[str, Any] = answer["result"]
    return result


# --- before the plugin is entered -------------------------------------------------------------------------------------


def test_no_gpu(load: Load) -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a GPU")
    rt = load(manifest="gpu")
    unavailable(rt, "PW-GPU-")
    assert "torch" not in Path("/proc/self/maps").read_text().replace(str(ROOT), "")


def test_libtorch_without_cuda_is_asked_for_cuda(load: Load) -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a GPU")
    rt = load(config={"device": "cuda"})
    # libtorch_cuda needs 2 GB of libraries that are not installed here; with them, no device would be seen.
    found, reason = state(rt)
    assert found == "UNAVAILABLE", reason
    assert "PW-VIDEO-003" in reason or "PW-VIDEO-004" in reason, reason


def test_no_libtorch(load: Load, tmp_path: Path) -> None:
    unavailable(load(config={"libtorch": str(tmp_path)}), "2.11.0", "config.libtorch")


def test_the_torch_of_the_hosts_interpreter(load: Load, frame: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a venv that is not activated: nothing in the environment says where its packages lie."""
    for variable in ("PLUGWARD_LIBTORCH", "VIRTUAL_ENV", "PYTHONPATH"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.syspath_prepend(str(ROOT / ".torch"))
    good(load(), frame)


def test_the_torch_of_the_manifests_interpreter(
    load: Load, frame: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=60)
    packages = next(venv.glob("lib/python3*/site-packages"))
    (packages / "torch.pth").write_text(f"{ROOT / '.torch'}\n")
    for variable in ("PLUGWARD_LIBTORCH", "VIRTUAL_ENV", "PYTHONPATH"):
        monkeypatch.delenv(variable, raising=False)
    good(load(python=str(venv / "bin" / "python")), frame)


def test_another_libtorch_is_not_opened(load: Load, tmp_path: Path) -> None:
    torch = tmp_path / "torch"
    (torch / "lib").mkdir(parents=True)
    (torch / "version.py").write_text("__version__ = '2.9.1+cpu'\ncuda: Optional[str] = None\n")
    for name in ("libc10.so", "libtorch_cpu.so"):
        (torch / "lib" / name).write_text("opening this would fail")
    unavailable(load(config={"libtorch": str(torch)}), "2.9.1", "2.11.0")


def test_damaged_libtorch(load: Load, tmp_path: Path) -> None:
    torch = tmp_path / "torch"
    (torch / "lib").mkdir(parents=True)
    (torch / "version.py").write_text("__version__ = '2.11.0+cpu'\ncuda: Optional[str] = None\n")
    for name in ("libc10.so", "libtorch_cpu.so"):
        (torch / "lib" / name).write_text("no library")
    unavailable(load(config={"libtorch": str(torch)}), "libc10.so")


def test_a_worker_is_required(load: Load) -> None:
    found, reason = state(load(isolation="thread"))
    assert found == "FAILED" and "isolation" in reason, reason
    assert "libtorch_cpu" not in Path("/proc/self/maps").read_text()


# --- models -----------------------------------------------------------------------------------------------------------


def test_no_model(load: Load, tmp_path: Path) -> None:
    unavailable(load(models=model(tmp_path / "none.pt", "0" * 64)), "PW-MODEL-001")


def test_another_model_than_the_pinned_one(load: Load) -> None:
    unavailable(load(models=model(DETECTOR, "0" * 64)), "sha256")


def test_a_model_without_a_pin_is_not_opened(load: Load) -> None:
    rt = load(models={"detector": {"path": str(DETECTOR), "format": "torchscript"}})
    unavailable(rt, "sha256")


@pytest.mark.parametrize("where", [0.2, 0.5, 0.8])
def test_a_flipped_bit(load: Load, tmp_path: Path, where: float) -> None:
    data = bytearray(DETECTOR.read_bytes())
    data[int(len(data) * where)] ^= 0x10
    damaged = tmp_path / "flipped.pt"
    damaged.write_bytes(data)
    unavailable(load(models=model(damaged)), "PW-MODEL-")


def test_a_truncated_model(load: Load, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pt"
    cut.write_bytes(DETECTOR.read_bytes()[:100_000])
    unavailable(load(models=model(cut)), "PW-MODEL-")


def rewritten(path: Path, name: str, text: str | None) -> None:
    """A copy of the detector whose metadata are others; its sums are right."""
    with zipfile.ZipFile(DETECTOR) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename.endswith("/extra/plugward.json"):
                if text is None:
                    continue
                entry.filename, data = entry.filename.replace("plugward.json", name), text.encode()
            target.writestr(entry.filename, data)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plugward.json", '{"family":"yolov8","task":"detect","classes":["a","b"],"input":[3,288,512],"stride":4}'),
        ("plugward.json", '{"family":"centre","task":"detect","classes":["a","b","c"],"input":[3,288,512],"stride":4}'),
        ("plugward.json", '{"family":"unheard of","task":"detect","classes":["a"],"input":[3,288,512]}'),
        ("plugward.json", None),
    ],
)
def test_a_head_that_is_not_what_it_says(load: Load, tmp_path: Path, name: str, text: str | None) -> None:
    wrong = tmp_path / "wrong.pt"
    rewritten(wrong, name, text)
    rt = load(models=model(wrong))
    found, reason = state(rt)
    assert found == "UNAVAILABLE", reason
    assert "models.detector" in reason, reason


def test_a_tool_without_its_model(load: Load, frame: Path) -> None:
    rt = load(without=["pitch"])
    good(rt, frame)
    for tool in ("pitch_detection", "radar"):
        answer = call(rt, tool, image_path=str(frame))
        assert answer["code"] == "PW-VIDEO-008" and "models.pitch" in answer["error"], answer
        assert answer["error_type"] == "PluginUnavailable" and "sha256" in answer["remedy"], answer
    good(rt, frame)


# --- frames and videos ------------------------------------------------------------------------------------------------


def test_corrupted_frames_are_the_callers_fault(load: Load, frame: Path) -> None:
    rt = load()
    data = frame.read_bytes()
    for bad in (b"", b"not an image", data[:1000], data[:5000] + bytes(2000) + data[7000:]):
        answer = call(rt, "player_detection", image_bytes=bad)
        assert not answer["ok"] and answer["error_type"] == "InvalidInput", answer
        assert answer["code"] in {"PW-VIDEO-010", "PW-CALL-003"}, answer
    floats = np.zeros((8, 8, 3), dtype=np.float32)
    answer = call(rt, "player_detection", image_bytes=floats)
    assert answer["error_type"] == "InvalidInput" and "uint8" in answer["error"], answer
    assert state(rt)[0] == "INITIALIZED", "one bad frame fails nobody"
    good(rt, frame)


def test_8k_frames_pass_and_larger_ones_are_refused(load: Load) -> None:
    rt = load()
    large = np.zeros((4320, 7680, 3), dtype=np.uint8)
    answer = call(rt, "player_detection", image_bytes=large)
    assert answer["ok"] and answer["result"]["width"] == 7680, answer
    # A PNG of 64,000 x 64,000 pixels is a few kilobytes; its size is read before memory is taken.
    header = bytearray(png(64, 64))
    header[16:24] = (64_000).to_bytes(4) * 2
    answer = call(rt, "player_detection", image_bytes=bytes(header))
    assert not answer["ok"] and answer["error_type"] == "InvalidInput", answer
    assert state(rt)[0] == "INITIALIZED"


def png(width: int, height: int) -> bytes:
    """A black PNG."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes((width * 3 + 1) * height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_videos_that_are_none(load: Load, tmp_path: Path, clip: Path) -> None:
    rt = load()
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(os.urandom(20_000))
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"")
    sound = made(tmp_path / "sound.wav", "-f", "lavfi", "-i", "sine=duration=1")
    headless = tmp_path / "headless.mp4"
    headless.write_bytes(clip.read_bytes()[64 * 1024 :])
    for bad in (noise, empty, sound, headless, tmp_path, tmp_path / "none.mp4", "http://127.0.0.1/x.mp4"):
        answer = call(rt, "video_player_tracking", video_path=str(bad))
        assert not answer["ok"] and answer["code"] == "PW-VIDEO-011", (bad, answer)
        assert answer["error_type"] == "InvalidInput" and str(bad) in answer["error"], answer
    assert state(rt)[0] == "INITIALIZED"


def test_a_truncated_video_gives_the_frames_that_are_there(load: Load, tmp_path: Path, clip: Path) -> None:
    rt = load()
    streamable = made(tmp_path / "whole.mkv", "-i", str(clip), "-c", "copy")
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(streamable.read_bytes()[: streamable.stat().st_size // 2])
    answer = call(rt, "video_ball_detection", video_path=str(cut))
    assert answer["ok"], answer
    result = answer["result"]
    assert 0 < result["total_frames"] < 175
    assert len(result["frames"]) == result["total_frames"]
    assert not result["complete"] and result["warnings"], result["warnings"]


def test_a_timeout_in_the_middle_of_a_video(load: Load, clip: Path, frame: Path) -> None:
    rt = load()
    begun = time.monotonic()
    runner = plugward.ToolRunner(rt)
    answer = runner.run_tool("video", "video_radar", {"video_path": str(clip)}, deadline_ms=400)
    assert not answer["ok"] and answer["code"] == "PW-CALL-005", answer
    assert time.monotonic() - begun < 60
    recovered(rt)
    good(rt, frame)


def recovered(rt: plugward.Runtime) -> None:
    """The supervisor (or we) began the next generation."""
    until = time.monotonic() + 60
    while state(rt)[0] not in {"INITIALIZED", "RUNNING"}:
        assert time.monotonic() < until, state(rt)
        time.sleep(0.05)


def test_no_ffmpeg_is_a_finding_and_images_need_none(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame: Path
) -> None:
    monkeypatch.setenv("PLUGWARD_FFMPEG", str(tmp_path / "none"))
    rt = load()
    good(rt, frame)
    told = subprocess.run(
        [sys.executable, "-m", "plugward.cli", "check", "--json", str(tmp_path / "plugin0")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1, told
    assert str(tmp_path / "none") in told.stdout and "PW-ENV-002" in told.stdout, told.stdout
    assert "PLUGWARD_FFMPEG" in told.stdout


def test_a_host_of_images_needs_no_ffmpeg(load: Load, clip: Path, frame: Path) -> None:
    rt = load(config={"ffmpeg": "/nowhere/ffmpeg"})
    answer = call(rt, "video_player_tracking", video_path=str(clip))
    assert answer["code"] == "PW-VIDEO-009" and "/nowhere/ffmpeg" in answer["error"], answer
    assert answer["remedy"]
    good(rt, frame)
    rt = load(permissions={"subprocess": False})
    answer = call(rt, "video_player_tracking", video_path=str(clip))
    assert answer["code"] == "PW-VIDEO-009" and "permissions.subprocess" in answer["error"], answer


def test_an_annotated_video_goes_only_where_it_may(load: Load, clip: Path, tmp_path: Path) -> None:
    rt = load()
    target = tmp_path / "elsewhere.mp4"
    answer = call(rt, "video_ball_detection", video_path=str(clip), annotated=True, output_path=str(target))
    assert answer["code"] == "PW-PERM-002" and str(target) in answer["error"], answer
    assert "permissions.write" in answer["remedy"]
    assert not target.exists()


# --- the worker -------------------------------------------------------------------------------------------------------


def test_the_gpu_has_no_memory_left(load: Load, frame: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Two models rehearse twice each: call 4 is the first caller's.
    monkeypatch.setenv("PLUGWARD_VIDEO_FAULT", "oom@4")
    rt = load(faults=True)
    answer = call(rt, "player_detection", image_path=str(frame))
    assert answer["code"] == "PW-VIDEO-013" and answer["retryable"] and "20.00 GiB" in answer["error"], answer
    assert state(rt)[0] == "INITIALIZED", "memory comes back; the plugin stays"
    good(rt, frame)


@pytest.mark.parametrize("at", ["0", "3", "open"])
def test_no_memory_for_the_models(load: Load, frame: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    monkeypatch.setenv("PLUGWARD_VIDEO_FAULT", f"oom@{at}")
    rt = load(faults=True)
    found, reason = state(rt)
    # The plugin was entered, so it failed; what it needs is there, and the next try may find room.
    assert found == "FAILED", reason
    assert "PW-VIDEO-013" in reason + str(rt.plugin_health("video")), reason
    assert "models." in reason and "20.00 GiB" in reason, reason
    monkeypatch.setenv("PLUGWARD_VIDEO_FAULT", "")
    rt.restart("video")
    good(rt, frame)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)", "PW-VIDEO-013"),
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.", "PW-VIDEO-013"),
        ("std::bad_alloc", "PW-VIDEO-013"),
        ("CUDA error: no kernel image is available for execution on the device", "PW-VIDEO-004"),
        ("CUDA error: invalid argument", "PW-VIDEO-014"),
    ],
)
def test_what_leaves_the_device_whole_ends_no_worker(
    load: Load, frame: Path, monkeypatch: pytest.MonkeyPatch, words: str, code: str
) -> None:
    monkeypatch.setenv("PLUGWARD_VIDEO_FAULT", f"say {words}@4")
    rt = load(faults=True, fails_on="crash")
    pid = (rt.plugin_health("video") or {})["pid"]
    answer = call(rt, "player_detection", image_path=str(frame))
    assert answer["code"] == code and words in answer["error"], answer
    good(rt, frame)
    assert (rt.plugin_health("video") or {})["pid"] == pid


@pytest.mark.parametrize("at", ["open", "0"])
def test_a_card_that_the_build_does_not_know_is_a_finding(load: Load, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    monkeypatch.setenv("PLUGWARD_VIDEO_FAULT", f"say CUDA error: no kernel image is available@{at}")
    unavailable(load(faults=True), "PW-VIDEO-004", "no kernel image")


def test_a_broken_context_while_a_model_is_opened_is_told(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUGWARD_VIDEO_FAULT", "say CUDA error: an illegal memory access was encountered@open")
    unavailable(load(faults=True), "PW-VIDEO-006", "illegal memory access")


def test_a_broken_gpu_context_ends_that_worker_only(load: Load, frame: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sibling = load()
    monkeypatch.setenv("PLUGWARD_VIDEO_FAULT", "poison@4")
    rt = load(faults=True, restart={"policy": "never"})
    answer = call(rt, "player_detection", image_path=str(frame))
    assert answer["code"] == "PW-WORKER-004", answer
    assert "illegal memory access" in answer["error"] + str(answer), "the worker's last words are told"
    assert state(rt)[0] == "FAILED"
    good(sibling, frame)
    monkeypatch.setenv("PLUGWARD_VIDEO_FAULT", "")
    rt.restart("video")
    good(rt, frame)


def test_a_cpp_exception_is_an_error(load: Load, frame: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUGWARD_VIDEO_FAULT", "throw@4")
    rt = load(faults=True)
    answer = call(rt, "player_detection", image_path=str(frame))
    assert answer["code"] == "PW-VIDEO-014" and "tensor" in answer["error"], answer
    good(rt, frame)


def ids(rt: plugward.Runtime, frame: Path, stream: str) -> list[int]:
    """The numbers of the objects in the next frame of a stream."""
    answer = call(rt, "player_tracking", image_path=str(frame), stream=stream)
    assert answer["ok"], answer
    return sorted(one["track_id"] for one in answer["result"]["tracked_objects"])


def test_numbers_survive_a_killed_worker(load: Load, frame: Path, clip: Path) -> None:
    rt = load()
    before = ids(rt, frame, "left")
    assert before
    assert ids(rt, frame, "left") == before
    pid = int((rt.plugin_health("video") or {})["pid"])
    killer = threading.Timer(0.5, lambda: os.kill(pid, signal.SIGKILL))
    killer.start()
    answer = call(rt, "video_radar", video_path=str(clip))
    killer.join()
    assert not answer["ok"] and answer["code"] == "PW-WORKER-004", answer
    recovered(rt)
    assert int((rt.plugin_health("video") or {})["pid"]) != pid
    assert ids(rt, frame, "left") == before, "the stream goes on where it was"
    others = ids(rt, frame, "right")
    assert not set(others) & set(before), "and no number is given twice"


def test_streams_and_videos_never_share_a_number(load: Load, frame: Path, clip: Path) -> None:
    rt = load(limits={"concurrency": 2})
    runner = plugward.ToolRunner(rt)

    def track(_: int) -> set[int]:
        answer = runner.run_tool("video", "video_player_tracking", {"video_path": str(clip)})
        assert answer["ok"], answer
        return {one["track_id"] for f in answer["result"]["frames"] for one in f["tracked_objects"]}

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(track, range(2))
    assert first
    assert second
    assert not first & second
    left, right = set(ids(rt, frame, "left")), set(ids(rt, frame, "right"))
    assert not (left & right)
    assert not ((left | right) & (first | second))


def test_concurrent_calls_give_the_same_answer(load: Load, frame: Path) -> None:
    rt = load(limits={"concurrency": 2, "queue": 64})
    expected = good(rt, frame)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: good(rt, frame), range(24)))
    assert all(answer == expected for answer in answers)


def test_ffmpeg_ends_with_the_worker(load: Load, tmp_path: Path) -> None:
    rt = load()
    long = made(tmp_path / "long.mkv", "-f", "lavfi", "-i", "testsrc=size=640x360:rate=30:duration=120", "-c:v", "ffv1")
    answer = plugward.ToolRunner(rt).run_tool("video", "video_radar", {"video_path": str(long)}, deadline_ms=1500)
    assert answer["code"] == "PW-CALL-005", answer
    until = time.monotonic() + 60
    while any(str(long) in line for line in commands()):
        assert time.monotonic() < until, "an ffmpeg outlived its worker"
        time.sleep(0.1)


def commands() -> list[str]:
    """The command lines of every process."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                found.append((folder / "cmdline").read_bytes().decode(errors="replace"))
            except OSError:
                continue
    return found


# --- rights -----------------------------------------------------------------------------------------------------------


def test_it_can_be_held_to_its_models_and_one_folder(load: Load, clip: Path, frame: Path, tmp_path: Path) -> None:
    ours, others = tmp_path / "ours", tmp_path / "others"
    for folder in (ours, others):
        folder.mkdir()
        shutil.copy(clip, folder / "clip.mp4")
        shutil.copy(frame, folder / "frame.png")
    rt = load(permissions={"read": [str(PLUGIN / "models"), str(ours)]})
    if not enforced(rt):
        pytest.skip("this kernel has no Landlock")
    good(rt, ours / "frame.png")
    answer = call(rt, "video_ball_detection", video_path=str(ours / "clip.mp4"))
    assert answer["ok"] and answer["result"]["complete"], answer
    for tool, args in (
        ("player_detection", {"image_path": str(others / "frame.png")}),
        ("video_ball_detection", {"video_path": str(others / "clip.mp4")}),
    ):
        answer = call(rt, tool, **args)
        assert answer["code"] == "PW-PERM-001", answer
        assert f'add "{args.popitem()[1]}" to permissions.read' in answer["remedy"], answer
    good(rt, ours / "frame.png")


def enforced(rt: plugward.Runtime) -> bool:
    """Whether this machine holds a plugin to its files."""
    clauses = plugward.describe_permissions(PLUGIN / "cpu" / "manifest.json")["clauses"]
    return any(clause["subject"] == "read" and clause["enforced"] for clause in clauses) and rt is not None
