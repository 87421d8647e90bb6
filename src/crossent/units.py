"""Nats, bits and perplexity: the three ways of saying the same number."""

import math

LN_2 = math.log(2.0)


def nats_to_bits(nats: float) -> float:
    """Return an amount of information in bits: nats / ln 2."""
    return nats / LN_2


def bits_to_nats(bits: float) -> float:
    """Return an amount of information in nats: bits * ln 2."""
    return bits * LN_2


def perplexity_of_nats(nats: float) -> float:
    """Return e**nats, the number of equally likely choices that would be as surprising; inf where that overflows."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf
