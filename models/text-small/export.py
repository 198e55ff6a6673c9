"""graph.onnx: weights as f16 with a Cast behind each, and back from it."""

import hashlib
import os
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
SMALL = 16


@torch.no_grad()
def rounded_to_half(model):
    """Rounds every parameter to the nearest f16, so that the model is the one that is shipped."""
    for parameter in model.parameters():
        parameter.copy_(parameter.half().float())
    return model


def weights_to_half(graph):
    """Stores each float initializer above `SMALL` elements as f16 with a Cast to f32 behind it."""
    casts, kept = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size <= SMALL:
            kept.append(tensor)
            continue
        short = tensor.name + ".f16"
        kept.append(numpy_helper.from_array(values.astype(np.float16), short))
        casts.append(helper.make_node("Cast", [short], [tensor.name], to=TensorProto.FLOAT))
    nodes = casts + list(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)


def export_graph(model, path):
    """Writes the ONNX graph of `model` (batch 1, length `L`) and returns its SHA-256."""
    model.eval()
    beside = Path(path).with_suffix(".part")
    torch.onnx.export(
        model,
        (torch.ones(1, 8, dtype=torch.int64), torch.ones(1, 8, dtype=torch.int64)),
        str(beside),
        input_names=["token_ids", "attention_mask"],
        output_names=[f"{head}_logits" for head in model.heads],
        dynamic_axes={name: {1: "L"} for name in ("token_ids", "attention_mask")},
        opset_version=OPSET,
        do_constant_folding=True,
        dynamo=False,
    )
    graph = onnx.load(beside)
    weights_to_half(graph.graph)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, beside)
    os.replace(beside, path)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def parameters_of_graph(path):
    """The model's parameters as they stand in graph.onnx: {name: float tensor}.

    Linear weights are found under their own names or, where the export transposed them, by the
    name of the bias that their product is added to.
    """
    graph = onnx.load(path).graph
    arrays = {t.name.removesuffix(".f16"): numpy_helper.to_array(t) for t in graph.initializer}
    users = {name: node for node in graph.node for name in node.input}
    found = {}
    for name, values in arrays.items():
        tensor = torch.from_numpy(values.astype(np.float32))
        node = users.get(name)
        if name.startswith(("encoder.", "heads.")):
            found[name] = tensor
        elif node is not None and node.op_type == "MatMul":
            path_in_module = node.name.strip("/").rsplit("/", 1)[0]
            module = path_in_module.replace("/", ".")
            module = module if module.startswith("encoder.") else "heads." + module
            found[module + ".weight"] = tensor.T.contiguous()
    return found
