#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "caller.h"
#include "clock.h"
#include "handshake.h"
#include "tally.h"

enum { events_at_once = 256, sends_in_turn = 64 };
/* Nothing comes back from a recorder; now and then it is pinged instead, which it answers when it has read what came before. */
enum { frames_for_ping = 25 };
/*
 * While callers speak the program looks as often as this, whatever comes: frames that are due go out together, and when one came the
 * system knows by itself. Nobody has to wake it, which would cost the relay, too; callers elsewhere wouldn't have to be woken by it.
 */
static const int64_t tick_ns = 250000;
static const int64_t frame_ns = 20000000;

struct load {
  const struct options *options;
  struct caller *callers;
  struct tally tally;
  int epoll;
  uint32_t random;
  int64_t began_ns;
  /* The caller whose turn to speak comes next, and when. */
  int turn;
  int64_t due_ns;
  int64_t turned_ns;
  int dialled;
  int pending;
  int up;
  /* That haven't been answered. */
  int64_t pings;
  bool speaks;
  /* It looks at its ticks alone; else whenever something comes or is due. */
  bool is_paced;
  /* Whoever closes now was asked to. */
  bool is_over;
  int64_t window_from_us;
  int64_t window_until_us;
};

static uint8_t scratch[media_bytes_max + frame_header_max];

static int64_t us_of(const struct load *load, int64_t at_ns) { return (at_ns - load->began_ns) / ns_per_us; }

static bool is_in_window(const struct load *load, int64_t us) {
  return us >= load->window_from_us && us < load->window_until_us;
}

static uint32_t next_mask(struct load *load) {
  load->random ^= load->random << 13;
  load->random ^= load->random >> 17;
  load->random ^= load->random << 5;
  return load->random;
}

static bool say(struct load *load, struct caller *caller, enum opcode opcode, const void *payload, size_t length) {
  size_t whole;
  uint32_t mask = next_mask(load);
  const uint8_t *frame = frame_wrap(scratch, opcode, payload, length, &mask, &whole);
  return link_send(&caller->link, frame, whole);
}

static void settle(struct load *load, struct caller *caller, enum caller_state state) {
  if (caller->state >= caller_connects && caller->state <= caller_started) load->pending--;
  if (state == caller_up) load->up++;
  caller->state = state;
}

static void leave(struct load *load, struct caller *caller) {
  if (!load->is_over) {
    if (caller->state == caller_up) load->tally.cut++;
    else load->tally.refused++;
  }
  settle(load, caller, caller_over);
  link_close(&caller->link);
}

static void dial(struct load *load, struct caller *caller) {
  const struct options *options = load->options;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    perror("a caller's socket");
    exit(1);
  }
  if (options->sources > 0) {
    /* The port is chosen at the connect, among those that this pair of addresses has left. */
    int yes = 1;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    uint32_t host = INADDR_LOOPBACK + 1 + (uint32_t)(load->dialled % options->sources);
    struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
    if (bind(fd, (struct sockaddr *)&source, sizeof source) != 0) perror("a caller's address");
  }
  struct sockaddr_in relay = {
      .sin_family = AF_INET,
      .sin_port = htons((uint16_t)options->port),
      .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
  };
  int answer = connect(fd, (struct sockaddr *)&relay, sizeof relay);
  bool is_refused = answer != 0 && errno != EINPROGRESS;
  link_open(&caller->link, load->epoll, fd, caller, true);
  link_stamp(&caller->link);
  settle(load, caller, caller_connects);
  load->pending++;
  load->dialled++;
  if (is_refused) leave(load, caller);
}

static void request_upgrade(struct load *load, struct caller *caller) {
  char text[1024];
  const struct options *options = load->options;
  size_t length = handshake_request(text, sizeof text, "127.0.0.1", options->port, options->path);
  link_send(&caller->link, (const uint8_t *)text, length);
  caller->state = caller_upgrades;
}

static void speak(struct load *load, struct caller *caller, int64_t at_ns) {
  struct stamp stamp = {.number = caller->next, .sent_us = us_of(load, at_ns)};
  uint8_t *message = scratch + frame_header_max;
  size_t length = media_frame(&caller->media, stamp, message);
  if (!say(load, caller, media_opcode(&caller->media), message, length)) {
    load->tally.skipped++;
    return;
  }
  caller->next++;
  caller->last_sent_us = stamp.sent_us;
  load->tally.sent++;
  load->tally.frame_bytes += length;
  if (is_in_window(load, stamp.sent_us)) load->tally.window_sent++;
  if (caller->media.dialect != dialect_record) return;
  if ((stamp.number + caller->media.call) % frames_for_ping == 0 &&
      say(load, caller, opcode_ping, &stamp.sent_us, sizeof stamp.sent_us))
    load->pings++;
}

