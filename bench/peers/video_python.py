"""The peer of the row `video_pipeline`: Python torch, OpenCV and supervision. Runs where all of torch is installed.

    python -m bench.peers.video_python model OUT WIDTH HEIGHT        writes the model, prints its sha256
    python -m bench.peers.video_python turns MODEL CLIP SETTINGS     answers `forward N` and `clip` with JSON lines

The model is the detector that ships, with convolutions beside it whose answer is multiplied by zero: its boxes are
those of the small detector, its cost is that of a network of the size of YOLOv8n.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import supervision
import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "plugins" / "videotracker" / "models" / "detector.pt"
METADATA = "plugward.json"
GREY = 114


class Heavier(nn.Module):
    """The shipped detector, and a trunk of about 8 GFLOP at 640 x 640 whose answer does not count."""

    def __init__(self, detector: Any) -> None:
        """Take the boxes from `detector`."""
        super().__init__()
        self.detector = detector
        widths = [(3, 16, 2), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 64, 1), (64, 128, 2)]
        widths += [(128, 128, 1)] * 3 + [(128, 256, 2)] + [(256, 256, 1)] * 2
        self.trunk = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(i, o, 3, stride, 1), nn.SiLU()) for i, o, stride in widths)
        )

    def forward(self, x: Tensor) -> Tensor:
        """What the detector answers."""
        ballast = self.trunk(x).mean() * 0.0
        found: Tensor = self.detector(x)
        return found + ballast


def write_model(out: Path, width: int, height: int) -> None:
    """Write the model with its metadata, and print its sha256."""
    from hashlib import sha256

    torch.manual_seed(1)
    extra = {METADATA: ""}
    detector = torch.jit.load(SHIPPED, _extra_files=extra)
    about = json.loads(extra[METADATA])
    about["input"] = [3, height, width]
    heavier = torch.jit.script(Heavier(detector).eval())
    torch.jit.save(heavier, out, _extra_files={METADATA: json.dumps(about)})
    parameters = sum(p.numel() for p in heavier.parameters())
    print(json.dumps({"sha256": sha256(out.read_bytes()).hexdigest(), "parameters": parameters}))


class Pipeline:
    """Decode, letterbox, detect, suppress, track: as one writes it with these libraries."""

    def __init__(self, model: str, clip: str, settings: dict[str, Any]) -> None:
        """Load the model; a clip begins anew with every run."""
        extra = {METADATA: ""}
        self.model = torch.jit.load(model, _extra_files=extra).eval()
        self.height, self.width = json.loads(extra[METADATA])["input"][1:]
        self.clip = clip
        self.settings = settings
        self.noise = torch.rand(1, 3, self.height, self.width)

    def forward(self, number: int) -> float:
        """Seconds for `number` runs of the model alone."""
        begun = time.perf_counter()
        with torch.inference_mode():
            for _ in range(number):
                self.model(self.noise)
        return time.perf_counter() - begun

    def run(self) -> dict[str, Any]:
        """The whole clip: seconds, and what was found."""
        begun = time.perf_counter()
        tracker = self.tracker()
        frames: list[dict[str, Any]] = []
        for index, frame in enumerate(supervision.get_video_frames_generator(self.clip)):
            tracked = tracker.update_with_detections(self.detect(frame))
            objects = [
                {"track_id": int(number), "class_id": int(kind), "xyxy": box.tolist(), "confidence": float(sure)}
                for box, kind, number, sure in zip(
                    tracked.xyxy, tracked.class_id, tracked.tracker_id, tracked.confidence, strict=True
                )
            ]
            frames.append({"frame_index": index, "tracked_objects": objects})
        text = json.dumps(frames)
        seconds = time.perf_counter() - begun
        found = sum(len(one["tracked_objects"]) for one in frames)
        return {"seconds": seconds, "frames": len(frames), "objects": found, "bytes": len(text)}

    def tracker(self) -> Any:
        """The ByteTrack of supervision, which says that it will be gone in a later version."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return supervision.ByteTrack(track_activation_threshold=self.settings["track_threshold"])

    def detect(self, frame: np.ndarray[Any, Any]) -> Any:
        """The players of a frame, in its own pixels."""
        high, wide = frame.shape[:2]
        scale = min(self.width / wide, self.height / high)
        size = round(wide * scale), round(high * scale)
        left, top = (self.width - size[0]) // 2, (self.height - size[1]) // 2
        small = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
        boxed = cv2.copyMakeBorder(
            small,
            top,
            self.height - size[1] - top,
            left,
            self.width - size[0] - left,
            cv2.BORDER_CONSTANT,
            value=(GREY, GREY, GREY),
        )
        planes = np.ascontiguousarray(boxed[:, :, ::-1].transpose(2, 0, 1))
        with torch.inference_mode():
            answer = self.model(torch.from_numpy(planes)[None].float().div_(255))[0].numpy()
        boxes, scores = answer[:4].T, answer[4:].T
        kinds = scores.argmax(1)
        sure = scores.max(1)
        keep = (sure >= self.settings["confidence"]) & np.isin(kinds, self.settings["classes"])
        boxes, kinds, sure = boxes[keep], kinds[keep], sure[keep]
        corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)
        corners = (corners - [left, top, left, top]) / scale
        found = supervision.Detections(xyxy=corners, confidence=sure, class_id=kinds)
        return found.with_nms(self.settings["iou"])


def turns(model: str, clip: str, settings: str) -> None:
    """Take turns until the input ends."""
    pipeline = Pipeline(model, clip, json.loads(settings))
    pipeline.forward(5)
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "supervision": supervision.__version__,
                "cv2": cv2.__version__,
                "threads": torch.get_num_threads(),
            }
        ),
        flush=True,
    )
    for line in sys.stdin:
        what, *number = line.split()
        answer = pipeline.run() if what == "clip" else {"seconds": pipeline.forward(int(number[0]))}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "model":
        write_model(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        turns(*sys.argv[2:5])
