"""Speed of the recurrent layers, against Keras', PyTorch's, and the bare matrix products.

Prints ratios of medians of one training step (forward and backward, float32), or of one inference
call. Measurements of a shape alternate, so that other load on the machine affects all alike.
PyTorch is included if installed (2.13, CPU build).

    python benchmarks/layers.py [--repeats 20] [--only lstm torch]
"""

import argparse
import ctypes
import importlib.util
import math
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from common import record

from rnnapps.layers import GRU, LSTM, SLSTM, MinGRU, PeepholeLSTM, PeepholeLSTMCell

SHAPES = [(32, 100, 128, 256), (64, 200, 128, 64), (16, 400, 64, 128), (1, 100, 128, 256)]
LONG = (4, 2000, 128, 128)  # where XLA compiles the whole step

LAYERS = {
    "LSTM": lambda units: LSTM(units, return_sequences=True),
    "GRU": lambda units: GRU(units, return_sequences=True),
    "MinGRU": lambda units: MinGRU(units, return_sequences=True),
    "SLSTM": lambda units: SLSTM(units, return_sequences=True),
    "PeepholeLSTM": lambda units: PeepholeLSTM(units, return_sequences=True),
    "Bidirectional": lambda units: keras.layers.Bidirectional(LSTM(units, return_sequences=True)),
    "keras.LSTM": lambda units: keras.layers.LSTM(units, return_sequences=True),
    "keras.GRU": lambda units: keras.layers.GRU(units, return_sequences=True),
    "keras.RNN(PeepholeLSTMCell)": lambda units: keras.layers.RNN(
        PeepholeLSTMCell(units), return_sequences=True
    ),
    "keras.Bidirectional": lambda units: keras.layers.Bidirectional(
        keras.layers.LSTM(units, return_sequences=True)
    ),
}
# (what, than what, the bar on the geometric mean or the one shape, the bar at each shape)
RATIOS = [
    ("PeepholeLSTM", "keras.RNN(PeepholeLSTMCell)", None, 0.5),
    ("PeepholeLSTM", "keras.LSTM", 0.75, 1.1),
    ("LSTM", "keras.LSTM", 0.75, 1.0),
    ("GRU", "keras.GRU", 0.75, 1.0),
    ("MinGRU", "GRU", 0.4, None),
    ("SLSTM", "LSTM", None, None),
    ("LSTM", "torch.LSTM", 0.95, None),
    ("LSTM", "products", None, None),
    ("Bidirectional", "keras.Bidirectional", 0.75, None),
    ("LSTM inference", "keras.LSTM inference", 0.9, None),
]
LONG_BAR = 0.2  # of MinGRU : GRU at LONG
PRODUCTS_BAR = 1.25  # at the first shape
MEMORY_BAR = 0.8  # at the first shape


def training_step(name, shape, jit=False):
    batch, steps, features, units = shape
    layer = LAYERS[name](units)
    layer.build((batch, steps, features))
    weights = [v.value for v in layer.trainable_variables]
    x = tf.random.normal((batch, steps, features))
    d_outputs = tf.random.normal(layer.compute_output_shape(x.shape))

    @tf.function(jit_compile=jit)
    def step(x, d_outputs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=True)
        return tape.gradient(outputs, [x, *weights], d_outputs)

    return lambda: step(x, d_outputs)


def inference(name, shape):
    batch, steps, features, units = shape
    layer = LAYERS[name](units)
    x = tf.random.normal((batch, steps, features))
    function = tf.function(lambda x: layer(x, training=False))
    return lambda: function(x)


def torch_step(shape):
    import torch

    batch, steps, features, units = shape
    layer = torch.nn.LSTM(features, units, batch_first=True)
    x = torch.randn(batch, steps, features, requires_grad=True)
    d_outputs = torch.randn(batch, steps, units)

    def step():
        layer.zero_grad()
        x.grad = None
        layer(x)[0].backward(d_outputs)

    return step


def products_step(shape):
    """Only the six matrix products of an LSTM's training step."""
    batch, steps, features, units = shape
    normal = tf.random.normal
    x, h, z = normal((steps * batch, features)), normal((batch, units)), normal((batch, 4 * units))
    kernel, recurrent = normal((features, 4 * units)), normal((units, 4 * units))
    recurrent_t = tf.transpose(recurrent)
    d_z, hs = normal((steps * batch, 4 * units)), normal((steps * batch, units))

    def each_step(left, right):
        # Each product depends on the previous one, as in a recurrent layer.
        def body(t, total):
            return t + 1, ((left + total) @ right)[0, 0] * 0.0

        return tf.while_loop(lambda t, _: t < steps, body, (tf.constant(0), tf.constant(0.0)))[1]

    @tf.function
    def step(x, h, z, d_z, hs):
        return (
            x @ kernel,
            each_step(h, recurrent),
            each_step(z, recurrent_t),
            tf.matmul(hs, d_z, transpose_a=True),
            tf.matmul(x, d_z, transpose_a=True),
            tf.matmul(d_z, kernel, transpose_b=True),
        )

    return lambda: step(x, h, z, d_z, hs)


