"""Rooms for large gradients: lent to one at a time, kept while nobody holds a part of them, never read by two."""

import threading

import numpy as np
import pytest
import torch

import crossent.torch
from crossent.torch import _room

LARGE = (1024, 1100)  # 4.5 MB of float32


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_room, "_kept", None)


def test_a_room_is_lent_again_when_nobody_holds_it() -> None:
    first = _room.empty_like(torch.empty(LARGE))
    address = first.data_ptr()
    assert _room.empty_like(torch.empty(LARGE)).data_ptr() != address
    view = first[3:, 5]
    del first
    assert _room.empty_like(torch.empty(LARGE)).data_ptr() != address  # the view still reads it
    del view
    assert _room.empty_like(torch.empty(LARGE)).data_ptr() == address


def test_what_does_not_fit_is_given_back() -> None:
    first = _room.empty_like(torch.empty(LARGE))
    del first
    assert _room._kept is not None
    twice = _room.empty_like(torch.empty(2 * LARGE[0], LARGE[1]))
    assert _room._kept is None
    del twice
    smaller = _room.empty_like(torch.empty(LARGE))  # half of it: not worth a room of that size
    assert smaller.untyped_storage().nbytes() == smaller.nbytes
    assert _room._kept is None


def test_rooms_beyond_the_limit_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_room, "_MOST_BYTES", 2**20)
    first = _room.empty_like(torch.empty(LARGE))
    del first
    assert _room._kept is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_every_dtype_and_layout(dtype: torch.dtype) -> None:
    like = torch.empty(4 * LARGE[0], LARGE[1], dtype=dtype)
    for tensor in (like, like.t(), like[:3, :7], torch.empty(3, dtype=dtype)):
        made = _room.empty_like(tensor)
        assert (made.dtype, made.shape) == (tensor.dtype, tensor.shape)
        made.fill_(1.5)
        assert (made == 1.5).all()


def test_threads_never_share_a_room() -> None:
    wrong = []

    def fill(number: int) -> None:
        for _ in range(50):
            tensor = _room.empty_like(torch.empty(LARGE))
            values = tensor.numpy()
            values[...] = number
            if not (values == number).all():
                wrong.append(number)

    workers = [threading.Thread(target=fill, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_a_gradient_that_is_kept_stays_what_it_is() -> None:
    logits, ids = torch.randn(LARGE, requires_grad=True), torch.randint(0, LARGE[1], LARGE[:1])
    gradients = [torch.autograd.grad(crossent.torch.cross_entropy(logits, ids), logits)[0] for _ in range(3)]
    for gradient in gradients[1:]:
        assert gradient.data_ptr() != gradients[0].data_ptr()
        np.testing.assert_array_equal(gradient.numpy(), gradients[0].numpy())
