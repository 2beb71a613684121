/* Graphs. What a stream is told while it captures is not done but noted, with its arguments as they are; a launch of the
 * graph does it all, in order, as often as one likes. One stream captures at a time.
 *
 * On a GPU a graph goes on using its addresses, whoever has them in the meantime, and says nothing. Here each free looks
 * for the block's addresses in all that was noted; a graph that has one of them is refused from then on. */
#include "emulation.h"
#include <stdlib.h>
#include <string.h>

struct call {
    int (*play)(void *arguments);       /* returns 0 if all went well */
    void *arguments;
    intptr_t *addresses;                /* what it reads and writes */
    int count;
    struct call *next;
};

struct graph {
    struct call *first, **last;
    int holders;                        /* CuPy destroys the graph and what was instantiated of it one by one */
    int stale;                          /* has memory of its calls been freed? */
    struct graph *next;
};

static struct graph *graphs;            /* all that there are, the one that is being captured among them */
static struct graph *unfinished;
static intptr_t capturing;              /* the stream, or 0 */

int captures(intptr_t stream)
{
    return !capturing ? 2 * idle : stream == capturing ? 1 : -1;
}

static void *copy_of(const void *from, size_t bytes)
{
    return memcpy(malloc(bytes + 1), from, bytes);
}

int note(intptr_t stream, int (*play)(void *), const void *arguments, size_t bytes, const intptr_t *addresses, int count)
{
    if (captures(stream) != 1)
        return captures(stream);
    struct call *call = malloc(sizeof *call);
    *call = (struct call){play, copy_of(arguments, bytes), copy_of(addresses, count * sizeof *addresses), count, NULL};
    *unfinished->last = call;
    unfinished->last = &call->next;
    return 1;
}

PyObject *outside_of_capture(const char *what)
{
    if (!capturing)
        Py_RETURN_NONE;
    return PyErr_Format(PyExc_RuntimeError, "cupy_on_cpu: %s while a stream captures", what);
}

static int mentions(const struct graph *graph, const char *start, size_t size)
{
    for (struct call *call = graph->first; call; call = call->next)
        for (int i = 0; i < call->count; i++)
            if ((char *)call->addresses[i] >= start && (char *)call->addresses[i] < start + size)
                return 1;
    return 0;
}

void forget_addresses(const char *start, size_t size)
{
    for (struct graph *graph = graphs; graph; graph = graph->next)
        graph->stale = graph->stale || mentions(graph, start, size);
}

PyObject *runtime_streamBeginCapture(intptr_t stream, int skip, void *optional)
{
    if (capturing)
        return failed("a second stream that captures is not emulated");
    if (stream <= 2)                    /* 0, 1 and 2 are CUDA's default streams */
        return failed("the default stream cannot capture");
    struct graph *graph = calloc(1, sizeof *graph);
    *graph = (struct graph){.last = &graph->first, .holders = 1, .next = graphs};
    graphs = unfinished = graph;
    capturing = stream;
    Py_RETURN_NONE;
}

intptr_t runtime_streamEndCapture(intptr_t stream, int skip)
{
    if (stream != capturing || !stream) {
        failed("this stream does not capture");
        return 0;
    }
    capturing = 0;
    return (intptr_t)unfinished;
}

/* cudaStreamCaptureStatus: 1 while it captures */
int runtime_streamIsCapturing(intptr_t stream, int skip) { return stream && stream == capturing; }

intptr_t runtime_graphInstantiate(intptr_t graph, int skip)
{
    ((struct graph *)graph)->holders++;
    return graph;
}

PyObject *runtime_graphUpload(intptr_t graph, intptr_t stream, int skip) { Py_RETURN_NONE; }

PyObject *runtime_graphLaunch(intptr_t address, intptr_t stream, int skip)
{
    struct graph *graph = (struct graph *)address;
    if (capturing)
        return not_emulated("a graph within a graph");
    if (graph->stale)
        return failed("a graph whose memory was freed: on a GPU it would go on reading and writing there");
    counters.graphs++;
    for (struct call *call = graph->first; call && !idle; call = call->next)
        if (call->play(call->arguments))
            return failed("a launch within a graph went wrong");
    if (guard && margins_damaged())
        return failed("a graph wrote beside an array");
    Py_RETURN_NONE;
}

PyObject *runtime_graphDestroy(intptr_t address, int skip)
{
    struct graph *graph = (struct graph *)address, **place = &graphs;
    if (--graph->holders)
        Py_RETURN_NONE;
    while (*place != graph)
        place = &(*place)->next;
    *place = graph->next;
    for (struct call *call = graph->first, *next; call; call = next) {
        next = call->next;
        free(call->arguments);
        free(call->addresses);
        free(call);
    }
    free(graph);
    Py_RETURN_NONE;
}

PyObject *runtime_graphExecDestroy(intptr_t graph, int skip) { return runtime_graphDestroy(graph, skip); }
