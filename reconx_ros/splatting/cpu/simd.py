"""Functions of eight-lane vectors (see ``lanes``) inside numba kernels."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from reconx_ros.splatting.cpu.lanes import (
    FLOAT,
    FLOATS,
    INT,
    INTS,
    LANES,
    floats,
    lift,
    mask,
    spread_number,
)


def _promoted(kinds):
    """Return the signature of a function of vectors and numbers: a vector as soon as there is one."""
    result = floats if floats in kinds else types.float32
    return result(*(kind if kind == floats else types.float32 for kind in kinds))


def _lift_all(builder, sig, args):
    """Return the arguments as vectors if the result is one."""
    if sig.return_type != floats:
        return args
    return [lift(builder, kind, value) for kind, value in zip(sig.args, args, strict=True)]


def _elementwise(name):
    """Return code for the LLVM function ``name`` on each lane, or on a single number."""

    def generate(context, builder, sig, args):
        kind, suffix = (FLOATS, f"v{LANES}f32") if sig.return_type == floats else (FLOAT, "f32")
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
        x, y = (lift(builder, k, v) for k, v in zip(sig.args[1:], args[1:], strict=True))
        return builder.select(args[0], x, y)

    return floats(mask, *_promoted([x, y]).args), generate


@intrinsic
def spread(context, x):
    """Return the number x in every lane."""
    return floats(types.float32), lambda c, builder, sig, args: spread_number(builder, args[0])


@intrinsic
def ramp(context):
    """Return 0, 1, ... 7."""
    value = ir.Constant(FLOATS, [float(lane) for lane in range(LANES)])
    return floats(), lambda c, builder, sig, args: value


@intrinsic
def scale_by_power(context, x, exponent):
    """Return x 2^exponent, for whole exponents that keep the result a normal number."""

    def generate(context, builder, sig, args):
        shifted = builder.shl(builder.fptosi(args[1], INTS), ir.Constant(INTS, [23] * LANES))
        return builder.bitcast(builder.add(builder.bitcast(args[0], INTS), shifted), FLOATS)

    return floats(floats, floats), generate


@intrinsic
def total(context, x):
    """Return the sum of the lanes, added pairwise."""

    def generate(context, builder, sig, args):
        value = args[0]
        for half in (4, 2, 1):
            moved = [(lane + half) % LANES for lane in range(LANES)]
            value = builder.fadd(value, builder.shuffle_vector(value, value, ir.Constant(INTS, moved)))
        return builder.extract_element(value, ir.Constant(INT, 0))

    return types.float32(floats), generate


@intrinsic
def any_set(context, x):
    """Return whether any lane of a mask is set."""

    def generate(context, builder, sig, args):
        bits = builder.bitcast(args[0], ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(LANES), 0))

    return types.boolean(mask), generate


@intrinsic
def totals(context, a, b, c, d, e, f, g, h):
    """Return the sums of the lanes of eight vectors as one vector."""

    def add(builder, x, y, left, right):
        parts = (builder.shuffle_vector(x, y, ir.Constant(INTS, lanes)) for lanes in (left, right))
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
        bits = builder.sub(builder.bitcast(args[0], INTS), ir.Constant(INTS, [0x3F3504F3] * LANES))
        return builder.sitofp(builder.ashr(bits, ir.Constant(INTS, [23] * LANES)), FLOATS)

    return floats(floats), generate
