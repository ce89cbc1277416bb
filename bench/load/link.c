#include "link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

enum { read_bytes = 128 * 1024 };
/* 13 s of a call's frames: who lags so far behind has more than enough to be measured by. */
enum { queue_bytes_max = 256 * 1024 };

static uint8_t read_buffer[read_bytes];

static void append(struct bytes *bytes, const uint8_t *more, size_t length) {
  if (bytes->length + length > bytes->capacity) {
    bytes->capacity = 2 * (bytes->length + length);
    bytes->data = realloc(bytes->data, bytes->capacity);
    if (bytes->data == NULL) {
      perror("memory");
      exit(1);
    }
  }
  memcpy(bytes->data + bytes->length, more, length);
  bytes->length += length;
}

static void forget(struct bytes *bytes) {
  free(bytes->data);
  *bytes = (struct bytes){0};
}

static void watch(struct link *link, int operation, bool for_writing) {
  struct epoll_event event = {.events = EPOLLIN | (for_writing ? EPOLLOUT : 0), .data.ptr = link->owner};
  if (epoll_ctl(link->epoll, operation, link->fd, &event) != 0) {
    perror("epoll_ctl");
    exit(1);
  }
  link->is_waiting = for_writing;
}

void link_open(struct link *link, int epoll, int fd, void *owner, bool awaits_connect) {
  int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  *link = (struct link){.fd = fd, .epoll = epoll, .owner = owner};
  watch(link, EPOLL_CTL_ADD, awaits_connect);
}

void link_stamp(struct link *link) {
  int yes = 1;
  setsockopt(link->fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
}

/* The system's stamp is of the wall clock. A read without one is of now. */
static int64_t stamp_of(struct msghdr *message) {
  for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS) continue;
    struct timespec stamp, wall;
    memcpy(&stamp, CMSG_DATA(part), sizeof stamp);
    clock_gettime(CLOCK_REALTIME, &wall);
    return now_ns() - ((int64_t)(wall.tv_sec - stamp.tv_sec) * 1000000000 + (wall.tv_nsec - stamp.tv_nsec));
  }
  return now_ns();
}

ssize_t link_read(struct link *link, uint8_t **bytes) {
  size_t kept = link->rest.length;
  if (kept > read_bytes / 2) {
    fprintf(stderr, "a frame is longer than %d bytes\n", read_bytes / 2);
    return link_closed;
  }
  struct iovec room = {.iov_base = read_buffer + kept, .iov_len = read_bytes - kept};
  union {
    char bytes[CMSG_SPACE(sizeof(struct timespec))];
    struct cmsghdr aligned;
  } control;
  struct msghdr message = {
      .msg_iov = &room, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t came = recvmsg(link->fd, &message, MSG_DONTWAIT);
  if (came < 0) return errno == EAGAIN || errno == EINTR ? link_nothing : link_closed;
  if (came == 0) return link_closed;
  link->came_ns = stamp_of(&message);
  if (kept > 0) memcpy(read_buffer, link->rest.data, kept);
  forget(&link->rest);
  *bytes = read_buffer;
  return (ssize_t)kept + came;
}

void link_keep(struct link *link, const uint8_t *bytes, size_t length) {
  if (length > 0) append(&link->rest, bytes, length);
}

bool link_send(struct link *link, const uint8_t *bytes, size_t length) {
  if (link->fd < 0 || link->queue.length + length > queue_bytes_max) return false;
  if (link->queue.length == 0) {
    ssize_t sent = send(link->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    /* A broken socket is told by its next read. */
    if (sent < 0 && errno != EAGAIN) return true;
    if (sent > 0) bytes += sent, length -= (size_t)sent;
    if (length == 0) return true;
  }
  append(&link->queue, bytes, length);
  if (!link->is_waiting) watch(link, EPOLL_CTL_MOD, true);
  return true;
}

void link_flush(struct link *link) {
  struct bytes *queue = &link->queue;
  if (queue->length > 0) {
    ssize_t sent = send(link->fd, queue->data, queue->length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    /* What can't be sent to a broken socket is of no use any more. */
    size_t gone = sent < 0 ? queue->length : (size_t)sent;
    memmove(queue->data, queue->data + gone, queue->length - gone);
    queue->length -= gone;
  }
  if (queue->length == 0) {
    forget(queue);
    if (link->is_waiting) watch(link, EPOLL_CTL_MOD, false);
  }
}

void link_close(struct link *link) {
  if (link->fd >= 0) close(link->fd);
  link->fd = -1;
  forget(&link->rest);
  forget(&link->queue);
}
