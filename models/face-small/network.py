"""The face network, its folding for inference and its ONNX file."""

import copy
import os

import numpy as np
import torch
from torch import nn

SIZE = 48


class Conv(nn.Sequential):
    """Convolution and batch normalisation, with a ReLU unless told otherwise."""

    def __init__(self, inputs, outputs, kernel, stride=1, relu=True):
        layers = [
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        super().__init__(*layers, *([nn.ReLU()] if relu else []))


class Bottleneck(nn.Module):
    """Residual block: 1x1 down to `inner` channels, 3x3, 1x1 back up."""

    def __init__(self, channels, inner):
        super().__init__()
        self.body = nn.Sequential(
            Conv(channels, inner, 1), Conv(inner, inner, 3), Conv(inner, channels, 1, relu=False)
        )

    def forward(self, x):
        return torch.relu(x + self.body(x))


class FaceNet(nn.Module):
    """Grey picture f32 [N,1,48,48] to emotion logits [N,labels] and a face logit [N,1].

    Dense 3x3 convolutions on few channels: at this size they train about three times faster on a
    CPU than depthwise-separable ones of the same cost, and they quantize without surprises.

    A face and its mirror image carry the same expression: for inference (`mirrored`) the features of
    both are averaged, at twice the cost.
    """

    def __init__(self, labels, grown=True, dropout=0.2):
        super().__init__()
        self.features = nn.Sequential(
            Conv(1, 24, 5, 2),
            Conv(24, 24, 3),
            Conv(24, 64, 3, 2),
            Bottleneck(64, 32),
            Bottleneck(64, 32),
            Conv(64, 128, 3, 2),
            Bottleneck(128, 48),
            Bottleneck(128, 48),
            Conv(128, 192, 3, 2),
        )
        self.mirrored = False
        self.dropout = nn.Dropout(dropout)
        self.emotion = nn.Linear(192, labels)
        self.face = nn.Linear(192, 1)
        # Named after the layer of `features` that each of them follows.
        self.added = nn.ModuleDict()
        if grown:
            self.added.update(
                {"4": Bottleneck(64, 32), "7": Bottleneck(128, 64), "8": Bottleneck(192, 128)}
            )
            for block in self.added.values():
                nn.init.zeros_(block.body[2][1].weight)

    def forward(self, pixels):
        x = torch.cat([pixels, pixels.flip(3)]) if self.mirrored else pixels
        for i, layer in enumerate(self.features):
            x = layer(x)
            if str(i) in self.added:
                x = self.added[str(i)](x)
        pooled = self.dropout(x.mean((2, 3)))
        if self.mirrored:
            pooled = pooled.view(2, -1, pooled.shape[1]).mean(0)
        return self.emotion(pooled), self.face(pooled)

    def grow(self):
        """A deeper network that gives the same answers: its added blocks start as identities."""
        grown = FaceNet(self.emotion.out_features)
        unknown = grown.load_state_dict(self.state_dict(), strict=False).unexpected_keys
        assert not unknown, unknown
        return grown


def fold_batchnorm(model):
    """A mirrored copy in inference mode whose convolutions hold the normalisation that followed them."""
    model = copy.deepcopy(model).float().eval().to(memory_format=torch.contiguous_format)
    for block in [m for m in model.modules() if isinstance(m, Conv)]:
        conv, norm = block[0], block[1]
        gain = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
        folded = nn.Conv2d(
            conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding
        )
        folded.weight.data = (conv.weight.double() * gain[:, None, None, None]).float()
        folded.bias.data = (norm.bias.double() - norm.running_mean.double() * gain).float()
        block[0], block[1] = folded, nn.Identity()
    model.mirrored = True
    return model.eval()


def count(folded):
    """Parameters of a folded model and multiply-accumulates of one inference."""
    macs = 0

    def add(module, _inputs, output):
        nonlocal macs
        macs += output.numel() * module.weight[0].numel()

    for module in folded.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(add)
    folded(torch.zeros(1, 1, SIZE, SIZE))
    return sum(p.numel() for p in folded.parameters()), macs


def export_onnx(model, path):
    """Write the model, folded, as ONNX opset 17, batch 1."""
    write_onnx(fold_batchnorm(model), path)


def write_onnx(folded, path):
    """Write a folded model as ONNX opset 17, batch 1, large weights as f16 with a Cast behind."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    partial = f"{path}.partial"
    torch.onnx.export(
        folded,
        torch.zeros(1, 1, SIZE, SIZE),
        partial,
        input_names=["pixels"],
        output_names=["emotion_logits", "face_logit"],
        opset_version=17,
        dynamo=False,
    )
    graph = onnx.load(partial)
    casts = []
    for tensor in graph.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size <= 16:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.f16"))
        casts.append(helper.make_node("Cast", [f"{name}.f16"], [name], f"{name}.cast", to=TensorProto.FLOAT))
    nodes = casts + list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, partial)
    os.replace(partial, path)


def load_onnx_weights(path, labels):
    """The folded PyTorch model with the weights, f16 ones widened, that the ONNX file stores."""
    import onnx
    from onnx import numpy_helper

    model = fold_batchnorm(FaceNet(labels))
    stored = {
        tensor.name.removesuffix(".f16"): torch.from_numpy(
            numpy_helper.to_array(tensor).astype(np.float32)
        )
        for tensor in onnx.load(path).graph.initializer
    }
    wanted = model.state_dict()
    missing = wanted.keys() - stored.keys()
    if missing:
        raise SystemExit(f"{path}: no weights for {', '.join(sorted(missing))}")
    model.load_state_dict({name: stored[name] for name in wanted})
    return model.eval()
