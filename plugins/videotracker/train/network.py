"""The networks: a small U-shaped trunk, and the output layouts that the VideoTracker understands.

The detector is trained once, as a centre-point network (after "Objects as Points", Zhou et al., arXiv 1904.07850):
per class a heat of object centres, and at every cell the box that the cell believes in. `CentreLayout` hands that out
as it is; `Yolov8Layout` writes the same numbers as the rows of a YOLOv8 export, every cell an anchor. So one training
gives a model for each of the two families of heads.

Every module takes float32 [n, 3, H, W], RGB from 0 to 1, with any batch size and any size that the stride divides.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

STRIDE = 4


class Plain(nn.Module):
    """A convolution as it is shipped: all of them one TorchScript class, where every nn.Conv2d would be its own."""

    def __init__(self, conv: nn.Conv2d, *, relu: bool) -> None:
        """Takes the weights of `conv`."""
        super().__init__()
        self.weight = conv.weight
        self.bias = conv.bias
        self.stride = [int(stride) for stride in conv.stride]
        self.padding = [int(padding) for padding in conv.padding]
        self.dilation = [int(dilation) for dilation in conv.dilation]
        self.groups = conv.groups
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """What `conv` gives, and no less than 0 with `relu`."""
        x = torch.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        return torch.relu(x) if self.relu else x


class Conv(nn.Module):
    """A convolution without bias, batch normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, dilation: int = 1) -> None:
        """Padding keeps the size, but for the stride."""
        super().__init__()
        padding = dilation * (size // 2)
        self.conv = nn.Conv2d(inputs, outputs, size, stride, padding, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps [n, outputs, h, w]."""
        return torch.relu(self.norm(self.conv(x)))

    def fused(self) -> Plain:
        """The same with the normalisation folded into the convolution: fewer numbers, one pass less."""
        return Plain(fuse_conv_bn_eval(self.conv, self.norm), relu=True)


class Residual(nn.Module):
    """One convolution beside a way round it."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        """As many feature maps out as in."""
        super().__init__()
        self.body = Conv(width, width, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps of the same shape."""
        return x + self.body(x)


class Wide(nn.Module):
    """A depthwise 5x5 convolution and a pointwise one, beside a way round: much view for few parameters."""

    def __init__(self, width: int, dilation: int) -> None:
        """As many feature maps out as in."""
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 5, padding=2 * dilation, dilation=dilation, groups=width)
        self.mix = Conv(width, width, size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps of the same shape."""
        return x + self.mix(self.depthwise(x))


def _match(x: Tensor, like: Tensor) -> Tensor:
    return torch.ops.aten.upsample_nearest2d(x, [like.shape[2], like.shape[3]])


class Detector(nn.Module):
    """The trunk down to stride 16 and back to 4, then two heads: centre heat per class, and the box of each cell."""

    def __init__(self, classes: int) -> None:
        """About 63,000 parameters."""
        super().__init__()
        self.stem = nn.Sequential(Conv(3, 12, stride=2), Conv(12, 24, stride=2), Residual(24))
        self.eighth = nn.Sequential(Conv(24, 32, stride=2), Residual(32))
        self.sixteenth = nn.Sequential(Conv(32, 40, stride=2), Residual(40, dilation=2))
        self.up8 = Conv(40, 32, size=1)
        self.up4 = Conv(32, 24, size=1)
        self.merge = nn.Sequential(Conv(24, 24), Conv(24, 24))
        self.heat = nn.Conv2d(24, classes, 1)
        self.box = nn.Conv2d(24, 4, 1)
        nn.init.constant_(self.heat.bias, -4.6)  # 0.01: nearly every cell holds nothing (Lin et al., arXiv 1708.02002)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Heat logits [n, classes, h, w], and [n, 4, h, w]: log width, log height (of cells), dx, dy (cells)."""
        quarter = self.stem(x)
        eighth = self.eighth(quarter)
        eighth = eighth + _match(self.up8(self.sixteenth(eighth)), eighth)
        features = self.merge(quarter + _match(self.up4(eighth), quarter))
        return self.heat(features), self.box(features)


class CentreLayout(nn.Module):
    """Family `centre`: [n, classes + 4, h, w]; heat from 0 to 1, then width, height (pixels), dx, dy (cells)."""

    def __init__(self, detector: Detector) -> None:
        """Shares the weights of `detector`."""
        super().__init__()
        self.detector = detector

    def forward(self, x: Tensor) -> Tensor:
        """The box of a cell (i, j) has its centre at ((j + dx) * stride, (i + dy) * stride)."""
        heat, box = self.detector(x)
        size = torch.exp(box[:, :2].clamp(-3.0, 6.0)) * 4.0
        return torch.cat([torch.sigmoid(heat), size, box[:, 2:]], 1)


class Yolov8Layout(nn.Module):
    """Family `yolov8`: [n, 4 + classes, h * w]; centre x, y, width, height in input pixels, scores from 0 to 1."""

    def __init__(self, detector: Detector) -> None:
        """Shares the weights of `detector`."""
        super().__init__()
        self.detector = detector

    def forward(self, x: Tensor) -> Tensor:
        """One column for each cell, row by row; neighbours of a centre name the same box: NMS merges them."""
        heat, box = self.detector(x)
        rows = torch.arange(heat.shape[2], device=x.device, dtype=torch.float32).view(1, -1, 1)
        columns = torch.arange(heat.shape[3], device=x.device, dtype=torch.float32).view(1, 1, -1)
        box = box.float()
        size = torch.exp(box[:, :2].clamp(-3.0, 6.0)) * 4.0
        across = ((columns + box[:, 2]) * 4.0).unsqueeze(1)
        down = ((rows + box[:, 3]) * 4.0).unsqueeze(1)
        return torch.cat([across, down, size, torch.sigmoid(heat).float()], 1).flatten(2)


class Pitch(nn.Module):
    """Family `keypoints`: heat of every named point of the pitch; a wide view, since a corner alone is any corner."""

    def __init__(self, points: int) -> None:
        """About 65,000 parameters."""
        super().__init__()
        self.stem = nn.Sequential(Conv(3, 12, stride=2), Conv(12, 16, stride=2))
        self.eighth = nn.Sequential(Conv(16, 32, stride=2), Residual(32))
        self.sixteenth = nn.Sequential(Conv(32, 40, stride=2), Wide(40, 1), Wide(40, 2))
        self.rest = nn.Sequential(Conv(40, 40, stride=2), Wide(40, 1), Wide(40, 2), Wide(40, 1))
        self.up16 = Conv(40, 40, size=1)
        self.up8 = Conv(40, 32, size=1)
        self.up4 = Conv(32, 16, size=1)
        self.heat = nn.Conv2d(16, points, 3, padding=1)
        nn.init.constant_(self.heat.bias, -4.6)

    def forward(self, x: Tensor) -> Tensor:
        """Heat logits [n, points, h, w] at a quarter of the size."""
        quarter = self.stem(x)
        eighth = self.eighth(quarter)
        sixteenth = self.sixteenth(eighth)
        sixteenth = sixteenth + _match(self.up16(self.rest(sixteenth)), sixteenth)
        eighth = eighth + _match(self.up8(sixteenth), eighth)
        return self.heat(quarter + _match(self.up4(eighth), quarter))


class HeatLayout(nn.Module):
    """The pitch model as it is shipped: heat from 0 to 1."""

    def __init__(self, pitch: Pitch) -> None:
        """Shares the weights of `pitch`."""
        super().__init__()
        self.pitch = pitch

    def forward(self, x: Tensor) -> Tensor:
        """[n, points, h, w]; the centre of a cell (i, j) stands for the pixel ((j + 0.5) * 4, (i + 0.5) * 4)."""
        return torch.sigmoid(self.pitch(x))


def deployed(network: nn.Module) -> nn.Module:
    """A copy for inference: normalisation folded in, no gradients, on the CPU."""
    network = copy.deepcopy(network).cpu().eval()
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, Conv):
                setattr(parent, name, child.fused())
            elif isinstance(child, nn.Conv2d) and not isinstance(parent, Conv):
                setattr(parent, name, Plain(child, relu=False))
    return network.requires_grad_(requires_grad=False)


def parameters(module: nn.Module) -> int:
    """How many numbers training sets."""
    return sum(parameter.numel() for parameter in module.parameters())
