"""The instructions that Numba has no name for: raw loads and stores, fma, bit casts, and sums that may be reordered.

Why not plain indexing: `x[j]` with an index that might be negative keeps the wrap-around test and blocks vectorization
(0.82 against 0.11 ns per element, see dev/LOG.md). Why flags per instruction: reordering is wanted in the block sums
and fatal in compensated arithmetic, and `nnan` or `ninf` would be wrong everywhere.
"""

from typing import Any

from llvmlite import ir
from numba import types

from crossent._kernels.cpu._jit import intrinsic

_INTEGER_OF = {types.float32: types.int32, types.float64: types.int64}
_FLOAT_OF = {types.int32: types.float32, types.int64: types.float64}
_HALF_BITS, _BFLOAT16_BITS = types.int16, types.uint16
_STREAM_LINE = ir.VectorType(ir.IntType(32), 16)  # 64 bytes, one cache line


@intrinsic
def wide_vectors(typing_context: Any) -> Any:
    """Ask for 512-bit vectors in the calling function.

    LLVM prefers 256 bits on Intel cores with AVX-512; with 512 the block sum went from 0.35 to 0.21 ns per element
    (2026-11-22, Xeon with AVX-512, two busy threads). llvmlite lists no such attribute, hence `set.add`.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return a(a, a, a), generate


@intrinsic
def reorderable_add(typing_context: Any, a: Any, b: Any) -> Any:
    """a + b where the compiler may regroup a chain of such sums into vector lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fadd(*arguments, flags=("reassoc", "contract"))

    return a(a, a), generate


@intrinsic
def bits_of(typing_context: Any, value: Any) -> Any:
    """Reinterpret a float as the integer of its size."""
    integer = _INTEGER_OF[value]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(integer))

    return integer(value), generate


@intrinsic
def float_of_bits(typing_context: Any, value: Any) -> Any:
    """Reinterpret an integer as the float of its size."""
    result = _FLOAT_OF[value]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(result))

    return result(value), generate


@intrinsic
def at_least(typing_context: Any, value: Any, low: Any) -> Any:
    """`low` where value < low, else value: NaN stays NaN, and the pair becomes one max instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        below = builder.fcmp_ordered("<", arguments[0], arguments[1])
        return builder.select(below, arguments[1], arguments[0])

    return value(value, value), generate


@intrinsic
def power_of_two(typing_context: Any, exponent: Any) -> Any:
    """2**exponent in float64, for exponents in [-1022, 1023]."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = context.cast(builder, arguments[0], exponent, types.int64)
        biased = builder.add(wide, ir.Constant(wide.type, 1023))
        return builder.bitcast(builder.shl(biased, ir.Constant(wide.type, 52)), ir.DoubleType())

    return types.float64(exponent), generate


@intrinsic
def larger(typing_context: Any, a: Any, b: Any) -> Any:
    """The larger of two integers, as a select that vectorizes.

    For floats this would need `nnan` to vectorize; the kernels compare exponents instead (see softmax_cross_entropy).
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(builder.icmp_signed(">", *arguments), *arguments)

    return a(a, a), generate


@intrinsic
def smaller(typing_context: Any, a: Any, b: Any) -> Any:
    """The smaller of two integers, as a select that vectorizes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(builder.icmp_signed("<", *arguments), *arguments)

    return a(a, a), generate


