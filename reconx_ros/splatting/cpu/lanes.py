"""Eight float32 lanes as one value inside numba kernels.

numba leaves vectorisation to LLVM's guesses, which fail on loops that carry state from Gaussian to
Gaussian. Here a kernel says what it means: ``Floats`` is an LLVM vector of eight floats, ``Mask`` one
of eight booleans, and ``+ - * /``, comparisons and the functions below work on them (a float32 beside
a vector counts for all lanes). AVX2 and AVX-512 run them as single instructions; other processors get
what LLVM makes of them. No fast-math: results do not depend on the instruction set beyond fused
multiply-add, which is spelt out.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

LANES = 8
FLOAT = ir.FloatType()
INT = ir.IntType(32)
FLOATS = ir.VectorType(FLOAT, LANES)
INTS = ir.VectorType(INT, LANES)
MASK = ir.VectorType(ir.IntType(1), LANES)


class FloatsType(types.Type):
    """The numba type of eight float32."""

    def __init__(self) -> None:
        super().__init__(name="Floats8")


class MaskType(types.Type):
    """The numba type of eight booleans."""

    def __init__(self) -> None:
        super().__init__(name="Mask8")


floats = FloatsType()
mask = MaskType()


@register_model(FloatsType)
class _FloatsModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, FLOATS)


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, MASK)


def spread_number(builder, value):
    """Return a vector with a number in every lane."""
    one = builder.insert_element(ir.Constant(FLOATS, ir.Undefined), value, ir.Constant(INT, 0))
    return builder.shuffle_vector(one, one, ir.Constant(INTS, [0] * LANES))


def lift(builder, kind, value):
    """Return a value as a vector, whether it is a vector (``kind``) or a number."""
    return value if kind == floats else spread_number(builder, value)


def _define_operator(function, result, emit):
    """Teach numba ``function`` on two vectors, and on a vector and a float32."""
    pairs = [(floats, floats), (floats, types.float32), (types.float32, floats)]

    @infer_global(function)
    class Template(ConcreteTemplate):
        cases = [signature(result, *pair) for pair in pairs]  # noqa: RUF012

    for pair in pairs:

        @lower_builtin(function, *pair)
        def lower(context, builder, sig, args):
            first, second = (lift(builder, k, v) for k, v in zip(sig.args, args, strict=True))
            return emit(builder, first, second)


for _function, _name in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _define_operator(_function, floats, lambda b, x, y, _name=_name: getattr(b, _name)(x, y))
_define_operator(operator.truediv, floats, lambda b, x, y: b.fdiv(x, y))
for _function, _sign in ((operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"), (operator.ge, ">=")):
    _define_operator(_function, mask, lambda b, x, y, _sign=_sign: b.fcmp_ordered(_sign, x, y))


@infer_global(operator.and_)
class _AndTemplate(ConcreteTemplate):
    cases = [signature(mask, mask, mask)]  # noqa: RUF012


@lower_builtin(operator.and_, mask, mask)
def _lower_and(context, builder, sig, args):
    return builder.and_(*args)


@infer_global(operator.neg)
class _NegativeTemplate(ConcreteTemplate):
    cases = [signature(floats, floats)]  # noqa: RUF012


@lower_builtin(operator.neg, floats)
def _lower_negative(context, builder, sig, args):
    return builder.fneg(args[0])
