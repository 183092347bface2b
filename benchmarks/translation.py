"""Evaluates the translator, one row of its table at a time.

    python benchmarks/translation.py [--data-dir DIR] [ROW...]

Rows: `exhaustive` (beam search against exhaustive search), `sample` (trains on the embedded dates),
`de-en` and `en-de` (train with multi30k.toml on the data in --data-dir, and evaluate on
test_2016_flickr), `speed` (beam search in the graph and as a Python loop over the same step
function, on the test set of `de-en`, or of --run-dir's run). By default all.
"""

import argparse
import itertools
import tempfile
import time
from pathlib import Path

from common import measured, options_of, record, rnnapps, show, show_machine

ROWS = ("exhaustive", "sample", "de-en", "en-de", "speed")
MEASURES = ("bleu", "chrf", "exact_match", "perplexity")
MULTI30K = Path(__file__).with_name("multi30k.toml")


def measure(flags: list[str], run_dir: Path) -> None:
    """Trains with these flags, and prints the test metrics."""
    trained = rnnapps("train", "translation", "--run-dir", run_dir, *flags)
    found = rnnapps("evaluate", run_dir)
    print(f"rnnapps train translation {' '.join(flags)}")
    print(
        f"whole command {trained['command_seconds']:.0f} s, of it training "
        f"{trained['seconds']:.0f} s"
    )
    rows = {"validation": trained["validation"], **measured(found)}
    show("", rows, MEASURES)
    print(*found["signatures"].values(), sep="\n")
    record(f"translation-{run_dir.name}", rows, MEASURES)


