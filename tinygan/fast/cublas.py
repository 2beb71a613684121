"""Matrix products on a GPU that a CUDA graph can hold.

CuPy refuses its own cuBLAS handle while a stream captures. So the library, which CuPy has loaded, is called directly, with a
handle of one's own; with a workspace of its own too, or cuBLAS would take memory in the middle of the capture.
"""
import ctypes

from ..errors import TinyganError

WORKSPACE = 32 << 20            # bytes, as NVIDIA recommends for its newer GPUs
GEMM = {"f": ("cublasSgemm_v2", ctypes.c_float), "d": ("cublasDgemm_v2", ctypes.c_double)}


class Products:
    """matmul(a, b, out=None) for CuPy's matrices, or a row and a matrix, of float32 or float64; for one stream at a time."""

    def __init__(self):
        import cupy
        self.cupy, self.handle, self.workspace = cupy, ctypes.c_void_p(), cupy.empty(WORKSPACE, "uint8")
        cupy.cuda.Device().cublas_handle                    # so that the library is there
        self.library = ctypes.CDLL(f"libcublas.so.{cupy.cuda.runtime.runtimeGetVersion() // 1000}")
        self._call("cublasCreate_v2", ctypes.byref(self.handle))

    def follow(self, stream):
        """Work on this stream from now on."""
        self._call("cublasSetStream_v2", self.handle, ctypes.c_void_p(stream.ptr))         # it takes the workspace away
        self._call("cublasSetWorkspace_v2", self.handle, _at(self.workspace), ctypes.c_size_t(WORKSPACE))

    def matmul(self, a, b, out=None):
        n, k, m = a.size // len(b), len(b), b.shape[1]
        if n == m == 1:         # CuPy has a kernel of its own for a sum of products, which a graph can hold
            return self.cupy.matmul(a, b, out=out)
        if out is None:
            out = self.cupy.empty(a.shape[:-1] + (m,), a.dtype)
        (a, turned_a, pitch_a), (b, turned_b, pitch_b) = self._read(a.reshape(n, k) if a.ndim == 1 else a), self._read(b)
        name, real = GEMM[a.dtype.char]
        one, zero = ctypes.byref(real(1)), ctypes.byref(real(0))
        # Column after column, as cuBLAS reads, C = A B is Cᵀ = Bᵀ Aᵀ.
        self._call(name, self.handle, turned_b, turned_a, m, n, k, one, _at(b), pitch_b, _at(a), pitch_a, zero, _at(out), m)
        return out

    def _read(self, matrix):
        """(the matrix, or a copy that lies in a way cuBLAS can read, is it turned?, numbers from one row to the next)"""
        down, along = (stride // matrix.itemsize for stride in matrix.strides)
        if along == 1 and down >= matrix.shape[1]:
            return matrix, 0, down
        if down == 1 and along >= matrix.shape[0]:
            return matrix, 1, along
        matrix = self.cupy.ascontiguousarray(matrix)
        return matrix, 0, matrix.shape[1]

    def _call(self, name, *arguments):
        status = getattr(self.library, name)(*arguments)
        if status:
            raise TinyganError(f"got status {status} from {name}, expected 0: train with --no-graph")


def _at(array):
    return ctypes.c_void_p(array.data.ptr)
