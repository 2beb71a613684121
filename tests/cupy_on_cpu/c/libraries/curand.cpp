// The functions of cuRAND that cupy.random.RandomState calls. The numbers are not cuRAND's.
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace {

enum { SUCCESS = 0, LENGTH_NOT_MULTIPLE = 105 };    // curandStatus_t

struct Generator {
    uint64_t state = 0;
};

// splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014)
uint64_t next(Generator *generator)
{
    uint64_t z = generator->state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

// in (0, 1], as cuRAND's uniform numbers are
double uniform(Generator *generator)
{
    return ((next(generator) >> 11) + 1) * 0x1p-53;
}

double normal(Generator *generator)
{
    double radius = std::sqrt(-2 * std::log(uniform(generator)));
    return radius * std::cos(2 * M_PI * uniform(generator));
}

// cuRAND makes normal numbers in pairs and refuses an odd number of them.
template <class T>
int fill_normal(Generator *generator, T *numbers, size_t count, T mean, T deviation)
{
    if (count % 2)
        return LENGTH_NOT_MULTIPLE;
    for (size_t i = 0; i < count; i++)
        numbers[i] = (T)(mean + deviation * normal(generator));
    return SUCCESS;
}

}

extern "C" {

int curandCreateGenerator(Generator **generator, int)
{
    *generator = new Generator;
    return SUCCESS;
}

int curandDestroyGenerator(Generator *generator)
{
    delete generator;
    return SUCCESS;
}

int curandGetVersion(int *version)
{
    *version = 10400;
    return SUCCESS;
}

int curandSetStream(Generator *, void *)
{
    return SUCCESS;
}

int curandSetPseudoRandomGeneratorSeed(Generator *generator, unsigned long long seed)
{
    generator->state = seed;
    return SUCCESS;
}

int curandSetGeneratorOffset(Generator *, unsigned long long)
{
    return SUCCESS;
}

int curandGenerate(Generator *generator, unsigned *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        numbers[i] = (unsigned)next(generator);
    return SUCCESS;
}

int curandGenerateUniform(Generator *generator, float *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        numbers[i] = (float)uniform(generator);
    return SUCCESS;
}

int curandGenerateUniformDouble(Generator *generator, double *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        numbers[i] = uniform(generator);
    return SUCCESS;
}

int curandGenerateNormal(Generator *generator, float *numbers, size_t count, float mean, float deviation)
{
    return fill_normal(generator, numbers, count, mean, deviation);
}

int curandGenerateNormalDouble(Generator *generator, double *numbers, size_t count, double mean, double deviation)
{
    return fill_normal(generator, numbers, count, mean, deviation);
}

}
