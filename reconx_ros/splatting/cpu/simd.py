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
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 8
_FLOAT = ir.FloatType()
_INT = ir.IntType(32)
_FLOATS = ir.VectorType(_FLOAT, LANES)
_INTS = ir.VectorType(_INT, LANES)
_MASK = ir.VectorType(ir.IntType(1), LANES)


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
        super().__init__(dmm, fe_type, _FLOATS)


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _MASK)


def _spread(builder, value):
    """Return a vector with a scalar in every lane."""
    one = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), value, ir.Constant(_INT, 0))
    return builder.shuffle_vector(one, one, ir.Constant(_INTS, [0] * LANES))


def _lift(builder, kind, value):
    return value if kind == floats else _spread(builder, value)


def _define_operator(function, result, emit):
    """Teach numba ``function`` on two vectors, and on a vector and a float32."""
    pairs = [(floats, floats), (floats, types.float32), (types.float32, floats)]

    @infer_global(function)
    class Template(ConcreteTemplate):
        cases = [signature(result, *pair) for pair in pairs]  # noqa: RUF012

    for pair in pairs:

        @lower_builtin(function, *pair)
        def lower(context, builder, sig, args):
            first, second = (_lift(builder, k, v) for k, v in zip(sig.args, args, strict=True))
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


def _promoted(kinds):
    """Return the signature of a function of vectors and numbers: a vector as soon as there is one."""
    result = floats if floats in kinds else types.float32
    return result(*(kind if kind == floats else types.float32 for kind in kinds))


def _lift_all(builder, sig, args):
    """Return the arguments as vectors if the result is one."""
    if sig.return_type != floats:
        return args
    return [_lift(builder, kind, value) for kind, value in zip(sig.args, args, strict=True)]


def _elementwise(name):
    """Return code for the LLVM function ``name`` on each lane, or on a single number."""

    def generate(context, builder, sig, args):
        kind, suffix = (_FLOATS, f"v{LANES}f32") if sig.return_type == floats else (_FLOAT, "f32")
        full = f"llvm.{name}.{suffix}"
        declared = builder.module.globals.get(full)
        if declared is None:
            declared = ir.Function(builder.module, ir.FunctionType(kind, [kind] * len(args)), full)
        return builder.call(declared, _lift_all(builder, sig, args))

    return generate


@intrinsic
def square_root(context, x):
    """Return the square root of each lane."""
    return _promoted([x]), _elementwise("sqrt")


@intrinsic
def absolute(context, x):
    """Return the absolute value of each lane."""
    return _promoted([x]), _elementwise("fabs")


@intrinsic
def nearest(context, x):
    """Return the nearest integer of each lane, as floats."""
    return _promoted([x]), _elementwise("rint")


@intrinsic
def down(context, x):
    """Return the floor of each lane."""
    return _promoted([x]), _elementwise("floor")


@intrinsic
def up(context, x):
    """Return the ceiling of each lane."""
    return _promoted([x]), _elementwise("ceil")


@intrinsic
def fma(context, x, y, z):
    """Return x y + z, rounded once."""
    return _promoted([x, y, z]), _elementwise("fma")


def _pick(sign):
    def generate(context, builder, sig, args):
        x, y = _lift_all(builder, sig, args)
        return builder.select(builder.fcmp_ordered(sign, x, y), x, y)

    return generate


@intrinsic
def minimum(context, x, y):
    """Return the smaller of each lane; where either is NaN, y."""
    return _promoted([x, y]), _pick("<")


@intrinsic
def maximum(context, x, y):
    """Return the larger of each lane; where either is NaN, y."""
    return _promoted([x, y]), _pick(">")


@intrinsic
def select(context, condition, x, y):
    """Return x where the mask is set, else y."""

    def generate(context, builder, sig, args):
        x, y = (_lift(builder, k, v) for k, v in zip(sig.args[1:], args[1:], strict=True))
        return builder.select(args[0], x, y)

    return floats(mask, *_promoted([x, y]).args), generate


@intrinsic
def spread(context, x):
    """Return the number x in every lane."""
    return floats(types.float32), lambda c, builder, sig, args: _spread(builder, args[0])


@intrinsic
def ramp(context):
    """Return 0, 1, ... 7."""
    value = ir.Constant(_FLOATS, [float(lane) for lane in range(LANES)])
    return floats(), lambda c, builder, sig, args: value


@intrinsic
def scale_by_power(context, x, exponent):
    """Return x 2^exponent, for whole exponents that keep the result a normal number."""

    def generate(context, builder, sig, args):
        shifted = builder.shl(builder.fptosi(args[1], _INTS), ir.Constant(_INTS, [23] * LANES))
        return builder.bitcast(builder.add(builder.bitcast(args[0], _INTS), shifted), _FLOATS)

    return floats(floats, floats), generate


def _address(context, builder, kind, array, index, element=None):
    data = context.make_array(kind)(context, builder, array).data
    pointer = builder.gep(data, [index])
    return pointer if element is None else builder.bitcast(pointer, element.as_pointer())


