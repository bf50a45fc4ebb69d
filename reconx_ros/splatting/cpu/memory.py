"""Reading and writing vectors (see ``lanes``) inside numba kernels.

Indices are not checked and must not be negative.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from reconx_ros.splatting.cpu.lanes import FLOATS, INT, LANES, constants, floats, floats16, mask


def _address(context, builder, kind, array, index, element=None):
    data = context.make_array(kind)(context, builder, array).data
    pointer = builder.gep(data, [index])
    return pointer if element is None else builder.bitcast(pointer, element.as_pointer())


@intrinsic
def load(context, array, index):
    """Return eight consecutive floats of a contiguous 1D float32 array."""
    return floats(array, types.intp), _loading(floats)


@intrinsic
def load16(context, array, index):
    """Return sixteen consecutive floats of a contiguous 1D float32 array."""
    return floats16(array, types.intp), _loading(floats16)


def _loading(vector):
    def generate(context, builder, sig, args):
        return builder.load(_address(context, builder, sig.args[0], *args, vector.floats), align=4)

    return generate


@intrinsic
def store(context, array, index, value):
    """Write eight or sixteen consecutive floats of a contiguous 1D float32 array."""

    def generate(context, builder, sig, args):
        builder.store(args[2], _address(context, builder, sig.args[0], *args[:2], value.floats), align=4)

    return types.void(array, types.intp, value), generate


@intrinsic
def store_range(context, array, index, first, last):
    """Write eight int32 to a contiguous 1D array: ``first``, and ``last`` 16 bits further, both whole."""

    def generate(context, builder, sig, args):
        low, high = (builder.fptosi(value, first.ints) for value in args[2:])
        packed = builder.or_(low, builder.shl(high, constants([16] * first.width)))
        builder.store(packed, _address(context, builder, sig.args[0], *args[:2], first.ints), align=4)

    return types.void(array, types.intp, first, first), generate


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
        kinds = [pointer.type, INT, INT, INT]
        name = "llvm.prefetch.p0"
        declared = builder.module.globals.get(name)
        if declared is None:
            declared = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), kinds), name)
        builder.call(declared, [pointer, *(ir.Constant(INT, number) for number in (0, 3, 1))])

    return types.void(array, types.intp), generate


@intrinsic
def load_flags(context, array, index):
    """Return eight consecutive items of a contiguous 1D bool array as a mask."""

    def generate(context, builder, sig, args):
        bytes_ = ir.VectorType(ir.IntType(8), LANES)
        value = builder.load(_address(context, builder, sig.args[0], *args, bytes_), align=1)
        return builder.icmp_unsigned("!=", value, ir.Constant(bytes_, [0] * LANES))

    return mask(array, types.intp), generate


@intrinsic
def count_up(context, array, index, where):
    """Add 1 to those of eight consecutive items of a contiguous 1D int32 array that a mask has set."""

    def generate(context, builder, sig, args):
        pointer = _address(context, builder, sig.args[0], *args[:2], floats.ints)
        sum_ = builder.add(builder.load(pointer, align=4), builder.zext(args[2], floats.ints))
        builder.store(sum_, pointer, align=4)

    return types.void(array, types.intp, mask), generate


@intrinsic
def look_up(context, table, array, index):
    """Return the entries of a float32 table at eight consecutive items of a 1D int32 array.

    Items beyond the end of the table stand for its last entry; they must not be negative.
    """

    def generate(context, builder, sig, args):
        held = context.make_array(sig.args[0])(context, builder, args[0])
        last = builder.sub(builder.trunc(held.nitems, INT), ir.Constant(INT, 1))
        value = ir.Constant(FLOATS, ir.Undefined)
        wanted = builder.load(_address(context, builder, sig.args[1], *args[1:], floats.ints), align=4)
        for lane in range(LANES):
            at = builder.extract_element(wanted, ir.Constant(INT, lane))
            at = builder.select(builder.icmp_signed("<", at, last), at, last)
            item = builder.load(builder.gep(held.data, [builder.zext(at, ir.IntType(64))]))
            value = builder.insert_element(value, item, ir.Constant(INT, lane))
        return value

    return floats(table, array, types.intp), generate


def _load_rows(width):
    def generate(context, builder, sig, args):
        kind = ir.VectorType(FLOATS.element, width * LANES)
        all_ = builder.load(_address(context, builder, sig.args[0], *args, kind), align=4)
        numbers = [
            builder.shuffle_vector(all_, all_, constants(range(k, width * LANES, width)))
            for k in range(width)
        ]
        return context.make_tuple(builder, sig.return_type, numbers)

    return generate


@intrinsic
def load_rows3(context, array, index):
    """Return the three numbers of eight consecutive rows: ``gather`` with a stride of 3, three times."""
    return types.UniTuple(floats, 3)(array, types.intp), _load_rows(3)


@intrinsic
def load_rows4(context, array, index):
    """Return the four numbers of eight consecutive rows."""
    return types.UniTuple(floats, 4)(array, types.intp), _load_rows(4)


@intrinsic
def store_rows(context, array, index, rows):
    """Write a tuple of three or four numbers of eight consecutive rows."""
    width = len(rows)

    def generate(context, builder, sig, args):
        numbers = [builder.extract_value(args[2], k) for k in range(width)]
        all_ = numbers[0]
        for k in range(1, width):  # concatenate, the last padded to the length of the others
            longer = constants([min(lane, LANES - 1) for lane in range(k * LANES)])
            other = builder.shuffle_vector(numbers[k], numbers[k], longer)
            first = [*range(k * LANES), *range(k * LANES, (k + 1) * LANES)]
            all_ = builder.shuffle_vector(all_, other, constants(first))
        order = [k * LANES + lane for lane in range(LANES) for k in range(width)]
        all_ = builder.shuffle_vector(all_, all_, constants(order))
        builder.store(all_, _address(context, builder, sig.args[0], *args[:2], all_.type), align=4)

    return types.void(array, types.intp, rows), generate


@intrinsic
def gather(context, array, index, stride):
    """Return the floats at index, index + stride, ... of a contiguous 1D float32 array."""

    def generate(context, builder, sig, args):
        value, at = ir.Constant(FLOATS, ir.Undefined), args[1]
        for lane in range(LANES):
            item = builder.load(_address(context, builder, sig.args[0], args[0], at))
            value = builder.insert_element(value, item, ir.Constant(INT, lane))
            at = builder.add(at, args[2])
        return value

    return floats(array, types.intp, types.intp), generate


@intrinsic
def scatter(context, array, index, stride, value):
    """Write the lanes to index, index + stride, ... of a contiguous 1D float32 array."""

    def generate(context, builder, sig, args):
        at = args[1]
        for lane in range(LANES):
            item = builder.extract_element(args[3], ir.Constant(INT, lane))
            builder.store(item, _address(context, builder, sig.args[0], args[0], at))
            at = builder.add(at, args[2])

    return types.void(array, types.intp, types.intp, floats), generate


@intrinsic
def fetch_add(context, array, index, amount):
    """Add to an item of a 1D int64 array as one indivisible step and return what it was before."""

    def generate(context, builder, sig, args):
        return builder.atomic_rmw(
            "add", _address(context, builder, sig.args[0], *args[:2]), args[2], "monotonic"
        )

    return types.int64(array, types.intp, types.int64), generate
