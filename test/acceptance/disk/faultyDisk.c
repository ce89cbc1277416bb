/*
 * Makes writes below one folder fail or take long, for programs that are started with it in LD_PRELOAD. What it does is changed while they
 * run, through a small file that both sides map:
 *
 *     FAULTY_DISK_DIR      the folder, as an absolute path; files opened by a path below it are meant, and no others
 *     FAULTY_DISK_CONTROL  the file: five 32-bit numbers in the machine's order: mode, delay in ms, calls met, calls in
 *                          all, calls met on the process's first thread
 *
 * Modes: 0 nothing, 1 every write, truncation and sync fails with EIO, 2 every write takes the delay longer.
 * A descriptor is known by a mark set when it was opened, so that writes to sockets cost no system call more than without this. It may have
 * been closed unseen since (the C library's own calls don't come by here), so what is marked is looked up before a fault meets it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { nothing, failing, slow };
enum { most_descriptors = 1 << 16 };

struct control {
  _Atomic uint32_t mode, delay_ms, met, seen, met_first;
};

static struct control idle, *control = &idle;
static const char *folder;
static size_t folder_length;
static _Atomic unsigned char marked[most_descriptors];

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("FAULTY_DISK_CONTROL");
  folder = getenv("FAULTY_DISK_DIR");
  if (path == NULL || folder == NULL) return;
  folder_length = strlen(folder);
  int (*real_open)(const char *, int, ...) = next("open");
  int fd = real_open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) abort();
  void *mapped = mmap(NULL, sizeof idle, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) abort();
  control = mapped;
}

static int mark(int fd, const char *path) {
  if (fd < 0 || fd >= most_descriptors) return fd;
  int below = folder != NULL && strncmp(path, folder, folder_length) == 0 && path[folder_length] == '/';
  marked[fd] = (unsigned char)below;
  return fd;
}

static int is_below(int fd) {
  char link[32], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  path[length < 0 ? 0 : length] = 0;
  return strncmp(path, folder, folder_length) == 0 && path[folder_length] == '/';
}

/* Returns whether the call has to fail. */
static int meets(int fd, int writes) {
  if (fd < 0 || fd >= most_descriptors || !marked[fd]) return 0;
  atomic_fetch_add(&control->seen, 1);
  uint32_t mode = control->mode;
  if (mode == nothing || (mode == slow && !writes)) return 0;
  if (!is_below(fd)) {
    marked[fd] = 0;
    return 0;
  }
  atomic_fetch_add(&control->met, 1);
  if (gettid() == getpid()) atomic_fetch_add(&control->met_first, 1);
  if (mode == failing) {
    errno = EIO;
    return 1;
  }
  uint32_t ms = control->delay_ms;
  struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000L};
  while (nanosleep(&pause, &pause) != 0 && errno == EINTR) continue;
  return 0;
}

/* The mode of a new file is there only where the flags ask for one (open(2)). */
#define OPEN(name)                                                                                                                         \
  int name(const char *path, int flags, ...) {                                                                                             \
    static int (*real)(const char *, int, ...);                                                                                            \
    if (real == NULL) real = next(#name);                                                                                                  \
    mode_t mode = 0;                                                                                                                       \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                                                   \
      va_list rest;                                                                                                                        \
      va_start(rest, flags);                                                                                                               \
      mode = va_arg(rest, mode_t);                                                                                                         \
      va_end(rest);                                                                                                                        \
    }                                                                                                                                      \
    return mark(real(path, flags, mode), path);                                                                                            \
  }

OPEN(open)
OPEN(open64)

#define PASS(type, name, writes, parameters, ...)                                                                                          \
  type name parameters {                                                                                                                   \
    static type(*real) parameters;                                                                                                         \
    if (real == NULL) real = next(#name);                                                                                                  \
    return meets(fd, writes) ? -1 : real(__VA_ARGS__);                                                                                     \
  }

PASS(ssize_t, write, 1, (int fd, const void *data, size_t size), fd, data, size)
PASS(ssize_t, pwrite, 1, (int fd, const void *data, size_t size, off_t at), fd, data, size, at)
PASS(ssize_t, pwrite64, 1, (int fd, const void *data, size_t size, off64_t at), fd, data, size, at)
PASS(ssize_t, writev, 1, (int fd, const struct iovec *parts, int count), fd, parts, count)
PASS(ssize_t, pwritev, 1, (int fd, const struct iovec *parts, int count, off_t at), fd, parts, count, at)
PASS(ssize_t, pwritev64, 1, (int fd, const struct iovec *parts, int count, off64_t at), fd, parts, count, at)
PASS(int, ftruncate, 0, (int fd, off_t size), fd, size)
PASS(int, ftruncate64, 0, (int fd, off64_t size), fd, size)
PASS(int, fsync, 0, (int fd), fd)
PASS(int, fdatasync, 0, (int fd), fd)

int close(int fd) {
  static int (*real)(int);
  if (real == NULL) real = next("close");
  if (fd >= 0 && fd < most_descriptors) marked[fd] = 0;
  return real(fd);
}
