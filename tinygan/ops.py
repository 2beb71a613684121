"""Elementary operations: each states its equation, computes its value, and gives its derivative.

    record(value, (x, lambda g, y: gᵀ ∂y/∂x))        g: cotangent of the output, y: the output itself

The derivative is written in these same operations, so gradients of gradients come by themselves.
An operand may be a Tensor, an array of the same dtype and library, or a number (which takes the dtype of the
Tensor beside it). Shapes broadcast as in NumPy.
"""
import numpy as np

from .backend import array_module, is_number, number_like, same_kind
from .errors import TinyganError, axes_of, beside, check_reshape, common_shape, order_of, terms
from .fast import pick, pointwise
from .fast.kernels import fused, product, total
from .tensor import Tensor, record


def _tensor(x):
    return x if isinstance(x, Tensor) else Tensor(x)


def _value(x):
    return x.data if isinstance(x, Tensor) else x


def _operands(a, b):
    """The two operands with one dtype, one library and one shape; a number stays one."""
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        if is_number(a):
            return number_like(a, _tensor(b).dtype), _tensor(b)
        a = _tensor(a)
        if is_number(b):
            return a, number_like(b, a.dtype)
        b = _tensor(b)
    same_kind(a.data, b.data)
    if a.shape != b.shape:
        shape = common_shape(a.shape, b.shape)
        a, b = broadcast_to(a, shape), broadcast_to(b, shape)
    return a, b


# Broadcasting and its adjoint, the sum. Every operand of unequal shape passes through broadcast_to, so this
# is the one place where broadcasting is undone.

def broadcast_to(x, shape):
    """y = x repeated along new and unit axes.  Adjoint: each x receives the sum over its copies."""
    if x.shape == tuple(shape):
        return x
    return record(array_module(x.data).broadcast_to(x.data, shape), (x, lambda g, y: sum_to(g, x.shape)))


def sum_to(x, shape):
    """x summed over the axes that broadcast_to(·, x.shape) would add or stretch.  Adjoint: broadcast_to."""
    if x.shape == tuple(shape):
        return x
    new = x.ndim - len(shape)
    stretched = tuple(i + new for i, size in enumerate(shape) if size == 1 and x.shape[i + new] != 1)
    added = pick(plain_total, total)(x.data, tuple(range(new)) + stretched).reshape(shape)
    return record(added, (x, lambda g, y: broadcast_to(g, x.shape)))


def plain_total(array, axes):
    """Σ over the axes, which stay as axes of length 1."""
    return array.sum(axis=axes, keepdims=True)


# Arithmetic

def add(a, b):
    """y = a + b          ∂y/∂a = 1   ∂y/∂b = 1"""
    a, b = _operands(a, b)
    return record(_value(a) + _value(b), (a, lambda g, y: g), (b, lambda g, y: g))


def subtract(a, b):
    """y = a − b          ∂y/∂a = 1   ∂y/∂b = −1"""
    a, b = _operands(a, b)
    return record(_value(a) - _value(b), (a, lambda g, y: g), (b, lambda g, y: -g))


def multiply(a, b):
    """y = a·b            ∂y/∂a = b   ∂y/∂b = a"""
    a, b = _operands(a, b)
    return record(_value(a) * _value(b), (a, lambda g, y: g * b), (b, lambda g, y: g * a))


def divide(a, b):
    """y = a/b            ∂y/∂a = 1/b   ∂y/∂b = −a/b² = −y/b"""
    a, b = _operands(a, b)
    return record(_value(a) / _value(b), (a, lambda g, y: g / b), (b, lambda g, y: -(g * y / b)))


def negative(x):
    """y = −x             ∂y/∂x = −1"""
    return record(-x.data, (x, lambda g, y: -g))


def power(x, n):
    """y = xⁿ             ∂y/∂x = n·xⁿ⁻¹     (n a plain number)"""
    if not is_number(n):
        raise TinyganError(f"got an exponent of type {type(n).__name__}, expected a plain number: "
                           "write exp(log(x) * n) for a Tensor n")
    return record(x.data ** number_like(n, x.dtype), (x, lambda g, y: g * n * x ** (n - 1) if n != 0 else g * 0))


