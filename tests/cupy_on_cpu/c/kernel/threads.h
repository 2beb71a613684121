// Runs the threads of a launch, one after the other, and keeps them in step at barriers.
//
// A kernel without barriers is called once for each thread. One with barriers runs on fibers: each thread has a stack
// of its own, runs until it comes to a barrier, and goes on when all others have come there too. So the order of
// threads is fixed (forwards, or backwards to show what depends on it), and races cannot be seen.
#pragma once
#include "../launch.h"
#include <ucontext.h>
#include <utility>
#include <vector>

namespace emulation {

enum State { RUNNING, AT_BLOCK_BARRIER, AT_WARP_BARRIER, FINISHED };

struct Fiber {
    ucontext_t context;
    char *stack;
    uint3 index;                        // its threadIdx
    State state;
    unsigned char offer[16];            // what the other threads of its warp may read
};

static const size_t STACK_BYTES = 1 << 16;

static std::vector<Fiber> fibers;       // of the block that runs; kept from block to block
static size_t current;                  // the fiber that runs
static ucontext_t scheduler;
static char *dynamic_shared;            // shared memory whose size the launch decides
static void (*thread_body)(void *);     // what a fiber runs, and its argument
static void *thread_argument;

static inline size_t block_threads()
{
    return (size_t)blockDim.x * blockDim.y * blockDim.z;
}

static inline uint3 position(size_t number, const dim3 &extent)
{
    uint3 result;
    result.x = number % extent.x;
    result.y = number / extent.x % extent.y;
    result.z = number / extent.x / extent.y;
    return result;
}

static void enter_thread()
{
    thread_body(thread_argument);
    fibers[current].state = FINISHED;
}

static inline void wait_at(State barrier)
{
    Fiber &self = fibers[current];
    self.state = barrier;
    swapcontext(&self.context, &scheduler);
    threadIdx = self.index;             // others have run in between
}

static void prepare_fibers(size_t threads)
{
    while (fibers.size() < threads) {
        Fiber fiber{};
        fiber.stack = (char *)malloc(STACK_BYTES);
        fibers.push_back(fiber);
    }
    for (size_t i = 0; i < threads; i++) {
        Fiber &fiber = fibers[i];
        fiber.state = RUNNING;
        fiber.index = position(i, blockDim);
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack;
        fiber.context.uc_stack.ss_size = STACK_BYTES;
        fiber.context.uc_link = &scheduler;
        makecontext(&fiber.context, enter_thread, 0);
    }
}

// Let the threads from `first` up to `last` go on if all of them that have not finished wait at the barrier. Did any?
static bool open_barrier(State barrier, size_t first, size_t last)
{
    bool any = false;
    for (size_t i = first; i < last; i++) {
        if (fibers[i].state != barrier && fibers[i].state != FINISHED)
            return false;
        any = any || fibers[i].state == barrier;
    }
    for (size_t i = first; i < last; i++)
        if (fibers[i].state == barrier)
            fibers[i].state = RUNNING;
    return any;
}

static bool open_barriers(size_t threads)
{
    if (open_barrier(AT_BLOCK_BARRIER, 0, threads))
        return true;
    bool any = false;
    for (size_t warp = 0; warp < threads; warp += warpSize) {
        size_t end = warp + warpSize < threads ? warp + warpSize : threads;
        any = open_barrier(AT_WARP_BARRIER, warp, end) || any;
    }
    return any;
}

// Returns false if the threads that have not finished wait at different barriers.
static bool run_fibers(size_t threads, bool backwards)
{
    prepare_fibers(threads);
    for (;;) {
        for (size_t i = 0; i < threads; i++) {
            current = backwards ? threads - 1 - i : i;
            if (fibers[current].state == RUNNING) {
                threadIdx = fibers[current].index;
                swapcontext(&scheduler, &fibers[current].context);
            }
        }
        size_t finished = 0;
        for (size_t i = 0; i < threads; i++)
            finished += fibers[i].state == FINISHED;
        if (finished == threads)
            return true;
        if (!open_barriers(threads))
            return false;
    }
}

// One block: thread() is the kernel with its arguments.
template <class Thread>
static bool run_block(Thread thread, bool barriers, bool backwards)
{
    size_t threads = block_threads();
    if (!barriers) {
        for (size_t i = 0; i < threads; i++) {
            threadIdx = position(backwards ? threads - 1 - i : i, blockDim);
            thread();
        }
        return true;
    }
    thread_body = [](void *argument) { (*(Thread *)argument)(); };
    thread_argument = &thread;
    return run_fibers(threads, backwards);
}

// Call the kernel with arguments of which only the addresses are known; the types are the kernel's own.
template <class... Types, size_t... I>
static void call(void (*kernel)(Types...), void **arguments, std::index_sequence<I...>)
{
    kernel(*(std::remove_reference_t<Types> *)arguments[I]...);
}

// All blocks of a launch. Returns 0 if all went well; where only the arguments' sizes are asked for, how many there are.
template <class... Types>
static int run(void (*kernel)(Types...), bool barriers, const struct launch *launch)
{
    if (launch->sizes) {
        size_t sizes[] = {sizeof(std::remove_reference_t<Types>)..., 0};
        memcpy(launch->sizes, sizes, sizeof sizes);
        return sizeof...(Types);
    }
    std::vector<char> shared(launch->shared_bytes + 16);
    dynamic_shared = shared.data();
    gridDim = dim3(launch->grid[0], launch->grid[1], launch->grid[2]);
    blockDim = dim3(launch->block[0], launch->block[1], launch->block[2]);
    size_t blocks = (size_t)gridDim.x * gridDim.y * gridDim.z;
    auto thread = [&] { call(kernel, launch->arguments, std::index_sequence_for<Types...>{}); };
    for (size_t i = 0; i < blocks; i++) {
        blockIdx = position(launch->backwards ? blocks - 1 - i : i, gridDim);
        if (!run_block(thread, barriers, launch->backwards))
            return 1;
    }
    return 0;
}

static inline int lane()
{
    return (int)(current % warpSize);
}

// The value that the thread `source` of this warp has brought along; one's own if there is no such thread.
template <class T>
static T exchange(T value, int source)
{
    static_assert(sizeof(T) <= sizeof(Fiber::offer), "only values of up to 16 bytes are exchanged");
    size_t warp = current - lane();
    memcpy(fibers[current].offer, &value, sizeof value);
    wait_at(AT_WARP_BARRIER);
    if (source >= 0 && source < warpSize && warp + source < block_threads())
        memcpy(&value, fibers[warp + source].offer, sizeof value);
    wait_at(AT_WARP_BARRIER);           // nobody brings something new before all have read
    return value;
}

}

