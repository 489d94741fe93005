/*
 * Lets one write, fsync or rename below a folder fail, for LD_PRELOAD. FAULT_CONTROL is a file of four
 * int32: operations so far, the one that fails (0: none), its errno, and whether all after it fail too.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile int *control;
static const char *root;

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("FAULT_CONTROL");
  root = getenv("FAULT_ROOT");
  if (!path || !root) return;
  int fd = open(path, O_RDWR);
  if (fd < 0) return;
  void *at = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at != MAP_FAILED) control = at;
}

static int fails(const char *path) {
  if (!control || !root || strncmp(path, root, strlen(root)) != 0) return 0;
  int n = __sync_add_and_fetch(&control[0], 1);
  if (control[1] == 0 || n < control[1] || (n > control[1] && !control[3])) return 0;
  errno = control[2];
  return 1;
}

static int fd_fails(int fd) {
  if (!control) return 0;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = 0;
  return fails(path);
}

#define WRAP(type, name, params, args, test)            \
  type name params {                                    \
    static type(*real) params;                          \
    if (!real) real = dlsym(RTLD_NEXT, #name);          \
    if (test) return -1;                                \
    return real args;                                   \
  }

WRAP(ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n), fd_fails(fd))
WRAP(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o), fd_fails(fd))
WRAP(ssize_t, pwrite64, (int fd, const void *b, size_t n, off64_t o), (fd, b, n, o), fd_fails(fd))
WRAP(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), fd_fails(fd))
WRAP(ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t o), (fd, v, n, o), fd_fails(fd))
WRAP(ssize_t, pwritev64, (int fd, const struct iovec *v, int n, off64_t o), (fd, v, n, o), fd_fails(fd))
WRAP(int, fsync, (int fd), (fd), fd_fails(fd))
WRAP(int, fdatasync, (int fd), (fd), fd_fails(fd))
WRAP(int, ftruncate, (int fd, off_t n), (fd, n), fd_fails(fd))
WRAP(int, ftruncate64, (int fd, off64_t n), (fd, n), fd_fails(fd))
WRAP(int, rename, (const char *a, const char *b), (a, b), fails(b))
