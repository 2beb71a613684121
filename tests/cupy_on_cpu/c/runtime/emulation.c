/* Options, counters and errors. */
#include "emulation.h"

struct counters counters;
int guard;
int backwards;
int idle;

void emulation_configure(int with_guard, int in_reverse)
{
    guard = with_guard;
    backwards = in_reverse;
}

void emulation_idle(int on)
{
    idle = on;
}

PyObject *emulation_counters(void)
{
    return Py_BuildValue("{s:K, s:K, s:K, s:K, s:K, s:K, s:K, s:K, s:K}",
                         "launches", counters.launches,
                         "h2d", counters.h2d,
                         "d2h", counters.d2h,
                         "d2d", counters.d2d,
                         "h2d_bytes", counters.h2d_bytes,
                         "d2h_bytes", counters.d2h_bytes,
                         "syncs", counters.syncs,
                         "allocations", counters.allocations,
                         "graphs", counters.graphs);
}

void emulation_reset(void)
{
    counters = (struct counters){0};
}

PyObject *not_emulated(const char *what)
{
    return PyErr_Format(PyExc_NotImplementedError, "cupy_on_cpu: %s is not emulated", what);
}

PyObject *failed(const char *sentence)
{
    return PyErr_Format(PyExc_RuntimeError, "cupy_on_cpu: %s", sentence);
}