static inline void __syncthreads()
{
    emulation::wait_at(emulation::AT_BLOCK_BARRIER);
}

static inline void __syncwarp(unsigned = 0xffffffffu)
{
    emulation::wait_at(emulation::AT_WARP_BARRIER);
}

static inline void __threadfence() {}
static inline void __threadfence_block() {}

// The exchanges within a warp, or within its parts of `width` threads. The mask of those taking part is ignored.

template <class T>
static inline T __shfl_sync(unsigned, T value, int source, int width = warpSize)
{
    return emulation::exchange(value, emulation::lane() / width * width + source % width);
}

template <class T>
static inline T __shfl_down_sync(unsigned, T value, unsigned distance, int width = warpSize)
{
    int lane = emulation::lane();
    return emulation::exchange(value, lane % width + (int)distance < width ? lane + (int)distance : lane);
}

template <class T>
static inline T __shfl_up_sync(unsigned, T value, unsigned distance, int width = warpSize)
{
    int lane = emulation::lane();
    return emulation::exchange(value, lane % width >= (int)distance ? lane - (int)distance : lane);
}

template <class T>
static inline T __shfl_xor_sync(unsigned, T value, int mask, int = warpSize)
{
    return emulation::exchange(value, emulation::lane() ^ mask);
}

// One bit for each thread of the warp for which the condition holds.
static inline unsigned __ballot_sync(unsigned, int condition)
{
    using namespace emulation;
    size_t warp = current - lane();
    unsigned bits = 0;
    fibers[current].offer[0] = condition != 0;
    wait_at(AT_WARP_BARRIER);
    for (int i = 0; i < warpSize && warp + i < block_threads(); i++)
        if (fibers[warp + i].state != FINISHED && fibers[warp + i].offer[0])
            bits |= 1u << i;
    wait_at(AT_WARP_BARRIER);
    return bits;
}

static inline int __any_sync(unsigned mask, int condition)
{
    return __ballot_sync(mask, condition) != 0;
}

static inline int __all_sync(unsigned mask, int condition)
{
    return __ballot_sync(mask, !condition) == 0;
}

static inline unsigned __activemask()
{
    return 0xffffffffu;
}
