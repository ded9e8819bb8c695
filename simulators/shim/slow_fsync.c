/*
 * Makes a disk slower than it is: every fsync and fdatasync takes SLOW_FSYNC_US microseconds longer.
 * Stands in for the flash of an edge box. Built and loaded (LD_PRELOAD) by `bench --slow-fsync 4ms`:
 *     cc -O2 -shared -fPIC -o slow_fsync.so slow_fsync.c
 * It sleeps, and so leaves the core free, as a disk does. It calls the kernel itself rather than the next
 * symbol, so it needs no dlsym and no start-up order.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void wait_longer(void) {
    const char *text = getenv("SLOW_FSYNC_US");
    long us = text ? atol(text) : 0;
    if (us <= 0 || us > 1000000) return; /* at most a second: a typing error must not hang a benchmark */
    struct timespec left = {us / 1000000, (us % 1000000) * 1000};
    while (nanosleep(&left, &left) == -1 && errno == EINTR) {
    }
}

int fsync(int fd) {
    long result = syscall(SYS_fsync, fd);
    int kept = errno;
    wait_longer();
    errno = kept;
    return (int)result;
}

int fdatasync(int fd) {
    long result = syscall(SYS_fdatasync, fd);
    int kept = errno;
    wait_longer();
    errno = kept;
    return (int)result;
}
