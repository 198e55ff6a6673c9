"""Writes real.json: outputs of the Keras checkpoints as tf_keras computes them.

    python real.py ../../../../../shared/data > real.json

needs tensorflow, tf_keras, ai-edge-litert, numpy and Pillow. Inputs are those of ../tflite/make.py, named by the
SHA-256 of their bytes.
"""

import hashlib
import importlib.util
import json
import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy
import tf_keras

HERE = pathlib.Path(__file__).parent
spec = importlib.util.spec_from_file_location("make", HERE / "../tflite/make.py")
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)

MODELS = {
    "mini_xception/fer2013_mini_XCEPTION.102-0.66.hdf5": make.pictures(-1, 1),
    "mini_xception/tiny_XCEPTION_KDEF.hdf5": make.pictures(-1, 1),
    "mlperf_tiny/vww_96.h5": make.pictures(0, 1),
    "speech_emotion/Emotion_Voice_Detection_Model.h5": make.noise(-40, 40, range(1, 9)),
}

# The softmax of this model leaves one class in almost every input; what enters it says more.
ALSO = {"speech_emotion/Emotion_Voice_Detection_Model.h5": "dense_2"}


def main():
    shared = pathlib.Path(sys.argv[1])
    found = {}
    for name, specs in MODELS.items():
        path = shared / "checkpoints" / name
        model = tf_keras.models.load_model(path, compile=False)
        also = ALSO.get(name)
        if also:
            model = tf_keras.Model(model.inputs, [*model.outputs, model.get_layer(also).output])
        shape = [1, *model.inputs[0].shape.as_list()[1:]]
        cases = []
        for spec in specs:
            values = make.make_input(spec, {"shape": shape, "dtype": numpy.float32}, shared)
            outputs = model(values, training=False)
            outputs = [output.numpy() for output in (outputs if also else [outputs])]
            digest = hashlib.sha256(values.tobytes()).hexdigest()
            cases.append({"input": spec, "digest": digest, "outputs": [make.summary(array) for array in outputs]})
        found[name] = {"file": hashlib.sha256(path.read_bytes()).hexdigest(), "shape": shape, "also": also, "cases": cases}
        print(name, len(cases), file=sys.stderr)
    json.dump(found, sys.stdout, separators=(",", ":"))


if __name__ == "__main__":
    main()
