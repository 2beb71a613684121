/* Modules and kernels. A module is a shared library that kernels.py has compiled; beside each kernel it exports a
 * function <kernel>__launch, made with kernel/threads.h, that runs all threads of a launch. */
#include "emulation.h"
#include "../launch.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUFFIX "__launch"
#define ARGUMENTS 256                   /* of a kernel, at most */

typedef int (*launcher)(const struct launch *);         /* returns 0 if all went well */

/* image: the path of the library, where CUDA would find the machine code itself. */
intptr_t driver_moduleLoadData(PyObject *image, int skip)
{
    const char *path = PyBytes_AsString(image);
    if (!path)
        return 0;
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module)
        failed(dlerror());
    return (intptr_t)module;
}

PyObject *driver_moduleUnload(intptr_t module, int skip)
{
    Py_RETURN_NONE;
}

static intptr_t symbol(intptr_t module, const char *name)
{
    void *address = dlsym((void *)module, name);
    if (!address)
        failed(dlerror());
    return (intptr_t)address;
}

intptr_t driver_moduleGetFunction(intptr_t module, PyObject *name, int skip)
{
    char full_name[4096];
    const char *kernel = PyUnicode_AsUTF8(name);
    if (!kernel)
        return 0;
    snprintf(full_name, sizeof full_name, "%s%s", kernel, SUFFIX);
    return symbol(module, full_name);
}

intptr_t driver_moduleGetGlobal(intptr_t module, PyObject *name, int skip)
{
    const char *variable = PyUnicode_AsUTF8(name);
    return variable ? symbol(module, variable) : 0;
}

static int within_limits(const struct launch *launch)
{
    const unsigned *grid = launch->grid, *block = launch->block;
    for (int axis = 0; axis < 3; axis++)
        if (grid[axis] == 0 || block[axis] == 0)
            return 0;
    return grid[0] <= GRID_X && grid[1] <= GRID_Y && grid[2] <= GRID_Z
        && block[0] <= BLOCK_X && block[1] <= BLOCK_Y && block[2] <= BLOCK_Z
        && (uint64_t)block[0] * block[1] * block[2] <= BLOCK_THREADS
        && launch->shared_bytes <= SHARED_BYTES_AT_MOST;
}

static const char *name_of(intptr_t kernel)
{
    static char name[256];
    Dl_info about;
    if (!dladdr((void *)kernel, &about) || !about.dli_sname)
        return "a kernel";
    snprintf(name, sizeof name, "%.*s", (int)(strlen(about.dli_sname) - strlen(SUFFIX)), about.dli_sname);
    return name;
}

/* A launch that a graph keeps: behind it lie the arguments, each at a place that any type can have. */
struct kept {
    launcher kernel;
    struct launch launch;
    int count;
    size_t offsets[ARGUMENTS];
};

static size_t rounded_up(size_t size)
{
    return (size + 15) / 16 * 16;
}

static int play(void *address)
{
    struct kept *kept = address;
    void *arguments[ARGUMENTS];
    for (int i = 0; i < kept->count; i++)
        arguments[i] = (char *)address + kept->offsets[i];
    kept->launch.arguments = arguments;
    return kept->kernel(&kept->launch);
}

static void note_launch(intptr_t stream, launcher kernel, const struct launch *launch)
{
    size_t sizes[ARGUMENTS], size = rounded_up(sizeof(struct kept));
    struct launch question = *launch;
    question.sizes = sizes;
    struct kept kept = {kernel, *launch, kernel(&question), {0}};
    intptr_t addresses[ARGUMENTS] = {0};    /* a pointer, or the array whose first field is one; or a number, never the like */
    for (int i = 0; i < kept.count; i++) {
        kept.offsets[i] = size;
        size += rounded_up(sizes[i]);
        if (sizes[i] >= sizeof *addresses)
            memcpy(&addresses[i], launch->arguments[i], sizeof *addresses);
    }
    char *all = calloc(1, size);
    memcpy(all, &kept, sizeof kept);
    for (int i = 0; i < kept.count; i++)
        memcpy(all + kept.offsets[i], launch->arguments[i], sizes[i]);
    note(stream, play, all, size, addresses, kept.count);
    free(all);
}

PyObject *driver_launchKernel(intptr_t kernel, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                              unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                              intptr_t stream, intptr_t arguments, intptr_t extra, int skip)
{
    struct launch launch = {{grid_x, grid_y, grid_z}, {block_x, block_y, block_z},
                            shared_bytes, backwards, (void **)arguments, NULL};
    if (extra)
        return not_emulated("a launch with its arguments in one buffer");
    if (!within_limits(&launch))
        return failed("a launch whose grid, block or shared memory is empty or larger than a GPU allows");
    if (captures(stream) < 0)
        return outside_of_capture("a launch on another stream");
    counters.launches++;
    if (captures(stream)) {
        if (!idle)
            note_launch(stream, (launcher)kernel, &launch);
        Py_RETURN_NONE;
    }
    if (((launcher)kernel)(&launch))
        return failed("only a part of a block came to a barrier: on a GPU it would wait for ever");
    if (guard && margins_damaged())
        return PyErr_Format(PyExc_RuntimeError, "cupy_on_cpu: %s, or a matrix product before it, wrote beside an array",
                            name_of(kernel));
    Py_RETURN_NONE;
}

/* CUfunction_attribute 0 is the number of threads that a block of this kernel may have. */
int driver_funcGetAttribute(int attribute, intptr_t kernel, int skip)
{
    if (attribute == 0)
        return BLOCK_THREADS;
    not_emulated("this attribute of a kernel");
    return -2;
}

PyObject *driver_funcSetAttribute(intptr_t kernel, int attribute, int value, int skip)
{
    Py_RETURN_NONE;                     /* it can ask for more shared memory, which there is */
}

int driver_occupancyMaxActiveBlocksPerMultiprocessor(intptr_t kernel, int threads, size_t shared_bytes, int skip)
{
    return 2;
}
