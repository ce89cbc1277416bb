#include "epoll.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "socket.h"

namespace live {

namespace {

constexpr uint64_t wakerMark = UINT64_MAX;
constexpr int mostEvents = 256;

}  // namespace

Epoll::~Epoll() {
  if (poll_ >= 0) ::close(poll_);
}

int Epoll::open() {
  if (const int failure = openWaker(EFD_NONBLOCK)) return failure;
  poll_ = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = wakerMark;
  return poll_ < 0 || epoll_ctl(poll_, EPOLL_CTL_ADD, waker(), &event) != 0 ? errno : 0;
}

bool Epoll::take(uint32_t slot, int fd) {
  epoll_event event{};
  event.data.u64 = slot;
  return epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void Epoll::want(Socket& socket, Wants wants) {
  epoll_event event{};
  event.events = (wants.reading ? EPOLLIN : 0U) | (wants.writing ? EPOLLOUT : 0U);
  event.data.u64 = socket.slot;
  epoll_ctl(poll_, EPOLL_CTL_MOD, socket.fd(), &event);
}

// It would be told again and again, whether anybody wants to read or not.
void Epoll::unwatch(Socket& socket) { epoll_ctl(poll_, EPOLL_CTL_DEL, socket.fd(), nullptr); }

Chunk Epoll::receive(Socket& socket) { return socket.hasLeftover || socket.isAtEnd ? Chunk{} : receiveNow(socket); }

void Epoll::turn(bool mayWait, WireListener& listener) {
  epoll_event events[mostEvents];
  const int count = epoll_wait(poll_, events, mostEvents, mayWait ? idleMs : 0);
  listener.begins();
  for (int i = 0; i < count; i++) {
    const uint64_t mark = events[i].data.u64;
    if (mark == wakerMark) {
      uint64_t times;
      while (::read(waker(), &times, sizeof times) < 0 && errno == EINTR) continue;
      // In its place among the others: what was wanted before a message came is done before that is looked at.
      listener.woken();
      continue;
    }
    const auto slot = static_cast<uint32_t>(mark);
    const uint32_t told = events[i].events;
    if ((told & EPOLLOUT) != 0) listener.writable(slot);
    if ((told & (EPOLLHUP | EPOLLERR)) != 0) listener.hungUp(slot);
    else if ((told & EPOLLIN) != 0) listener.readable(slot);
  }
}

}  // namespace live
