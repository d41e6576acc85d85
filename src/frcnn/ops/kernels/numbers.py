"""bfloat16 in compiled code: it comes and goes as its bits, since neither numpy nor numba has a name for it."""

from typing import Any, no_type_check

import numpy as np
from numba.core import types
from numba.extending import intrinsic

NOT_A_NUMBER = np.uint16(0x7FC0)
BELOW_HALF = np.uint32(0x7FFF)  # of the last bit that stays
SIXTEEN, ONE = np.uint32(16), np.uint32(1)


@intrinsic
@no_type_check
def widen(_: Any, value: Any) -> Any:
    """A feature as a number: bfloat16, which comes as its bits, becomes float32; anything else stays."""
    if value != types.uint16:
        return value(value), lambda context, builder, signature, arguments: arguments[0]

    def bits_to_float(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = builder.zext(arguments[0], context.get_value_type(types.uint32))
        high = builder.shl(word, context.get_constant(types.uint32, 16))
        return builder.bitcast(high, context.get_value_type(types.float32))

    return types.float32(value), bits_to_float


@intrinsic
@no_type_check
def narrow(_: Any, value: Any, like: Any) -> Any:
    """A float32 as bfloat16's bits, where `like` is such bits; else the number itself, of the type of `like`."""
    if like != types.uint16:
        cast = lambda context, builder, _, arguments: context.cast(builder, arguments[0], value, like)  # noqa: E731
        return like(value, like), cast

    def to_bits(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.compile_internal(builder, _rounded, types.uint16(types.float32), arguments[:1])

    return types.uint16(value, like), to_bits


@intrinsic
@no_type_check
def _bits(_: Any, value: Any) -> Any:
    def reinterpret(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.uint32))

    return types.uint32(types.float32), reinterpret


@no_type_check
def _rounded(value: np.float32) -> np.uint16:
    """To the nearest, ties to even, as torch rounds."""
    bits = _bits(value)
    nearest = np.uint16((bits + BELOW_HALF + ((bits >> SIXTEEN) & ONE)) >> SIXTEEN)
    return nearest if value == value else NOT_A_NUMBER
