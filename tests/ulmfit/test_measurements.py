"""What the chapter measures live, and that each measurement would notice the fault it is there for."""

from types import SimpleNamespace

import pytest
import torch

from papertrail.ulmfit import measurements
from papertrail.ulmfit.documents import Document, split_by_hash
from papertrail.ulmfit.measurements import EmbeddingLowest, measure_one_mask, measure_reviews, measure_softmax
from papertrail.ulmfit.recipe import new_model
from papertrail.ulmfit.softmax import TiedAdaptiveSoftmax


def test_the_adaptive_softmax_is_exact_and_multiplies_a_quarter_of_the_rows_or_less():
    found = measure_softmax()
    assert found.sum_error < 1e-12 and found.loss_error < 1e-12
    # 1,002 rows for every word; Zipf's law over 8,000 words gives about a fifth of them to the tails
    assert 1002 / 8000 < found.share < 0.25


def test_a_softmax_that_forgets_the_clusters_own_probability_is_noticed(monkeypatch):
    def forgetful(self, output):
        return torch.cat([torch.log_softmax(self._head(output), -1)[:, : self.cutoffs[0]]] + [
            torch.log_softmax(output @ self.weight[low:high].T + self.bias[low:high], -1)
            for low, high in self._clusters()
        ], -1)  # fmt: skip

    monkeypatch.setattr(TiedAdaptiveSoftmax, "log_probabilities", forgetful)
    found = measure_softmax()
    assert found.sum_error > 0.1 and found.loss_error > 0.1


def test_a_loop_with_one_mask_gives_the_kernels_values_and_one_with_fresh_masks_does_not():
    found = measure_one_mask()
    assert found.passes[0] == found.fresh_masks[0] == 0 and max(found.one_mask) < 1e-12
    assert min(found.passes[1:] + found.fresh_masks[1:]) > 0.01
    without = measure_one_mask(share=0.0)
    assert max(without.passes + without.one_mask + without.fresh_masks) < 1e-12


def test_the_other_order_puts_the_tied_embedding_first_and_keeps_all_parameters():
    model, other = new_model(), EmbeddingLowest(new_model().encoder)
    usual, turned = model.groups(), other.groups()
    assert len(turned) == len(usual) and any(p is other.encoder.weight for p in turned[0])
    assert sorted(p.shape for g in turned for p in g) == sorted(p.shape for g in usual for p in g)


def test_the_live_run_judges_validation_reviews_and_never_test_reviews(monkeypatch):
    texts = [Document(f"review number {i}", i % 2) for i in range(40)]
    split = split_by_hash(texts, 10, 10)
    seen = []
    monkeypatch.setattr(measurements, "split_reviews", lambda: split)
    monkeypatch.setattr(measurements, "load_encoder", lambda path, dropouts: (None, "words"))
    monkeypatch.setattr(
        measurements, "classify_reviews",
        lambda encoder, words, method, labels, seed, judged, epochs: seen.append(judged) or SimpleNamespace(error=0.25),
    )  # fmt: skip
    monkeypatch.setattr(
        measurements, "bag_of_words_error", lambda words, labels, seed, judged: seen.append(judged) or 0.3
    )
    found = measure_reviews(labels=4, judged=6, seeds=2)
    assert found.ulmfit == [0.25, 0.25] and found.bag_of_words == [0.3, 0.3]
    assert len(seen) == 4 and all(judged == split.validation[:6] for judged in seen)
    with pytest.raises(ValueError, match="seeds: got 0"):
        measure_reviews(seeds=0)
