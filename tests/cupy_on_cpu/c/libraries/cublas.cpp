// The functions of cuBLAS that CuPy's dot, matmul, tensordot and einsum call, for float and double, as plain loops.
// What is not here answers NOT_SUPPORTED (libraries.py adds it), and CuPy raises CUBLASError.
// Matrices lie column after column: element (row, column) of A is A[row + column * lda].
#include <stddef.h>
#include <atomic>
#include <cstdint>
#include <vector>

namespace {

enum { SUCCESS = 0, NOT_SUPPORTED = 15 };           // cublasStatus_t
enum { FLOAT = 0, DOUBLE = 1 };                     // cudaDataType

std::atomic<uint64_t> calls{0};                     // CuPy calls cuBLAS without Python's lock
void *stream;
int math_mode, pointer_mode;

// C ← alpha · op(A) op(B) + beta · C,  op(A) (m, k), op(B) (k, n);  with beta = 0, C is not read.
template <class T>
void product(bool transpose_a, bool transpose_b, int m, int n, int k, T alpha, const T *A, long lda,
             const T *B, long ldb, T beta, T *C, long ldc)
{
    std::vector<T> a((size_t)m * k), column(m);     // op(A), so that the innermost loop runs along a column
    for (long p = 0; p < k; p++)
        for (long i = 0; i < m; i++)
            a[i + p * m] = transpose_a ? A[p + i * lda] : A[i + p * lda];
    for (long j = 0; j < n; j++) {
        column.assign(m, 0);
        for (long p = 0; p < k; p++) {
            T b = transpose_b ? B[j + p * ldb] : B[p + j * ldb];
            for (long i = 0; i < m; i++)
                column[i] += a[i + p * m] * b;
        }
        for (long i = 0; i < m; i++)
            C[i + j * ldc] = alpha * column[i] + (beta != 0 ? beta * C[i + j * ldc] : 0);
    }
}

// As many products as there are; A, B and C advance by their steps from one to the next.
template <class T>
int products(int count, bool transpose_a, bool transpose_b, int m, int n, int k, T alpha, const T *A, long lda,
             long step_a, const T *B, long ldb, long step_b, T beta, T *C, long ldc, long step_c)
{
    calls++;
    for (long i = 0; i < count; i++)
        product(transpose_a, transpose_b, m, n, k, alpha, A + i * step_a, lda, B + i * step_b, ldb, beta,
                C + i * step_c, ldc);
    return SUCCESS;
}

}

extern "C" {

uint64_t emulation_products(void)
{
    return calls;
}

void emulation_reset_products(void)
{
    calls = 0;
}

int cublasCreate_v2(void **handle)
{
    *handle = &calls;                               // any address but 0
    return SUCCESS;
}

int cublasDestroy_v2(void *)
{
    return SUCCESS;
}

int cublasGetVersion_v2(void *, int *version)
{
    *version = 130000;
    return SUCCESS;
}

int cublasSetStream_v2(void *, void *value)
{
    stream = value;
    return SUCCESS;
}

int cublasGetStream_v2(void *, void **value)
{
    *value = stream;
    return SUCCESS;
}

int cublasSetMathMode(void *, int value)
{
    math_mode = value;
    return SUCCESS;
}

int cublasGetMathMode(void *, int *value)
{
    *value = math_mode;
    return SUCCESS;
}

int cublasSetPointerMode_v2(void *, int value)
{
    pointer_mode = value;                           // where alpha and beta lie: here the device's memory is the host's
    return SUCCESS;
}

int cublasGetPointerMode_v2(void *, int *value)
{
    *value = pointer_mode;
    return SUCCESS;
}

int cublasSgemm_v2(void *, int ta, int tb, int m, int n, int k, const float *alpha, const float *A, int lda,
                   const float *B, int ldb, const float *beta, float *C, int ldc)
{
    return products(1, ta, tb, m, n, k, *alpha, A, lda, 0, B, ldb, 0, *beta, C, ldc, 0);
}

int cublasDgemm_v2(void *, int ta, int tb, int m, int n, int k, const double *alpha, const double *A, int lda,
                   const double *B, int ldb, const double *beta, double *C, int ldc)
{
    return products(1, ta, tb, m, n, k, *alpha, A, lda, 0, B, ldb, 0, *beta, C, ldc, 0);
}

int cublasSgemmStridedBatched(void *, int ta, int tb, int m, int n, int k, const float *alpha,
                              const float *A, int lda, long long step_a, const float *B, int ldb, long long step_b,
                              const float *beta, float *C, int ldc, long long step_c, int count)
{
    return products(count, ta, tb, m, n, k, *alpha, A, lda, step_a, B, ldb, step_b, *beta, C, ldc, step_c);
}

int cublasDgemmStridedBatched(void *, int ta, int tb, int m, int n, int k, const double *alpha,
                              const double *A, int lda, long long step_a, const double *B, int ldb, long long step_b,
                              const double *beta, double *C, int ldc, long long step_c, int count)
{
    return products(count, ta, tb, m, n, k, *alpha, A, lda, step_a, B, ldb, step_b, *beta, C, ldc, step_c);
}

int cublasGemmStridedBatchedEx(void *, int ta, int tb, int m, int n, int k, const void *alpha,
                               const void *A, int type_a, int lda, long long step_a,
                               const void *B, int type_b, int ldb, long long step_b, const void *beta,
                               void *C, int type_c, int ldc, long long step_c, int count, int, int)
{
    if (type_a == FLOAT && type_b == FLOAT && type_c == FLOAT)
        return products(count, ta, tb, m, n, k, *(const float *)alpha, (const float *)A, lda, step_a,
                        (const float *)B, ldb, step_b, *(const float *)beta, (float *)C, ldc, step_c);
    if (type_a == DOUBLE && type_b == DOUBLE && type_c == DOUBLE)
        return products(count, ta, tb, m, n, k, *(const double *)alpha, (const double *)A, lda, step_a,
                        (const double *)B, ldb, step_b, *(const double *)beta, (double *)C, ldc, step_c);
    return NOT_SUPPORTED;
}

int cublasGemmEx(void *handle, int ta, int tb, int m, int n, int k, const void *alpha,
                 const void *A, int type_a, int lda, const void *B, int type_b, int ldb, const void *beta,
                 void *C, int type_c, int ldc, int compute_type, int algorithm)
{
    return cublasGemmStridedBatchedEx(handle, ta, tb, m, n, k, alpha, A, type_a, lda, 0, B, type_b, ldb, 0, beta,
                                      C, type_c, ldc, 0, 1, compute_type, algorithm);
}

int cublasSgemmEx(void *handle, int ta, int tb, int m, int n, int k, const float *alpha,
                  const void *A, int type_a, int lda, const void *B, int type_b, int ldb, const float *beta,
                  void *C, int type_c, int ldc)
{
    if (type_a != FLOAT)
        return NOT_SUPPORTED;
    return cublasGemmEx(handle, ta, tb, m, n, k, alpha, A, type_a, lda, B, type_b, ldb, beta, C, type_c, ldc, 0, 0);
}

}
