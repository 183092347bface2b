"""A real export answers through the local server as the application does."""

import numpy as np

from rnnapps import SentimentClassifier
from rnnapps.data import make_reviews
from rnnapps.serving import Client, Server

TEXTS = ["not a bad film at all", "", "the plot was anything but superb 😀", "好看\x00", "a " * 999]


def test_rest_and_grpc_answer_as_the_application_does(tmp_path):
    settings = {"units": 4, "embedding_dim": 4, "epochs": 1, "tokenizer": "subword"}
    app = SentimentClassifier(**settings, max_tokens=200, pooling="attention")
    app.fit(make_reviews(200)).export(tmp_path / "sentiment")
    expected = app.predict(TEXTS, explain=True)
    with Server(tmp_path, rest_port=0, grpc_port=0) as server:
        for address in (server.rest_address, server.grpc_address):
            client = Client(address, "sentiment")
            found = client.predict(TEXTS)
            assert [row["label"] for row in found] == [row["label"] for row in expected]
            np.testing.assert_allclose(
                [row["probabilities"] for row in found],
                [list(row["probabilities"].values()) for row in expected],
                atol=1e-5,
            )
            explained = client.predict(TEXTS[:1], signature="explain")[0]
            tokens = [token for token, _ in expected[0]["tokens"]]
            assert explained["tokens"][: len(tokens)] == tokens
