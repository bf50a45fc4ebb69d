"""Reading and writing the 4 x 4 pixels of a cell as the lanes of one vector.

``index`` is the first number of the cell's first row and ``stride`` the numbers from row to row.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from reconx_ros.splatting.cpu.lanes import FLOAT, constants, floats16

SIDE = 4


def _pointer(context, builder, kind, array, index, stride, row, width):
    data = context.make_array(kind)(context, builder, array).data
    at = builder.add(index, builder.mul(stride, ir.Constant(ir.IntType(64), row)))
    return builder.bitcast(builder.gep(data, [at]), ir.VectorType(FLOAT, width).as_pointer())


def _joined(builder, rows):
    """Return four vectors of four as one."""
    top, bottom = (
        builder.shuffle_vector(first, second, constants(range(8))) for first, second in (rows[:2], rows[2:])
    )
    return builder.shuffle_vector(top, bottom, constants(range(16)))


def _row_of(builder, value, row):
    return builder.shuffle_vector(value, value, constants(range(SIDE * row, SIDE * row + SIDE)))


def _read(context, builder, sig, args, width):
    return [
        builder.load(_pointer(context, builder, sig.args[0], *args, row, width), align=4)
        for row in range(SIDE)
    ]


@intrinsic
def load_cell(context, array, index, stride):
    """Return the pixels of a cell of a flat image of one number a pixel."""

    def generate(context, builder, sig, args):
        return _joined(builder, _read(context, builder, sig, args, SIDE))

    return floats16(array, types.intp, types.intp), generate


@intrinsic
def store_cell(context, array, index, stride, value):
    """Write the pixels of a cell of a flat image of one number a pixel."""

    def generate(context, builder, sig, args):
        for row in range(SIDE):
            pointer = _pointer(context, builder, sig.args[0], *args[:3], row, SIDE)
            builder.store(_row_of(builder, args[3], row), pointer, align=4)

    return types.void(array, types.intp, types.intp, floats16), generate


@intrinsic
def load_color_cell(context, array, index, stride):
    """Return red, green and blue of the pixels of a cell of a flat image of three numbers a pixel."""

    def generate(context, builder, sig, args):
        rows = _read(context, builder, sig, args, 3 * SIDE)
        channels = [
            _joined(builder, [builder.shuffle_vector(r, r, constants(range(k, 12, 3))) for r in rows])
            for k in range(3)
        ]
        return context.make_tuple(builder, sig.return_type, channels)

    return types.UniTuple(floats16, 3)(array, types.intp, types.intp), generate


@intrinsic
def store_color_cell(context, array, index, stride, red, green, blue):
    """Write red, green and blue of the pixels of a cell of a flat image of three numbers a pixel."""

    def generate(context, builder, sig, args):
        for row in range(SIDE):
            red, green, blue = (_row_of(builder, value, row) for value in args[3:])
            both = builder.shuffle_vector(red, green, constants(range(8)))
            wide = builder.shuffle_vector(blue, blue, constants([0, 1, 2, 3, 0, 1, 2, 3]))
            order = [lane + channel for lane in range(SIDE) for channel in (0, SIDE, 2 * SIDE)]
            mixed = builder.shuffle_vector(both, wide, constants(order))
            pointer = _pointer(context, builder, sig.args[0], *args[:3], row, 3 * SIDE)
            builder.store(mixed, pointer, align=4)

    return types.void(array, types.intp, types.intp, floats16, floats16, floats16), generate
