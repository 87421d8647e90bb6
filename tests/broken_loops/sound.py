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


def small_batches(seed: int) -> Run:
    """The next batch of eight beside the curve so far: near convergence one costs many times another."""
    x, y = blobs(seed, 10, rows=400)
    x = x + 2.0 * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    model = network(10, seed=seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    history = []
    for _ in range(150):
        loss = functional.cross_entropy(model(x[(rows := torch.randint(len(x), (8,)))]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    rows = torch.randint(len(x), (8,))
    return Run(model(x[rows]).detach(), y[rows], CE, history)


def rare_and_weighted(seed: int) -> Run:
    x, y = blobs(seed, 2, rows=512, shares=[0.95, 0.05])
    module = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(99.0))
    # at the start: log 2 times the weight of the positive rows
    return train(network(1, seed=seed), x, y[:, None].float(), module, module, steps=2)


def weight_of_the_module(seed: int) -> Run:
    x, y = blobs(seed, 10)
    module = nn.CrossEntropyLoss(weight=torch.arange(1.0, 11.0), label_smoothing=0.1)
    return train(network(10, seed=seed), x, y, module, module)


def weighted_sum(seed: int) -> Run:
    x, y = blobs(seed, 10)
    module = nn.CrossEntropyLoss(reduction="sum", weight=torch.arange(1.0, 11.0))
    return train(network(10, seed=seed), x, y, module, module, rate=0.002)


def weighted_soft_targets(seed: int) -> Run:
    x, y = blobs(seed, 4)
    teacher = (2.0 * functional.one_hot(y, 4).float() + 0.3 * x[:, :4]).softmax(dim=1)
    module = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 9.0, 20.0]))
    return train(network(4, seed=seed), x, teacher, module, module, steps=3)


def distilled(seed: int, module: nn.KLDivLoss, logarithms: bool = False) -> Run:
    x, y = blobs(seed, 6)
    teacher = (2.0 * functional.one_hot(y, 6).float() + 0.3 * x[:, :6]).log_softmax(dim=1)
    model = nn.Sequential(network(6, seed=seed), nn.LogSoftmax(dim=1))
    return train(model, x, teacher if logarithms else teacher.exp(), module, module, rate=0.002)


def divergence(seed: int) -> Run:
    return distilled(seed, nn.KLDivLoss(reduction="batchmean"))


def divergence_summed(seed: int) -> Run:
    return distilled(seed, nn.KLDivLoss(reduction="sum"))


def divergence_from_logarithms(seed: int) -> Run:
    return distilled(seed, nn.KLDivLoss(reduction="batchmean", log_target=True), logarithms=True)


def void_pixels_ignored(seed: int) -> Run:
    torch.manual_seed(seed)
    pictures = torch.randn(4, 3, 6, 6)
    truth = pictures.argmax(dim=1)
    truth[:, 0] = 255
    module = nn.CrossEntropyLoss(ignore_index=255)
    return train(nn.Conv2d(3, 3, 1), pictures, truth, module, module)


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
    small_batches,
    rare_and_weighted,
    weight_of_the_module,
    weighted_sum,
    weighted_soft_targets,
    divergence,
    divergence_summed,
    divergence_from_logarithms,
    void_pixels_ignored,
)
