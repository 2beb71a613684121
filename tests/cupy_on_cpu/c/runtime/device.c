/* The one device, its streams and events. Whatever it is told to do, it has done when the call returns. */
#include "emulation.h"
#include <stdlib.h>
#include <time.h>

int runtime_getDeviceCount(int skip) { return 1; }
int runtime_getDevice(int skip) { return 0; }
int runtime_driverGetVersion(int skip) { return 13000; }
int runtime_deviceCanAccessPeer(int device, int peer, int skip) { return 0; }
PyObject *runtime__ensure_context(void) { Py_RETURN_NONE; }
intptr_t driver_ctxGetCurrent(int skip) { return 1; }
int driver_ctxGetDevice(int skip) { return 0; }

PyObject *runtime_setDevice(int device, int skip)
{
    if (device != 0)
        return failed("there is only device 0");
    Py_RETURN_NONE;
}

/* The numbers are those of CUDA's enumeration cudaDeviceAttr. */
int runtime_deviceGetAttribute(int attribute, int device, int skip)
{
    switch (attribute) {
    case 1: return BLOCK_THREADS;
    case 2: return BLOCK_X;
    case 3: return BLOCK_Y;
    case 4: return BLOCK_Z;
    case 5: return GRID_X;
    case 6: return GRID_Y;
    case 7: return GRID_Z;
    case 8: return SHARED_BYTES;
    case 10: return WARP;
    case 12: return 65536;              /* registers of a block */
    case 16: return PROCESSORS;
    case 39: return 2048;               /* threads of a processor */
    case 75: return CAPABILITY_MAJOR;
    case 76: return CAPABILITY_MINOR;
    case 81: return SHARED_BYTES_AT_MOST + 1024;        /* shared bytes of a processor */
    case 82: return 65536;              /* registers of a processor */
    case 97: return SHARED_BYTES_AT_MOST;
    case 115: return 0;                 /* memory pools: none */
    }
    PyErr_Format(PyExc_NotImplementedError, "cupy_on_cpu: device attribute %d is not emulated", attribute);
    return -1;
}

PyObject *runtime_getDeviceProperties(int device, int skip)
{
    return Py_BuildValue("{s:y, s:i, s:i, s:i, s:i, s:i, s:i, s:n}",
                         "name", "CuPy on the CPU",
                         "major", CAPABILITY_MAJOR,
                         "minor", CAPABILITY_MINOR,
                         "multiProcessorCount", PROCESSORS,
                         "warpSize", WARP,
                         "maxThreadsPerBlock", BLOCK_THREADS,
                         "sharedMemPerBlock", SHARED_BYTES,
                         "totalGlobalMem", (Py_ssize_t)MEMORY_BYTES);
}

PyObject *runtime_deviceSynchronize(int skip)
{
    counters.syncs++;
    return outside_of_capture("waiting for the device");
}

/* Streams: a number that nobody else has. */

static intptr_t new_stream(void)
{
    static intptr_t last = 0x1000;      /* far from the numbers that CUDA itself gives to its default streams */
    return ++last;
}

intptr_t runtime_streamCreate(int skip) { return new_stream(); }
intptr_t runtime_streamCreateWithFlags(unsigned flags, int skip) { return new_stream(); }
intptr_t runtime_streamCreateWithPriority(unsigned flags, int priority, int skip) { return new_stream(); }
PyObject *runtime_streamDestroy(intptr_t stream, int skip) { Py_RETURN_NONE; }
PyObject *runtime_streamQuery(intptr_t stream, int skip) { return PyLong_FromLong(0); }      /* 0: all is done */
PyObject *runtime_streamWaitEvent(intptr_t stream, intptr_t event, int skip, void *optional) { Py_RETURN_NONE; }
int runtime_streamGetPriority(intptr_t stream, int skip) { return 0; }
unsigned runtime_streamGetFlags(intptr_t stream, int skip) { return 0; }

PyObject *runtime_streamSynchronize(intptr_t stream, int skip)
{
    counters.syncs++;
    return outside_of_capture("waiting for the device");
}

/* Events: the address of the time, in milliseconds, at which they were recorded. */

static intptr_t new_event(void)
{
    return (intptr_t)calloc(1, sizeof(double));
}

intptr_t runtime_eventCreate(int skip) { return new_event(); }
intptr_t runtime_eventCreateWithFlags(unsigned flags, int skip) { return new_event(); }
PyObject *runtime_eventQuery(intptr_t event, int skip) { return PyLong_FromLong(0); }

PyObject *runtime_eventDestroy(intptr_t event, int skip)
{
    free((void *)event);
    Py_RETURN_NONE;
}

PyObject *runtime_eventRecord(intptr_t event, intptr_t stream, int skip)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    *(double *)event = now.tv_sec * 1e3 + now.tv_nsec * 1e-6;
    Py_RETURN_NONE;
}

PyObject *runtime_eventSynchronize(intptr_t event, int skip)
{
    counters.syncs++;
    return outside_of_capture("waiting for the device");
}

float runtime_eventElapsedTime(intptr_t start, intptr_t end, int skip)
{
    return (float)(*(double *)end - *(double *)start);
}