static void begin(struct load *load, struct caller *caller) {
  char text[1024];
  size_t length;
  for (int index = 0; media_opening(&caller->media, index, text, sizeof text, &length); index++)
    say(load, caller, opcode_text, text, length);
  caller->state = caller_started;
  if (load->options->is_idle) speak(load, caller, now_ns());
  if (caller->media.dialect == dialect_record) settle(load, caller, caller_up);
}

static void time_round_trip(struct load *load, int64_t sent_us, int64_t at_us) {
  if (is_in_window(load, sent_us)) histogram_add(&load->tally.round_trip, at_us - sent_us);
}

static void hear_frame(struct load *load, struct caller *caller, const struct stamp *stamp, int64_t at_us) {
  load->tally.received++;
  if (is_in_window(load, at_us)) load->tally.window_received++;
  if (stamp->number < caller->expected) {
    load->tally.misplaced++;
    return;
  }
  load->tally.lost += stamp->number - caller->expected;
  caller->expected = stamp->number + 1;
  time_round_trip(load, stamp->sent_us, at_us);
  if (caller->state == caller_started) settle(load, caller, caller_up);
}

/* Returns false when the call is over. */
static bool hear_message(struct load *load, struct caller *caller, const struct frame *frame, int64_t at_us) {
  if (frame->opcode == opcode_close) return false;
  if (frame->opcode == opcode_ping) {
    say(load, caller, opcode_pong, frame->payload, frame->length);
    return true;
  }
  if (frame->opcode == opcode_pong) {
    int64_t sent_us;
    if (frame->length == sizeof sent_us) {
      memcpy(&sent_us, frame->payload, sizeof sent_us);
      load->pings--;
      time_round_trip(load, sent_us, at_us);
    }
    return true;
  }
  struct stamp stamp;
  enum heard heard = media_read(&caller->media, frame, &stamp);
  if (heard == heard_foreign) load->tally.foreign++;
  if (heard == heard_frame) hear_frame(load, caller, &stamp, at_us);
  return true;
}

/* Returns false when the call is over. */
static bool hear(struct load *load, struct caller *caller) {
  uint8_t *bytes;
  ssize_t came = link_read(&caller->link, &bytes);
  if (came == link_nothing) return true;
  if (came == link_closed) return false;
  int64_t at_us = us_of(load, caller->link.came_ns);
  size_t left = (size_t)came;
  while (left > 0) {
    struct frame frame;
    bool is_upgrade = caller->state == caller_upgrades;
    ssize_t taken = is_upgrade ? handshake_accepted(bytes, left) : frame_read(bytes, left, &frame);
    if (taken < 0) return false;
    if (taken == 0) break;
    if (is_upgrade) begin(load, caller);
    else if (!hear_message(load, caller, &frame, at_us)) return false;
    bytes += taken;
    left -= (size_t)taken;
  }
  link_keep(&caller->link, bytes, left);
  return true;
}

static void attend(struct load *load, const struct epoll_event *event) {
  struct caller *caller = event->data.ptr;
  if (caller->state == caller_over) return;
  if ((event->events & EPOLLOUT) != 0) {
    if (caller->state == caller_connects && (event->events & (EPOLLERR | EPOLLHUP)) == 0)
      request_upgrade(load, caller);
    link_flush(&caller->link);
  }
  if ((event->events & ~(uint32_t)EPOLLOUT) != 0 && !hear(load, caller)) leave(load, caller);
}

/* Everybody whose frame is due says it; the next one's is due after a part of a frame. */
static int64_t speak_in_turn(struct load *load) {
  const struct options *options = load->options;
  if (!load->speaks || options->is_idle) return frame_ns;
  int64_t at_ns = now_ns();
  for (int budget = sends_in_turn; budget > 0 && load->due_ns <= at_ns; budget--) {
    struct caller *caller = &load->callers[load->turn];
    bool is_up = caller->state == caller_started || caller->state == caller_up;
    if (is_up) {
      if (is_in_window(load, us_of(load, at_ns)))
        histogram_add(&load->tally.lateness, (at_ns - load->due_ns) / ns_per_us);
      speak(load, caller, at_ns);
      at_ns = now_ns();
    }
    load->turn = (load->turn + 1) % options->calls;
    load->due_ns += frame_ns / options->calls;
  }
  return load->due_ns - at_ns;
}

static bool is_time_for_another(const struct load *load) {
  int rate = load->options->rate;
  return rate == 0 || now_ns() - load->began_ns >= load->dialled * (int64_t)1e9 / rate;
}