def contender(name, shape):
    if name == "torch.LSTM":
        return torch_step(shape)
    if name == "products":
        return products_step(shape)
    if name.endswith(" inference"):
        return inference(name.removesuffix(" inference"), shape)
    return training_step(name, shape)


def medians(names, shape, repeats):
    """Milliseconds of each contender at a shape."""
    return take_turns({name: contender(name, shape) for name in names}, repeats)


def take_turns(functions, repeats):
    """Milliseconds of each of these functions."""
    times = {name: [] for name in functions}
    for repeat in range(repeats + 3):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if repeat >= 3:  # the first calls trace, allocate and warm the caches
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def peak_megabytes(name):
    """The additional peak memory of training steps at the first shape."""
    command = [sys.executable, __file__, "--peak-memory-of", name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak_memory(name):
    *_, features, units = SHAPES[0]
    # What TensorFlow needs once; with two rows, as XLA compiles a batch of one.
    training_step(name, (2, 2, features, units))()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # forget the peak so far (Linux)
    before = memory("VmRSS")
    step = training_step(name, SHAPES[0])
    for _ in range(5):
        step()
    print(memory("VmHWM") - before)


def memory(field):
    """Megabytes of a field of this process' status."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(field))
    return int(line.split()[1]) / 1024


def verdict(value, bar):
    if bar is None:
        return ""
    return f"{'ok  ' if value <= bar else 'OVER'} (<= {bar})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--only", nargs="*", help="only ratios with these words in their names")
    parser.add_argument("--peak-memory-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak_memory_of:
        print_peak_memory(arguments.peak_memory_of)
        return

    ratios = RATIOS
    if arguments.only:
        ratios = [r for r in RATIOS if any(w in f"{r[0]} {r[1]}" for w in arguments.only)]
    if not importlib.util.find_spec("torch"):
        ratios = [r for r in ratios if r[1] != "torch.LSTM"]
    names = list(dict.fromkeys(name for ratio in ratios for name in ratio[:2]))
    np.random.seed(0)
    table = {}
    for shape in SHAPES:
        table[shape] = medians(names, shape, arguments.repeats)

    heads = "".join(f"{'x'.join(map(str, shape)):>16}" for shape in SHAPES)
    print(f"Milliseconds, medians of {arguments.repeats}; batch x steps x inputs x units\n")
    print(f"{'':30}{heads}")
    for name in names:
        print(f"{name:30}" + "".join(f"{table[shape][name]:16.1f}" for shape in SHAPES))
    print(f"\nRatios\n\n{'':46}{heads}{'geometric mean':>16}")
    for left, right, mean_bar, each_bar in ratios:
        values = [table[shape][left] / table[shape][right] for shape in SHAPES]
        mean = math.exp(statistics.fmean(map(math.log, values)))
        row = f"{left + ' : ' + right:46}" + "".join(f"{v:16.2f}" for v in values) + f"{mean:16.2f}"
        if right == "products":
            row += f"   at the first shape {verdict(values[0], PRODUCTS_BAR)}"
        if mean_bar:
            row += f"   mean {verdict(mean, mean_bar)}"
        if each_bar:
            row += f"   each {verdict(max(values), each_bar)}"
        print(row)
    record(
        "layers-milliseconds",
        {name: {"x".join(map(str, s)): table[s][name] for s in SHAPES} for name in names},
    )
    long = take_turns({name: training_step(name, LONG, jit=True) for name in ("MinGRU", "GRU")}, 10)
    ratio = long["MinGRU"] / long["GRU"]
    print(f"\nUnder XLA at {LONG}: " + ", ".join(f"{k} {v:.0f} ms" for k, v in long.items()))
    print(f"MinGRU : GRU {ratio:.2f} {verdict(ratio, LONG_BAR)}")
    ours, theirs = peak_megabytes("LSTM"), peak_megabytes("keras.LSTM")
    print(
        f"\nPeak memory of training at {SHAPES[0]}: LSTM {ours:.0f} MB, keras.LSTM {theirs:.0f} MB"
    )
    print(f"LSTM : keras.LSTM {ours / theirs:.2f} {verdict(ours / theirs, MEMORY_BAR)}")


if __name__ == "__main__":
    main()
