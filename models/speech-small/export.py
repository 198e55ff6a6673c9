"""From trained weights to the ONNX graph of the bundle, with weights stored as f16."""

import copy
import hashlib
import warnings

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import network as net

OPSET = 17
SMALLEST = 16


def fold(module):
    """A copy in which each batch normalisation is part of the convolution before it."""
    folded = copy.deepcopy(module).eval()
    for part in list(folded.modules()):
        if isinstance(part, nn.Sequential) and len(part) > 1:
            if isinstance(part[0], nn.Conv2d) and isinstance(part[1], nn.BatchNorm2d):
                part[0] = fuse_conv_bn_eval(part[0], part[1])
                part[1] = nn.Identity()
    return folded


def round_weights(module):
    """Rounds, in place, every weight of more than SMALLEST values to what f16 can hold."""
    with torch.no_grad():
        for value in module.parameters():
            if value.numel() > SMALLEST:
                value.copy_(value.half().float())
    return module


def store_as_f16(model):
    """Stores each large f32 initializer as f16 with a Cast to f32 behind it."""
    casts, kept = [], []
    for initializer in model.graph.initializer:
        values = numpy_helper.to_array(initializer)
        if initializer.data_type != TensorProto.FLOAT or values.size <= SMALLEST:
            kept.append(initializer)
            continue
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            raise ValueError(f"{initializer.name}: not rounded to f16 before the export")
        kept.append(numpy_helper.from_array(half, initializer.name + "_f16"))
        casts.append(
            helper.make_node(
                "Cast", [initializer.name + "_f16"], [initializer.name], to=TensorProto.FLOAT
            )
        )
    nodes = casts + list(model.graph.node)
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(kept)
    return model


def write_graph(trained, path):
    """Writes the graph for batch 1; returns the rounded network it holds and the file's SHA-256."""
    rounded = round_weights(fold(trained)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            rounded,
            (torch.zeros(1, 1, net.FRAMES, net.MELS),),
            str(path),
            input_names=["features"],
            output_names=["emotion_logits"],
            opset_version=OPSET,
            dynamo=False,
        )
    model = store_as_f16(onnx.load(str(path)))
    onnx.checker.check_model(model, full_check=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(model.SerializeToString())
    temporary.replace(path)
    return rounded, hashlib.sha256(path.read_bytes()).hexdigest()
