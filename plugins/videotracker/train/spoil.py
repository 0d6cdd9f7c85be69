"""What a camera and an encoder do to a picture: blur, exposure, noise, and the blocks of JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]], np.float32)
_FROM_YCC = np.linalg.inv(_TO_YCC).astype(np.float32)
# The luminance table of JPEG, annex K.1, as a plane: 16 at the mean, about 100 at the finest detail.
_TABLE = 10 + 6.4 * np.add.outer(np.arange(8), np.arange(8)).astype(np.float32)
_COSINES = np.cos(np.pi / 8 * np.outer(np.arange(8), np.arange(8) + 0.5)).astype(np.float32)
_DCT = (_COSINES * np.sqrt(np.array([[1.0]] + 7 * [[2.0]]) / 8)).astype(np.float32)


@dataclass(frozen=True)
class Spoil:
    """How much of each."""

    blur: float
    gain: float
    tint: NDArray[np.float64]
    noise: float
    blocks: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Spoil:
        """From nearly clean to poor."""
        return cls(
            blur=rng.uniform(0.25, 0.85),
            gain=rng.uniform(0.85, 1.3),
            tint=rng.uniform(0.92, 1.08, 3),
            noise=rng.uniform(0.0, 0.03),
            blocks=rng.uniform(0.1, 1.2) if rng.random() < 0.7 else 0.0,
        )

    def apply(self, image: Image, rng: np.random.Generator) -> NDArray[np.uint8]:
        """The picture as bytes."""
        image = blurred(image, self.blur) * (self.gain * self.tint).astype(np.float32)
        image = image + rng.normal(0, 1, image.shape).astype(np.float32) * np.float32(self.noise)
        if self.blocks > 0:
            image = blocky(image, self.blocks)
        return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def blurred(image: Image, sigma: float) -> Image:
    """A Gaussian of 5 x 5 pixels."""
    kernel = np.exp(-0.5 * (np.arange(-2, 3) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for axis in (0, 1):
        pad = [(2, 2) if axis == i else (0, 0) for i in range(3)]
        padded = np.pad(image, pad, mode="edge")
        length = image.shape[axis]
        shifted = [np.take(padded, range(k, k + length), axis) * kernel[k] for k in range(5)]
        image = np.sum(shifted, axis=0, dtype=np.float32)
    return image


def blocky(image: Image, strength: float) -> Image:
    """Round the cosine transform of every 8 x 8 block, as JPEG does: colours coarser than brightness."""
    height, width = image.shape[:2]
    planes = (image @ (_TO_YCC.T * np.float32(255))).transpose(2, 0, 1)
    # [plane, block row, block column, row, column]: one small matrix product for each direction
    blocks = planes.reshape(3, height // 8, 8, width // 8, 8).transpose(0, 1, 3, 2, 4)
    spectrum = _DCT @ np.ascontiguousarray(blocks) @ _DCT.T
    table = _TABLE * np.array([1.0, 2.0, 2.0], np.float32).reshape(3, 1, 1, 1, 1) * np.float32(strength)
    blocks = _DCT.T @ (np.round(spectrum / table) * table) @ _DCT
    planes = blocks.transpose(1, 3, 2, 4, 0).reshape(height, width, 3)
    return np.asarray(planes @ (_FROM_YCC.T / np.float32(255)), np.float32)
