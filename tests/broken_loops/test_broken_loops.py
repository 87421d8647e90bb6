"""Each planted fault comes first, and sound loops have no finding; the loops are real, the diagnosis sees only a Run."""

from collections.abc import Callable, Iterator

import pytest
import torch

import crossent
from crossent.explaining.diagnosing.diagnosis import Diagnosis
from tests.broken_loops import broken_inputs, broken_training
from tests.broken_loops.loop import BROKEN, Run
from tests.broken_loops.sound import SOUND

SEEDS = (0, 1)
WANTED, OF = 27, 30  # the bar: the planted fault first in 27 of 30


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def asked(run: Run) -> Diagnosis:
    found: Diagnosis = crossent.torch.diagnose(
        run.outputs,
        run.targets,
        function=run.function,
        loss=run.loss,
        history=run.history or None,
        weight=run.weight,
    )
    return found


def asked_without_the_loss(run: Run) -> Diagnosis:
    """Return the diagnosis of a person who has the curve, but not the loss of this very batch."""
    run.loss = None
    return asked(run)


def test_there_are_thirty_faults_and_ten_sound_loops() -> None:
    homes = {loop.__module__ for _, loop in BROKEN.values()}
    assert homes == {broken_inputs.__name__, broken_training.__name__}
    assert len(BROKEN) >= OF
    assert len({code for code, _ in BROKEN.values()}) >= 25
    assert len(SOUND) >= 10


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", BROKEN)
def test_the_planted_fault_comes_first(name: str, seed: int) -> None:
    code, loop = BROKEN[name]
    found = asked(loop(seed))
    assert found.findings, name
    assert found.findings[0].code == code, str(found)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("loop", SOUND)
def test_a_sound_loop_has_no_finding(loop: Callable[[int], Run], seed: int) -> None:
    found = asked(loop(seed))
    assert not found, str(found)


@pytest.mark.parametrize("loop", SOUND)
def test_a_sound_loop_has_no_finding_without_the_loss_either(loop: Callable[[int], Run]) -> None:
    found = asked_without_the_loss(loop(2))
    assert not found, str(found)


def test_most_faults_show_without_the_loss_of_the_batch() -> None:
    # those that only the number gives away, or nearly so: denominators, bits, signs, clips, half precision
    first = {}
    for name, (code, loop) in BROKEN.items():
        codes = [finding.code for finding in asked_without_the_loss(loop(3))]
        first[name] = code in codes[:1]
    assert sum(first.values()) >= WANTED, [name for name, right in first.items() if not right]
