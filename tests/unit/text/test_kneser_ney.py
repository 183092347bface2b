import numpy as np

from rnnapps.text import KneserNey, kneser_ney


def test_of_a_long_text_the_end_is_counted_and_it_is_said(monkeypatch, capsys):
    ids = np.random.default_rng(0).integers(1, 6, 90)
    expected = KneserNey(3, 6)
    expected.adapt(ids[-40:])
    assert not capsys.readouterr().err
    monkeypatch.setattr(kneser_ney, "_RECENT", 40)
    model = KneserNey(3, 6)
    model.adapt(ids)
    np.testing.assert_array_equal(model.nats(ids), expected.nats(ids))
    assert "the last 40 of 90 tokens" in capsys.readouterr().err
