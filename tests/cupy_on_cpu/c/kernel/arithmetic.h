// CUDA's arithmetic that C++ has not, or has under another name.
#pragma once

using std::isfinite;
using std::isinf;
using std::isnan;
using std::signbit;

// min and max of two numbers of one type, and of int beside long (CUDA's long long is 64 bits long, as long is here)

#define DEFINE_MIN_MAX(T)                                       \
    static inline T min(T a, T b) { return b < a ? b : a; }     \
    static inline T max(T a, T b) { return a < b ? b : a; }

DEFINE_MIN_MAX(int)
DEFINE_MIN_MAX(unsigned)
DEFINE_MIN_MAX(long)
DEFINE_MIN_MAX(unsigned long)
DEFINE_MIN_MAX(long long)
DEFINE_MIN_MAX(unsigned long long)

static inline long min(int a, long b) { return min((long)a, b); }
static inline long max(int a, long b) { return max((long)a, b); }
static inline long min(long a, int b) { return min(a, (long)b); }
static inline long max(long a, int b) { return max(a, (long)b); }

static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }

static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
static inline float rsqrt(float x) { return 1 / sqrtf(x); }
static inline double rsqrt(double x) { return 1 / ::sqrt(x); }

template <class T>
static inline T __ldg(const T *address)
{
    return *address;
}

// Counting bits

static inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
static inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }

// The same bits read as another type

template <class To, class From>
static inline To same_bits(From value)
{
    static_assert(sizeof(To) == sizeof(From), "");
    To result;
    memcpy(&result, &value, sizeof result);
    return result;
}

static inline float __int_as_float(int x) { return same_bits<float>(x); }
static inline float __uint_as_float(unsigned x) { return same_bits<float>(x); }
static inline int __float_as_int(float x) { return same_bits<int>(x); }
static inline unsigned __float_as_uint(float x) { return same_bits<unsigned>(x); }
static inline double __longlong_as_double(long long x) { return same_bits<double>(x); }
static inline long long __double_as_longlong(double x) { return same_bits<long long>(x); }
static inline int __double2hiint(double x) { return (int)(__double_as_longlong(x) >> 32); }
static inline int __double2loint(double x) { return (int)__double_as_longlong(x); }

static inline double __hiloint2double(int high, int low)
{
    return __longlong_as_double((long long)high << 32 | (unsigned)low);
}
