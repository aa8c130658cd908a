"""Asking for memory ahead of time: rows that are read in a random order come a hundred nanoseconds late."""

from __future__ import annotations

AHEAD = 8  # samples
FETCHING = '''from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic


@intrinsic
def fetch(typing_context, address):
    """Ask for the cache line at an address; nothing waits for it."""

    def generate(context, builder, signature, args):
        pointer = builder.inttoptr(args[0], ir.PointerType(ir.IntType(8)))
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, word, word, word])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
        builder.call(prefetch, [pointer, word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(types.intp), generate


@fast
def fetch_row(a, row):
    """Ask for the beginning of a row; the rest follows by itself."""
    begin = a.ctypes.data + row * a.strides[0]
    for offset in range(0, min(a.strides[0], 1024), 64):
        fetch(begin + offset)


@fast
def fetch_entry(a, place):
    """Ask for an entry."""
    fetch(a.ctypes.data + place * a.strides[0])
'''
