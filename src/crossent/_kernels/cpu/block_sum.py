"""The innermost loop over a contiguous row: sums of e**x, as vectors of a line, or of half a line (_vectors.py says when).

Written as vectors because the compiler's own loop kept its partial sums in memory, 0.33 against 0.24 ns an element (Zen 4,
one thread, in cache, 2026-11-24), and had to find blocks with the target or the row's ragged end copied and padded.
Four vectors make a step. The target, and what lies beyond the end, are masked out of a block that holds either.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function

from crossent._kernels.cpu._jit import intrinsic
from crossent._kernels.cpu._llvm import FIRST_LEVEL, prefetch_line
from crossent._kernels.cpu._vectors import (
    constant,
    everywhere,
    folded,
    fused,
    lanes_of,
    pointer_at,
    select_by,
    vector_bytes,
    write_scaled,
)
from crossent._kernels.cpu.exp import FORMATS, Format, exp_parts_of

LINE_BYTES = 64
VECTORS = 4
# What rows of kept summands are padded to: the longest step.
MOST_STEP_BYTES = VECTORS * LINE_BYTES
_WHOLE, _INDEX = ir.IntType(64), ir.IntType(32)
# A float32 exponent in the place of a float64 one counts 2**896 too little.
_BIAS_APART = 1023 - 127


class _Loop:
    """A loop over the steps of a block, as it is written: `at` is the step's first element, int64."""

    def __init__(self, context: Any, builder: Any, form: Format, x: Any, count: Any, hole: Any) -> None:
        self.builder, self.form, self.x, self.count, self.hole = builder, form, x, count, hole
        self.vector_bytes = vector_bytes(context)
        self.lanes = self.vector_bytes * 8 // form.bits
        self.doubles = ir.VectorType(ir.DoubleType(), self.vector_bytes // 8)
        self.vector = ir.VectorType(ir.FloatType() if form.bits == 32 else ir.DoubleType(), self.lanes)
        self.integers = ir.VectorType(ir.IntType(form.bits), self.lanes)
        self._carried: list[Any] = []

    def begin(self) -> None:
        """Open the loop: what is written from here on belongs to a step."""
        builder = self.builder
        self._before = builder.block
        self._body, self._after = builder.append_basic_block("step"), builder.append_basic_block("stepped")
        builder.branch(self._body)
        builder.position_at_end(self._body)
        self.at = builder.phi(_WHOLE)
        self.at.add_incoming(_WHOLE(0), self._before)

    def carry(self, kind: Any, first: float) -> Any:
        """Return a value that each step hands to the next; all are asked for before any other code of the step."""
        value = self.builder.phi(kind)
        value.add_incoming(constant(kind, first), self._before)
        self._carried.append(value)
        return value

    def end(self, following: list[Any]) -> None:
        """Close the loop; `following` are the carried values after a step, in their order."""
        builder = self.builder
        step = builder.add(self.at, _WHOLE(VECTORS * self.lanes))
        for value, last in zip([self.at, *self._carried], [step, *following], strict=True):
            value.add_incoming(last, builder.block)
        builder.cbranch(builder.icmp_signed("<", step, self.count), self._body, self._after)
        builder.position_at_end(self._after)

    def address(self, start: Any, number: int) -> Any:
        """Return the address of where vector `number` of the step stands in an array."""
        builder = self.builder
        bytes_before = builder.mul(self.at, _WHOLE(self.form.bits // 8))
        return builder.add(start, builder.add(bytes_before, _WHOLE(number * self.vector_bytes)))

    def place(self, address: Any, number: int) -> Any:
        """Return a pointer to where vector `number` of the step stands in an array."""
        index = self.builder.add(self.at, _WHOLE(number * self.lanes))
        return pointer_at(self.builder, address, index, self.vector.element, self.vector)

    def everywhere(self, value: Any) -> Any:
        """Return a vector of the same value."""
        return everywhere(self.builder, value, self.lanes)

    def as_doubles(self, numbers: Any) -> list[Any]:
        """Return a vector as float64: two vectors where it was float32."""
        if self.form.bits == 64:
            return [numbers]
        half = self.doubles.count
        halves = (lanes_of(self.builder, numbers, range(start, start + half)) for start in (0, half))
        return [self.builder.fpext(numbers, self.doubles) for numbers in halves]

    def powers_as_doubles(self, bits: Any, powers: Any) -> list[Any]:
        """Return 2**k as float64; of float32 2**(k - 896), from the integers k + 127 that the low bits hold.

        These become the upper halves of float64 numbers: an interleaving with zeros, half the time of a conversion. They
        come in another order, which their sum need not know.
        """
        if self.form.bits == 64:
            return [powers]
        upper = self.builder.shl(bits, constant(bits.type, 52 - 32))
        zeros, halves = constant(bits.type, 0), []
        for first in (0, 2):  # within 128 bits, as processors interleave
            groups = range(0, self.lanes, 4)
            lanes = [lane for group in groups for k in (0, 1) for lane in (self.lanes, group + first + k)]
            halves.append(self.builder.bitcast(lanes_of(self.builder, upper, lanes, zeros), self.doubles))
        return halves

    def step(self, other: Any, least: Any | None) -> tuple[list[Any], Any | None]:
        """Return the step's vectors, `other` where lanes are left out, and the least of `least` and the lanes that are not.

        Lanes that are left out are not read. Only a step with the hole or the end in it pays for its masks.
        """
        builder = self.builder
        end = builder.add(self.at, _WHOLE(VECTORS * self.lanes))
        ragged = builder.icmp_signed(">", end, self.count)
        holed = builder.and_(builder.icmp_signed("<=", self.at, self.hole), builder.icmp_signed("<", self.hole, end))
        with builder.if_else(builder.or_(ragged, holed), likely=False) as (masked, whole):
            with masked:
                taken = [self._taken(number) for number in range(VECTORS)]
                some = [self._load(number, lanes, other) for number, lanes in enumerate(taken)]
                some_least = least
                if least is not None:
                    for vector, lanes in zip(some, taken, strict=True):
                        some_least = builder.select(lanes, self.extreme("<", vector, some_least), some_least)
                from_masked = builder.block
            with whole:
                every = [self._load(number) for number in range(VECTORS)]
                every_least = least
                if least is not None:
                    for vector in every:
                        every_least = self.extreme("<", vector, every_least)
                from_whole = builder.block

        def either(one: Any, other: Any) -> Any:
            value = builder.phi(one.type)
            value.add_incoming(one, from_masked)
            value.add_incoming(other, from_whole)
            return value

        vectors = [either(*pair) for pair in zip(some, every, strict=True)]
        return vectors, None if least is None else either(some_least, every_least)

    def extreme(self, order: str, new: Any, best: Any) -> Any:
        """Return the larger (">") or smaller ("<") numbers of two vectors; a NaN in `new` is overlooked."""
        return self.builder.select(self.builder.fcmp_ordered(order, new, best), new, best)

    def _taken(self, number: int) -> Any:
        builder = self.builder

        def spread(value: Any) -> Any:  # a block is short: 32 bits tell its elements apart
            return self.everywhere(builder.trunc(value, _INDEX))

        first = number * self.lanes
        own = ir.Constant(ir.VectorType(_INDEX, self.lanes), list(range(first, first + self.lanes)))
        own = builder.add(spread(self.at), own)
        within = builder.icmp_signed("<", own, spread(self.count))
        return builder.and_(within, builder.icmp_signed("!=", own, spread(self.hole)))

    def _load(self, number: int, lanes: Any | None = None, other: Any | None = None) -> Any:
        builder, place = self.builder, self.place(self.x, number)
        if lanes is None:
            vector = builder.load(place)
            vector.align = 1
            return vector
        kind = ir.FunctionType(self.vector, [place.type, _INDEX, lanes.type, self.vector])
        name = f"llvm.masked.load.v{self.lanes}f{self.form.bits}.p0"
        load = get_or_insert_function(builder.module, kind, name)
        return builder.call(load, [place, _INDEX(1), lanes, other])


@intrinsic
def step_bytes(typing_context: Any) -> Any:
    """How long a step is on this processor."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _WHOLE(VECTORS * vector_bytes(context))

    return types.int64(), generate


@intrinsic
def largest_of(typing_context: Any, x: Any, count: Any, hole: Any, like: Any) -> Any:
    """The largest of `count` numbers like `like` at an address but for number `hole`; NaN is overlooked, none is -inf."""
    form = FORMATS[like]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        loop = _Loop(context, builder, form, *arguments[:3])
        loop.begin()
        best = loop.carry(loop.vector, float("-inf"))
        vectors, _ = loop.step(constant(loop.vector, float("-inf")), None)
        following = best
        for vector in vectors:
            following = loop.extreme(">", vector, following)
        loop.end([following])
        return folded(builder, following, lambda a, b: loop.extreme(">", a, b))

    return like(types.int64, types.int64, types.int64, like), generate


def _two_sum(builder: Any, total: Any, error: Any, term: Any) -> list[Any]:
    """Write targets.two_sum, of numbers or of vectors."""
    following = builder.fadd(total, term)
    back = builder.fsub(following, total)
    lost = builder.fadd(builder.fsub(total, builder.fsub(following, back)), builder.fsub(term, back))
    return [following, builder.fadd(error, lost)]


class _Sum:
    """A float64 sum across a loop, in two vectors: of two halves of float32 numbers, or a sum and its rounding errors."""

    def __init__(self, loop: _Loop) -> None:
        self.builder, self.form = loop.builder, loop.form
        self.now = [loop.carry(loop.doubles, 0.0) for _ in range(2)]

    def add(self, *numbers: Any) -> None:
        """Add a vector of float64 numbers, or two that were one of float32."""
        if len(numbers) == 2:
            self.now = [self.builder.fadd(total, half) for total, half in zip(self.now, numbers, strict=True)]
        else:
            self.now = _two_sum(self.builder, self.now[0], self.now[1], numbers[0])

    def result(self) -> list[Any]:
        """Return the sum, and what its roundings lost, as numbers."""
        builder = self.builder
        if self.form.bits == 32:
            return [folded(builder, builder.fadd(*self.now), builder.fadd), ir.DoubleType()(0.0)]
        lanes = [builder.extract_element(self.now[0], _INDEX(lane)) for lane in range(self.now[0].type.count)]
        pair = [lanes[0], folded(builder, self.now[1], builder.fadd)]
        for lane in lanes[1:]:
            pair = _two_sum(builder, pair[0], pair[1], lane)
        return pair


def _write_gradient(loop: _Loop, source: Any, target: Any, factor: list[Any], steps: Any, stream: Any) -> None:
    """In the first `steps` steps write as many lines of another row's gradient as a step reads of this one."""
    builder = loop.builder
    wanted = builder.icmp_signed("<", loop.at, builder.mul(steps, _WHOLE(VECTORS * loop.lanes)))
    with builder.if_then(wanted), builder.if_else(stream) as branches:
        for branch, past_the_caches in zip(branches, (True, False), strict=True):
            with branch:
                for number in range(VECTORS):
                    place, goal = loop.address(source, number), loop.address(target, number)
                    write_scaled(builder, place, factor, goal, stream=past_the_caches)


@intrinsic
def sum_vectors(
    typing_context: Any,
    x: Any,
    count: Any,
    hole: Any,
    reference: Any,
    low: Any,
    ahead: Any,
    kept: Any,
    source: Any,
    target: Any,
    high_factor: Any,
    low_factor: Any,
    steps: Any,
    stream: Any,
    kept_tag: Any,
) -> Any:
    """See blocks.sum_block: two sums with what their roundings lost, the largest exponent, and the least logit."""
    form, keeps = FORMATS[low], kept_tag == low
    result = types.Tuple([types.float64] * 4 + [types.int64, low])

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, count, hole, reference, low, ahead, kept, source, target, high_factor, low_factor, steps, stream, _ = (
            arguments
        )
        loop = _Loop(context, builder, form, x, count, hole)
        # Rounds to n, and leaves k = n - reference + bias in the low bits. These are the exponent of a float32 or float64
        # power, and of the float64 one 2**896 times smaller, while 1 <= k <= 254 (2046): lowest sees to the one end, and
        # a block with k beyond the other, which shows in `top`, is summed again with a reference of its own.
        rounder = builder.fsub(low.type(form.rounder + form.bias), builder.sitofp(reference, low.type))
        lowest, rounder, *factor = map(loop.everywhere, (low, rounder, high_factor, low_factor))
        loop.begin()
        powers, corrections = _Sum(loop), _Sum(loop)
        top = loop.carry(loop.integers, -(2 ** (form.bits - 1)))
        least = loop.carry(loop.vector, float("inf")) if keeps else None
        if keeps:
            _write_gradient(loop, source, target, factor, steps, builder.trunc(stream, ir.IntType(1)))
        for number in range(0, VECTORS, LINE_BYTES // loop.vector_bytes):
            prefetch_line(builder, loop.address(ahead, number), FIRST_LEVEL)
        vectors, least = loop.step(lowest, least)
        values = [builder.select(builder.fcmp_ordered("<", vector, lowest), lowest, vector) for vector in vectors]
        shifted, fractions = exp_parts_of(builder, values, form, rounder)
        parts = []
        for number, fraction in enumerate(fractions):
            bits = builder.bitcast(shifted[number], loop.integers)
            top = select_by(builder, ">")(bits, top)
            power = builder.bitcast(builder.shl(bits, constant(bits.type, form.fraction)), loop.vector)
            powers.add(*loop.powers_as_doubles(bits, power))
            parts.append(builder.fmul(power, fraction))
            if keeps:
                summand = fused(builder, power, fraction, power)
                builder.store(summand, loop.place(kept, number)).align = form.bits // 8
        pairs = [builder.fadd(parts[0], parts[1]), builder.fadd(parts[2], parts[3])]
        corrections.add(*loop.as_doubles(builder.fadd(*pairs)))
        loop.end([*powers.now, *corrections.now, top, *([least] if keeps else [])])
        total, error = powers.result()
        if form.bits == 32:
            total = builder.fmul(total, ir.DoubleType()(2.0**_BIAS_APART))
        largest = context.cast(builder, folded(builder, top, select_by(builder, ">")), form.integer, types.int64)
        largest = builder.add(largest, builder.sub(reference, _WHOLE(form.rounder_bits + form.bias)))
        smallest = folded(builder, least, lambda a, b: loop.extreme("<", a, b)) if keeps else low
        return context.make_tuple(builder, result, [total, error, *corrections.result(), largest, smallest])

    integers, addresses = [types.int64] * 4, [types.int64] * 4
    given = [*integers, low, *addresses, low, low, types.int64, types.int64, kept_tag]
    return result(*given), generate
