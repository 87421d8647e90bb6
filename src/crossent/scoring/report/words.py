"""How numbers and names are written on the page; nothing here knows HTML, which the template escapes."""

import math
import unicodedata

# Longer names are cut in the middle: their ends are what differs.
NAME_LENGTH = 48
NAME_LIMIT = 4096
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 4) -> str:
    """Return a number with so many significant digits, grouped by thousands, in powers of ten where it is tiny or huge."""
    if math.isnan(value):
        return "not defined"
    if math.isinf(value):
        return "∞" if value > 0.0 else "−∞"
    if value == 0.0:
        return "0"
    # The exponent after rounding: 9.9999 is 10.00 and not 9.9999 with a digit too many.
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if not -5 <= power < 9:
        return f"{mantissa} × 10{str(power).translate(_SUPERSCRIPTS)}".replace("-", "−")
    return f"{value:,.{max(digits - 1 - power, 0)}f}".replace("-", "−")


def percent(share: float) -> str:
    """Return a share as percent; one that is almost nothing or almost all is not rounded to it."""
    if not math.isfinite(share):
        return number(share)
    if 0.0 < abs(share) < 0.0005:
        return "less than 0.1 %" if share > 0.0 else "−0.0 %"
    if 0.9995 <= share < 1.0:
        return "more than 99.9 %"
    return f"{100.0 * share:,.1f} %".replace("-", "−")


def amount(weight: float) -> str:
    """Return a count, or a sum of weights, without decimals that say nothing."""
    return f"{weight:,.0f}" if math.isfinite(weight) and weight == round(weight) else number(weight, 5)


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return "1 row" or "1,797 rows"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def clean(text: object) -> str:
    """Return text from data on one line, without characters that are invisible, turn the writing, or have no UTF-8."""
    return "".join(_visible(character) for character in str(text))


def short(text: object, width: int = NAME_LENGTH) -> str:
    """Return `clean` text at most so many letters wide, cut in the middle."""
    # No name of use is longer, and a hostile one may be a megabyte.
    every = clean(str(text)[:NAME_LIMIT])
    if len(str(text)) > NAME_LIMIT:
        every += clean(str(text)[-width:])
    widths = [_letters(character) for character in every]
    if sum(widths) > width:
        head = _fitting(widths, 2.0 * width / 3.0 - 1.0)
        tail = _fitting(widths[::-1], width / 3.0)
        every = f"{every[:head]}…{every[len(every) - tail :]}"
    if any(unicodedata.bidirectional(character) in ("R", "AL") for character in every):
        # Isolated, so that what stands beside a name in Hebrew or Arabic keeps its place.
        every = f"\u2068{every}\u2069"
    return every if every.strip() else "(empty)"


def width_of(text: str) -> float:
    """Return how wide a text is, in letters."""
    return sum(map(_letters, text))


def _letters(character: str) -> float:
    """Return the room a character takes, in letters; a guess, as the fonts are the reader's."""
    if unicodedata.east_asian_width(character) in ("W", "F"):
        return 2.0
    if character in "MW@%":
        return 1.6
    if character.isupper() or character in "mw":
        return 1.3
    if character in "\u2068\u2069":
        return 0.0
    # Marks stand on the letter before them, yet a tower of them is no name.
    return 0.2 if unicodedata.combining(character) else 1.0


def _fitting(widths: list[float], room: float) -> int:
    """Return how many of the first characters fit."""
    used = 0.0
    for place, width in enumerate(widths):
        used += width
        if used > room:
            return place
    return len(widths)


def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return " " if character in "\t\n\v\f\r" else chr(0x2400 + code)
    category = unicodedata.category(character)
    if category in ("Zl", "Zp"):
        return " "
    # Joiners are part of emoji and of several scripts; marks of direction turn what stands behind them.
    if category == "Cf" and code not in (0x200C, 0x200D):
        return "�"
    return "�" if category in ("Cc", "Cs", "Cn") else character
