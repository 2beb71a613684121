// The functions of cuBLAS that CuPy's dot, matmul, tensordot and einsum call, for float and double, as plain loops.
// What is not here answers NOT_SUPPORTED (libraries.py adds it), and CuPy raises CUBLASError.
// Matrices lie column after column: element (row, column) of A is A[row + column * lda].
#include <stddef.h>
#include <atomic>
#include <cstdint>
#include <vector>

namespace {

enum { SUCCESS = 0, ALLOCATION_FAILED = 3, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };         // cublasStatus_t
enum { FLOAT = 0, DOUBLE = 1 };                     // cudaDataType

std::atomic<uint64_t> calls{0};                     // CuPy calls cuBLAS without Python's lock
int (*note)(intptr_t stream, int (*play)(void *), const void *arguments, size_t bytes, const intptr_t *addresses,
            int count);                             // of runtime/graph.c

struct Handle {
    void *stream, *workspace;
    int math_mode, pointer_mode;                    // where alpha and beta lie: here the device's memory is the host's
};

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
struct Products {
    int count;
    bool transpose_a, transpose_b;
    int m, n, k;
    T alpha;
    const T *A;
    long lda, step_a;
    const T *B;
    long ldb, step_b;
    T beta;
    T *C;
    long ldc, step_c;

    static int play(void *address)
    {
        const Products &p = *(const Products *)address;
        for (long i = 0; i < p.count; i++)
            product(p.transpose_a, p.transpose_b, p.m, p.n, p.k, p.alpha, p.A + i * p.step_a, p.lda, p.B + i * p.step_b,
                    p.ldb, p.beta, p.C + i * p.step_c, p.ldc);
        return 0;
    }
};

template <class T>
int products(void *handle, Products<T> all)
{
    Handle &mine = *(Handle *)handle;
    const intptr_t addresses[] = {(intptr_t)all.A, (intptr_t)all.B, (intptr_t)all.C, (intptr_t)mine.workspace};
    calls++;
    switch (note((intptr_t)mine.stream, Products<T>::play, &all, sizeof all, addresses, 4)) {
    case 0: return Products<T>::play(&all);
    // Without a workspace given to it, cuBLAS would take memory while the stream captures.
    case 1: return mine.workspace ? SUCCESS : ALLOCATION_FAILED;
    case 2: return SUCCESS;                         // the device is idle
    default: return EXECUTION_FAILED;
    }
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

void emulation_note_with(void *function)
{
    note = (decltype(note))function;
}

int cublasCreate_v2(void **handle)
{
    *handle = new Handle{};
    return SUCCESS;
}

int cublasDestroy_v2(void *handle)
{
    delete (Handle *)handle;
    return SUCCESS;
}

int cublasGetVersion_v2(void *, int *version)
{
    *version = 130000;
    return SUCCESS;
}

// The workspace goes back to cuBLAS's own with it.
int cublasSetStream_v2(void *handle, void *value)
{
    ((Handle *)handle)->stream = value;
    ((Handle *)handle)->workspace = nullptr;
    return SUCCESS;
}

int cublasSetWorkspace_v2(void *handle, void *workspace, size_t)
{
    ((Handle *)handle)->workspace = workspace;
    return SUCCESS;
}

int cublasGetStream_v2(void *handle, void **value)
{
    *value = ((Handle *)handle)->stream;
    return SUCCESS;
}

int cublasSetMathMode(void *handle, int value)
{
    ((Handle *)handle)->math_mode = value;
    return SUCCESS;
}

int cublasGetMathMode(void *handle, int *value)
{
    *value = ((Handle *)handle)->math_mode;
    return SUCCESS;
}

int cublasSetPointerMode_v2(void *handle, int value)
{
    ((Handle *)handle)->pointer_mode = value;
    return SUCCESS;
}

int cublasGetPointerMode_v2(void *handle, int *value)
{
    *value = ((Handle *)handle)->pointer_mode;
    return SUCCESS;
}

int cublasSgemm_v2(void *handle, int ta, int tb, int m, int n, int k, const float *alpha, const float *A, int lda,
                   const float *B, int ldb, const float *beta, float *C, int ldc)
{
    return products<float>(handle, {1, ta != 0, tb != 0, m, n, k, *alpha, A, lda, 0, B, ldb, 0, *beta, C, ldc, 0});
}

int cublasDgemm_v2(void *handle, int ta, int tb, int m, int n, int k, const double *alpha, const double *A, int lda,
                   const double *B, int ldb, const double *beta, double *C, int ldc)
{
    return products<double>(handle, {1, ta != 0, tb != 0, m, n, k, *alpha, A, lda, 0, B, ldb, 0, *beta, C, ldc, 0});
}

int cublasSgemmStridedBatched(void *handle, int ta, int tb, int m, int n, int k, const float *alpha,
                              const float *A, int lda, long long step_a, const float *B, int ldb, long long step_b,
                              const float *beta, float *C, int ldc, long long step_c, int count)
{
    return products<float>(handle, {count, ta != 0, tb != 0, m, n, k, *alpha, A, lda, step_a, B, ldb, step_b, *beta, C, ldc, step_c});
}

int cublasDgemmStridedBatched(void *handle, int ta, int tb, int m, int n, int k, const double *alpha,
                              const double *A, int lda, long long step_a, const double *B, int ldb, long long step_b,
                              const double *beta, double *C, int ldc, long long step_c, int count)
{
    return products<double>(handle, {count, ta != 0, tb != 0, m, n, k, *alpha, A, lda, step_a, B, ldb, step_b, *beta, C, ldc, step_c});
}

int cublasGemmStridedBatchedEx(void *handle, int ta, int tb, int m, int n, int k, const void *alpha,
                               const void *A, int type_a, int lda, long long step_a,
                               const void *B, int type_b, int ldb, long long step_b, const void *beta,
                               void *C, int type_c, int ldc, long long step_c, int count, int, int)
{
    if (type_a == FLOAT && type_b == FLOAT && type_c == FLOAT)
        return products<float>(handle, {count, ta != 0, tb != 0, m, n, k, *(const float *)alpha, (const float *)A, lda, step_a,
                        (const float *)B, ldb, step_b, *(const float *)beta, (float *)C, ldc, step_c});
    if (type_a == DOUBLE && type_b == DOUBLE && type_c == DOUBLE)
        return products<double>(handle, {count, ta != 0, tb != 0, m, n, k, *(const double *)alpha, (const double *)A, lda, step_a,
                        (const double *)B, ldb, step_b, *(const double *)beta, (double *)C, ldc, step_c});
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
