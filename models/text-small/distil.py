"""The teacher: MiniLM with both heads, the student cut from it, and the student that imitates it."""

import random

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from data import EKMAN, SENTIMENT, multi_hot
from model import HEAD_WIDTH, Shape, TextModel, load_teacher, teacher_folder
from tensors import HERE, batches, stack
from training import fit, save_atomically

# Layers of the teacher that the student starts from, and the ones that stay as published when the
# teacher learns the labels (they hold little of the task and would cost a third of the time).
KEPT_LAYERS = (0, 2, 5)
FROZEN_LAYERS = 2


def teacher_tokens(items, most=126):
    """Ids of the teacher's own tokenizer, with its CLS and SEP, cut after `most` pieces."""
    tokenizer = Tokenizer.from_file(str(teacher_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(most + 2)
    encoded = tokenizer.encode_batch([item.text for item in items])
    return [np.array(one.ids, np.int64) for one in encoded]


def continuations(vocabulary):
    """A boolean a token id: whether the piece continues a word."""
    return torch.tensor([piece.startswith("##") for piece in vocabulary])


def student_vocabulary():
    return (HERE / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]


def teacher_vocabulary():
    return (teacher_folder() / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]


# --- a start for the student ---------------------------------------------------------------------


def embedding_start(teacher, pieces, uses, size):
    """Rows [pieces, size] and a projection (weight [width, size], bias [width]).

    A piece starts as the mean of the teacher's embeddings of its text; the rows are the principal
    components, weighted by the root of how often a piece is used.
    """
    tokenizer = Tokenizer.from_file(str(teacher_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    index = {piece: i for i, piece in enumerate(teacher_vocabulary())}
    table = teacher.encoder.words.weight.detach()
    rows = []
    for piece in pieces:
        known = index.get(piece)
        if known is not None:
            ids = [known]
        else:
            ids = tokenizer.encode(piece.removeprefix("##"), add_special_tokens=False).ids
        rows.append(table[ids].mean(0))
    rows = torch.stack(rows)
    weight = (uses.float() + 1.0).sqrt()[:, None]
    mean = (rows * weight).sum(0) / weight.sum()
    _, _, components = torch.linalg.svd((rows - mean) * weight, full_matrices=False)
    components = components[:size]
    short = (rows - mean) @ components.T
    scale = short.std()
    bias = mean + teacher.encoder.expand.bias.detach()
    return short / scale * 0.05, components.T * scale / 0.05, bias


@torch.no_grad()
def usage(teacher, rows):
    """How much every head [layers, heads] and every inner neuron [layers, inner] adds on `rows`."""
    encoder = teacher.encoder
    heads = torch.zeros(encoder.shape.layers, encoder.shape.heads)
    inner = torch.zeros(encoder.shape.layers, encoder.shape.inner)
    for chosen in batches([len(row) for row in rows], 4096):
        ids, mask = stack([rows[i] for i in chosen])
        valid = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()
        bias = ((1.0 - valid.float()) * -10000.0)[:, None, None, :]
        x = encoder.expand(encoder.words(ids)) + encoder.positions.weight[: ids.shape[1]]
        x = encoder.norm(x)
        for i, layer in enumerate(encoder.layers):
            mixed = layer.attend(x, bias)[valid].unflatten(-1, (-1, HEAD_WIDTH))
            out = layer.join.weight.unflatten(1, (-1, HEAD_WIDTH))
            heads[i] += torch.einsum("thc,whc->thw", mixed, out).norm(dim=-1).sum(0)
            x = layer.join_norm(x + layer.join(layer.attend(x, bias)))
            active = F.gelu(layer.widen(x))
            inner[i] += active[valid].abs().sum(0) * layer.narrow.weight.norm(dim=0)
            x = layer.narrow_norm(x + layer.narrow(active))
    return heads, inner


@torch.no_grad()
def cut_student(teacher, shape, heads, sample, uses):
    """A `TextModel` of `shape` whose weights are the most used parts of the teacher."""
    student = TextModel(shape, heads)
    ours, theirs = student.encoder, teacher.encoder
    rows, weight, bias = embedding_start(teacher, student_vocabulary(), uses, shape.embedding)
    ours.words.weight.copy_(rows)
    ours.expand.weight.copy_(weight)
    ours.expand.bias.copy_(bias)
    ours.positions.weight.copy_(theirs.positions.weight[: shape.positions])
    ours.norm.load_state_dict(theirs.norm.state_dict())
    head_use, inner_use = usage(teacher, sample)
    for layer, source in zip(ours.layers, KEPT_LAYERS):
        old = theirs.layers[source]
        best = head_use[source].topk(shape.heads).indices.sort().values
        rows = (best[:, None] * HEAD_WIDTH + torch.arange(HEAD_WIDTH)).flatten()
        for name in ("query", "key", "value"):
            getattr(layer, name).weight.copy_(getattr(old, name).weight[rows])
            getattr(layer, name).bias.copy_(getattr(old, name).bias[rows])
        layer.join.weight.copy_(old.join.weight[:, rows])
        layer.join.bias.copy_(old.join.bias)
        neurons = inner_use[source].topk(shape.inner).indices.sort().values
        layer.widen.weight.copy_(old.widen.weight[neurons])
        layer.widen.bias.copy_(old.widen.bias[neurons])
        layer.narrow.weight.copy_(old.narrow.weight[:, neurons])
        layer.narrow.bias.copy_(old.narrow.bias)
        layer.join_norm.load_state_dict(old.join_norm.state_dict())
        layer.narrow_norm.load_state_dict(old.narrow_norm.state_dict())
    return student


def new_student(heads, items, windows):
    """The student before any training, cut by what the teacher uses on a sample of `items`."""
    pieces = student_vocabulary()
    flat = np.concatenate([window for of in windows for window in of])
    uses = torch.from_numpy(np.bincount(flat, minlength=len(pieces)))
    sample = teacher_tokens(random.Random(0).sample(items, min(512, len(items))))
    teacher = load_teacher({}).eval()
    return cut_student(teacher, Shape(vocabulary=len(pieces)), heads, sample, uses)


# --- soft labels ---------------------------------------------------------------------------------


def fit_teacher(sentiment, emotions, path, epochs, run, share=0.2, rate=1e-4, tokens=1024):
    """Teaches MiniLM both label spaces; each epoch sees a new `share` of the emotion texts."""
    torch.manual_seed(run[0])
    teacher = load_teacher({"sentiment": len(SENTIMENT), "emotion": len(EKMAN)})
    encoder = teacher.encoder
    frozen = [encoder.words, encoder.expand, encoder.positions, encoder.norm]
    for part in frozen + list(encoder.layers[:FROZEN_LAYERS]):
        part.requires_grad_(False)
    rows = {"sentiment": teacher_tokens(sentiment), "emotion": teacher_tokens(emotions)}
    items = {"sentiment": sentiment, "emotion": emotions}

    def make_epoch(_epoch, draw):
        steps = []
        for head, part in (("sentiment", 1.0), ("emotion", share)):
            drawn = draw.sample(range(len(items[head])), int(part * len(items[head])))
            lists = batches([len(rows[head][i]) for i in drawn], tokens, draw)
            steps += [(head, [drawn[i] for i in chosen]) for chosen in lists]
        draw.shuffle(steps)
        return steps

    def loss_of(step):
        head, chosen = step
        ids, mask = stack([rows[head][i] for i in chosen])
        labels = [items[head][i].labels for i in chosen]
        logits = teacher.heads[head](encoder(ids, mask), mask).float()
        if head == "sentiment":
            return F.cross_entropy(logits, torch.tensor([of[0] for of in labels]))
        return 7 * F.binary_cross_entropy_with_logits(logits, multi_hot(labels, len(EKMAN)))

    history = fit(teacher, path, epochs, make_epoch, loss_of, rate, run)
    return teacher.eval(), history


@torch.no_grad()
def soft_logits(teacher, items, tokens=4096):
    """The fitted teacher's logits for all items: {head: [items, labels]}."""
    rows = teacher_tokens(items)
    sizes = {name: head.logits.out_features for name, head in teacher.heads.items()}
    found = {name: torch.zeros(len(items), size) for name, size in sizes.items()}
    for chosen in batches([len(row) for row in rows], tokens):
        ids, mask = stack([rows[i] for i in chosen])
        with torch.autocast("cpu", torch.bfloat16):
            outputs = teacher(ids, mask)
        for name, out in zip(found, outputs):
            found[name][chosen] = out.float()
    return found


# --- imitation -------------------------------------------------------------------------------


def word_means(hidden, ids, mask, continues):
    """Mean hidden state of every word, CLS and SEP included: [words of the batch, width].

    Both tokenizers split texts into the same words, so that the rows of one model match the rows
    of the other although their pieces differ.
    """
    valid = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()
    starts = valid & ~continues[ids]
    word = (starts.flatten().cumsum(0) - 1)[valid.flatten()]
    flat = hidden.float().flatten(0, 1)[valid.flatten()]
    total = torch.zeros(int(word[-1]) + 1, flat.shape[1]).index_add_(0, word, flat)
    return total / torch.bincount(word).float()[:, None]


def imitate(student, teacher, items, windows, path, epochs, run, rate=8e-4, tokens=2048):
    """Trains the student to give every word the teacher's hidden state and every text its logits.

    Texts of several windows are left out. Returns the history and the teacher's logits for all
    items, {head: [items, labels]}, which the same passes gave.
    """
    theirs = teacher_tokens(items)
    ours = [of[0] for of in windows]
    short = [i for i in range(len(items)) if len(windows[i]) == 1 and len(theirs[i]) < 128]
    continues = continuations(student_vocabulary())
    teacher_continues = continuations(teacher_vocabulary())
    soft_path = path.with_name("soft.pt")
    if soft_path.exists():
        soft = torch.load(soft_path, weights_only=True)
    else:
        soft = {
            name: torch.full((len(items), head.logits.out_features), torch.nan)
            for name, head in teacher.heads.items()
        }

    def make_epoch(_epoch, draw):
        lists = batches([len(ours[i]) for i in short], tokens, draw)
        return [[short[i] for i in chosen] for chosen in lists]

    def loss_of(chosen):
        ids, mask = stack([ours[i] for i in chosen])
        teacher_ids, teacher_mask = stack([theirs[i] for i in chosen])
        hidden = student.encoder(ids, mask)
        with torch.no_grad():
            wanted = teacher.encoder(teacher_ids, teacher_mask)
            for name, head in teacher.heads.items():
                soft[name][chosen] = head(wanted, teacher_mask).float()
        wanted = word_means(wanted, teacher_ids, teacher_mask, teacher_continues)
        found = word_means(hidden, ids, mask, continues)
        loss = F.mse_loss(found, wanted) / wanted.var()
        logits = student.heads["sentiment"](hidden, mask).float()
        loss = loss + F.cross_entropy(logits, soft["sentiment"][chosen].softmax(1))
        logits = student.heads["emotion"](hidden, mask).float()
        return loss + F.binary_cross_entropy_with_logits(logits, soft["emotion"][chosen].sigmoid())

    history = fit(student, path, epochs, make_epoch, loss_of, rate, run)
    missing = [i for i in range(len(items)) if soft["sentiment"][i].isnan().any()]
    if missing:
        for name, logits in soft_logits(teacher, [items[i] for i in missing]).items():
            soft[name][missing] = logits
    save_atomically(soft, soft_path)
    return history, soft
