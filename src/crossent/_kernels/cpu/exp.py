"""e**x in two parts, a power of two and a small correction, in the arithmetic of x (float32 or float64).

    n = rint(x log2 e),   r = x log2 e - n,   e**x = 2**n (1 + c),   c = r Q(r),   |c| < 0.42

Callers keep 2**n apart from c, because sums of 2**n are almost always exact and c is small: the sum of (2**n, c 2**n)
carries half the error of the sum of rounded exponentials. The integer n travels with the bits of the constant that
rounded it, in the integer type of x's size, so that it costs no conversion. Coefficients: dev/coefficients.py.

All of these are intrinsics: as overloads each one was a compilation of its own, 4 of the 9 s of a cold start.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from crossent._kernels.cpu._jit import inline, intrinsic
from crossent._kernels.cpu._llvm import bits_of, float_of_bits, larger, power_of_two, smaller
from crossent._kernels.cpu._vectors import constant, fused

LN_2 = 0.6931471805599453


class Format:
    """One floating type: its integer, its rounding constant, where its exponents end, log2(e), the coefficients of Q."""

    def __init__(self, *, bits: int, fraction: int, limit: int, log2_e: tuple[float, float], q: list[float]) -> None:
        self.float = types.float32 if bits == 32 else types.float64
        self.integer = types.int32 if bits == 32 else types.int64
        self.bits, self.fraction = bits, fraction
        self.bias = 127 if bits == 32 else 1023
        # adding 1.5 * 2**fraction rounds to an integer and leaves it in the low bits of the sum
        self.rounder = 1.5 * 2.0**fraction
        self.rounder_bits = (self.bias + fraction << fraction) + (1 << fraction - 1)
        self.lowest = 1 - self.bias
        self.limit = limit
        self.log2_e, self.q = log2_e, q


FORMATS = {
    types.float32: Format(
        bits=32,
        fraction=23,
        limit=94_000,  # |x| of 65 155: x * log2(e) is then rounded by 2**-8, which r's range allows for
        log2_e=(1.4426950216293335, 1.925963033500011e-08),
        # on |r| <= 0.505; r Q(r) is off by 2**-29
        q=[
            0.6931471824645996,
            0.24022650718688965,
            0.05550355091691017,
            0.009618080221116543,
            0.0013392016990110278,
            0.0001545416162116453,
        ],
    ),
    types.float64: Format(
        bits=64,
        fraction=52,
        limit=2**40,  # |x| of 7.6e11, for the same reason
        log2_e=(1.4426950408889634, 2.0355273740931033e-17),
        # r Q(r) is off by 2**-57
        q=[
            0.6931471805599453,
            0.240226506959101,
            0.0555041086648216,
            0.0096181291076051,
            0.0013333558146415981,
            0.00015403530444712572,
            1.5252733831422688e-05,
            1.321544079172308e-06,
            1.0178061488425538e-07,
            7.072941621934776e-09,
            4.4551501803761385e-10,
        ],
    ),
}
# e**x whole, in float64, for |x| <= 700. Where the result is rounded to float32, 2**-33 is accurate enough, and one
# product reduces x.
_SINGLE_Q = [
    0.6931471805599453,
    0.24022650925021063,
    0.055504108841199315,
    0.009618056096717177,
    0.0013333501938341237,
    0.00015461676975973325,
    1.5297502543635438e-05,
]
_FORMAT_OF_INTEGER = {form.integer: form for form in FORMATS.values()}
_HALF_BITS = types.int16
# e**-700 = 1e-304 is still a normal number
_FARTHEST = 700.0


def exp_parts_of(builder: Any, values: list[Any], form: Format, rounder: Any) -> tuple[list[Any], list[Any]]:
    """Write the code of exp_parts, for numbers or for vectors; return what the rounding constant left, and each c.

    Several values go through it side by side, and Q as two chains in r**2: a processor looks ahead only so far, and one
    value is a chain of 13 instructions that wait for one another. Four vectors one after the other took 0.39 ns an
    element, side by side 0.32, with two chains 0.31 (AVX2; AVX-512: 0.24, 0.22, 0.22; 2026-11-24, in cache).
    """

    def each(a: list[Any], b: Any, c: Any) -> list[Any]:
        """Return a * b + c of each value; b and c are lists too, or constants."""
        every_b, every_c = (
            part if isinstance(part, list) else [constant(values[0].type, part)] * len(a) for part in (b, c)
        )
        return [fused(builder, *three) for three in zip(a, every_b, every_c, strict=True)]

    shifted = each(values, form.log2_e[0], [rounder] * len(values))
    n = [builder.fsub(value, rounder) for value in shifted]
    r = each(values, form.log2_e[0], [builder.fneg(value) for value in n])
    r = each(values, form.log2_e[1], r)
    square = [builder.fmul(value, value) for value in r]
    # Q = q_0 + r (even + r odd), both polynomials in r**2
    even, odd = form.q[1::2], form.q[2::2]
    sums = []
    for coefficients in (even, odd):
        total: Any = coefficients[-1]
        for number in reversed(coefficients[:-1]):
            total = each(square, total, number)
        sums.append(total)
    q = each(r, sums[1], sums[0])
    # r Q = r q_0 + r**2 (q_1 + ...): the second term is small, so that only one rounding counts
    second = [builder.fmul(*pair) for pair in zip(square, q, strict=True)]
    return shifted, each(r, form.q[0], second)


@intrinsic
def exp_parts(typing_context: Any, x: Any) -> Any:
    """Return (n + rounding bits, c) with e**x = 2**n (1 + c)."""
    form = FORMATS[x]
    result = types.Tuple((form.integer, x))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (value,) = arguments
        (shifted,), (correction,) = exp_parts_of(builder, [value], form, constant(value.type, form.rounder))
        integer = builder.bitcast(shifted, context.get_value_type(form.integer))
        return context.make_tuple(builder, result, [integer, correction])

    return result(x), generate


def exponential_of(builder: Any, values: list[Any], tag: Any) -> list[Any]:
    """Write the code of exponential, for float64 numbers or vectors side by side (see exp_parts_of)."""
    form = FORMATS[types.float64]
    kind, whole = values[0].type, ir.IntType(64)
    if isinstance(kind, ir.VectorType):
        whole = ir.VectorType(whole, kind.count)

    def number(value: float) -> Any:
        return constant(kind, value)

    coefficients = _SINGLE_Q if tag == types.float32 else form.q
    farthest = number(_FARTHEST)
    values = [builder.select(builder.fcmp_ordered(">", value, farthest), farthest, value) for value in values]
    shifted = [fused(builder, value, number(form.log2_e[0]), number(form.rounder)) for value in values]
    n = [builder.fsub(value, number(form.rounder)) for value in shifted]
    r = [fused(builder, value, number(form.log2_e[0]), builder.fneg(k)) for value, k in zip(values, n, strict=True)]
    if tag != types.float32:
        r = [fused(builder, value, number(form.log2_e[1]), rest) for value, rest in zip(values, r, strict=True)]
    powers = [number(coefficients[-1])] * len(values)
    for coefficient in [*reversed(coefficients[:-1]), 1.0]:
        powers = [fused(builder, rest, power, number(coefficient)) for rest, power in zip(r, powers, strict=True)]
    results = []
    for value, from_rounding, power in zip(values, shifted, powers, strict=True):
        # n stands in the low bits: moved up to the exponent's place, it is added there
        lift = builder.shl(builder.bitcast(from_rounding, whole), constant(whole, form.fraction))
        result = builder.bitcast(builder.add(builder.bitcast(power, whole), lift), kind)
        below = builder.fcmp_ordered("<", value, number(-_FARTHEST))
        results.append(builder.select(below, number(0.0), result))
    return results


@intrinsic
def exponential(typing_context: Any, x: Any, tag: Any) -> Any:
    """Return e**x in float64 for the float64 x: 0 below -700, more than e**699 above 700, NaN for NaN.

    Within 2**-33 where the tag says that x came as float32, and so that the result goes as float32; else within 2**-52.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return exponential_of(builder, [arguments[0]], tag)[0]

    return types.float64(types.float64, tag), generate


