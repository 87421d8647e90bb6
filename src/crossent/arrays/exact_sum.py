"""ExactSum: a sum of float64 numbers without rounding, the same bits in any order."""

import math
import threading
from typing import Any, Self

import numpy as np

from crossent._kernels.cpu import _threads
from crossent._kernels.cpu import exact_sum as kernels
from crossent.arrays._input import address_of, as_array, as_real, tag_of
from crossent.errors import DtypeError, RangeError, ShapeError

_FORMAT = b"crossent.ExactSum 1\n"
_NUMBER_BYTES = kernels.LIMBS * 4 + 8
# Numbers from which a second thread pays: about 0.2 ms of adding.
_WORTH_SPREADING = 2**19
# The limbs of a sum that has needed none; the kernels' block sums go straight to Python's integers.
_NONE = np.zeros(0, np.int64)
# What the kernels read as it is; looked up, as comparing a dtype takes 0.2 us.
_STORED = frozenset({np.dtype(np.float32), np.dtype(np.float64)})


class ExactSum:
    """A running sum of float64 numbers that is never rounded, in units of 2**-2148.

    ``value()`` rounds the exact sum once, to nearest even. Any order of adding, any split into several sums and any tree
    of merging therefore gives the same bits::

        value() = round(sum_i a_i),    after add_products: round(sum_i a_i * b_i)

    Notes
    -----
    Infinities and NaN are counted apart: the value is then what IEEE addition of them gives.
    A product with a factor 0 adds 0, whatever the other factor is: a row of weight 0 does not take part.
    Accuracy: 0.5 ulp, that is correctly rounded; also where the sum of doubles would overflow half-way.
    The state has a fixed size, 1.1 KB.

    References
    ----------
    R. M. Neal, "Fast exact summation using small and large superaccumulators", arXiv:1505.05571.

    Examples
    --------
    >>> total = ExactSum()
    >>> total.add([1e16, 1.0, -1e16]).value()
    1.0
    >>> left, right = ExactSum().add([0.1] * 3), ExactSum().add([0.1] * 7)
    >>> left.merge(right).value()
    1.0
    """

    __slots__ = ("_address", "_limbs", "_pending", "_specials", "_total")
    __hash__ = None  # type: ignore[assignment]  # it changes

    def __init__(self) -> None:
        self._total = 0  # in units of 2**LOWEST_EXPONENT; what the kernels add stands in limbs besides
        self._limbs = self._specials = _NONE
        self._address = self._pending = 0

    def add(self, values: Any, /) -> Self:
        """Add every number of an array (float16 to float64, or integers below 2**53) and return self."""
        numbers = _as_stored(values)
        for start in range(0, numbers.size, kernels.TERMS_BETWEEN_CARRIES):
            piece = numbers[start : start + kernels.TERMS_BETWEEN_CARRIES]
            if piece.size < _WORTH_SPREADING:
                self._add_here(piece)
            else:
                self._add_on_every_thread(piece)
        return self

    def _add_here(self, piece: np.ndarray) -> None:
        address, tag = address_of(piece), tag_of(piece)
        if piece.size <= kernels.BLOCK:
            done, first, second, third = kernels.add_few(address, piece.size, tag)
            if done:
                self._total += _units(first, second, third) << -kernels.LOWEST_EXPONENT - 100
                return
        self._make_room(piece.size)
        kernels.add(self._address, address, piece.size, self._address + 8 * kernels.LIMBS, tag)

    def _add_on_every_thread(self, piece: np.ndarray) -> None:
        """Add parts on their own and merge them: exact, so nobody can tell."""
        merging = threading.Lock()

        def task(first: int, last: int) -> None:
            part = sum_alone(piece[first:last])
            with merging:
                self.merge(part)

        _threads.spread(task, piece.size, piece.nbytes)

    def add_products(self, a: Any, b: Any, /) -> Self:
        """Add a_i * b_i of two arrays of one shape, each product exact, and return self."""
        shapes = as_array(a, "a").shape, as_array(b, "b").shape
        if shapes[0] != shapes[1]:
            message = f"`a` and `b` must have one shape; got {shapes[0]} and {shapes[1]}."
            raise ShapeError(message)
        left, right = _as_doubles(a, "a"), _as_doubles(b, "b")
        for start in range(0, left.size, kernels.TERMS_BETWEEN_CARRIES):
            stop = start + kernels.TERMS_BETWEEN_CARRIES
            x, y = left[start:stop], right[start:stop]
            self._make_room(x.size)
            kernels.add_products(self._address, address_of(x), address_of(y), x.size, self._address + 8 * kernels.LIMBS)
        return self

    def merge(self, other: "ExactSum", /) -> Self:
        """Add another sum to this one and return self; the other stays as it is."""
        if not isinstance(other, ExactSum):
            message = f"`other` must be an ExactSum; got {type(other).__name__}."
            raise DtypeError(message)
        self._total += other._integer()
        if other._special() is not None:
            self._make_room(0)
            self._specials += other._specials
        return self

    def value(self) -> float:
        """Return the sum, rounded once."""
        return self.divided_by(1)

    def divided_by(self, denominator: "int | float | ExactSum", /) -> float:
        """Return sum / denominator, the exact quotient rounded once; 0 / 0 is nan, and x / 0 is inf."""
        special = self._special()
        below, below_shift = 1, 0
        if isinstance(denominator, ExactSum):
            below, below_shift = denominator._integer(), kernels.LOWEST_EXPONENT
            weight = denominator._special()
        elif isinstance(denominator, int):
            below, weight = denominator, None
        else:
            try:
                if isinstance(denominator, (str, bytes)):
                    raise TypeError
                number = float(denominator)
            except (TypeError, ValueError):
                message = f"`denominator` must be a number or an ExactSum; got {denominator!r}."
                raise DtypeError(message) from None
            finite = math.isfinite(number)
            weight = None if finite else number
            if finite:
                below, divisor = number.as_integer_ratio()
                below_shift = 1 - divisor.bit_length()
        if special is not None or weight is not None:
            top = special if special is not None else self.value()
            bottom = weight if weight is not None else _quotient(below, 1, below_shift)
            with np.errstate(all="ignore"):  # inf / inf is nan, by design
                return float(np.float64(top) / np.float64(bottom))
        above = self._integer()
        if below == 0:
            return float("nan") if above == 0 else float("inf") * (1 if above > 0 else -1)
        return _quotient(above, below, kernels.LOWEST_EXPONENT - below_shift)

    def as_integer_ratio(self) -> tuple[int, int]:
        """Return the sum as a fraction, exactly; raise OverflowError or ValueError for inf or nan, as float does."""
        special = self._special()
        if special is not None:
            return special.as_integer_ratio()
        return self._integer(), 1 << -kernels.LOWEST_EXPONENT

    @property
    def finite(self) -> bool:
        """Whether neither an infinity nor a NaN was added."""
        return self._special() is None

    def to_bytes(self) -> bytes:
        """Return the state, 0.6 KB; equal sums give equal bytes."""
        specials = self._specials.astype("<i8").tobytes() or bytes(24)
        return _FORMAT + specials + self._integer().to_bytes(_NUMBER_BYTES, "little", signed=True)

    @classmethod
    def from_bytes(cls, state: bytes, /) -> Self:
        """Return the sum whose `to_bytes` gave `state`."""
        if not isinstance(state, (bytes, bytearray, memoryview)):
            message = f"`state` must be bytes from ExactSum.to_bytes; got {type(state).__name__}."
            raise DtypeError(message)
        content = bytes(state)
        if not content.startswith(_FORMAT) or len(content) != len(_FORMAT) + 24 + _NUMBER_BYTES:
            message = f"`state` must be bytes from ExactSum.to_bytes; got {len(content)} bytes of something else."
            raise RangeError(message)
        body = content[len(_FORMAT) :]
        result = cls()
        result._total = int.from_bytes(body[24:], "little", signed=True)
        if any(body[:24]):
            result._make_room(0)
            result._specials[:] = np.frombuffer(body[:24], "<i8")
        return result

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExactSum):
            return NotImplemented
        return self.to_bytes() == other.to_bytes()

    def __reduce__(self) -> "tuple[Any, tuple[bytes]]":
        # pickle and copy: the kernels' address belongs to this object's own memory
        return type(self).from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        return f"ExactSum({self.value()!r})"

    def _special(self) -> float | None:
        """Return inf, -inf or nan if one was added."""
        if self._limbs is _NONE or not self._specials.any():
            return None
        up, down, nan = self._specials.tolist()
        return float("nan") if nan or (up and down) else float("inf") if up else float("-inf")

    def _integer(self) -> int:
        """Return the sum in units of 2**LOWEST_EXPONENT."""
        if self._limbs is _NONE:
            return self._total
        return self._total + sum(int(self._limbs[i]) << (32 * i) for i in self._limbs.nonzero()[0].tolist())

    def _make_room(self, terms: int) -> None:
        """Have limbs, and empty them where `terms` more could make one overflow."""
        if self._limbs is _NONE:
            state = np.zeros(kernels.LIMBS + 3, np.int64)
            self._limbs = state[: kernels.LIMBS]
            self._specials = state[kernels.LIMBS :]  # +inf, -inf, NaN
            self._address = address_of(state)
        if self._pending + terms > kernels.TERMS_BETWEEN_CARRIES:
            self._total = self._integer()
            self._limbs[:] = 0
            self._pending = 0
        self._pending += terms