@intrinsic
def load(context, array, index):
    """Return eight consecutive floats of a contiguous 1D float32 array."""

    def generate(context, builder, sig, args):
        return builder.load(_address(context, builder, sig.args[0], *args, _FLOATS), align=4)

    return floats(array, types.intp), generate


@intrinsic
def store(context, array, index, value):
    """Write eight consecutive floats of a contiguous 1D float32 array."""

    def generate(context, builder, sig, args):
        builder.store(args[2], _address(context, builder, sig.args[0], *args[:2], _FLOATS), align=4)

    return types.void(array, types.intp, floats), generate


@intrinsic
def store_whole(context, array, index, value):
    """Write eight whole numbers as consecutive items of a contiguous 1D int32 array."""

    def generate(context, builder, sig, args):
        whole = builder.fptosi(args[2], _INTS)
        builder.store(whole, _address(context, builder, sig.args[0], *args[:2], _INTS), align=4)

    return types.void(array, types.intp, floats), generate


@intrinsic
def item(context, array, index):
    """Return an item of a contiguous 1D array; unlike ``array[index]``, index must be >= 0."""

    def generate(context, builder, sig, args):
        return builder.load(_address(context, builder, sig.args[0], *args))

    return array.dtype(array, types.intp), generate


@intrinsic
def prefetch(context, array, index):
    """Ask for the cache line of an item that will be needed soon."""

    def generate(context, builder, sig, args):
        pointer = _address(context, builder, sig.args[0], *args, ir.IntType(8))
        kinds = [pointer.type, _INT, _INT, _INT]
        name = "llvm.prefetch.p0"
        declared = builder.module.globals.get(name)
        if declared is None:
            declared = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), kinds), name)
        builder.call(declared, [pointer, *(ir.Constant(_INT, number) for number in (0, 3, 1))])

    return types.void(array, types.intp), generate


@intrinsic
def gather(context, array, index, stride):
    """Return the floats at index, index + stride, ... of a contiguous 1D float32 array."""

    def generate(context, builder, sig, args):
        value, at = ir.Constant(_FLOATS, ir.Undefined), args[1]
        for lane in range(LANES):
            item = builder.load(_address(context, builder, sig.args[0], args[0], at))
            value = builder.insert_element(value, item, ir.Constant(_INT, lane))
            at = builder.add(at, args[2])
        return value

    return floats(array, types.intp, types.intp), generate


@intrinsic
def scatter(context, array, index, stride, value):
    """Write the lanes to index, index + stride, ... of a contiguous 1D float32 array."""

    def generate(context, builder, sig, args):
        at = args[1]
        for lane in range(LANES):
            item = builder.extract_element(args[3], ir.Constant(_INT, lane))
            builder.store(item, _address(context, builder, sig.args[0], args[0], at))
            at = builder.add(at, args[2])

    return types.void(array, types.intp, types.intp, floats), generate


@intrinsic
def total(context, x):
    """Return the sum of the lanes, added pairwise."""

    def generate(context, builder, sig, args):
        value = args[0]
        for half in (4, 2, 1):
            moved = [(lane + half) % LANES for lane in range(LANES)]
            value = builder.fadd(value, builder.shuffle_vector(value, value, ir.Constant(_INTS, moved)))
        return builder.extract_element(value, ir.Constant(_INT, 0))

    return types.float32(floats), generate


@intrinsic
def any_set(context, x):
    """Return whether any lane of a mask is set."""

    def generate(context, builder, sig, args):
        bits = builder.bitcast(args[0], ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(LANES), 0))

    return types.boolean(mask), generate


@intrinsic
def fetch_add(context, array, index, amount):
    """Add to an item of a 1D int64 array as one indivisible step and return what it was before."""

    def generate(context, builder, sig, args):
        return builder.atomic_rmw(
            "add", _address(context, builder, sig.args[0], *args[:2]), args[2], "monotonic"
        )

    return types.int64(array, types.intp, types.int64), generate


@intrinsic
def totals(context, a, b, c, d, e, f, g, h):
    """Return the sums of the lanes of eight vectors as one vector."""

    def add(builder, x, y, left, right):
        parts = (builder.shuffle_vector(x, y, ir.Constant(_INTS, lanes)) for lanes in (left, right))
        return builder.fadd(*parts)

    def generate(context, builder, sig, args):
        rounds = [
            ([0, 8, 2, 10, 4, 12, 6, 14], [1, 9, 3, 11, 5, 13, 7, 15]),
            ([0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]),
            ([0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]),
        ]
        for left, right in rounds:
            args = [add(builder, x, y, left, right) for x, y in zip(args[::2], args[1::2], strict=True)]
        return args[0]

    return floats(*[floats] * LANES), generate


@intrinsic
def binary_exponent(context, x):
    """Return for positive x the whole n that puts x / 2^n between sqrt(1/2) and sqrt(2)."""

    def generate(context, builder, sig, args):
        bits = builder.sub(builder.bitcast(args[0], _INTS), ir.Constant(_INTS, [0x3F3504F3] * LANES))
        return builder.sitofp(builder.ashr(bits, ir.Constant(_INTS, [23] * LANES)), _FLOATS)

    return floats(floats), generate