@intrinsic
def exponent_offset(typing_context: Any, reference: Any, like: Any) -> Any:
    """Return what `power_over` takes as its offset, for an int64 reference."""
    form = FORMATS[like]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        narrow_reference = context.cast(builder, arguments[0], reference, form.integer)
        return builder.add(narrow_reference, ir.Constant(narrow_reference.type, form.rounder_bits - form.bias))

    return form.integer(reference, like), generate


@intrinsic
def power_over(typing_context: Any, shifted: Any, offset: Any) -> Any:
    """Return 2**(n - reference), for results that are normal numbers."""
    form = _FORMAT_OF_INTEGER[shifted]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        biased = builder.sub(*arguments)
        field = builder.shl(biased, ir.Constant(biased.type, form.fraction))
        return builder.bitcast(field, context.get_value_type(form.float))

    return form.float(shifted, shifted), generate


@intrinsic
def exponent_of(typing_context: Any, shifted: Any) -> Any:
    """Return n as an int64."""
    form = _FORMAT_OF_INTEGER[shifted]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = context.cast(builder, arguments[0], shifted, types.int64)
        return builder.sub(wide, ir.Constant(wide.type, form.rounder_bits))

    return types.int64(shifted), generate


def _constant_of_type(name: str, value: Any, result: Any, doc: str) -> Any:
    """Make an intrinsic that returns a constant depending on the type of its argument only."""

    def typing(typing_context: Any, like: Any) -> Any:
        form = FORMATS[like]

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return ir.Constant(context.get_value_type(result(form)), value(form))

        return result(form)(like), generate

    typing.__name__, typing.__doc__ = name, doc
    return intrinsic(typing)


