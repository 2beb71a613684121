// Stands before the CUDA text of every kernel, so that g++ compiles it for the host: CUDA's words, types and variables.
#pragma once

// Not only <cmath>: as in CUDA, abs, exp and so on must take floats in the global namespace too. Where only C's
// `int abs(int)` is there, abs(-0.5) is 0, in silence.
#include <math.h>
#include <stdlib.h>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __shared__ static               // one block runs at a time, so one copy serves them all
#define __restrict__ __restrict
#ifndef __align__
#define __align__(bytes) __attribute__((aligned(bytes)))
#endif
#define __CUDACC_VER_MAJOR__ 13         // makes CuPy's float16.cuh include <cuda_fp16.h>: the one beside this file

typedef unsigned int uint;
typedef unsigned short ushort;

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct float2 {
    float x, y;
};

struct double2 {
    double x, y;
};

static uint3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;
static const int warpSize = 32;

#include "arithmetic.h"
#include "atomics.h"
#include "threads.h"
