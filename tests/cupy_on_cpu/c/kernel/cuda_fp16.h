// float16: numbers of 1 sign bit, 5 bits of exponent (bias 15) and 10 of mantissa. Reckoning is done in float.
#pragma once

// to the nearest, to the even one if there are two
static inline unsigned short float_to_half_bits(float value)
{
    unsigned bits = __float_as_uint(value), sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
    if (size > 0x7f800000u)
        return sign | 0x7e00u;                                          // NaN
    if (size >= 0x477ff000u)
        return sign | 0x7c00u;                                          // 65520 and more: infinity
    if (size < 0x38800000u)                                             // below 2^-14: a multiple of 2^-24
        return sign | (unsigned short)nearbyintf(__uint_as_float(size) * 0x1p24f);
    unsigned rounded = size + 0xfffu + (size >> 13 & 1u);               // 13 bits of the mantissa go
    return sign | (unsigned short)((rounded - (112u << 23)) >> 13);     // 112 = 127 - 15: the biases
}

static inline float half_bits_to_float(unsigned short bits)
{
    unsigned sign = (bits & 0x8000u) << 16, exponent = bits >> 10 & 31u, mantissa = bits & 0x3ffu;
    if (exponent == 31)
        return __uint_as_float(sign | 0x7f800000u | mantissa << 13);    // infinity or NaN
    if (exponent == 0)
        return __uint_as_float(sign | __float_as_uint(mantissa * 0x1p-24f));
    return __uint_as_float(sign | (exponent + 112u) << 23 | mantissa << 13);
}

struct __half_raw {
    unsigned short x;
};

struct half {
    unsigned short bits;
    half() {}
    half(const __half_raw &raw) : bits(raw.x) {}
    half(float value) : bits(float_to_half_bits(value)) {}
    explicit half(bool value) : half((float)value) {}
    explicit half(int value) : half((float)value) {}
    explicit half(unsigned value) : half((float)value) {}
    explicit half(long long value) : half((float)value) {}
    explicit half(unsigned long long value) : half((float)value) {}
    explicit half(double value) : half((float)value) {}
    operator float() const { return half_bits_to_float(bits); }
    operator __half_raw() const { return __half_raw{bits}; }
};

typedef half __half;

static inline half __ushort_as_half(unsigned short bits) { return half(__half_raw{bits}); }
static inline unsigned short __half_as_ushort(half value) { return value.bits; }
static inline half __float2half(float value) { return half(value); }
static inline float __half2float(half value) { return (float)value; }
