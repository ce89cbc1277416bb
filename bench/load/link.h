#ifndef REELAY_LOAD_LINK_H
#define REELAY_LOAD_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes in a row; they begin at `data`. */
struct bytes {
  uint8_t *data;
  size_t length;
  size_t capacity;
};

/*
 * A socket that never blocks. What comes is read into one buffer that all links share; a link keeps only the beginning of a frame
 * whose rest hasn't come, and what its peer hasn't taken yet.
 */
struct link {
  int fd;
  int epoll;
  void *owner;
  struct bytes rest;
  struct bytes queue;
  bool is_waiting;
  /* When what was read last had come to the socket, monotonic; it may have been read later. */
  int64_t came_ns;
};

enum link_end { link_closed = 0, link_nothing = -1 };

/* Takes over a socket and watches it; `awaits_connect`: its first event is that it can be written to. */
void link_open(struct link *link, int epoll, int fd, void *owner, bool awaits_connect);

/* Has the system note when something comes (SO_TIMESTAMPNS, see socket(7)), for `came_ns`. */
void link_stamp(struct link *link);

/*
 * Reads once. Returns how many bytes lie at `*bytes`, what was kept before them; good until any link is read again.
 * `link_closed` when the peer is gone, `link_nothing` when nothing has come.
 */
ssize_t link_read(struct link *link, uint8_t **bytes);

/* Keeps the end of what was read, which the next read begins with. */
void link_keep(struct link *link, const uint8_t *bytes, size_t length);

/* Sends, or queues what the socket doesn't take. Returns false, and does nothing, when too much is queued already. */
bool link_send(struct link *link, const uint8_t *bytes, size_t length);

/* To be called when the socket can be written to. */
void link_flush(struct link *link);

void link_close(struct link *link);

#endif
