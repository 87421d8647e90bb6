"""e**x of a run of logits, in float64, as vectors side by side: what fills the tiles of few_classes.py.

The compiler's own loop takes one vector after the other, each a chain of a dozen instructions that wait for one another.
"""

from typing import Any

from llvmlite import ir
from numba import types

from crossent._kernels.cpu._jit import intrinsic
from crossent._kernels.cpu._llvm import SECOND_LEVEL, prefetch_line
from crossent._kernels.cpu._vectors import constant, everywhere, pointer_at, vector_bytes
from crossent._kernels.cpu.block_sum import LINE_BYTES
from crossent._kernels.cpu.exp import exponential_of

# Vectors side by side.
_VECTORS = 4
_WHOLE = ir.IntType(64)
_DOUBLE = ir.DoubleType()
_BFLOAT16, _HALF = types.uint16, types.int16


def _numbers(builder: Any, place: Any, tag: Any, count: int) -> Any:
    """Load `count` numbers stored as `tag` says, as float64; see _llvm.load."""
    numbers = builder.load(place)
    numbers.align = 1
    if tag == _HALF:
        numbers = builder.bitcast(numbers, ir.VectorType(ir.HalfType(), count))
    elif tag == _BFLOAT16:
        wide = ir.VectorType(ir.IntType(32), count)
        upper = builder.shl(builder.zext(numbers, wide), ir.Constant(wide, [16] * count))
        numbers = builder.bitcast(upper, ir.VectorType(ir.FloatType(), count))
    return numbers if tag == types.float64 else builder.fpext(numbers, ir.VectorType(_DOUBLE, count))


@intrinsic
def step_numbers(typing_context: Any) -> Any:
    """How many numbers raise_run takes in a step."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _WHOLE(_VECTORS * vector_bytes(context) // 8)

    return types.int64(), generate


def _write_loop(
    context: Any,
    builder: Any,
    addresses: tuple[Any, ...],  # of the logits, of what is asked for meanwhile, of scratch
    start: Any,
    count: Any,
    place: Any,
    tags: tuple[Any, Any],
    beside: Any = None,
) -> None:
    """Write the loop of the two functions below; `beside(powers, indices)` writes what a step does besides."""
    x, ahead, scratch = addresses
    tag, precision = tags
    lanes = vector_bytes(context) // 8
    doubles, stored = ir.VectorType(_DOUBLE, lanes), context.get_data_type(tag)
    size = context.get_abi_sizeof(stored)
    before = builder.block
    body, after = builder.append_basic_block("raise"), builder.append_basic_block("raised")
    builder.branch(body)
    builder.position_at_end(body)
    i = builder.phi(_WHOLE)
    for line in range(0, _VECTORS * lanes * size, LINE_BYTES):
        prefetch_line(
            builder, builder.add(ahead, builder.add(builder.mul(i, _WHOLE(size)), _WHOLE(line))), SECOND_LEVEL
        )
    indices = [builder.add(i, _WHOLE(number * lanes)) for number in range(_VECTORS)]
    logits = [
        pointer_at(builder, x, builder.add(start, index), stored, ir.VectorType(stored, lanes)) for index in indices
    ]
    powers = exponential_of(builder, [_numbers(builder, pointer, tag, lanes) for pointer in logits], precision)
    for power, index in zip(powers, indices, strict=True):
        builder.store(power, pointer_at(builder, scratch, builder.add(place, index), _DOUBLE, doubles)).align = 8
    if beside is not None:
        beside(powers, indices)
    step = builder.add(i, _WHOLE(_VECTORS * lanes))
    i.add_incoming(_WHOLE(0), before)
    i.add_incoming(step, body)
    builder.cbranch(builder.icmp_signed("<", step, count), body, after)
    builder.position_at_end(after)


@intrinsic
def raise_run(
    typing_context: Any,
    x: Any,  # address of the logits
    start: Any,  # the first one
    ahead: Any,  # address of what is asked for meanwhile, as many bytes
    count: Any,  # a multiple of step_numbers, not 0
    scratch: Any,
    place: Any,  # where in scratch, in numbers, e**x goes
    tag: Any,
    precision: Any,  # see exp.exponential
) -> Any:
    """Write e**x of a run of logits to scratch."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, start, ahead, count, scratch, place, *_ = arguments
        _write_loop(context, builder, (x, ahead, scratch), start, count, place, (tag, precision))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6, tag, precision), generate


@intrinsic
def raise_run_and_sum(
    typing_context: Any,
    x: Any,  # as in raise_run, also the next five
    start: Any,
    ahead: Any,
    count: Any,
    scratch: Any,
    place: Any,
    sums: Any,  # where in scratch the rows' sums stand
    targets: Any,  # and their classes
    own: Any,  # the class of these logits
    tag: Any,
) -> Any:
    """Write e**x of a run of one class, and add it to the sums of rows with another target."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, start, ahead, count, scratch, place, sums, targets, own, _ = arguments
        lanes = vector_bytes(context) // 8
        doubles, wholes = ir.VectorType(_DOUBLE, lanes), ir.VectorType(_WHOLE, lanes)
        every_own, nothing = everywhere(builder, own, lanes), constant(doubles, 0.0)

        def add(powers: list[Any], indices: list[Any]) -> None:
            for power, index in zip(powers, indices, strict=True):
                target = builder.load(pointer_at(builder, scratch, builder.add(targets, index), _WHOLE, wholes))
                place = pointer_at(builder, scratch, builder.add(sums, index), _DOUBLE, doubles)
                total = builder.load(place)
                target.align = total.align = 8
                others = builder.select(builder.icmp_signed("==", target, every_own), nothing, power)
                builder.store(builder.fadd(total, others), place).align = 8

        _write_loop(context, builder, (x, ahead, scratch), start, count, place, (tag, tag), add)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 9, tag), generate
