/* One launch of a kernel, as runtime/launch.c hands it to kernel/threads.h. */
#pragma once
#include <stddef.h>

struct launch {
    unsigned grid[3];           /* blocks in each direction */
    unsigned block[3];          /* threads of a block in each direction */
    size_t shared_bytes;        /* shared memory whose size the launch decides */
    int backwards;              /* last block first, last thread first? */
    void **arguments;           /* the addresses of the kernel's arguments */
    size_t *sizes;              /* NULL; or where to write the arguments' sizes, and no more is done */
};
