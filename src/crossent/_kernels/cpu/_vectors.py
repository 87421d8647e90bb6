"""Vectors written out: what the compiler's own vectors get wrong, and the pieces that block_sum.py is made of.

A loop written as vectors has no scalar rest at its end, and an order of additions that is known: sum_apart's is the same
on every processor, block_sum's differs with the length of its vectors.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function

from crossent._kernels.cpu._jit import intrinsic
from crossent._kernels.cpu._llvm import past_the_caches

_EIGHT = ir.VectorType(ir.DoubleType(), 8)


def vector_bytes(context: Any) -> int:
    """Return how long vectors should be: a line where registers are, else half a line.

    Lines on a processor with AVX2 spill: 41 ms instead of 26 for 4096 x 32000 (2026-11-24, AVX-512 turned off).
    """
    features = context.codegen().magic_tuple()[2]
    return 64 if "+avx512f" in features.split(",") else 32


def constant(kind: Any, number: Any) -> Any:
    """Return a constant of a number's type, or of a vector's with the same number in every lane."""
    return ir.Constant(kind, [number] * kind.count if isinstance(kind, ir.VectorType) else number)


def fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once, of numbers or of vectors (llvmlite's own `fma` knows numbers only)."""
    if not isinstance(a.type, ir.VectorType):
        return builder.fma(a, b, c)
    bits = 32 if a.type.element == ir.FloatType() else 64
    function = get_or_insert_function(
        builder.module, ir.FunctionType(a.type, [a.type] * 3), f"llvm.fma.v{a.type.count}f{bits}"
    )
    return builder.call(function, [a, b, c])


def everywhere(builder: Any, value: Any, count: int) -> Any:
    """Return a vector of `count` times the same value."""
    undefined = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return lanes_of(builder, one, [0] * count)


