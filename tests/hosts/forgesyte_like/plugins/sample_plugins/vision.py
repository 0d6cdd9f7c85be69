"""A good plugin: images, a video with progress, pydantic and numpy results."""

import base64
import hashlib
import pathlib
import threading
import time

import numpy
import pydantic


class Detection(pydantic.BaseModel):
    """One thing in a picture."""

    xyxy: list[float]
    confidence: float
    class_id: int
    class_name: str


class Plugin:
    """Tools are bound methods, a method name and a closure."""

    name = "vision"
    version = "2.1.0"
    description = "detects"

    def __init__(self) -> None:
        image = {"type": "object", "properties": {"image": {"type": "string"}}, "required": ["image"]}
        self.tools = {
            "detect": {"handler": self.detect, "description": "", "input_schema": image, "output_schema": {}},
            "digest": {"handler": "digest", "description": "", "input_schema": image, "output_schema": {}},
            "score": {"handler": lambda **_: numpy.float32(0.5), "description": "", "input_schema": {}},
            "video": {"handler": self.video, "description": "", "input_schema": {}, "output_schema": {}},
            "hold": {"handler": self.hold, "description": "", "input_schema": {}, "output_schema": {}},
            "fetch": {"handler": self.fetch, "description": "", "input_schema": {}, "output_schema": {}},
        }

    def run_tool(self, tool: str, args: dict) -> object:
        handler = self.tools[tool]["handler"]
        return (getattr(self, handler) if isinstance(handler, str) else handler)(**args)

    def validate(self) -> bool:
        return True

    def detect(self, image: str, device: str = "cpu", annotated: bool = False) -> Detection:
        pixels = len(base64.b64decode(image))
        return Detection(xyxy=[0, 0, pixels, 1], confidence=0.9, class_id=0, class_name=device)

    def digest(self, image: str) -> str:
        return hashlib.sha256(base64.b64decode(image)).hexdigest()

    def video(self, frames: int, progress_callback=None) -> dict:
        for frame in range(frames):
            time.sleep(0.002)
            if progress_callback:
                progress_callback(frame + 1, frames)
        return {"total_frames": frames, "thread": threading.current_thread().name}

    def hold(self, file: str) -> dict:
        while not pathlib.Path(file).exists():
            time.sleep(0.01)
        return {"held": file}

    async def fetch(self) -> dict:
        return {"from": "a coroutine"}
