"""Loops whose training or reduction is at fault, under the code that must come first. The comment marks the fault."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.broken_loops.loop import CE, Run, blobs, network, planted, train


@planted("CE117")
def sum_reduction(seed: int) -> Run:
    x, y = blobs(seed, 10)
    return train(
        network(10, seed=seed), x, y, lambda z, t: functional.cross_entropy(z, t, reduction="sum"), CE, rate=0.002
    )


@planted("CE119")
def padding_in_the_denominator(seed: int) -> Run:
    x, y = blobs(seed, 5)
    y = torch.where(torch.arange(len(y)) % 4 == 0, -100, y)

    def loss_of(z: Tensor, t: Tensor) -> Tensor:
        return functional.cross_entropy(z, t, reduction="none").mean()  # the mean over the padding, too

    return train(network(5, seed=seed), x, y, loss_of, CE)


@planted("CE120")
def weights_without_their_sum(seed: int) -> Run:
    x, y = blobs(seed, 3, shares=[8.0, 1.0, 1.0])
    weight = torch.tensor([0.2, 2.0, 3.0])

    def loss_of(z: Tensor, t: Tensor) -> Tensor:
        return functional.cross_entropy(z, t, weight=weight, reduction="none").mean()  # not divided by weight[t].sum()

    run = train(network(3, seed=seed), x, y, loss_of, CE)
    run.weight = weight
    return run


@planted("CE108")
def rate_too_high_until_nan(seed: int) -> Run:
    x, y = blobs(seed, 5)
    model = network(5, seed=seed)
    return train(
        model, x, y, functional.cross_entropy, CE, optimizer=torch.optim.SGD(model.parameters(), lr=1e4, momentum=2.0)
    )


@planted("CE127")
def optimizer_of_another_model(seed: int) -> Run:
    x, y = blobs(seed, 5)
    model, old = network(5, seed=seed), network(5, seed=seed + 1)
    model[-1].weight.data *= 3.0
    return train(model, x, y, functional.cross_entropy, CE, optimizer=torch.optim.Adam(old.parameters()))


@planted("CE101")
def dead_units(seed: int) -> Run:
    x = blobs(seed, 10)[0][:120]
    y = torch.arange(120) % 10
    model = network(10, seed=seed)
    model[0].bias.data.fill_(-1e3)  # no ReLU ever opens
    return train(model, x, y, functional.cross_entropy, CE, rate=0.05)


@planted("CE102")
def input_lost(seed: int) -> Run:
    x, y = blobs(seed, 4, shares=[0.7, 0.1, 0.1, 0.1])
    return train(network(4, seed=seed), x * 0.0, y, functional.cross_entropy, CE, steps=100)


@planted("CE102")
def labels_shuffled(seed: int) -> Run:
    x, y = blobs(seed, 3, rows=2048, shares=[0.8, 0.1, 0.1])
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    return train(network(3, seed=seed), x, y[order], functional.cross_entropy, CE)


@planted("CE129")
def sign_flipped(seed: int) -> Run:
    x, y = blobs(seed, 5)
    return train(network(5, seed=seed), x, y, lambda z, t: -functional.cross_entropy(z, t), CE)


@planted("CE123")
def huge_first_logits(seed: int) -> Run:
    x, y = blobs(seed, 10)
    model = network(10, seed=seed)
    model[-1].weight.data *= 200.0
    return train(model, x, y, functional.cross_entropy, CE, steps=4, rate=1e-3)


@planted("CE134")
def learnt_by_heart(seed: int) -> Run:
    x, y = blobs(seed, 5, rows=48)
    noise = torch.Generator().manual_seed(seed)
    y = torch.where(torch.rand(48, generator=noise) < 0.5, torch.randint(0, 5, (48,), generator=noise), y)
    model = network(5, seed=seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    history: dict[str, list[float]] = {"loss": [], "val_loss": []}
    for _ in range(80):
        loss = functional.cross_entropy(model(x[:24]), y[:24])
        with torch.no_grad():
            history["val_loss"].append(functional.cross_entropy(model(x[24:]), y[24:]).item())
        history["loss"].append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Run(model(x[:24]).detach(), y[:24], CE, history)


@planted("CE118")
def divided_twice(seed: int) -> Run:
    x, y = blobs(seed, 10)
    return train(network(10, seed=seed), x, y, lambda z, t: functional.cross_entropy(z, t) / len(t), CE)


@planted("CE118")
def divergence_over_elements(seed: int) -> Run:
    x, y = blobs(seed, 8)
    soft = 0.8 * functional.one_hot(y, 8).float() + 0.2 / 8
    model = nn.Sequential(network(8, seed=seed), nn.LogSoftmax(dim=1))

    def loss_of(log_q: Tensor, t: Tensor) -> Tensor:
        return (t * (t.log() - log_q)).mean()  # what reduction="mean" does: divided by rows and classes

    return train(model, x, soft, loss_of, "KLDivLoss(reduction='batchmean')")


@planted("CE132")
def sorted_data(seed: int) -> Run:
    x, y = blobs(seed, 5, rows=512)
    order = y.argsort()
    return train(
        network(5, seed=seed), x[order][:64], y[order][:64], functional.cross_entropy, CE
    )  # the first batch: one class


@planted("CE128")
def rate_too_high(seed: int) -> Run:
    x, y = blobs(seed, 5)
    model = network(5, seed=seed)
    return train(
        model,
        x,
        y,
        functional.cross_entropy,
        CE,
        optimizer=torch.optim.SGD(model.parameters(), lr=30.0),
        steps=6,
    )


@planted("CE130")
def bits(seed: int) -> Run:
    x, y = blobs(seed, 10)
    return train(network(10, seed=seed), x, y, lambda z, t: functional.cross_entropy(z, t) / 0.6931471805599453, CE)


@planted("CE129")
def negative_weight(seed: int) -> Run:
    x, y = blobs(seed, 4)
    weight = torch.tensor([1.0, 1.0, 1.0, -6.0])  # one class is pushed away without end
    return train(network(4, seed=seed), x, y, lambda z, t: functional.cross_entropy(z, t, weight=weight), CE)
