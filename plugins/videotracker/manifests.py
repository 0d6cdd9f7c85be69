"""Writes gpu/manifest.json and cpu/manifest.json: one plugin, two places to run, every model pinned by its sha256.

python plugins/videotracker/manifests.py [--check]
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LIBTORCH = "2.11.0"
"""What the plugin was built for; src/backend/table.rs names the same version."""
MODELS = {"detector": "detector.pt", "pitch": "pitch.pt"}

IMAGE: dict[str, Any] = {
    "image_bytes": {"description": "an image file as base64 or bytes, or an array of rows x columns x 3 (RGB, uint8)"},
    "image_path": {"type": ["string", "null"], "description": "an image file, instead of image_bytes"},
}
VIDEO: dict[str, Any] = {
    "video_path": {"type": "string", "minLength": 1, "description": "a video file"},
    "output_path": {"type": ["string", "null"], "description": "where the annotated video goes"},
    "frames_path": {
        "type": ["string", "null"],
        "description": "a file that gets the frames as JSON lines, instead of frames in the result: for long videos",
    },
}
COMMON: dict[str, Any] = {
    "device": {"type": ["string", "null"], "description": "cpu, cuda or cuda:N; null: config.device"},
    "annotated": {"type": ["boolean", "null"], "description": "also answer a picture or video with the results in it"},
}
STREAM: dict[str, Any] = {
    "stream": {
        "type": ["string", "null"],
        "maxLength": 256,
        "description": "whose objects these are: frames of one camera belong to one stream",
    },
    "reset": {"type": ["boolean", "null"], "description": "forget the stream's objects first"},
}


def row(**properties: Any) -> dict[str, Any]:
    """The schema of an object that has all of these, and perhaps more."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def rows(item: dict[str, Any]) -> dict[str, Any]:
    """The schema of a list of them."""
    return {"type": "array", "items": item}


TEXT: dict[str, Any] = {"type": "string"}
TEXT_OR_NONE: dict[str, Any] = {"type": ["string", "null"]}
NUMBER: dict[str, Any] = {"type": "number"}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
TEXTS = rows(TEXT)


def numbers(count: int) -> dict[str, Any]:
    """The schema of a list of so many numbers."""
    return {"type": "array", "items": NUMBER, "minItems": count, "maxItems": count}


DETECTIONS = {
    "detections": rows(row(xyxy=numbers(4), confidence=NUMBER, class_id=COUNT, class_name=TEXT)),
    "count": COUNT,
}
TRACKS = {
    "tracked_objects": rows(
        row(
            track_id={"type": "integer", "minimum": 1},
            class_id=COUNT,
            xyxy=numbers(4),
            center=numbers(2),
            confidence=NUMBER,
            **{"class": TEXT},
        )
    )
}
MATRIX = row(matrix={"type": "array", "items": numbers(3), "minItems": 3, "maxItems": 3}, inliers=COUNT)
PITCH = {
    "keypoints": rows(row(index=COUNT, xy=numbers(2), confidence=NUMBER, pitch_xy=numbers(2))),
    "homography": {"anyOf": [MATRIX, {"type": "null"}]},
    "pitch": row(length_m=NUMBER, width_m=NUMBER),
}
POINT = row(xy=numbers(2), class_id=COUNT, track_id={"type": ["integer", "null"]}, **{"class": TEXT})
RADAR = {**PITCH, "radar_points": rows(POINT)}
FOUND = {
    "player_detection": DETECTIONS,
    "ball_detection": DETECTIONS,
    "player_tracking": TRACKS,
    "pitch_detection": PITCH,
    "radar": RADAR,
}
"""What each search finds in a frame."""


def image_result(name: str) -> dict[str, Any]:
    """The shape of an image tool's result."""
    schema = row(width=COUNT, height=COUNT, device=TEXT, **FOUND[name])
    if name == "player_tracking":
        schema = row(**schema["properties"], frame_index=COUNT, stream=TEXT_OR_NONE, warnings=TEXTS)
    schema["properties"] |= {"annotated_frame": TEXT, "annotated_format": TEXT}
    return schema


def video_result(name: str) -> dict[str, Any]:
    """The shape of a video tool's result: of each frame only its lists, since a video has 100,000 of them."""
    lists = {key: {"type": "array"} for key, schema in FOUND[name].items() if schema.get("type") == "array"}
    schema = row(total_frames=COUNT, fps=NUMBER, complete={"type": "boolean"}, warnings=TEXTS, device=TEXT)
    schema["properties"] |= {
        "frames": rows(row(frame_index=COUNT, **lists)),
        "frames_path": TEXT,
        "annotated_video": TEXT,
        "frames_per_second": NUMBER,
    }
    schema["anyOf"] = [{"required": ["frames"]}, {"required": ["frames_path"]}]
    return schema


