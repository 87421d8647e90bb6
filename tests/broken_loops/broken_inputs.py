"""Loops that give the loss what it does not expect, under the code that must come first. The comment marks the fault."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.broken_loops.loop import CE, Run, blobs, network, planted, train


@planted("CE005")
def softmax_twice(seed: int) -> Run:
    x, y = blobs(seed, 10)
    model = nn.Sequential(network(10, seed=seed), nn.Softmax(dim=1))  # CrossEntropyLoss has its own
    return train(model, x, y, functional.cross_entropy, CE)


@planted("CE103")
def sigmoid_twice(seed: int) -> Run:
    x, y = blobs(seed, 2)
    model = nn.Sequential(network(1, seed=seed), nn.Sigmoid())  # BCEWithLogitsLoss has its own
    return train(model, x, y[:, None].float(), functional.binary_cross_entropy_with_logits, "BCEWithLogitsLoss")


@planted("CE104")
def softmax_into_nll(seed: int) -> Run:
    x, y = blobs(seed, 5)
    model = nn.Sequential(network(5, seed=seed), nn.Softmax(dim=1))  # without the logarithm
    return train(model, x, y, functional.nll_loss, "NLLLoss")


@planted("CE126")
def logits_into_nll(seed: int) -> Run:
    x, y = blobs(seed, 5)
    return train(network(5, seed=seed), x, y, functional.nll_loss, "F.nll_loss")  # without log_softmax


@planted("CE125")
def log_softmax_into_bce(seed: int) -> Run:
    x, y = blobs(seed, 4)
    model = nn.Sequential(network(4, seed=seed), nn.LogSoftmax(dim=1))  # the sigmoid of it never exceeds one half
    return train(
        model, x, functional.one_hot(y, 4).float(), functional.binary_cross_entropy_with_logits, "BCEWithLogitsLoss"
    )


@planted("CE115")
def softmax_over_the_batch(seed: int) -> Run:
    x, y = blobs(seed, 6)
    model = nn.Sequential(network(6, seed=seed), nn.LogSoftmax(dim=0))  # dim=1 was meant
    return train(model, x, y, functional.nll_loss, "NLLLoss")


@planted("CE115")
def softmax_over_the_tokens(seed: int) -> Run:
    x, y = blobs(seed, 5, rows=32 * 6)
    body = network(5, seed=seed)

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = body

        def forward(self, tokens: Tensor) -> Tensor:
            scores = self.body(tokens).movedim(-1, 1)  # (32, 5, 6)
            return scores.softmax(dim=2)  # the tokens' axis; and there should be none at all

    return train(Tagger(), x.view(32, 6, 8), y.view(32, 6), functional.cross_entropy, CE)


@planted("CE116")
def class_axis_last(seed: int) -> Run:
    x, y = blobs(seed, 5, rows=32 * 6)
    # torch wants (batch, classes, tokens); this is (batch, tokens, classes)
    return train(network(5, seed=seed), x.view(32, 6, 8), y.view(32, 6), functional.cross_entropy, CE)


@planted("CE112")
def labels_from_one(seed: int) -> Run:
    x, y = blobs(seed, 7)
    return train(network(7, seed=seed), x, y + 1, functional.cross_entropy, CE)


@planted("CE113")
def void_pixels_not_ignored(seed: int) -> Run:
    x, y = blobs(seed, 4)
    y = torch.where(torch.arange(len(y)) % 9 == 0, 255, y)  # void in many data sets; torch ignores -100
    return train(network(4, seed=seed), x, y, functional.cross_entropy, CE)


@planted("CE114")
def more_classes_than_outputs(seed: int) -> Run:
    x, y = blobs(seed, 12)
    return train(network(10, seed=seed), x, y, functional.cross_entropy, CE)


@planted("CE107")
def everything_ignored(seed: int) -> Run:
    x, y = blobs(seed, 5)
    return train(network(5, seed=seed), x, torch.full_like(y, -100), functional.cross_entropy, CE)


@planted("CE105")
def class_ids_into_bce(seed: int) -> Run:
    x, y = blobs(seed, 10)
    return train(
        network(1, seed=seed), x, y[:, None].float(), functional.binary_cross_entropy_with_logits, "BCEWithLogitsLoss"
    )


@planted("CE004")
def counts_as_soft_targets(seed: int) -> Run:
    x, y = blobs(seed, 5)
    votes = functional.one_hot(y, 5).float() * 3.0 + 1.0  # eight votes per row, never divided
    return train(network(5, seed=seed), x, votes, functional.cross_entropy, CE)


@planted("CE121")
def smoothing_left_on(seed: int) -> Run:
    x, y = blobs(seed, 10)
    return train(
        network(10, seed=seed), x, y, lambda z, t: functional.cross_entropy(z, t, label_smoothing=0.1), CE, steps=150
    )


@planted("CE109")
def exp_in_half_precision(seed: int) -> Run:
    x, y = blobs(seed, 5)
    model = network(5, seed=seed)

    def loss_of(z: Tensor, t: Tensor) -> Tensor:
        half = z.half()
        partition = half.exp().sum(dim=1)  # inf beyond exp(11.09)
        return (partition.log() - half[torch.arange(len(t)), t]).float().mean()

    run = train(model, 20.0 * x, y, loss_of, CE, steps=1)
    run.outputs = run.outputs.half()
    return run


@planted("CE111")
def one_output_unit(seed: int) -> Run:
    x, y = blobs(seed, 2)
    # two classes need two units here, or a sigmoid
    return train(network(1, seed=seed), x, torch.zeros_like(y), functional.cross_entropy, CE)


@planted("CE001")
def mask_on_the_truth(seed: int) -> Run:
    x, y = blobs(seed, 6)

    def loss_of(z: Tensor, t: Tensor) -> Tensor:
        return functional.cross_entropy(z, t)

    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = network(6, seed=seed)

        def forward(self, rows: Tensor) -> Tensor:
            scores = self.body(rows)
            allowed = torch.ones_like(scores, dtype=torch.bool)
            allowed[:, 3] = False  # class 3 does occur
            return scores.masked_fill(~allowed, -torch.inf)

    return train(Masked(), x, y, loss_of, CE, steps=3)


@planted("CE110")
def clipped_probabilities(seed: int) -> Run:
    x, y = blobs(seed, 5)
    model = network(5, seed=seed)
    model[-1].weight.data *= 2000.0  # saturated from the start

    def loss_of(q: Tensor, t: Tensor) -> Tensor:
        return -q[torch.arange(len(t)), t].clamp(min=1e-7, max=1.0).log().mean()

    return train(nn.Sequential(model, nn.Softmax(dim=1)), x, y, loss_of, "crossent.cross_entropy_from_probs", steps=5)


@planted("CE002")
def zero_times_log_zero(seed: int) -> Run:
    x, y = blobs(seed, 5)
    model = network(5, seed=seed)
    model[-1].weight.data *= 1000.0

    def loss_of(z: Tensor, t: Tensor) -> Tensor:
        q = z.softmax(dim=1)
        return -(functional.one_hot(t, 5) * q.log()).sum(dim=1).mean()  # 0 * -inf

    return train(model, x, y, loss_of, CE, steps=5)


@planted("CE002")
def nan_in_the_data(seed: int) -> Run:
    x, y = blobs(seed, 5)
    x[7, 3] = torch.nan
    return train(network(5, seed=seed), x, y, functional.cross_entropy, CE)


@planted("CE131")
def relu_on_the_logits(seed: int) -> Run:
    x, y = blobs(seed, 6)
    model = nn.Sequential(network(6, seed=seed), nn.ReLU())
    return train(model, x, y, functional.cross_entropy, CE)


@planted("CE124")
def logits_into_bce(seed: int) -> Run:
    x, y = blobs(seed, 2)
    return train(network(1, seed=seed), x, y[:, None].float(), functional.binary_cross_entropy, "BCELoss")  # no sigmoid


@planted("CE131")
def sigmoid_on_the_logits(seed: int) -> Run:
    x, y = blobs(seed, 6)
    model = nn.Sequential(network(6, seed=seed), nn.Sigmoid())  # a softmax of numbers between 0 and 1
    return train(model, x, y, functional.cross_entropy, CE)