def _units(first: float, second: float, third: float) -> int:
    """Return the sum of multiples of 2**-20, 2**-60 and 2**-100 in units of the last."""
    return (int(first * 2.0**20) << 80) + (int(second * 2.0**60) << 40) + int(third * 2.0**100)


def sum_alone(numbers: np.ndarray) -> ExactSum:
    """Return the sum of float32 or float64 numbers, made on this thread: a worker that spreads its work waits for itself."""
    result = ExactSum()
    for start in range(0, numbers.size, kernels.TERMS_BETWEEN_CARRIES):
        result._add_here(numbers[start : start + kernels.TERMS_BETWEEN_CARRIES])
    return result


def mean_of_few(numbers: np.ndarray) -> float | None:
    """Return ExactSum().add(numbers).divided_by(numbers.size) for a block of ordinary size, or None for all else."""
    done, *parts = kernels.add_few(address_of(numbers), numbers.size, tag_of(numbers))
    return _quotient(_units(*parts), numbers.size, -100) if done else None


def _quotient(above: int, below: int, shift: int) -> float:
    """Return above / below * 2**shift: Python divides integers of any size with one rounding, to nearest even."""
    if below < 0:
        above, below = -above, -below
    if shift >= 0:
        above <<= shift
    else:
        # cheap cancelling of the common powers of two: sums are mostly far above the lowest bit
        spare = min(-shift, (above & -above).bit_length() - 1) if above else 0
        above >>= spare
        below <<= -shift - spare
    try:
        return above / below
    except OverflowError:
        return float("inf") if above > 0 else float("-inf")


def _as_stored(values: Any) -> np.ndarray:
    """Return float32 and float64 numbers as they are, flat; all others as float64."""
    if type(values) is np.ndarray and values.dtype in _STORED and values.flags.c_contiguous:
        return values.reshape(-1)
    return _as_doubles(values, "values")


def _as_doubles(values: Any, name: str) -> np.ndarray:
    array = as_real(as_array(values, name))
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        message = f"`{name}` must hold real numbers; got {array.dtype.name}."
        raise DtypeError(message)
    if array.dtype.kind in "iu" and array.size and int(np.abs(array).max()) >= 2**53:
        message = (
            f"`{name}` must hold integers below 2**53, which float64 holds exactly; got {int(np.abs(array).max())}."
        )
        raise RangeError(message)
    return np.ascontiguousarray(array, dtype=np.float64).reshape(-1)