# Functions of one variable

def exp(x):
    """y = eˣ             ∂y/∂x = y"""
    return record(array_module(x.data).exp(x.data), (x, lambda g, y: g * y))


def log(x):
    """y = ln x           ∂y/∂x = 1/x"""
    return record(array_module(x.data).log(x.data), (x, lambda g, y: g / x))


def sqrt(x):
    """y = √x             ∂y/∂x = 1/(2y)"""
    return record(array_module(x.data).sqrt(x.data), (x, lambda g, y: g / (2 * y)))


def absolute(x):
    """y = |x|            ∂y/∂x = sign x  (0 at the kink)"""
    sign = Tensor(array_module(x.data).sign(x.data))
    return record(abs(x.data), (x, lambda g, y: g * sign))


def tanh(x):
    """y = tanh x         ∂y/∂x = 1 − y²"""
    return record(array_module(x.data).tanh(x.data), (x, lambda g, y: g * (1 - y * y)))


def sigmoid(x):
    """y = σ(x) = 1/(1 + e⁻ˣ)          ∂y/∂x = σ(x)·σ(−x)

    Computed as e^min(x, 0) / (1 + e^−|x|): no exponent is positive, so nothing overflows, and small values keep
    all their digits."""
    with np.errstate(under="ignore"):       # e^−|x| may round to 0, which is then its right value
        value = fused(_sigmoid, x.data, numbers=(0, 1))
    return record(value, (x, lambda g, y: g * y * sigmoid(-x)))


def _sigmoid(x, zero, one):
    xp = array_module(x)
    return xp.exp(xp.minimum(x, zero)) / (one + xp.exp(-xp.abs(x)))


def softplus(x):
    """y = ln(1 + eˣ)     ∂y/∂x = σ(x)

    Computed as max(x, 0) + ln(1 + e^−|x|), which is exact and finite for every x."""
    with np.errstate(under="ignore"):
        value = fused(_softplus, x.data, numbers=(0,))
    return record(value, (x, lambda g, y: g * sigmoid(x)))


def _softplus(x, zero):
    xp = array_module(x)
    return xp.maximum(x, zero) + xp.log1p(xp.exp(-xp.abs(x)))


def leaky_relu(x, slope):
    """y = x where x > 0, slope·x elsewhere          ∂y/∂x = 1 or slope   (0 ≤ slope < 1; at x = 0: slope)

    y > 0 where x > 0, so the derivative can be told from y as well."""
    value = pick(plain_leaky_relu, pointwise.leaky_relu)(x.data, slope)
    return record(value, (x, lambda g, y: g * Tensor(slopes(y.data, slope))),
                  joint=lambda g, y, wanted: [pointwise.leaky_relu_backward(g, y, slope)])


def plain_leaky_relu(x, slope):
    """The larger of x and slope·x, since slope < 1."""
    return array_module(x).maximum(x, x * x.dtype.type(slope))


def slopes(y, slope):
    """The array 1 where y > 0, slope elsewhere."""
    return array_module(y).where(y > 0, y.dtype.type(1), y.dtype.type(slope))