static void turn(struct load *load) {
  if (load->is_paced) pause_for_tick(&load->turned_ns, tick_ns);
  int64_t wait_ns = speak_in_turn(load);
  while (load->pending < load->options->together && load->dialled < load->options->calls && is_time_for_another(load))
    dial(load, &load->callers[load->dialled]);
  if (wait_ns < 0 || load->is_paced) wait_ns = 0;
  struct timespec timeout = {.tv_nsec = wait_ns};
  struct epoll_event events[events_at_once];
  int count = epoll_pwait2(load->epoll, events, events_at_once, &timeout, NULL);
  if (count < 0 && errno != EINTR) {
    perror("epoll_pwait2");
    exit(1);
  }
  for (int at = 0; at < count; at++) attend(load, &events[at]);
}

static void turn_until(struct load *load, int64_t until_ns) {
  while (now_ns() < until_ns) turn(load);
}

static uint64_t outstanding(const struct load *load) {
  uint64_t sum = 0;
  if (load->options->dialect == dialect_record) return (uint64_t)load->pings;
  for (int at = 0; at < load->options->calls; at++) {
    const struct caller *caller = &load->callers[at];
    if (caller->state == caller_up) sum += caller->next - caller->expected;
  }
  return sum;
}

static void connect_all(struct load *load) {
  const struct options *options = load->options;
  int64_t until_ns = load->began_ns + options->connect_ms * ns_per_ms;
  while (load->up + (int)load->tally.refused < options->calls && now_ns() < until_ns) turn(load);
  printf("{\"event\":\"up\",\"calls\":%d,\"ms\":%" PRId64 "}\n", load->up, (now_ns() - load->began_ns) / ns_per_ms);
  fflush(stdout);
}

static void measure(struct load *load) {
  const struct options *options = load->options;
  turn_until(load, now_ns() + options->settle_ms * ns_per_ms);
  int64_t from_ns = now_ns();
  /* What was missed while calls were being set up isn't made up for in the window. */
  if (load->due_ns < from_ns - frame_ns) load->due_ns = from_ns;
  load->window_from_us = us_of(load, from_ns);
  load->window_until_us = load->window_from_us + (int64_t)options->window_ms * 1000;
  puts("{\"event\":\"begin\"}");
  fflush(stdout);
  turn_until(load, from_ns + options->window_ms * ns_per_ms);
  puts("{\"event\":\"end\"}");
  fflush(stdout);
  load->speaks = false;
  int64_t until_ns = now_ns() + options->drain_ms * ns_per_ms;
  while (outstanding(load) > 0 && now_ns() < until_ns) turn(load);
}

/* What hasn't come back has taken as long as it was waited for, at least. */
static void count_outstanding(struct load *load) {
  load->tally.outstanding = outstanding(load);
  if (load->tally.outstanding == 0) return;
  int64_t at_us = us_of(load, now_ns());
  if (load->options->dialect == dialect_record) {
    for (int64_t ping = 0; ping < load->pings; ping++) time_round_trip(load, load->window_until_us - 1, at_us);
    return;
  }
  for (int at = 0; at < load->options->calls; at++) {
    const struct caller *caller = &load->callers[at];
    if (caller->state != caller_up) continue;
    for (uint32_t number = caller->expected; number < caller->next; number++) {
      int64_t sent_us = caller->last_sent_us - (int64_t)(caller->next - 1 - number) * frame_ms * 1000;
      time_round_trip(load, sent_us, at_us);
    }
  }
}

/* A provider's closing handshake; how it is answered is nobody's business any more. */
static void hang_up(struct load *load) {
  static const uint8_t normal[2] = {0x03, 0xe8};
  char text[512];
  load->is_over = true;
  load->is_paced = false;
  for (int at = 0; at < load->options->calls; at++) {
    struct caller *caller = &load->callers[at];
    if (caller->state != caller_up && caller->state != caller_started) continue;
    size_t length = media_farewell(&caller->media, caller->next, text, sizeof text);
    if (length > 0) say(load, caller, opcode_text, text, length);
    say(load, caller, opcode_close, normal, sizeof normal);
  }
  turn_until(load, now_ns() + 200 * ns_per_ms);
}

int load_run(const struct options *options) {
  static struct load load;
  load.options = options;
  load.began_ns = now_ns();
  load.due_ns = load.began_ns;
  load.random = (uint32_t)load.began_ns | 1;
  load.speaks = true;
  load.is_paced = !options->is_idle;
  load.window_from_us = INT64_MAX;
  load.epoll = epoll_create1(EPOLL_CLOEXEC);
  load.callers = calloc((size_t)options->calls, sizeof *load.callers);
  if (load.callers == NULL) return 1;
  uint64_t run = (uint64_t)load.began_ns * 0x9e3779b97f4a7c15u + (uint64_t)getpid();
  for (int at = 0; at < options->calls; at++) {
    load.callers[at].link.fd = -1;
    media_begin(&load.callers[at].media, options->dialect, (uint32_t)at, run);
  }
  connect_all(&load);
  measure(&load);
  count_outstanding(&load);
  hang_up(&load);
  tally_print(&load.tally, load.up);
  return 0;
}
