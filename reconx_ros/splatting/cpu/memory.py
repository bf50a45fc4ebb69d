"""Reading and writing vectors (see ``lanes``) inside numba kernels.

Indices are not checked and must not be negative.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from reconx_ros.splatting.cpu.lanes import FLOATS, INT, LANES, constants, floats, floats16


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
