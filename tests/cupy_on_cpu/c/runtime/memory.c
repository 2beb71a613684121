/* The device's memory: blocks of host memory, one for each array, of which a table is kept.
 *
 * A fresh block is filled with 0xFF, which is NaN in every float type: what is read before it is written shows.
 * In guard mode a block lies between two fences, pages that may not be touched, its end as near to the second as
 * alignment allows; the bytes between block and fences keep their 0xFF, unless somebody writes where no array is. */
#include "emulation.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096
#define FENCE (1 << 20)                 /* bytes of a fence: no memory, mere addresses */
#define ALIGNMENT 16                    /* the most that a kernel's types ask for */
#define POISON 0xFF

struct block {
    char *start;
    size_t size;
    char *mapping;                      /* guard mode: the pages between the fences, or NULL */
    size_t mapped;
};

static struct block *blocks;
static size_t block_count, block_capacity;
size_t bytes_in_use;

static size_t rounded_up(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

/* The block that holds the address, or NULL. */
static struct block *block_of(intptr_t address)
{
    for (size_t i = 0; i < block_count; i++) {
        char *start = blocks[i].start;
        if ((char *)address >= start && (char *)address < start + blocks[i].size)
            return &blocks[i];
    }
    return NULL;
}

int on_device(intptr_t address)
{
    return block_of(address) != NULL;
}

/* Do all `size` bytes from the address on lie in one block? */
static int inside_block(intptr_t address, size_t size)
{
    struct block *block = block_of(address);
    return block && (char *)address + size <= block->start + block->size;
}

static int all_poison(const char *from, const char *to)
{
    for (; from < to; from++)
        if ((unsigned char)*from != POISON)
            return 0;
    return 1;
}

int margins_damaged(void)
{
    for (size_t i = 0; i < block_count; i++) {
        struct block *block = &blocks[i];
        if (block->mapping && (!all_poison(block->mapping, block->start) ||
                               !all_poison(block->start + block->size, block->mapping + block->mapped)))
            return 1;
    }
    return 0;
}

/* Space for block->size bytes; returns 0 if there is none. */
static int reserve(struct block *block)
{
    size_t size = block->size ? block->size : 1;
    if (!guard) {
        block->mapping = NULL;
        return posix_memalign((void **)&block->start, 512, size) == 0;      /* aligned as cudaMalloc's blocks are */
    }
    block->mapped = rounded_up(size, PAGE);
    char *fences = mmap(NULL, block->mapped + 2 * FENCE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fences == MAP_FAILED)
        return 0;
    block->mapping = fences + FENCE;
    block->start = block->mapping + block->mapped - rounded_up(size, ALIGNMENT);
    if (mprotect(block->mapping, block->mapped, PROT_READ | PROT_WRITE) != 0)
        return 0;
    memset(block->mapping, POISON, block->mapped);
    return 1;
}

intptr_t runtime_malloc(size_t size, int skip)
{
    struct block block = {.size = size};
    if (block_count == block_capacity) {
        block_capacity = block_capacity ? 2 * block_capacity : 256;
        blocks = realloc(blocks, block_capacity * sizeof *blocks);
    }
    if (!reserve(&block)) {
        PyErr_NoMemory();
        return 0;
    }
    memset(block.start, POISON, size);
    blocks[block_count++] = block;
    bytes_in_use += size;
    counters.allocations++;
    return (intptr_t)block.start;
}

PyObject *runtime_free(intptr_t address, int skip)
{
    size_t i = 0;
    while (i < block_count && blocks[i].start != (char *)address)
        i++;
    if (address == 0)
        Py_RETURN_NONE;
    if (i == block_count)
        return failed("cudaFree of an address that is no array's");
    struct block block = blocks[i];
    blocks[i] = blocks[--block_count];
    bytes_in_use -= block.size;
    forget_addresses(block.start, block.size);
    if (block.mapping)
        munmap(block.mapping - FENCE, block.mapped + 2 * FENCE);
    else
        free(block.start);
    Py_RETURN_NONE;
}

/* Page-locked memory of the host: any memory will do. */
intptr_t runtime_hostAlloc(size_t size, unsigned flags, int skip)
{
    void *start = malloc(size ? size : 1);
    if (!start)
        PyErr_NoMemory();
    return (intptr_t)start;
}

PyObject *runtime_freeHost(intptr_t address, int skip)
{
    free((void *)address);
    Py_RETURN_NONE;
}

/* cudaMemcpyKind: one bit for each side that is the device, or "find out". */
enum { TO_DEVICE = 1, FROM_DEVICE = 2, DEVICE_TO_DEVICE = 3, FIND_OUT = 4 };

struct filling {
    char *start;
    int value;
    size_t size;
};

static int fill(void *arguments)
{
    struct filling *filling = arguments;
    memset(filling->start, filling->value, filling->size);
    return 0;
}

struct copying {
    char *to, *from;
    size_t size;
};

static int move(void *arguments)
{
    struct copying *copying = arguments;
    memmove(copying->to, copying->from, copying->size);
    return 0;
}

/* A graph would read and write the host's memory at every launch, whatever lies there by then: that is refused. */
static PyObject *copy(intptr_t to, intptr_t from, size_t size, int kind, intptr_t stream)
{
    struct copying copying = {(char *)to, (char *)from, size};
    if (size == 0)
        Py_RETURN_NONE;
    if (kind == FIND_OUT)
        kind = (on_device(to) ? TO_DEVICE : 0) | (on_device(from) ? FROM_DEVICE : 0);
    int to_fits = kind & TO_DEVICE ? inside_block(to, size) : !on_device(to);
    int from_fits = kind & FROM_DEVICE ? inside_block(from, size) : !on_device(from);
    if (!to_fits || !from_fits)
        return failed("a copy whose direction does not fit its addresses, or that runs past the end of an array");

    if (kind == TO_DEVICE) {
        counters.h2d++;
        counters.h2d_bytes += size;
    }
    if (kind == FROM_DEVICE) {
        counters.d2h++;
        counters.d2h_bytes += size;
    }
    if (kind == DEVICE_TO_DEVICE)
        counters.d2d++;
    if (captures(stream) < 0 || (captures(stream) == 1 && kind != DEVICE_TO_DEVICE))
        return outside_of_capture("a copy on another stream, or from the host or to it,");
    if (!note(stream, move, &copying, sizeof copying, (intptr_t[]){to, from}, 2))
        move(&copying);
    Py_RETURN_NONE;
}

/* cudaMemcpy, unlike cudaMemcpyAsync, waits for the device if one side is the host. */
PyObject *runtime_memcpy(intptr_t to, intptr_t from, size_t size, int kind, int skip)
{
    uint64_t before = counters.h2d + counters.d2h;
    PyObject *result = copy(to, from, size, kind, 0);
    counters.syncs += counters.h2d + counters.d2h - before;
    return result;
}

PyObject *runtime_memcpyAsync(intptr_t to, intptr_t from, size_t size, int kind, intptr_t stream, int skip)
{
    return copy(to, from, size, kind, stream);
}

PyObject *runtime_memsetAsync(intptr_t start, int value, size_t size, intptr_t stream, int skip)
{
    struct filling filling = {(char *)start, value, size};
    if (size && !inside_block(start, size))
        return failed("cudaMemset outside of any array");
    int noted = note(stream, fill, &filling, sizeof filling, &start, 1);
    if (noted < 0)
        return outside_of_capture("a cudaMemset on another stream");
    if (!noted)
        fill(&filling);
    Py_RETURN_NONE;
}

PyObject *runtime_memset(intptr_t start, int value, size_t size, int skip)
{
    return runtime_memsetAsync(start, value, size, 0, skip);
}

PyObject *runtime_memGetInfo(int skip)
{
    return Py_BuildValue("(nn)", (Py_ssize_t)(MEMORY_BYTES - bytes_in_use), (Py_ssize_t)MEMORY_BYTES);
}

/* cudaMemoryType: 2 for the device, 0 for memory that CUDA knows nothing of. */
int runtime_pointerGetMemoryType(intptr_t address, int skip)
{
    return on_device(address) ? 2 : 0;
}

PyObject *runtime_pointerGetAttributes(intptr_t address, int skip)
{
    PyObject *module = PyImport_ImportModule("cupy_backends.cuda.api.runtime");
    if (!module)
        return NULL;
    int type = runtime_pointerGetMemoryType(address, 0);
    PyObject *result = PyObject_CallMethod(module, "PointerAttributes", "inni", 0,
                                           (Py_ssize_t)address, (Py_ssize_t)0, type);
    Py_DECREF(module);
    return result;
}
