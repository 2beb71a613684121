// Atomic operations. Threads run one after the other, so they are plain ones. All return what was there before.
#pragma once

template <class T>
static inline T emulated_exchange(T *address, T value)
{
    T before = *address;
    *address = value;
    return before;
}

#define FOR_EACH_ATOMIC_INTEGER(define) define(int) define(unsigned) define(unsigned long long)

#define DEFINE_ATOMICS(T)                                                                                             \
    static inline T atomicAdd(T *a, T value) { return emulated_exchange(a, (T)(*a + value)); }                        \
    static inline T atomicSub(T *a, T value) { return emulated_exchange(a, (T)(*a - value)); }                        \
    static inline T atomicExch(T *a, T value) { return emulated_exchange(a, value); }                                 \
    static inline T atomicMax(T *a, T value) { return emulated_exchange(a, value > *a ? value : *a); }                \
    static inline T atomicMin(T *a, T value) { return emulated_exchange(a, value < *a ? value : *a); }                \
    static inline T atomicAnd(T *a, T value) { return emulated_exchange(a, (T)(*a & value)); }                        \
    static inline T atomicOr(T *a, T value) { return emulated_exchange(a, (T)(*a | value)); }                         \
    static inline T atomicXor(T *a, T value) { return emulated_exchange(a, (T)(*a ^ value)); }                        \
    static inline T atomicCAS(T *a, T expected, T value) { return emulated_exchange(a, *a == expected ? value : *a); }

FOR_EACH_ATOMIC_INTEGER(DEFINE_ATOMICS)

static inline float atomicAdd(float *address, float value)
{
    return emulated_exchange(address, *address + value);
}

static inline double atomicAdd(double *address, double value)
{
    return emulated_exchange(address, *address + value);
}
