/* What the files in this folder share.
 *
 * They define the functions that take the place of CuPy's own entry points to the CUDA runtime and driver. Each is
 * named after its module and entry (runtime_malloc for `malloc` of cupy_backends.cuda.api.runtime) and has the C type
 * that the entry's capsule states (signatures.json). The parameter `skip` is Cython's own and means nothing here.
 * CuPy calls them all with Python's lock held, so nothing in this folder needs a lock of its own. */
#pragma once
#define _GNU_SOURCE
#include <Python.h>
#include <stdint.h>

/* The device that is pretended: the limits of compute capability 8.0, with few processors and little memory. */
#define CAPABILITY_MAJOR 8
#define CAPABILITY_MINOR 0
#define PROCESSORS 4
#define WARP 32
#define MEMORY_BYTES ((size_t)8 << 30)
#define BLOCK_THREADS 1024
#define BLOCK_X 1024
#define BLOCK_Y 1024
#define BLOCK_Z 64
#define GRID_X 0x7fffffff
#define GRID_Y 65535
#define GRID_Z 65535
#define SHARED_BYTES 49152              /* a block's, unless the kernel asks for more */
#define SHARED_BYTES_AT_MOST 166912

extern struct counters {
    uint64_t launches, h2d, d2h, d2d, h2d_bytes, d2h_bytes, syncs, allocations, graphs;
} counters;

extern int guard;                       /* fences around each array? */
extern int backwards;                   /* threads in reverse order? */
extern int idle;                        /* does the device do nothing? Then what takes time is the host. */
extern size_t bytes_in_use;

/* Raise NotImplementedError or RuntimeError; returns NULL, to be returned. */
PyObject *not_emulated(const char *what);
PyObject *failed(const char *sentence);

/* Does the address lie in an array on the device? */
int on_device(intptr_t address);

/* What a stream is told is to be done now: 0; or noted, as it captures: 1; or refused, as another captures, so that the graph
 * would lack it: -1; or left undone, as the device is idle: 2. */
int captures(intptr_t stream);

/* The same, and where it is 1, play(a copy of the arguments) is noted, and the addresses that it reads or writes. */
int note(intptr_t stream, int (*play)(void *), const void *arguments, size_t bytes, const intptr_t *addresses, int count);

/* None; RuntimeError, NULL, while a stream captures. */
PyObject *outside_of_capture(const char *what);

/* This memory is freed: graphs that use it are refused from now on. */
void forget_addresses(const char *start, size_t size);

/* Has something been written beside an array? (Only known in guard mode.) */
int margins_damaged(void);