def speed(run_dir: str, sentences: int = 128, batch_size: int = 32, beam_width: int = 5) -> None:
    """Sentences per second in the graph, and in a Python loop over the same step function."""
    import tensorflow as tf

    from rnnapps import load
    from rnnapps.apps.translation.data import load_splits

    app = load(run_dir)
    model = app.model
    texts = load_splits(app.config).test.sources[:sentences]

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def in_graph(texts):
        found = model.search(texts, beam_width=beam_width)
        return model.texts(texts, found)[:, 0]

    def all_in_graph() -> list[bytes]:
        chunks = [texts[i : i + batch_size] for i in range(0, len(texts), batch_size)]
        return [t for chunk in chunks for t in in_graph(tf.constant(chunk)).numpy()]

    plain = PlainSearch(model, beam_width)
    few = texts[: max(1, sentences // 8)]
    in_graph(tf.constant(texts[:batch_size])), plain(texts[0])  # traces both
    rates: dict[str, list[float]] = {"graph": [], "plain": []}
    for _ in range(3):  # alternating, so that other load affects both
        began = time.perf_counter()
        answers = all_in_graph()
        rates["graph"].append(len(texts) / (time.perf_counter() - began))
        began = time.perf_counter()
        expected = [plain(text) for text in few]
        rates["plain"].append(len(few) / (time.perf_counter() - began))
    same = sum(a == b for a, b in zip(answers, expected, strict=False))
    graph, loop = max(rates["graph"]), max(rates["plain"])
    print(f"beam {beam_width}, in the graph, batch {batch_size}: {graph:.1f} sentences/s")
    print(f"beam {beam_width}, a Python loop over the same step: {loop:.2f} sentences/s")
    print(f"ratio {graph / loop:.1f}; the same translation of {same} of {len(few)} sentences")


class PlainSearch:
    """Beam search as a loop over Python lists, one sentence at a time."""

    def __init__(self, model, beam_width: int):
        import tensorflow as tf

        from rnnapps.apps.translation.pipeline import special_tokens
        from rnnapps.text import PADDING, UNKNOWN

        self.model, self.width = model, beam_width
        self.config = model.network.config
        self.ends = special_tokens(model.target_tokenizer)
        self.forbidden = [PADDING, self.ends.bos] + ([] if model.copies else [UNKNOWN])
        self.encode = tf.function(lambda text: model.network.encode(model.source_ids(text)))
        self.step = tf.function(
            lambda tokens, state, encoded: model.network.decode(tokens, state, encoded),
            reduce_retracing=True,
        )

    def __call__(self, text: str) -> bytes:
        import numpy as np
        import tensorflow as tf

        encoded, state = self.encode(tf.constant([text]))
        longest = int(self.model.longest(self.model.source_ids(tf.constant([text])))[0])
        live, ended = [(0.0, [self.ends.bos], [x[0] for x in state])], []

        def penalty(length: int) -> float:
            return ((5 + length) / 6) ** self.config.length_penalty

        for t in range(longest):
            states = [tf.stack(parts) for parts in zip(*(s for _, _, s in live), strict=True)]
            tokens = tf.constant([[tokens[-1]] for _, tokens, _ in live])
            wide = tf.nest.map_structure(lambda x, n=tokens.shape[0]: tf.repeat(x, n, 0), encoded)
            logits, states, _ = self.step(tokens, states, wide)
            logits = logits[:, 0].numpy()
            logits[:, self.forbidden] = -1e9
            log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
            if t + 1 == longest:
                log_p[:, np.arange(log_p.shape[1]) != self.ends.eos] = -1e9
            total = log_p + np.array([[p] for p, _, _ in live])
            order = np.argsort(-total, axis=None, kind="stable")[: 2 * self.width]
            candidates = [(total.flat[i], *divmod(i, total.shape[1])) for i in order]
            for p, beam, token in candidates[: self.width]:
                if token == self.ends.eos:
                    ended.append((p / penalty(t + 1), live[beam][1][1:]))
            live = [
                (p, [*live[beam][1], int(token)], [x[beam] for x in states])
                for p, beam, token in candidates
                if token != self.ends.eos
            ][: self.width]
            if ended and max(ended)[0] >= live[0][0] / penalty(longest):
                break
        best = max(ended)[1]
        return self.model.target_tokenizer.detokenize(tf.constant([best], tf.int32)).numpy()[0]


def exhaustive(vocabulary: int = 5, longest: int = 5, rows: int = 20) -> None:
    """Beam search against exhaustive search, on random tables of probabilities."""
    import numpy as np
    import tensorflow as tf

    from rnnapps.decoding import beam_search

    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (rows, longest, vocabulary, vocabulary)).astype("float32")
    log_p = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    begin, end, alpha = 0, 1, 0.8

    def step(tokens, state):
        return tf.gather_nd(
            logits, tf.stack([state[:, 0], state[:, 1], tokens], 1)
        ), state + tf.constant([0, 1])

    state = tf.stack([tf.range(rows), tf.zeros(rows, tf.int32)], 1)
    limit, width = tf.fill([rows], longest), vocabulary**longest
    found = beam_search(step, state, begin, end, limit, width, length_penalty=alpha)
    same = 0
    for row in range(rows):
        best = (-np.inf, ())
        for length in range(longest):
            for tokens in itertools.product(
                [t for t in range(vocabulary) if t != end], repeat=length
            ):
                path = zip(range(length + 1), (begin, *tokens), (*tokens, end), strict=True)
                total = sum(log_p[row, t, a, b] for t, a, b in path)
                best = max(best, (total / ((6 + length) / 6) ** alpha, tokens))
        n = int(found.lengths[row, 0])
        same += tuple(found.tokens[row, 0, :n].numpy().tolist()) == best[1]
    print(f"exhaustive search finds the same sequence in {same} of {rows} cases")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="prepared tensorflow_datasets, for de-en and en-de")
    parser.add_argument("--run-dir", help="a run, for speed without de-en")
    options = options_of(parser, ROWS)
    wanted = options.row or ROWS
    if "speed" in wanted and "de-en" not in wanted and not options.run_dir:
        parser.error("speed needs --run-dir, or the row de-en")
    show_machine()
    with tempfile.TemporaryDirectory() as folder:
        if "exhaustive" in wanted:
            exhaustive()
        if "sample" in wanted:
            measure([], Path(folder, "sample"))
        for row in [row for row in ("de-en", "en-de") if row in wanted]:
            source, target = row.split("-")
            flags = ["--config", str(MULTI30K), "--source", source, "--target", target]
            flags += ["--data-dir", options.data_dir] if options.data_dir else []
            measure(flags, Path(folder, row))
        if "speed" in wanted:
            speed(options.run_dir or str(Path(folder, "de-en")))


if __name__ == "__main__":
    main()
