"""Functions of vectors (see ``lanes``) inside numba kernels."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from reconx_ros.splatting.cpu.lanes import (
    FLOAT,
    INT,
    LANES,
    OF_WIDTH,
    FloatsType,
    constants,
    floats,
    floats16,
    lift,
    mask16,
    spread_number,
)


def _promoted(kinds):
    """Return the signature of a function of vectors and numbers: a vector as soon as there is one."""
    result = next((kind for kind in kinds if isinstance(kind, FloatsType)), types.float32)
    return result(*(kind if kind == result else types.float32 for kind in kinds))


def _lift_all(builder, sig, args):
    """Return the arguments as vectors if the result is one."""
    if sig.return_type == types.float32:
        return args
    width = sig.return_type.width
    return [lift(builder, kind, value, width) for kind, value in zip(sig.args, args, strict=True)]


def _elementwise(name):
    """Return code for the LLVM function ``name`` on each lane, or on a single number."""

    def generate(context, builder, sig, args):
        vector = sig.return_type
        kind, suffix = (FLOAT, "f32") if vector == types.float32 else (vector.floats, f"v{vector.width}f32")
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
    vector = OF_WIDTH[condition.width][0]

    def generate(context, builder, sig, args):
        x, y = (lift(builder, k, v, vector.width) for k, v in zip(sig.args[1:], args[1:], strict=True))
        return builder.select(args[0], x, y)

    return vector(condition, *_promoted([vector, x, y]).args[1:]), generate


@intrinsic
def spread(context, x):
    """Return the number x in every lane of eight."""
    return floats(types.float32), lambda c, builder, sig, args: spread_number(builder, args[0])


@intrinsic
def spread16(context, x):
    """Return the number x in every lane of sixteen."""
    return floats16(types.float32), lambda c, builder, sig, args: spread_number(builder, args[0], 16)


def _constant(vector, numbers):
    value = ir.Constant(vector.floats, [float(number) for number in numbers])
    return vector(), lambda c, builder, sig, args: value


@intrinsic
def ramp(context):
    """Return 0, 1, ... 7."""
    return _constant(floats, range(8))


@intrinsic
def ramp16(context):
    """Return 0, 1, ... 15."""
    return _constant(floats16, range(16))


@intrinsic
def columns16(context):
    """Return 0, 1, 2, 3, 0, 1, ...: the columns of a block of 4 x 4."""
    return _constant(floats16, [lane % 4 for lane in range(16)])


@intrinsic
def rows16(context):
    """Return 0, 0, 0, 0, 1, 1, ...: the rows of a block of 4 x 4."""
    return _constant(floats16, [lane // 4 for lane in range(16)])


@intrinsic
def halves16(context):
    """Return eight zeros and eight ones."""
    return _constant(floats16, [lane // 8 for lane in range(16)])


@intrinsic
def twice(context, x):
    """Return the eight lanes of x, and the same again."""

    def generate(context, builder, sig, args):
        return builder.shuffle_vector(args[0], args[0], constants([*range(8), *range(8)]))

    return floats16(floats), generate


@intrinsic
def folded(context, x):
    """Return the sums of lanes 0 and 8, 1 and 9, ... of sixteen."""

    def generate(context, builder, sig, args):
        low, high = (
            builder.shuffle_vector(args[0], args[0], constants(range(start, start + 8))) for start in (0, 8)
        )
        return builder.fadd(low, high)

    return floats(floats16), generate


def _part(start):
    """Return code for eight of sixteen lanes."""
    lanes = constants(range(start, start + LANES))
    return lambda c, builder, sig, args: builder.shuffle_vector(args[0], args[0], lanes)


@intrinsic
def lower(context, x):
    """Return the first eight of sixteen lanes."""
    return floats(floats16), _part(0)


@intrinsic
def upper(context, x):
    """Return the last eight of sixteen lanes."""
    return floats(floats16), _part(LANES)


@intrinsic
def scale_by_power(context, x, exponent):
    """Return x 2^exponent, for whole exponents that keep the result a normal number."""

    def generate(context, builder, sig, args):
        ints = x.ints
        shifted = builder.shl(builder.fptosi(args[1], ints), constants([23] * x.width))
        return builder.bitcast(builder.add(builder.bitcast(args[0], ints), shifted), x.floats)

    return x(x, x), generate


@intrinsic
def total(context, x):
    """Return the sum of the lanes, added pairwise."""

    def generate(context, builder, sig, args):
        value = args[0]
        for half in (4, 2, 1):
            moved = [(lane + half) % LANES for lane in range(LANES)]
            value = builder.fadd(value, builder.shuffle_vector(value, value, constants(moved)))
        return builder.extract_element(value, ir.Constant(INT, 0))

    return types.float32(floats), generate


@intrinsic
def any_set(context, x):
    """Return whether any lane of a mask is set."""
    kind = ir.IntType(x.width)

    def generate(context, builder, sig, args):
        return builder.icmp_unsigned("!=", builder.bitcast(args[0], kind), ir.Constant(kind, 0))

    return types.boolean(x), generate


@intrinsic
def how_many(context, x):
    """Return how many lanes of a mask are set."""
    kind = ir.IntType(x.width)

    def generate(context, builder, sig, args):
        number = builder.ctpop(builder.bitcast(args[0], kind))
        return builder.zext(number, ir.IntType(64))

    return types.int64(x), generate


@intrinsic
def bits16(context, x):
    """Return a mask of sixteen as a whole number: bit k is lane k."""

    def generate(context, builder, sig, args):
        return builder.zext(builder.bitcast(args[0], ir.IntType(16)), ir.IntType(64))

    return types.int64(mask16), generate


@intrinsic
def first_bit(context, bits):
    """Return the number of the lowest bit that is set; ``bits`` must not be 0."""

    def generate(context, builder, sig, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


@intrinsic
def without_first_bit(context, bits):
    """Return ``bits`` with the lowest bit that is set cleared."""

    def generate(context, builder, sig, args):
        return builder.and_(args[0], builder.sub(args[0], ir.Constant(ir.IntType(64), 1)))

    return types.int64(types.int64), generate


@intrinsic
def totals(context, a, b, c, d, e, f, g, h):
    """Return the sums of the lanes of eight vectors as one vector."""

    def add(builder, x, y, left, right):
        parts = (builder.shuffle_vector(x, y, constants(lanes)) for lanes in (left, right))
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
        bits = builder.sub(builder.bitcast(args[0], x.ints), constants([0x3F3504F3] * x.width))
        return builder.sitofp(builder.ashr(bits, constants([23] * x.width)), x.floats)

    return x(x), generate
