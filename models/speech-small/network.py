"""The network of speech-small: a log-mel window in, eight emotion logits out."""

import torch
from torch import nn
from torch.nn import functional as F

FRAMES = 149
MELS = 64
MEMBERS = 2
WIDTH = 14


def convolution(inputs, outputs, kernel, stride):
    """A convolution without bias, its batch normalisation and a ReLU."""
    padding = tuple(k // 2 for k in kernel)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Separable(nn.Module):
    """A residual depthwise-separable block that keeps the shape."""

    def __init__(self, channels, kernel):
        super().__init__()
        padding = tuple(k // 2 for k in kernel)
        self.depthwise = nn.Sequential(
            nn.Conv2d(channels, channels, kernel, 1, padding, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        self.pointwise = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x):
        return F.relu(x + self.pointwise(self.depthwise(x)))


class Member(nn.Module):
    """One convolutional member: `[B, 1, FRAMES, MELS]` to `[B, labels]`.

    Four strided stages shrink time and mel bands by 16; the bands are then averaged and
    a learned softmax over time, beside the plain mean, pools what is left.
    """

    def __init__(self, labels, width=16, dropout=0.2):
        super().__init__()
        w = width
        self.stages = nn.Sequential(
            convolution(1, w, (5, 5), (2, 2)),
            convolution(w, 2 * w, (3, 3), (2, 2)),
            Separable(2 * w, (5, 3)),
            nn.Dropout2d(dropout / 4),
            convolution(2 * w, 4 * w, (3, 3), (2, 2)),
            Separable(4 * w, (5, 3)),
            nn.Dropout2d(dropout / 2),
            convolution(4 * w, 8 * w, (3, 3), (2, 2)),
        )
        self.score = nn.Linear(8 * w, 1)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(16 * w, labels)

    def forward(self, x):
        x = self.stages(x).mean(3).transpose(1, 2)  # [B, frames / 16, channels]
        weight = torch.softmax(self.score(x), dim=1)
        pooled = torch.cat([(weight * x).sum(1), x.mean(1)], dim=1)
        return self.classify(self.dropout(pooled))


class Network(nn.Module):
    """The mean of the members' logits, in one graph."""

    def __init__(self, labels, members, width, dropout=0.2):
        super().__init__()
        self.members = nn.ModuleList(Member(labels, width, dropout) for _ in range(members))

    def each(self, x):
        """Logits of each member, `[members, B, labels]`."""
        return torch.stack([member(x) for member in self.members])

    def forward(self, x):
        logits = self.members[0](x)
        for member in list(self.members)[1:]:
            logits = logits + member(x)
        return logits * (1 / len(self.members))


def build(labels):
    """The network of this model for a number of labels, untrained."""
    return Network(labels, MEMBERS, WIDTH)


def parameters(network):
    """Number of trained values."""
    return sum(p.numel() for p in network.parameters())


def multiply_accumulates(network):
    """Multiply-accumulates of the convolutions and linear layers for one window."""
    total = 0

    def count(layer, _, output):
        nonlocal total
        positions = output.numel() // output.shape[1 if output.dim() == 4 else -1]
        total += positions * layer.weight.numel()

    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear))
    ]
    with torch.no_grad():
        network.eval()(torch.zeros(1, 1, FRAMES, MELS))
    for hook in hooks:
        hook.remove()
    return total
