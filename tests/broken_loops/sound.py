"""Sound loops: a diagnosis must find nothing in them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.broken_loops.loop import CE, Run, blobs, network, train


def classes(seed: int) -> Run:
    x, y = blobs(seed, 10)
    return train(network(10, seed=seed), x, y, functional.cross_entropy, CE)


def log_probabilities(seed: int) -> Run:
    x, y = blobs(seed, 5)
    model = nn.Sequential(network(5, seed=seed), nn.LogSoftmax(dim=1))
    return train(model, x, y, functional.nll_loss, "NLLLoss")


def rare_positives(seed: int) -> Run:
    x, y = blobs(seed, 2, rows=512, shares=[0.9, 0.1])
    return train(
        network(1, seed=seed), x, y[:, None].float(), functional.binary_cross_entropy_with_logits, "BCEWithLogitsLoss"
    )


def several_labels(seed: int) -> Run:
    x, y = blobs(seed, 6)
    tags = functional.one_hot(y, 6).float() + functional.one_hot((y + 1) % 6, 6).float()
    return train(network(6, seed=seed), x, tags, functional.binary_cross_entropy_with_logits, "BCEWithLogitsLoss")


def sigmoid_and_bce(seed: int) -> Run:
    x, y = blobs(seed, 2)
    model = nn.Sequential(network(1, seed=seed), nn.Sigmoid())
    return train(model, x, y[:, None].float(), functional.binary_cross_entropy, "BCELoss")


def soft_targets(seed: int) -> Run:
    x, y = blobs(seed, 4)
    teacher = (2.0 * functional.one_hot(y, 4).float() + 0.3 * x[:, :4]).softmax(dim=1)
    return train(network(4, seed=seed), x, teacher, functional.cross_entropy, CE)


def weighted(seed: int) -> Run:
    x, y = blobs(seed, 3, shares=[8.0, 1.0, 1.0])
    weight = torch.tensor([0.2, 2.0, 3.0])
    run = train(network(3, seed=seed), x, y, lambda z, t: functional.cross_entropy(z, t, weight=weight), CE)
    run.weight = weight
    return run


def padded_sentences(seed: int) -> Run:
    x, y = blobs(seed, 5, rows=32 * 6)
    y = torch.where(torch.arange(len(y)) % 6 == 5, -100, y).view(32, 6)
    body = network(5, seed=seed)

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = body

        def forward(self, tokens: Tensor) -> Tensor:
            scores: Tensor = self.body(tokens).movedim(-1, 1)
            return scores

    return train(Tagger(), x.view(32, 6, 8), y, functional.cross_entropy, CE)


def images(seed: int) -> Run:
    torch.manual_seed(seed)
    pictures = torch.randn(8, 3, 6, 6)
    truth = pictures.argmax(dim=1)
    return train(nn.Conv2d(3, 3, 1), pictures, truth, functional.cross_entropy, CE)


def half_precision(seed: int) -> Run:
    x, y = blobs(seed, 10)
    run = train(network(10, seed=seed), x, y, lambda z, t: functional.cross_entropy(z.bfloat16().float(), t), CE)
    run.outputs = run.outputs.bfloat16()
    return run


def declared_smoothing(seed: int) -> Run:
    x, y = blobs(seed, 10)
    name = "CrossEntropyLoss(label_smoothing=0.1)"
    return train(network(10, seed=seed), x, y, lambda z, t: functional.cross_entropy(z, t, label_smoothing=0.1), name)


def hard_problem(seed: int) -> Run:
    x, y = blobs(seed, 5, rows=512)
    return train(network(5, seed=seed), 0.3 * x + torch.randn(512, 8), y, functional.cross_entropy, CE, steps=25)


def first_step(seed: int) -> Run:
    x, y = blobs(seed, 10)
    return train(network(10, seed=seed), x, y, functional.cross_entropy, CE, steps=1)


SOUND: tuple[Callable[[int], Run], ...] = (
    classes,
    log_probabilities,
    rare_positives,
    several_labels,
    sigmoid_and_bce,
    soft_targets,
    weighted,
    padded_sentences,
    images,
    half_precision,
    declared_smoothing,
    hard_problem,
    first_step,
)