def lanes_of(builder: Any, vector: Any, lanes: Sequence[int], other: Any = None) -> Any:
    """Return these lanes of a vector; lanes from its own count on are the other vector's."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined) if other is None else other, mask)


def folded(builder: Any, vector: Any, combine: Any) -> Any:
    """Return all lanes combined: lane i with lane i + half, and so on with what is left."""
    width = vector.type.count // 2
    while width:
        low, high = (lanes_of(builder, vector, range(start, start + width)) for start in (0, width))
        vector = combine(low, high)
        width //= 2
    return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))


def select_by(builder: Any, order: str) -> Any:
    """Return what combines two integers into the larger (">") or the smaller ("<") one."""
    return lambda a, b: builder.select(builder.icmp_signed(order, a, b), a, b)


def pointer_at(builder: Any, address: Any, index: Any, stored: Any, pointed: Any = None) -> Any:
    """Return a pointer to element `index` of what is stored at an address, as one to what is `pointed` at there."""
    place = builder.gep(builder.inttoptr(address, stored.as_pointer()), [index], inbounds=True)
    return place if pointed is None else builder.bitcast(place, pointed.as_pointer())


def write_scaled(builder: Any, source: Any, factor: list[Any], target: Any, *, stream: bool) -> None:
    """Write a vector of numbers times a factor of two parts, each a vector."""
    high, low = factor
    numbers = builder.load(builder.inttoptr(source, high.type.as_pointer()))
    numbers.align = 4
    value = fused(builder, numbers, high, builder.fmul(numbers, low))
    write = builder.store(value, builder.inttoptr(target, high.type.as_pointer()))
    if stream:
        past_the_caches(builder, write, high.type.count * (4 if high.type.element == ir.FloatType() else 8))
    else:
        write.align = 1


def _scaled_line(name: str, stream: bool, doc: str) -> Any:
    """Make an intrinsic that writes 64 bytes of float32 or float64 numbers times a factor of two parts."""

    def typing(typing_context: Any, source: Any, high: Any, low: Any, target: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            source, high, low, target = arguments
            count = 16 if signature.args[1] == types.float32 else 8
            factor = [everywhere(builder, part, count) for part in (high, low)]
            write_scaled(builder, source, factor, target, stream=stream)
            return context.get_dummy_value()

        return types.void(types.int64, high, high, types.int64), generate

    typing.__name__, typing.__doc__ = name, doc
    return intrinsic(typing)


scaled_line = _scaled_line("scaled_line", stream=False, doc="Write 64 bytes of numbers times (high + low).")
stream_scaled_line = _scaled_line(
    "stream_scaled_line", stream=True, doc="Write them to a 64-byte boundary, past the caches."
)


def _eight_at(builder: Any, address: Any, index: Any) -> Any:
    """Load eight float64 numbers from element `index` at `address`."""
    eight = builder.load(pointer_at(builder, address, index, ir.DoubleType(), _EIGHT))
    eight.align = 8
    return eight


@intrinsic
def sum_apart(typing_context: Any, address: Any, start: Any, count: Any, left_out: Any) -> Any:
    """Sum `count` float64 numbers from element `start` on, but for number `left_out`; eight more must be readable.

    Number i is added to partial sum i % 8, then these as ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7)). Written as vectors:
    the compiler's own loop has a scalar rest, 8 cycles a row at 10 numbers, and an order that depends on the processor.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, start, count, left_out = arguments
        whole = ir.IntType(64)
        wholes = ir.VectorType(whole, 8)
        lanes = ir.Constant(wholes, list(range(8)))
        zero = ir.Constant(_EIGHT, [0.0] * 8)
        counts, holes = everywhere(builder, count, 8), everywhere(builder, left_out, 8)
        before = builder.block
        body, after = builder.append_basic_block("eight"), builder.append_basic_block("summed")
        builder.branch(body)
        builder.position_at_end(body)
        i, partial = builder.phi(whole), builder.phi(_EIGHT)
        place = builder.add(everywhere(builder, i, 8), lanes)
        taken = builder.and_(builder.icmp_signed("<", place, counts), builder.icmp_signed("!=", place, holes))
        term = builder.select(taken, _eight_at(builder, address, builder.add(start, i)), zero)
        following = builder.fadd(partial, term)
        step = builder.add(i, ir.Constant(whole, 8))
        i.add_incoming(ir.Constant(whole, 0), before)
        i.add_incoming(step, body)
        partial.add_incoming(zero, before)
        partial.add_incoming(following, body)
        builder.cbranch(builder.icmp_signed("<", step, count), body, after)
        builder.position_at_end(after)
        return folded(builder, following, builder.fadd)

    return types.float64(types.int64, types.int64, types.int64, types.int64), generate


@intrinsic
def scale_row(typing_context: Any, address: Any, start: Any, count: Any, factor: Any, target: Any, tag: Any) -> Any:
    """Write `count` float64 numbers from element `start` on, times `factor`, to `target` as float32 or float64.

    Whole vectors: up to seven more numbers are read and written.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, start, count, factor, target, _ = arguments
        whole = ir.IntType(64)
        number = context.get_data_type(tag)
        factors = everywhere(builder, factor, 8)
        before = builder.block
        body, after = builder.append_basic_block("scale"), builder.append_basic_block("scaled")
        builder.branch(body)
        builder.position_at_end(body)
        i = builder.phi(whole)
        product = builder.fmul(_eight_at(builder, address, builder.add(start, i)), factors)
        if tag == types.float32:
            product = builder.fptrunc(product, ir.VectorType(number, 8))
        builder.store(product, pointer_at(builder, target, i, number, product.type)).align = 4
        step = builder.add(i, ir.Constant(whole, 8))
        i.add_incoming(ir.Constant(whole, 0), before)
        i.add_incoming(step, body)
        builder.cbranch(builder.icmp_signed("<", step, count), body, after)
        builder.position_at_end(after)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.float64, types.int64, tag), generate
