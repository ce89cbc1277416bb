/*
 * Preloaded into the daemon (LD_PRELOAD), this writes down every operation on files and names below REELAY_POWER_DIR that
 * succeeded, with the bytes written, into the file REELAY_POWER_LOG. The records lie there in the order in which the operations
 * ended; FileOperation.ts reads them and knows the same layout.
 *
 * Operations on names are let through one at a time, so that their order in the log is the order in which they happened. Writes and
 * syncs go on side by side: what a sync covers is what had ended before it began.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { OPEN = 1, WRITE, TRUNCATE, RENAME, UNLINK, MKDIR, RMDIR, SYNC, LINK };

struct record {
  uint32_t length; /* of all of it, bytes */
  uint32_t kind;
  uint64_t begin_ns, end_ns; /* CLOCK_MONOTONIC */
  uint64_t inode;
  int64_t position; /* of a write; size of a truncation; flags of an open */
  uint32_t path_length, data_length;
};

static pthread_mutex_t names = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static int log_file = -1;
static const char *watched;
static size_t watched_length;
static dev_t watched_device;

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static uint64_t now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static void fail(const char *what) {
  perror(what);
  abort();
}

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("REELAY_POWER_LOG");
  watched = getenv("REELAY_POWER_DIR");
  struct stat found;
  if (path == NULL || watched == NULL || stat(watched, &found) < 0) fail("REELAY_POWER_LOG, REELAY_POWER_DIR");
  watched_length = strlen(watched);
  watched_device = found.st_dev;
  log_file = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log_file < 0) fail(path);
}

/* What lies between the bytes of the log and the disk's writev is nobody's business here: the kernel is called itself. */
static void note(int kind, uint64_t begin_ns, uint64_t inode, int64_t position, const char *path, const struct iovec *data,
                 int pieces, size_t bytes) {
  if (log_file < 0) return;
  int kept = errno;
  struct iovec parts[2 + pieces];
  struct record record = {
      .kind = (uint32_t)kind,
      .begin_ns = begin_ns,
      .inode = inode,
      .position = position,
      .path_length = path == NULL ? 0 : (uint32_t)strlen(path),
      .data_length = (uint32_t)bytes,
  };
  record.length = (uint32_t)(sizeof record + record.path_length + bytes);
  parts[0] = (struct iovec){&record, sizeof record};
  parts[1] = (struct iovec){(void *)(path == NULL ? "" : path), record.path_length};
  int count = 2;
  for (int at = 0; at < pieces && bytes > 0; at++) {
    size_t mine = data[at].iov_len < bytes ? data[at].iov_len : bytes;
    parts[count++] = (struct iovec){data[at].iov_base, mine};
    bytes -= mine;
  }
  pthread_mutex_lock(&log_lock);
  record.end_ns = now();
  long written = syscall(SYS_writev, log_file, parts, count);
  pthread_mutex_unlock(&log_lock);
  if (written != (long)record.length) fail("the log of file operations");
  errno = kept;
}

static int is_below(const char *path) {
  return strncmp(path, watched, watched_length) == 0 && (path[watched_length] == '/' || path[watched_length] == 0);
}

/* The path as it is from the root on; of one that is not watched, NULL. */
static const char *absolute(int folder, const char *path, char *into) {
  if (watched == NULL || path == NULL) return NULL;
  char base[PATH_MAX] = "";
  if (path[0] != '/') {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = folder == AT_FDCWD ? (getcwd(base, sizeof base) == NULL ? -1 : (ssize_t)strlen(base))
                                        : readlink(link, base, sizeof base - 1);
    if (length < 0) return NULL;
    base[length] = 0;
    strncat(base, "/", sizeof base - strlen(base) - 1);
  }
  if (snprintf(into, PATH_MAX, "%s%s", base, path) >= PATH_MAX) return NULL;
  return is_below(into) ? into : NULL;
}

/* The inode of an open file or folder on the watched device; 0 for a socket, a pipe, or anything elsewhere. */
static uint64_t inode_of(int file) {
  struct stat found;
  int kept = errno;
  int failed = fstat(file, &found);
  errno = kept;
  if (failed < 0 || found.st_dev != watched_device) return 0;
  return S_ISREG(found.st_mode) || S_ISDIR(found.st_mode) ? (uint64_t)found.st_ino : 0;
}

static int open_and_note(const char *name, const char *path, int flags, mode_t mode) {
  int (*open_really)(const char *, int, ...) = (int (*)(const char *, int, ...))real(name);
  char buffer[PATH_MAX];
  const char *full = (flags & (O_CREAT | O_TRUNC)) != 0 ? absolute(AT_FDCWD, path, buffer) : NULL;
  if (full == NULL) return open_really(path, flags, mode);
  pthread_mutex_lock(&names);
  uint64_t begin_ns = now();
  int file = open_really(path, flags, mode);
  if (file >= 0) note(OPEN, begin_ns, inode_of(file), flags & O_TRUNC ? 1 : 0, full, NULL, 0, 0);
  pthread_mutex_unlock(&names);
  return file;
}

