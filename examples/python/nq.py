#!/usr/bin/env python3
"""Reads .nq files with libnq, through ctypes alone: a module of one file to copy.

    import nq
    with nq.Reader("model.nq") as model:
        for tensor in model:
            print(tensor.name, tensor.dtype, tensor.shape)
        values = model.decode("fc1.weight")           # array.array("f"), flat, row-major
        model.decode_into("fc1.weight", buffer)       # any writable buffer: numpy's, torch's, mmap's

As a program it lists a file's tensors, or writes the values of one to standard output, as F32 in
the machine's byte order:

    python3 nq.py model.nq [TENSOR]

The library is libnq.so.0 where the loader looks for it, or what the environment's NQ_LIBRARY names.
"""

import array
import collections
import ctypes
import mmap
import os
import sys

F32, F16, BF16 = 0, 1, 2
_MAX_RANK = 8
_NONE = 2**64 - 1

Tensor = collections.namedtuple(
    "Tensor", "index name dtype shape n_elements payload_bytes quantized n_levels")


class Error(Exception):
    """A status of the library other than NQ_OK; `status` is its number."""

    def __init__(self, status, detail=""):
        super().__init__(_library().nq_status_text(status).decode() + (f": {detail}" if detail else ""))
        self.status = status


class _Diag(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("status", ctypes.c_int32),
                ("tensor", ctypes.c_uint64), ("element", ctypes.c_uint64),
                ("byte_offset", ctypes.c_uint64), ("wanted", ctypes.c_uint64),
                ("value", ctypes.c_double), ("what", ctypes.c_char * 104),
                ("input", ctypes.c_uint32), ("is_loose", ctypes.c_uint32)]


class _ReaderInfo(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("version", ctypes.c_uint32),
                ("required_features", ctypes.c_uint32), ("optional_features", ctypes.c_uint32),
                ("n_tensors", ctypes.c_uint32), ("n_metadata", ctypes.c_uint32),
                ("n_codebooks", ctypes.c_uint32), ("n_code_tables", ctypes.c_uint32),
                ("file_bytes", ctypes.c_uint64), ("original_bytes", ctypes.c_uint64),
                ("index_bytes", ctypes.c_uint64), ("n_elements", ctypes.c_uint64),
                ("n_quantized_elements", ctypes.c_uint64)]


class _TensorInfo(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("dtype", ctypes.c_uint32),
                ("rank", ctypes.c_uint32), ("name_bytes", ctypes.c_uint32),
                ("dims", ctypes.c_uint64 * _MAX_RANK), ("name", ctypes.c_void_p),
                ("unused", ctypes.c_void_p), ("n_elements", ctypes.c_uint64),
                ("payload_bytes", ctypes.c_uint64), ("payload_offset", ctypes.c_uint64),
                ("codec", ctypes.c_uint32), ("method", ctypes.c_uint32),
                ("level_rule", ctypes.c_uint32), ("n_levels", ctypes.c_uint32),
                ("codebook", ctypes.c_uint32), ("code_table", ctypes.c_uint32),
                ("block_log2", ctypes.c_uint32), ("level_storage", ctypes.c_uint32),
                ("step", ctypes.c_double), ("channel_axis", ctypes.c_uint32),
                ("n_channels", ctypes.c_uint32), ("n_stored_levels", ctypes.c_uint64)]


_loaded = None


def _library():
    global _loaded
    if _loaded is None:
        lib = ctypes.CDLL(os.environ.get("NQ_LIBRARY", "libnq.so.0"))
        pointer, size, u32, u64 = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_uint64
        for name, result, arguments in [
                ("nq_status_text", ctypes.c_char_p, [ctypes.c_int32]),
                ("nq_dtype_name", ctypes.c_char_p, [u32]),
                ("nq_dtype_bits", u32, [u32]),
                ("nq_diag_init_sized", None, [pointer, u32]),
                ("nq_reader_open", ctypes.c_int32, [pointer, pointer, pointer, size, pointer]),
                ("nq_reader_destroy", None, [pointer]),
                ("nq_reader_get_info", ctypes.c_int32, [pointer, pointer]),
                ("nq_reader_tensor", ctypes.c_int32, [pointer, u64, pointer]),
                ("nq_reader_decode", ctypes.c_int32,
                 [pointer, pointer, u64, u32, u64, u64, pointer, pointer])]:
            function = getattr(lib, name)
            function.restype, function.argtypes = result, arguments
        _loaded = lib
    return _loaded