@intrinsic
def choose(typing_context: Any, condition: Any, yes: Any, no: Any) -> Any:
    """`yes` or `no` without a branch, so that a loop around it still becomes vectors."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(*arguments)

    return yes(types.boolean, yes, yes), generate


@intrinsic
def load(typing_context: Any, address: Any, index: Any, tag: Any, like: Any) -> Any:
    """Element `index` at `address`, stored as `tag` says, as a float of the type of `like`."""
    wanted = like

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], context.get_data_type(tag).as_pointer())
        place = builder.gep(pointer, [arguments[1]], inbounds=True)
        value = builder.load(place)
        value.align = 1  # a view into a file or a packed record need not be aligned, and vectors never ask for it
        stored = tag
        if tag == _HALF_BITS:
            value = builder.fpext(builder.bitcast(value, ir.HalfType()), ir.FloatType())
            stored = types.float32
        elif tag == _BFLOAT16_BITS:
            upper = builder.shl(builder.zext(value, ir.IntType(32)), ir.Constant(ir.IntType(32), 16))
            value = builder.bitcast(upper, ir.FloatType())
            stored = types.float32
        return context.cast(builder, value, stored, wanted)

    return wanted(types.int64, types.int64, tag, like), generate


@intrinsic
def store(typing_context: Any, address: Any, index: Any, value: Any, tag: Any) -> Any:
    """Write `value` to element `index` at `address` as `tag` says, rounded to nearest; see exp.narrow for halves."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], context.get_data_type(tag).as_pointer())
        place = builder.gep(pointer, [arguments[1]], inbounds=True)
        single = tag if tag in _INTEGER_OF or isinstance(value, types.Integer) else types.float32
        number = context.cast(builder, arguments[2], value, single)
        if tag == _HALF_BITS:
            number = builder.bitcast(builder.fptrunc(number, ir.HalfType()), ir.IntType(16))
        elif tag == _BFLOAT16_BITS:
            whole = builder.bitcast(number, ir.IntType(32))
            number = builder.trunc(builder.lshr(whole, ir.Constant(ir.IntType(32), 16)), ir.IntType(16))
        builder.store(number, place).align = 1
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, value, tag), generate


# Caches, in LLVM's numbers.
FIRST_LEVEL, SECOND_LEVEL = 3, 2


def prefetch_line(builder: Any, address: Any, level: int) -> None:
    """Ask for the cache line at an address, which need not exist, to come to a cache."""
    pointer = builder.inttoptr(address, ir.IntType(8).as_pointer())
    number = ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
    instruction = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
    builder.call(instruction, [pointer, number(0), number(level), number(1)])  # read, level, data


@intrinsic
def fetch_to_first(typing_context: Any, address: Any) -> Any:
    """Ask for the line at an address to come to the first-level cache."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        prefetch_line(builder, arguments[0], FIRST_LEVEL)
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def load_integer(typing_context: Any, address: Any, index: Any) -> Any:
    """Element `index` of the int64 array at `address`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        value = builder.load(builder.gep(pointer, [arguments[1]], inbounds=True))
        value.align = 1  # class ids may be a view into a file, see load
        return value

    return types.int64(types.int64, types.int64), generate


@intrinsic
def copy_bytes(typing_context: Any, target: Any, source: Any, count: Any) -> Any:
    """memcpy."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte_pointer = ir.IntType(8).as_pointer()
        memcpy = builder.module.declare_intrinsic("llvm.memcpy", [byte_pointer, byte_pointer, ir.IntType(64)])
        pointers = [builder.inttoptr(argument, byte_pointer) for argument in arguments[:2]]
        builder.call(memcpy, [*pointers, arguments[2], ir.Constant(ir.IntType(1), 0)])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


def past_the_caches(builder: Any, write: Any, size_bytes: int = 64) -> None:
    """Let the stores of a whole line, on its boundary, go straight to memory."""
    write.align = size_bytes
    write.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))


@intrinsic
def stream_line(typing_context: Any, target: Any, source: Any) -> Any:
    """Copy 64 bytes to a 64-byte boundary past the caches: the line is not read before it is overwritten."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _STREAM_LINE.as_pointer()
        line = builder.load(builder.inttoptr(arguments[1], pointer))
        line.align = 4
        past_the_caches(builder, builder.store(line, builder.inttoptr(arguments[0], pointer)))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def fence(typing_context: Any) -> Any:
    """Make streamed lines visible before anything that follows."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate
