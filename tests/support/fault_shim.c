/* Makes the n-th write to a regular file fail: preloaded into a process, armed from inside it.
 *   kind 1: half of the data is written, then the process is killed (as by kill -9 or a power cut);
 *   kind 2: this write and all later ones fail with "no space left on device". */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int kind = 0;
static long countdown = 0, seen = 0;

void fault_arm(int which, long at) { kind = which; countdown = at; seen = 0; }
long fault_writes(void) { return seen; }

/* 0: write as asked; 1: write `half` and die; 2: fail. */
static int verdict(int fd) {
    struct stat status;
    if (kind == 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return 0;
    seen++;
    if (kind == 3) return 0;
    return seen == countdown ? kind : (kind == 2 && seen > countdown ? 2 : 0);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define WRAPPED(name, parameters, whole, half)                                                   \
    ssize_t name parameters {                                                                    \
        switch (verdict(fd)) {                                                                   \
        case 1: (void)!REAL(name) half; raise(SIGKILL); return -1;                               \
        case 2: errno = ENOSPC; return -1;                                                       \
        default: return REAL(name) whole;                                                        \
        }                                                                                        \
    }

WRAPPED(write, (int fd, const void *data, size_t size), (fd, data, size), (fd, data, size / 2))
WRAPPED(pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at), (fd, data, size / 2, at))
WRAPPED(pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at), (fd, data, size / 2, at))
