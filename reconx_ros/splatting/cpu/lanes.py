"""Eight or sixteen float32 lanes as one value inside numba kernels.

numba leaves vectorisation to LLVM's guesses, which fail on loops that carry state from Gaussian to
Gaussian. Here a kernel says what it means: ``floats`` is an LLVM vector of eight floats, ``mask`` one
of eight booleans, ``floats16`` and ``mask16`` have sixteen, and ``+ - * /``, comparisons and the
functions of ``simd`` work on them (a float32 beside a vector counts for all lanes). AVX2 and AVX-512 run
them as single instructions, AVX2 those of sixteen as two; other processors get what LLVM makes of
them. No fast-math: results do not depend on the instruction set beyond fused multiply-add, which is
spelt out, and the order of sums (``WIDE``).
"""

import operator

from llvmlite import binding, ir
from numba import config, types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model


def _has_wide_registers() -> bool:
    """Tell whether numba compiles for a processor with registers of sixteen floats (AVX-512)."""
    features = config.CPU_FEATURES
    if features is None:
        features = "" if config.CPU_NAME else binding.get_host_cpu_features().flatten()
    return "+avx512f" in features.split(",")


WIDE: bool = _has_wide_registers()
"""Whether a vector of sixteen is one register, of 32, rather than two of 16.

Fixed before kernels are compiled: numba keeps their machine code apart by processor and features."""

LANES = 8
FLOAT = ir.FloatType()
INT = ir.IntType(32)
FLOATS = ir.VectorType(FLOAT, LANES)
INTS = ir.VectorType(INT, LANES)


class FloatsType(types.Type):
    """The numba type of ``width`` float32."""

    def __init__(self, width: int) -> None:
        super().__init__(name=f"Floats{width}")
        self.width = width
        self.floats = ir.VectorType(FLOAT, width)
        self.ints = ir.VectorType(INT, width)


class MaskType(types.Type):
    """The numba type of ``width`` booleans."""

    def __init__(self, width: int) -> None:
        super().__init__(name=f"Mask{width}")
        self.width = width


floats, floats16 = FloatsType(LANES), FloatsType(2 * LANES)
mask, mask16 = MaskType(LANES), MaskType(2 * LANES)
OF_WIDTH = {LANES: (floats, mask), 2 * LANES: (floats16, mask16)}


@register_model(FloatsType)
class _FloatsModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, fe_type.floats)


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.VectorType(ir.IntType(1), fe_type.width))


def constants(numbers):
    """Return whole numbers as an LLVM vector, for shifts and shuffles."""
    return ir.Constant(ir.VectorType(INT, len(numbers)), list(numbers))


def spread_number(builder, value, width=LANES):
    """Return a vector with a number in every lane."""
    empty = ir.Constant(ir.VectorType(FLOAT, width), ir.Undefined)
    one = builder.insert_element(empty, value, ir.Constant(INT, 0))
    return builder.shuffle_vector(one, one, constants([0] * width))


def lift(builder, kind, value, width=LANES):
    """Return a value as a vector, whether it is a vector (``kind``) or a number."""
    return value if isinstance(kind, FloatsType) else spread_number(builder, value, width)


def _define_operator(function, vector, result, emit):
    """Teach numba ``function`` on two vectors, and on a vector and a float32."""
    pairs = [(vector, vector), (vector, types.float32), (types.float32, vector)]

    @infer_global(function)
    class Template(ConcreteTemplate):
        cases = [signature(result, *pair) for pair in pairs]  # noqa: RUF012

    for pair in pairs:

        @lower_builtin(function, *pair)
        def lower(context, builder, sig, args):
            first, second = (lift(builder, k, v, vector.width) for k, v in zip(sig.args, args, strict=True))
            return emit(builder, first, second)


_ARITHMETIC = {operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul", operator.truediv: "fdiv"}
_ORDER = {operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">="}
for _vector, _mask in OF_WIDTH.values():
    for _function, _name in _ARITHMETIC.items():
        _define_operator(_function, _vector, _vector, lambda b, x, y, _name=_name: getattr(b, _name)(x, y))
    for _function, _sign in _ORDER.items():
        _define_operator(
            _function, _vector, _mask, lambda b, x, y, _sign=_sign: b.fcmp_ordered(_sign, x, y)
        )


@infer_global(operator.and_)
class _AndTemplate(ConcreteTemplate):
    cases = [signature(kind, kind, kind) for kind in (mask, mask16)]  # noqa: RUF012


@lower_builtin(operator.and_, mask, mask)
@lower_builtin(operator.and_, mask16, mask16)
def _lower_and(context, builder, sig, args):
    return builder.and_(*args)


@infer_global(operator.neg)
class _NegativeTemplate(ConcreteTemplate):
    cases = [signature(kind, kind) for kind in (floats, floats16)]  # noqa: RUF012


@lower_builtin(operator.neg, floats)
@lower_builtin(operator.neg, floats16)
def _lower_negative(context, builder, sig, args):
    return builder.fneg(args[0])
