"""Both softmaxes are probabilities, agree with their own log probabilities, and are tied to the embedding."""

import pytest
import torch
from torch import nn

from papertrail.ulmfit.softmax import TiedAdaptiveSoftmax, TiedSoftmax

V, E = 30, 5


def weight(dtype=torch.float64):
    return nn.Parameter(torch.randn(V, E, dtype=dtype, generator=torch.Generator().manual_seed(0)))


def softmaxes():
    one, two, three = (
        TiedSoftmax(weight()),
        TiedAdaptiveSoftmax(weight(), (8,)),
        TiedAdaptiveSoftmax(weight(), (4, 11)),
    )
    for module in (one, two, three):
        module.double()
        with torch.no_grad():
            for i, parameter in enumerate(module.parameters()):
                if parameter.shape != (V, E):
                    parameter.normal_(generator=torch.Generator().manual_seed(i))
    return [one, two, three]


@pytest.mark.parametrize("which", range(3), ids=["all words", "two clusters", "three clusters"])
def test_probabilities_sum_to_one_and_the_loss_is_minus_the_log_of_the_targets(which):
    softmax = softmaxes()[which]
    output = torch.randn(40, E, dtype=torch.float64)
    log_p = softmax.log_probabilities(output)
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(40, dtype=torch.float64))
    targets = torch.arange(40) % V  # every word, so every cluster
    torch.testing.assert_close(softmax(output, targets), -log_p[torch.arange(40), targets])


def test_a_cluster_whose_entry_is_its_words_own_sum_gives_back_the_full_softmax():
    # log sum exp over a cluster, put in as its logit, is what the full softmax would have: the same probabilities
    output = torch.randn(1, E, dtype=torch.float64)
    full, adaptive = TiedSoftmax(weight()).double(), TiedAdaptiveSoftmax(weight(), (8,)).double()
    logits = output @ weight().T
    with torch.no_grad():
        adaptive.cluster_bias.copy_(torch.logsumexp(logits[0, 8:], 0))
    torch.testing.assert_close(adaptive.log_probabilities(output), full.log_probabilities(output))


def test_both_learn_through_the_embedding_and_an_absent_cluster_costs_nothing():
    for softmax in softmaxes():
        softmax(torch.ones(3, E, dtype=torch.float64), torch.tensor([0, 1, 2])).sum().backward()
        touched = softmax.weight.grad.abs().sum(1) > 0
        frequent = getattr(softmax, "cutoffs", (V,))[0]
        assert touched[:frequent].all() and not touched[frequent:].any()


def test_gradients_of_the_clusters_are_the_ones_of_the_log_probabilities():
    softmax = softmaxes()[2]
    output = torch.randn(12, E, dtype=torch.float64, requires_grad=True)
    targets = torch.arange(12) * 2
    fast = torch.autograd.grad(softmax(output, targets).sum(), [output, *softmax.parameters()])
    slow = torch.autograd.grad(
        -softmax.log_probabilities(output)[torch.arange(12), targets].sum(), [output, *softmax.parameters()]
    )
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("cutoffs", [(), (0,), (30,), (9, 9), (9, 4)])
def test_cutoffs_that_do_not_rise_within_the_vocabulary_are_refused(cutoffs):
    with pytest.raises(ValueError, match="cutoffs: got"):
        TiedAdaptiveSoftmax(weight(), cutoffs)