#define OPEN_AS(name)                                                                                                  \
  int name(const char *path, int flags, ...) {                                                                         \
    va_list rest;                                                                                                      \
    va_start(rest, flags);                                                                                             \
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;                                                   \
    va_end(rest);                                                                                                      \
    return open_and_note(#name, path, flags, mode);                                                                    \
  }
OPEN_AS(open)
OPEN_AS(open64)

static void wrote(int file, uint64_t begin_ns, int64_t position, const struct iovec *data, int pieces, ssize_t bytes) {
  if (bytes <= 0 || log_file < 0) return;
  uint64_t inode = inode_of(file);
  if (inode == 0) return;
  if (position < 0) position = lseek(file, 0, SEEK_CUR) - bytes;
  note(WRITE, begin_ns, inode, position, NULL, data, pieces, (size_t)bytes);
}

ssize_t write(int file, const void *data, size_t bytes) {
  uint64_t begin_ns = now();
  ssize_t done = REAL(write)(file, data, bytes);
  struct iovec piece = {(void *)data, bytes};
  wrote(file, begin_ns, -1, &piece, 1, done);
  return done;
}

ssize_t writev(int file, const struct iovec *data, int pieces) {
  uint64_t begin_ns = now();
  ssize_t done = REAL(writev)(file, data, pieces);
  wrote(file, begin_ns, -1, data, pieces, done);
  return done;
}

#define PWRITE_AS(name)                                                                                                \
  ssize_t name(int file, const void *data, size_t bytes, off64_t position) {                                           \
    uint64_t begin_ns = now();                                                                                         \
    ssize_t done = ((ssize_t(*)(int, const void *, size_t, off64_t))real(#name))(file, data, bytes, position);         \
    struct iovec piece = {(void *)data, bytes};                                                                        \
    wrote(file, begin_ns, position, &piece, 1, done);                                                                  \
    return done;                                                                                                       \
  }
PWRITE_AS(pwrite)
PWRITE_AS(pwrite64)

#define PWRITEV_AS(name)                                                                                               \
  ssize_t name(int file, const struct iovec *data, int pieces, off64_t position) {                                     \
    uint64_t begin_ns = now();                                                                                         \
    ssize_t done = ((ssize_t(*)(int, const struct iovec *, int, off64_t))real(#name))(file, data, pieces, position);   \
    wrote(file, begin_ns, position, data, pieces, done);                                                               \
    return done;                                                                                                       \
  }
PWRITEV_AS(pwritev)
PWRITEV_AS(pwritev64)

/* What the kernel copied by itself is read back from where it went. */
static void copied(int file, uint64_t begin_ns, int64_t position, ssize_t bytes) {
  if (bytes <= 0 || log_file < 0 || inode_of(file) == 0) return;
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  int reading = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  void *data = malloc((size_t)bytes);
  if (reading < 0 || data == NULL || pread64(reading, data, (size_t)bytes, position) != bytes) fail("what was copied");
  struct iovec piece = {data, (size_t)bytes};
  note(WRITE, begin_ns, inode_of(file), position, NULL, &piece, 1, (size_t)bytes);
  free(data);
  syscall(SYS_close, reading);
}

ssize_t sendfile64(int to, int from, off64_t *position, size_t bytes) {
  uint64_t begin_ns = now();
  ssize_t done = ((ssize_t(*)(int, int, off64_t *, size_t))real("sendfile64"))(to, from, position, bytes);
  if (done > 0 && inode_of(to) != 0) copied(to, begin_ns, lseek(to, 0, SEEK_CUR) - done, done);
  return done;
}

/* libuv reaches some calls this way: copy_file_range, and io_uring, past which nothing may go unseen. */
long syscall(long number, ...) {
  long a[6];
  va_list rest;
  va_start(rest, number);
  for (int at = 0; at < 6; at++) a[at] = va_arg(rest, long);
  va_end(rest);
  static long (*really)(long, ...) = NULL;
  if (really == NULL) really = (long (*)(long, ...))real("syscall");
  if (number == SYS_io_uring_setup) {
    errno = ENOSYS;
    return -1;
  }
  if (number != SYS_copy_file_range) return really(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  uint64_t begin_ns = now();
  long done = really(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  off64_t *position = (off64_t *)a[3];
  if (done > 0) copied((int)a[2], begin_ns, (position == NULL ? lseek((int)a[2], 0, SEEK_CUR) : *position) - done, done);
  return done;
}

#define FTRUNCATE_AS(name)                                                                                             \
  int name(int file, off64_t bytes) {                                                                                  \
    uint64_t begin_ns = now();                                                                                         \
    int failed = ((int (*)(int, off64_t))real(#name))(file, bytes);                                                    \
    uint64_t inode = failed == 0 && log_file >= 0 ? inode_of(file) : 0;                                                \
    if (inode != 0) note(TRUNCATE, begin_ns, inode, bytes, NULL, NULL, 0, 0);                                          \
    return failed;                                                                                                     \
  }
FTRUNCATE_AS(ftruncate)
FTRUNCATE_AS(ftruncate64)

#define TRUNCATE_AS(name)                                                                                              \
  int name(const char *path, off64_t bytes) {                                                                          \
    uint64_t begin_ns = now();                                                                                         \
    struct stat found;                                                                                                 \
    int failed = ((int (*)(const char *, off64_t))real(#name))(path, bytes);                                           \
    if (failed == 0 && stat(path, &found) == 0 && found.st_dev == watched_device)                                      \
      note(TRUNCATE, begin_ns, (uint64_t)found.st_ino, bytes, NULL, NULL, 0, 0);                                       \
    return failed;                                                                                                     \
  }
TRUNCATE_AS(truncate)
TRUNCATE_AS(truncate64)

#define SYNC_AS(name)                                                                                                  \
  int name(int file) {                                                                                                 \
    uint64_t begin_ns = now();                                                                                         \
    int failed = REAL(name)(file);                                                                                     \
    uint64_t inode = failed == 0 && log_file >= 0 ? inode_of(file) : 0;                                                \
    if (inode != 0) note(SYNC, begin_ns, inode, 0, NULL, NULL, 0, 0);                                                  \
    return failed;                                                                                                     \
  }
SYNC_AS(fsync)
SYNC_AS(fdatasync)

static int two_paths(int kind, const char *from, const char *to) {
  char buffers[2][PATH_MAX];
  const char *full_from = absolute(AT_FDCWD, from, buffers[0]), *full_to = absolute(AT_FDCWD, to, buffers[1]);
  pthread_mutex_lock(&names);
  uint64_t begin_ns = now();
  int failed = kind == RENAME ? REAL(rename)(from, to) : REAL(link)(from, to);
  if (failed == 0 && (full_from != NULL || full_to != NULL)) {
    /* A file that comes from elsewhere, or goes there, would need its content noted, too. Nobody does that. */
    if (full_from == NULL || full_to == NULL) fail("a name that leaves the watched folder");
    struct iovec second = {(void *)full_to, strlen(full_to)};
    note(kind, begin_ns, 0, 0, full_from, &second, 1, second.iov_len);
  }
  pthread_mutex_unlock(&names);
  return failed;
}

int rename(const char *from, const char *to) { return two_paths(RENAME, from, to); }
int link(const char *from, const char *to) { return two_paths(LINK, from, to); }

static void removed(int kind, uint64_t begin_ns, const char *full) {
  if (full != NULL) note(kind, begin_ns, 0, 0, full, NULL, 0, 0);
}

int unlink(const char *path) {
  char buffer[PATH_MAX];
  const char *full = absolute(AT_FDCWD, path, buffer);
  pthread_mutex_lock(&names);
  uint64_t begin_ns = now();
  int failed = REAL(unlink)(path);
  if (failed == 0) removed(UNLINK, begin_ns, full);
  pthread_mutex_unlock(&names);
  return failed;
}

int rmdir(const char *path) {
  char buffer[PATH_MAX];
  const char *full = absolute(AT_FDCWD, path, buffer);
  pthread_mutex_lock(&names);
  uint64_t begin_ns = now();
  int failed = REAL(rmdir)(path);
  if (failed == 0) removed(RMDIR, begin_ns, full);
  pthread_mutex_unlock(&names);
  return failed;
}

int unlinkat(int folder, const char *path, int flags) {
  char buffer[PATH_MAX];
  const char *full = absolute(folder, path, buffer);
  pthread_mutex_lock(&names);
  uint64_t begin_ns = now();
  int failed = REAL(unlinkat)(folder, path, flags);
  if (failed == 0) removed((flags & AT_REMOVEDIR) != 0 ? RMDIR : UNLINK, begin_ns, full);
  pthread_mutex_unlock(&names);
  return failed;
}

int remove(const char *path) {
  struct stat found;
  if (lstat(path, &found) == 0 && S_ISDIR(found.st_mode)) return rmdir(path);
  return unlink(path);
}

int mkdir(const char *path, mode_t mode) {
  char buffer[PATH_MAX];
  struct stat made;
  const char *full = absolute(AT_FDCWD, path, buffer);
  pthread_mutex_lock(&names);
  uint64_t begin_ns = now();
  int failed = REAL(mkdir)(path, mode);
  if (failed == 0 && full != NULL && stat(path, &made) == 0)
    note(MKDIR, begin_ns, (uint64_t)made.st_ino, 0, full, NULL, 0, 0);
  pthread_mutex_unlock(&names);
  return failed;
}
