"""The recipe for a user's own labels: the shipped encoder, a new head, a bundle source of its own."""

import json
import shutil
import sys

import torch.nn.functional as F

from data import SENTIMENT, digest, hold_out, multi_hot, read_table
from distil import student_vocabulary
from export import parameters_of_graph, rounded_to_half
from measure import calibrate, macro_f1, measure, top_accuracy
from model import Shape, TextModel
from tensors import HERE, batches, choose_windows, limbic_binary, pooled_logits, predict, windows_of
from training import fit, name_of

MOST_WINDOWS = 3


def shipped_encoder(model, graph):
    """Gives `model` the encoder of the shipped graph, taken from the bundle where it is not beside."""
    if not graph.exists():
        import zipfile

        with zipfile.ZipFile(HERE / "text-small.limbic") as bundle:
            name = next(n for n in bundle.namelist() if n.endswith("graph.onnx"))
            graph.write_bytes(bundle.read(name))
    given = parameters_of_graph(graph)
    own = model.encoder.state_dict()
    model.encoder.load_state_dict({name: given[f"encoder.{name}"] for name in own})


def renumbered(items, names, order):
    """The items with label indices into `order` instead of `names`."""
    of = [order.index(name) for name in names]
    return [type(i)(i.text, tuple(sorted({of[label] for label in i.labels}))) for i in items]


def read_tables(options):
    """Items to train on, items to choose on, items to measure on, label names, several a row?"""
    items, names, several = read_table(options.data)
    order = list(SENTIMENT) if set(names) == set(SENTIMENT) else sorted(names)
    rest, tenth = hold_out(renumbered(items, names, order), options.seed)
    if not rest or not tenth:
        sys.exit(f"{options.data}: {len(items)} rows are too few to train on and to choose on")
    final = {}
    if options.valid:
        items, names, more = read_table(options.valid)
        unseen = sorted(set(names) - set(order))
        if unseen:
            sys.exit(f"{options.valid}: labels that {options.data} lacks: {', '.join(unseen)}")
        final["valid"] = renumbered(items, names, order)
        several = several or more
    return rest, tenth, final, order, several


# Labels of this name count for the common emotions and valences; others stay unmapped.
VALENCE_OF = {
    "anger": "negative",
    "disgust": "negative",
    "fear": "negative",
    "joy": "positive",
    "sadness": "negative",
    "surprise": "unmapped",
    "neutral": "neutral",
}


def label_space(labels, several):
    """The manifest's section for the user's labels."""
    rows = []
    for label in labels:
        emotion = label.lower() if label.lower() in VALENCE_OF else "unmapped"
        valence = VALENCE_OF.get(emotion, "unmapped")
        if label.lower() in ("negative", "neutral", "positive"):
            valence = label.lower()
        name = json.dumps(label, ensure_ascii=False)
        map_of = f"emotions = {{ {emotion} = 1.0 }}, valence = {{ {valence} = 1.0 }}"
        rows.append(f"  {{ label = {name}, {map_of} }},\n")
    kind = "multi_label" if several else "exclusive"
    head = f'[[label_spaces]]\nid = "own"\nsource = "labels given to train.py"\nlabelling = "{kind}"\n'
    return f"{head}exhaustive = true\nlabels = [\n{''.join(rows)}]\n"


def write_manifest(out, labels, several):
    """model.toml with the one head `label`, and the files it names, so that `limbic pack` takes it."""
    text = (HERE / "model.toml").read_text(encoding="utf-8")
    start = '[[programs.signatures.tensors]]\nname = "sentiment_logits"'
    before, after = text.split(start)
    end = after[after.index("[[gates]]") :]
    before = before.replace('name = "text-small"', 'name = "text-own"')
    description = before.split('description = "')[1].split('"\n')[0]
    before = before.replace(description, "Own labels on the text-small encoder")
    thresholds = [0.5] * len(labels) if several else []
    middle = f"""[[programs.signatures.tensors]]
name = "label_logits"
role = "output"
dtype = "f32"
dims = [1, {len(labels)}]

[[stages]]
kind = "preprocess"
input = "text"

[[stages]]
kind = "program"
program = "encoder"
signature = "encode"

[[stages]]
kind = "head"
head = "label"

[[heads]]
name = "label"
tensor = "label_logits"
kind = "{"multi_label" if several else "softmax"}"
label_space = "own"
temperature = 1.0
thresholds = {thresholds}
abstain_below = 0.0

{label_space(labels, several)}
"""
    (out / "model.toml").write_text(before + middle + end, encoding="utf-8")
    for name in ("vocab.txt", "LICENSE"):
        shutil.copyfile(HERE / name, out / name)
    about = f"The text-small encoder with a head for {', '.join(labels)}"
    card = f"# text-own\n\n{about}; its numbers are in metrics.json.\n"
    (out / "card.md").write_text(card, encoding="utf-8")


def train(options):
    """Returns the model, the calibration and the metrics, as the recipe of the shipped model does."""
    rest, tenth, final, labels, several = read_tables(options)
    limbic = limbic_binary(options.limbic)

    def windows(items):
        return windows_of(items, limbic, options.out / "tensors")

    shape = Shape(vocabulary=len(student_vocabulary()))
    model = TextModel(shape, {"label": len(labels)}, dropout=0.1)
    shipped_encoder(model, HERE / "graph.onnx")
    rows, rest_labels = windows(rest), [item.labels for item in rest]
    parts = {"tenth": ("label", tenth, windows(tenth))}
    several_heads = ("label",) if several else ()

    def make_epoch(_epoch, draw):
        chosen = [choose_windows(of, MOST_WINDOWS, draw) for of in rows]
        sizes = [sum(len(window) for window in of) for of in chosen]
        return [(b, [chosen[i] for i in b]) for b in batches(sizes, 2048, draw)]

    def loss(step):
        logits = pooled_logits(model, step[1])[0]
        wanted = multi_hot([rest_labels[i] for i in step[0]], len(labels))
        if several:
            return len(labels) * F.binary_cross_entropy_with_logits(logits, wanted)
        return F.cross_entropy(logits, wanted.argmax(1))

    def after_epoch(_epoch):
        logits = predict(model, parts["tenth"][2])[0]
        wanted = multi_hot([item.labels for item in tenth], len(labels))
        return {"score": macro_f1(logits, wanted) if several else top_accuracy(logits, wanted)}

    data = [digest(options.data), digest(HERE / "graph.onnx")]
    run = (options.seed, name_of(data))
    path = options.out / "labels.pt"
    history = fit(model, path, options.epochs, make_epoch, loss, 2e-4, run, after_epoch)
    rounded_to_half(model)
    heads = {"label": labels}
    calibration = calibrate(model, heads, parts, several_heads)
    final = {name: ("label", items, windows(items)) for name, items in final.items()}
    write_manifest(options.out, labels, several)
    metrics = {
        "measured": measure(model, heads, calibration, final, several_heads),
        "measured_on_tenth": measure(model, heads, calibration, parts, several_heads),
        "items": {"train": len(rest), "tenth": len(tenth)},
        "data_sha256": {str(p): digest(p) for p in (options.data, options.valid) if p},
        "history": {"labels": history},
    }
    return model, calibration, metrics
