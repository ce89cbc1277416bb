#include "bot.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "clock.h"
#include "handshake.h"
#include "link.h"

/*
 * The bot looks as often as this while there is something to be answered, so nobody has to wake it: see the callers' tick. It's a part of
 * every round trip, half of it on average.
 */
static const int64_t tick_ns = 100000;
/* After so many looks in vain it waits to be woken. */
enum { looks_max = 1000 };

enum { backlog = 4096, events_at_once = 256, answer_bytes = 128 * 1024 };

struct guest {
  struct link link;
  bool is_open;
  char stream_sid[35];
};

/* What is answered to everything that one read brought: it goes out in one write. */
static uint8_t answers[2 * answer_bytes];
static size_t answered;

static int listen_anywhere(int *port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, backlog) != 0 ||
      getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
    perror("the bot can't listen");
    exit(1);
  }
  *port = ntohs(address.sin_port);
  return fd;
}

static void leave(struct guest *guest) {
  link_close(&guest->link);
  free(guest);
}

static void answer(enum opcode opcode, const void *payload, size_t length) {
  size_t whole;
  uint8_t *frame = frame_wrap(answers + answered, opcode, payload, length, NULL, &whole);
  /* Frames lie one behind the other, without the room that their header didn't need. */
  memmove(answers + answered, frame, whole);
  answered += whole;
}

static void answer_text(struct guest *guest, const struct frame *frame) {
  if (guest->stream_sid[0] == '\0' && media_stream(frame, guest->stream_sid)) return;
  uint8_t *at = answers + answered + frame_header_max;
  size_t length = media_answer(frame, guest->stream_sid, at, media_bytes_max);
  if (length > 0) answer(opcode_text, at, length);
}

/* Returns false when the guest has said goodbye. */
static bool take(struct guest *guest, const struct frame *frame) {
  switch (frame->opcode) {
    case opcode_text:
      answer_text(guest, frame);
      return true;
    case opcode_binary:
      /* jambonz ends a stream by an empty one. */
      if (frame->length > 0) answer(opcode_binary, frame->payload, frame->length);
      return true;
    case opcode_ping:
      answer(opcode_pong, frame->payload, frame->length);
      return true;
    case opcode_close:
      answer(opcode_close, frame->payload, frame->length < 2 ? 0 : 2);
      return false;
    default:
      return true;
  }
}

static ssize_t open_guest(struct guest *guest, const uint8_t *bytes, size_t length) {
  char text[512];
  size_t written = 0;
  ssize_t request = handshake_answer(bytes, length, text, sizeof text, &written);
  if (request <= 0) return request;
  guest->is_open = true;
  link_send(&guest->link, (const uint8_t *)text, written);
  return request;
}

/* Returns false when the guest is gone. */
static bool hear(struct guest *guest) {
  uint8_t *bytes;
  ssize_t came = link_read(&guest->link, &bytes);
  if (came == link_nothing) return true;
  if (came == link_closed) return false;
  size_t left = (size_t)came;
  bool stays = true;
  answered = 0;
  while (left > 0 && stays) {
    struct frame frame;
    bool is_upgrade = !guest->is_open;
    ssize_t taken = is_upgrade ? open_guest(guest, bytes, left) : frame_read(bytes, left, &frame);
    if (taken < 0) stays = false;
    if (taken <= 0) break;
    /* An answer is at most as long as what it answers and a header, and what was read fits in half of the room. */
    if (!is_upgrade) stays = frame.is_final && take(guest, &frame);
    bytes += taken;
    left -= (size_t)taken;
  }
  if (answered > 0 && !link_send(&guest->link, answers, answered)) stays = false;
  if (stays) link_keep(&guest->link, bytes, left);
  return stays;
}

static void welcome(int epoll, int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno != EAGAIN) perror("accept");
      return;
    }
    struct guest *guest = calloc(1, sizeof *guest);
    if (guest == NULL) exit(1);
    link_open(&guest->link, epoll, fd, guest, false);
  }
}

_Noreturn void bot_run(const struct options *options) {
  (void)options;
  int port;
  int listener = listen_anywhere(&port);
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event own = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &own);
  printf("{\"event\":\"listening\",\"port\":%d}\n", port);
  fflush(stdout);
  struct epoll_event events[events_at_once];
  int64_t turned_ns = 0;
  int looks = 0;
  for (;;) {
    bool waits = looks == looks_max;
    if (!waits) pause_for_tick(&turned_ns, tick_ns);
    int count = epoll_wait(epoll, events, events_at_once, waits ? -1 : 0);
    looks = count > 0 ? 0 : waits ? looks : looks + 1;
    for (int at = 0; at < count; at++) {
      struct guest *guest = events[at].data.ptr;
      if (guest == NULL) {
        welcome(epoll, listener);
        continue;
      }
      if (events[at].events & EPOLLOUT) link_flush(&guest->link);
      if ((events[at].events & ~EPOLLOUT) && !hear(guest)) leave(guest);
    }
  }
}