RATE: dict[str, Any] = {
    "frame_rate": {
        "type": ["number", "null"],
        "exclusiveMinimum": 0,
        "maximum": 1000,
        "description": "frames a second of the stream: how long a hidden object is remembered depends on it",
    },
}

TOOLS = [
    ("player_detection", "Where are the players in an image?", False, False),
    ("player_tracking", "Who is who in the next image of a stream?", False, True),
    ("ball_detection", "Where is the ball in an image?", False, False),
    ("pitch_detection", "Where in an image is the pitch?", False, False),
    ("radar", "Where on the pitch are the players of an image?", False, True),
    ("video_player_tracking", "Who is who, in every frame of a video?", True, True),
    ("video_ball_detection", "Where is the ball, in every frame of a video?", True, False),
    ("video_pitch_detection", "Where is the pitch, in every frame of a video?", True, False),
    ("video_radar", "Where on the pitch is everybody, in every frame of a video?", True, True),
]


def tool(name: str, description: str, *, video: bool, stream: bool) -> dict[str, Any]:
    """One entry of `tools`."""
    properties = {**(VIDEO if video else IMAGE), **COMMON, **(STREAM if stream else {})}
    if stream and not video:
        properties |= RATE
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if video:
        schema["required"] = ["video_path"]
    # A host sends arguments under its own names (frame, image); the plugin reads them, so more are allowed.
    made: dict[str, Any] = {"id": name, "description": description, "input_schema": schema}
    search = name.removeprefix("video_")
    made["output_schema"] = video_result(search) if video else image_result(search)
    if video:
        made["deadline_ms"] = 600_000
    return made


def pin(name: str) -> dict[str, str]:
    """A model, pinned."""
    digest = hashlib.sha256((HERE / "models" / name).read_bytes()).hexdigest()
    return {"path": f"../models/{name}", "sha256": digest, "format": "torchscript"}


def manifest(*, gpu: bool) -> dict[str, Any]:
    """One of the two."""
    made: dict[str, Any] = {
        "$schema": "../../../docs/manifest.schema.json",
        "name": "videotracker" if gpu else "videotracker_cpu",
        "version": "0.1.0",
        "description": "Players, ball, pitch and radar of images and videos"
        + (", on an NVIDIA GPU." if gpu else ", on the processor: slower, but everywhere."),
        "kind": "native",
        "entrypoint": "../libvideotracker.so",
        "isolation": "process",
    }
    if gpu:
        made |= {"requires_gpu": True, "gpu": {"min_memory_mb": 1000, "min_compute": "7.5"}}
    made |= {
        "models": {name: pin(file) for name, file in MODELS.items() if (HERE / "models" / file).is_file()},
        "config": {
            **({"device": "cuda", "half": True, "batch": 8} if gpu else {"device": "cpu"}),
            "libtorch_version": LIBTORCH,
            "output": "../out",
        },
        # An answer is read as values three times on its way, which takes ten times its bytes each time: what is
        # larger than 64 MiB (11 minutes of a match) goes to a file (frames_path).
        "limits": {"deadline_ms": 30_000, "memory_mb": 8192 if gpu else 4096, "concurrency": 2, "result_mb": 64},
        # Without it the tools for images work all the same.
        "optional_executables": ["ffmpeg"],
        # ffmpeg is a program of its own; annotated videos go to out, or where that is missing to the scratch folder.
        "permissions": {"subprocess": True, "network": False, "write": ["../out"], "devices": ["gpu"] if gpu else []},
        "tools": [tool(name, text, video=video, stream=stream) for name, text, video, stream in TOOLS],
    }
    return made


def main() -> int:
    """Write both, or say that they are not what would be written."""
    stale = []
    for gpu, folder in ((True, "gpu"), (False, "cpu")):
        path = HERE / folder / "manifest.json"
        text = json.dumps(manifest(gpu=gpu), indent=2) + "\n"
        if "--check" not in sys.argv:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        elif not path.is_file() or path.read_text() != text:
            stale.append(path)
    if stale:
        names = ", ".join(str(path) for path in stale)
        sys.stderr.write(f"stale: {names}; run python plugins/videotracker/manifests.py\n")
    return len(stale)


if __name__ == "__main__":
    sys.exit(main())
