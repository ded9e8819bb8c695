/*
 * A disk that fails, and what a power cut leaves of it. Loaded (LD_PRELOAD) into the daemon; FAULTY_DISK names a folder.
 *
 * Watched are the store and its log (*.db, *.db-wal). What was written to them since the last fsync is remembered; an fsync
 * that succeeds copies it into FOLDER/NAME.image, so the images hold what surely is on disk. While a file exists in FOLDER:
 *   fsync-fails   fsync returns EIO and forgets what was written, as Linux does: the page cache has it, the disk never will
 *   full          writes return ENOSPC
 *   fsync-hangs   fsync does not return while the file exists
 *   reads-hang    nor do reads
 * It calls the kernel itself rather than the next symbol, so it needs no dlsym and no start-up order.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

struct change {
    char *path;
    off_t at;
    size_t length;
    int truncate;
};

static struct change *changes;
static size_t count, room;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The path of a watched descriptor, else NULL. */
static char *watched(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 4 || !getenv("FAULTY_DISK")) return NULL;
    path[length] = 0;
    if (strcmp(path + length - 3, ".db") && (length < 8 || strcmp(path + length - 7, ".db-wal"))) return NULL;
    return path;
}

static int ordered(const char *what) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", getenv("FAULTY_DISK"), what);
    return syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
}

static void remember(const char *path, off_t at, size_t length, int truncate) {
    pthread_mutex_lock(&lock);
    if (count == room) changes = realloc(changes, (room = room ? room * 2 : 256) * sizeof *changes);
    changes[count++] = (struct change){strdup(path), at, length, truncate};
    pthread_mutex_unlock(&lock);
}

/* Takes the changes of a file off the list; copies them into its image if they reached the disk. */
static void apply(int fd, const char *path, int reached) {
    char image[PATH_MAX];
    const char *name = strrchr(path, '/');
    snprintf(image, sizeof image, "%s/%s.image", getenv("FAULTY_DISK"), name ? name + 1 : path);
    pthread_mutex_lock(&lock);
    int out = syscall(SYS_openat, AT_FDCWD, image, O_RDWR | O_CREAT, 0644);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct change change = changes[i];
        if (strcmp(change.path, path)) {
            changes[kept++] = change;
            continue;
        }
        if (reached && change.truncate) syscall(SYS_ftruncate, out, change.at);
        if (reached && !change.truncate) {
            char *bytes = malloc(change.length);
            long got = syscall(SYS_pread64, fd, bytes, change.length, change.at);
            if (got > 0) syscall(SYS_pwrite64, out, bytes, got, change.at);
            free(bytes);
        }
        free(change.path);
    }
    count = kept;
    syscall(SYS_close, out);
    pthread_mutex_unlock(&lock);
}

static int refuse(int error) {
    errno = error;
    return -1;
}

static ssize_t put(int fd, const void *bytes, size_t length, off_t at) {
    char path[PATH_MAX];
    char *name = watched(fd, path);
    if (name && ordered("full")) return refuse(ENOSPC);
    off_t where = at < 0 && name ? syscall(SYS_lseek, fd, 0, SEEK_CUR) : at;
    long written = at < 0 ? syscall(SYS_write, fd, bytes, length) : syscall(SYS_pwrite64, fd, bytes, length, at);
    if (name && written > 0) remember(name, where, written, 0);
    return written;
}

ssize_t write(int fd, const void *bytes, size_t length) { return put(fd, bytes, length, -1); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return put(fd, bytes, length, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) { return put(fd, bytes, length, at); }

static ssize_t get(int fd, void *bytes, size_t length, off_t at) {
    char path[PATH_MAX];
    while (watched(fd, path) && ordered("reads-hang")) usleep(10000);
    return syscall(SYS_pread64, fd, bytes, length, at);
}

ssize_t pread(int fd, void *bytes, size_t length, off_t at) { return get(fd, bytes, length, at); }
ssize_t pread64(int fd, void *bytes, size_t length, off64_t at) { return get(fd, bytes, length, at); }

static int cut(int fd, off_t at) {
    char path[PATH_MAX];
    char *name = watched(fd, path);
    long result = syscall(SYS_ftruncate, fd, at);
    if (name && result == 0) remember(name, at, 0, 1);
    return (int)result;
}

int ftruncate(int fd, off_t at) { return cut(fd, at); }
int ftruncate64(int fd, off64_t at) { return cut(fd, at); }

static int sync_(int fd, long number) {
    char path[PATH_MAX];
    char *name = watched(fd, path);
    if (name && ordered("fsync-fails")) {
        apply(fd, name, 0);
        return refuse(EIO);
    }
    while (name && ordered("fsync-hangs")) usleep(10000);
    long result = syscall(number, fd);
    if (name && result == 0) apply(fd, name, 1);
    return (int)result;
}

int fsync(int fd) { return sync_(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_(fd, SYS_fdatasync); }