least_integer = _constant_of_type(
    "least_integer", lambda f: -(2 ** (f.bits - 1)), lambda f: f.integer, "The least integer that exp_parts may return."
)
greatest_integer = _constant_of_type(
    "greatest_integer", lambda f: 2 ** (f.bits - 1) - 1, lambda f: f.integer, "The greatest one."
)
lowest_exponent = _constant_of_type(
    "lowest_exponent", lambda f: f.lowest, lambda f: types.int64, "The exponent of the smallest normal number."
)
faintest_exponent = _constant_of_type(
    "faintest_exponent",
    # 2**30 above: a subnormal product of 2**n and its correction traps into microcode, 100 ns a vector
    lambda f: f.lowest + 30,
    lambda f: types.int64,
    "The exponent, relative to the reference, that stands in for all smaller ones in a sum.",
)
limit_of = _constant_of_type(
    "limit_of", lambda f: f.limit, lambda f: types.int64, "The largest |n| for which exp_parts is accurate."
)


@intrinsic
def same_type(typing_context: Any, a: Any, b: Any) -> Any:
    """Say whether two numbers have one type: known when compiling, so the branch not taken vanishes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(context.get_value_type(types.boolean), int(a == b))

    return types.boolean(a, b), generate


@intrinsic
def cast(typing_context: Any, value: Any, like: Any) -> Any:
    """Return the float or integer `value` in the type of `like`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.cast(builder, arguments[0], value, like)

    return like(value, like), generate


@intrinsic
def narrow(typing_context: Any, value: Any, tag: Any) -> Any:
    """Return `value` rounded, once and to nearest even, to a number that the storage type of `tag` holds exactly.

    float64 -> float32 -> float16 would round twice. Instead 1.5 * 2**(52 - digits) times the value's own power of two is
    added and taken away again: that sum rounds at the last digit wanted. Below the smallest normal number the power
    stays, as subnormal numbers have a fixed spacing. float32 and float64 are left to `store`.
    """
    if tag in FORMATS:
        return value(value, tag), lambda context, builder, signature, arguments: arguments[0]
    fraction_bits, smallest_normal = (10, -14) if tag == _HALF_BITS else (7, -126)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = context.cast(builder, arguments[0], value, types.float64)
        whole = ir.IntType(64)
        field = ir.Constant(whole, 0x7FF0000000000000)
        own = builder.and_(builder.bitcast(number, whole), field)
        least = ir.Constant(whole, (1023 + smallest_normal) << 52)
        power = builder.select(builder.icmp_unsigned(">", own, least), own, least)
        power = builder.add(power, ir.Constant(whole, (52 - fraction_bits) << 52))
        shift = builder.fmul(builder.bitcast(power, number.type), ir.Constant(number.type, 1.5))
        rounded = builder.fsub(builder.fadd(number, shift), shift)
        # inf and NaN have no last digit
        return builder.select(builder.icmp_unsigned("==", own, field), number, rounded)

    return types.float64(value, tag), generate


@intrinsic
def upper_half_rounded(typing_context: Any, value: Any) -> Any:
    """Return a float32 whose upper 16 bits are the bfloat16 nearest to `value`, no NaN, and an integer: -2**31 if in doubt.

    float64 -> float32 -> bfloat16 rounds twice, which differs from `narrow` only where the first rounding hits the middle
    between two bfloat16 numbers, one time of 65 536: its lower 16 bits, moved up, are then the least of all integers.
    Integers of 32 bits do it, twice as many a vector as in `narrow`.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = ir.IntType(32)
        bits = builder.bitcast(builder.fptrunc(arguments[0], ir.FloatType()), whole)
        rounded = builder.bitcast(builder.add(bits, ir.Constant(whole, 0x8000)), ir.FloatType())
        return context.make_tuple(builder, signature.return_type, [rounded, builder.shl(bits, ir.Constant(whole, 16))])

    return types.Tuple((types.float32, types.int32))(types.float64), generate


@inline
def mantissa_and_exponent(value: Any) -> Any:
    """Return (m, e) with value = m * 2**e, |m| in [1/2, 1); 0 and what is no finite number give (value, 0)."""
    if value == 0.0 or not abs(value) < np.inf:
        return value, np.int64(0)
    lift = np.int64(0)
    if abs(value) < 1e-300:
        lift = np.int64(200)
        value *= power_of_two(lift)
    bits = bits_of(value)
    exponent = ((bits >> np.int64(52)) & np.int64(0x7FF)) - np.int64(1022)
    m = float_of_bits((bits & np.int64(-0x7FF0000000000001)) | np.int64(0x3FE0000000000000))
    return m, exponent - lift


@inline
def scaled(value: Any, exponent: Any) -> Any:
    """Return value * 2**exponent in float64 for 2**-50 < value < 2**100, rounded once, also to a subnormal number."""
    if exponent < -1000:
        # first an exact step towards the edge, so that only the last product rounds
        step = larger(exponent + 120, np.int64(-900))
        value *= power_of_two(step)
        exponent = larger(exponent - step, np.int64(-1000))
    elif exponent > 1000:
        value *= power_of_two(np.int64(1000))
        exponent = smaller(exponent - 1000, np.int64(1000))
    return value * power_of_two(exponent)