def maxout(x, pieces):
    """y[n, i] = max_j x[n, j·k + i]        x (N, pieces·k), y (N, k), j < pieces

    ∂y/∂x is 1 for the largest of the pieces and 0 for the others; several that are equally large share it.
    Source: Goodfellow et al., "Maxout Networks" (2013), section 3."""
    if x.ndim != 2 or x.shape[1] % pieces:
        raise TinyganError(f"maxout of {pieces} pieces got shape {x.shape}, expected (N, a multiple of {pieces}): "
                           "let the layer before it give as many features")
    shape = (x.shape[0], pieces, x.shape[1] // pieces)

    def share(g, y):
        largest = (x.data.reshape(shape) == y.data[:, None]).astype(x.dtype)
        weights = Tensor(largest / largest.sum(axis=1, keepdims=True))
        return reshape(reshape(g, shape[0], 1, shape[2]) * weights, x.shape)

    return record(x.data.reshape(shape).max(axis=1), (x, share))


# Sums, products, shapes

def sum(x, axis=None, keepdims=False):
    """y = Σ x over the given axes (all of them for None).  Adjoint: y's cotangent goes to every term."""
    axes = axes_of(axis, x.ndim)
    kept = pick(plain_total, total)(x.data, axes)
    return record(kept if keepdims else kept.squeeze(axes), (x, lambda g, y: broadcast_to(reshape(g, kept.shape), x.shape)))


def mean(x, axis=None, keepdims=False):
    """y = Σ x / M        M: number of terms"""
    return sum(x, axis, keepdims) * (1 / terms(x.shape, axis))


def matmul(a, b):
    """Y = A B  for A (n, k), B (k, m)          ∂L/∂A = G Bᵀ    ∂L/∂B = Aᵀ G"""
    a, b = _tensor(a), _tensor(b)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise TinyganError(f"a matrix product of shapes {a.shape} and {b.shape}: expected (n, k) and (k, m)")
    same_kind(a.data, b.data)
    return record(product(a.data)(a.data, b.data), (a, lambda g, y: g @ b.T), (b, lambda g, y: a.T @ g))


def reshape(x, *shape):
    """y = the same elements in another shape.  Adjoint: the old shape again."""
    shape = shape[0] if len(shape) == 1 and not isinstance(shape[0], (int, np.integer)) else shape
    check_reshape(x.shape, shape)
    return record(x.data.reshape(shape), (x, lambda g, y: reshape(g, x.shape)))


def transpose(x, *axes):
    """y = x with its axes in another order (reversed if none is given).  Adjoint: the inverse permutation."""
    axes = order_of(axes, x.ndim)
    return record(x.data.transpose(axes), (x, lambda g, y: transpose(g, *map(axes.index, range(x.ndim)))))


def getitem(x, index):
    """y = x[index] for integers and slices.  Adjoint: the cotangent stands at the index, 0 elsewhere."""
    items = index if isinstance(index, tuple) else (index,)
    if not all(i is None or i is Ellipsis or isinstance(i, (int, slice, np.integer)) for i in items):
        raise TinyganError("a Tensor is indexed with integers, slices, None and ... only")
    return record(x.data[index], (x, lambda g, y: _place(g, index, x.shape)))


def _place(x, index, shape):
    """y = 0 everywhere but y[index] = x: the adjoint of getitem, as getitem is its."""
    y = array_module(x.data).zeros(shape, x.dtype)
    y[index] = x.data
    return record(y, (x, lambda g, y: getitem(g, index)))


def concatenate(tensors, axis=0):
    """y = the tensors side by side along the axis.  Adjoint: each receives its own part of the cotangent."""
    tensors = [_tensor(x) for x in tensors]
    axis = beside([x.shape for x in tensors], axis)
    for x in tensors[1:]:
        same_kind(tensors[0].data, x.data)
    ends = np.cumsum([x.shape[axis] for x in tensors])

    def part(x, end):
        index = (slice(None),) * axis + (slice(int(end) - x.shape[axis], int(end)),)
        return x, lambda g, y: getitem(g, index)

    value = array_module(tensors[0].data).concatenate([x.data for x in tensors], axis)
    return record(value, *[part(x, end) for x, end in zip(tensors, ends)])


# What a Tensor can do

Tensor.__add__ = Tensor.__radd__ = add
Tensor.__mul__ = Tensor.__rmul__ = multiply
Tensor.__sub__, Tensor.__rsub__ = subtract, lambda b, a: subtract(a, b)
Tensor.__truediv__, Tensor.__rtruediv__ = divide, lambda b, a: divide(a, b)
Tensor.__matmul__, Tensor.__rmatmul__ = matmul, lambda b, a: matmul(a, b)
Tensor.__neg__, Tensor.__pow__, Tensor.__abs__ = negative, power, absolute
Tensor.__getitem__ = getitem
Tensor.sum, Tensor.mean, Tensor.reshape, Tensor.transpose = sum, mean, reshape, transpose
Tensor.exp, Tensor.log, Tensor.sqrt, Tensor.tanh, Tensor.sigmoid = exp, log, sqrt, tanh, sigmoid
Tensor.T = property(transpose)