def _new_diag():
    diag = _Diag()
    _library().nq_diag_init_sized(ctypes.byref(diag), ctypes.sizeof(diag))
    return diag


def _check(status, diag=None):
    if status != 0:
        raise Error(status, diag.what.decode("ascii", "replace") if diag else "")


class Reader:
    """An open file; a sequence of Tensor in the file's order."""

    def __init__(self, source):
        """source: a path, or bytes."""
        self._handle = ctypes.c_void_p()
        if isinstance(source, (bytes, bytearray, memoryview)):
            memory = bytearray(source)
        else:
            with open(source, "rb") as f:
                size = os.fstat(f.fileno()).st_size
                memory = mmap.mmap(f.fileno(), size, access=mmap.ACCESS_COPY) if size else bytearray()
        self._bytes = (ctypes.c_char * len(memory)).from_buffer(memory)
        diag = _new_diag()
        _check(_library().nq_reader_open(ctypes.byref(self._handle), None, self._bytes, len(memory),
                                         ctypes.byref(diag)), diag)
        info = _ReaderInfo(struct_size=ctypes.sizeof(_ReaderInfo))
        _check(_library().nq_reader_get_info(self._handle, ctypes.byref(info)))
        self._tensors = [self._tensor(i) for i in range(info.n_tensors)]
        self._by_name = {tensor.name: tensor for tensor in reversed(self._tensors)}

    def _tensor(self, index):
        info = _TensorInfo(struct_size=ctypes.sizeof(_TensorInfo))
        _check(_library().nq_reader_tensor(self._handle, index, ctypes.byref(info)))
        name = ctypes.string_at(info.name, info.name_bytes).decode("utf-8", "surrogateescape")
        dtype = _library().nq_dtype_name(info.dtype).decode()
        return Tensor(index, name, dtype, tuple(info.dims[:info.rank]), info.n_elements,
                      info.payload_bytes, info.n_levels > 0, info.n_levels)

    def close(self):
        """Gives everything back; nothing can be decoded any more."""
        if self._handle:
            _library().nq_reader_destroy(self._handle)
            self._handle = ctypes.c_void_p()
            self._bytes = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __del__(self):
        self.close()

    def __len__(self):
        return len(self._tensors)

    def __getitem__(self, key):
        """By number or by name; IndexError or KeyError."""
        return self._by_name[key] if isinstance(key, str) else self._tensors[key]

    def decode_into(self, key, buffer, dtype=F32, first=0, count=None):
        """Elements first ... first + count - 1 of a tensor, as dtype, into a writable buffer."""
        if not self._handle:
            raise ValueError("the file is closed")
        tensor = self[key]
        count = tensor.n_elements - first if count is None else count
        if first < 0 or count < 0:
            raise ValueError("a range before the tensor's start")
        view = memoryview(buffer).cast("B")
        if view.nbytes * 8 < count * _library().nq_dtype_bits(dtype):
            raise ValueError(f"{view.nbytes} bytes are too few for {count} elements")
        out = (ctypes.c_char * view.nbytes).from_buffer(view)
        diag = _new_diag()
        _check(_library().nq_reader_decode(self._handle, None, tensor.index, dtype, first, count, out,
                                           ctypes.byref(diag)), diag)

    def decode(self, key, first=0, count=None):
        """Values as array.array of floats."""
        count = self[key].n_elements - first if count is None else count
        values = array.array("f", bytes(4 * max(count, 0)))
        if count != 0:
            self.decode_into(key, values, F32, first, count)
        return values


def main(arguments):
    if not 1 <= len(arguments) <= 2 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    with Reader(arguments[0]) as model:
        if len(arguments) == 2:
            sys.stdout.buffer.write(model.decode(arguments[1]).tobytes())
            return 0
        for t in model:
            how = f"{t.n_levels} levels" if t.quantized else "stored"
            print(f"{t.name}: {t.dtype} {list(t.shape)}, {t.payload_bytes} bytes, {how}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Error, OSError, KeyError) as problem:
        sys.exit(f"nq.py: {problem}")
