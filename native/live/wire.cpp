#include "wire.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "epoll.h"
#include "socket.h"
#include "uring.h"

namespace live {

Wire::~Wire() {
  if (waker_ >= 0) ::close(waker_);
}

int Wire::openWaker(int flags) {
  waker_ = eventfd(0, EFD_CLOEXEC | flags);
  return waker_ < 0 ? errno : 0;
}

void Wire::wake() {
  const uint64_t one = 1;
  while (::write(waker_, &one, sizeof one) < 0 && errno == EINTR) continue;
}

Chunk Wire::receiveNow(Socket& socket) {
  if (read_.empty()) read_.resize(readBytes);
  ssize_t count;
  do count = recv(socket.fd(), read_.data(), read_.size(), MSG_DONTWAIT);
  while (count < 0 && errno == EINTR);
  if (count > 0) {
    socket.heard();
    return {read_.data(), static_cast<std::size_t>(count)};
  }
  // A connection that is over has nothing more to wait for.
  if (count == 0 || errno != EAGAIN || socket.isHungUp()) socket.isAtEnd = true;
  return {};
}

std::unique_ptr<Wire> openWire(WireKind preferred, int& refusal) {
  refusal = 0;
  if (preferred == WireKind::ioUring) {
    std::unique_ptr<Wire> uring = makeUring();
    refusal = uring == nullptr ? ENOSYS : uring->open();
    if (refusal == 0) return uring;
  }
  auto epoll = std::make_unique<Epoll>();
  return epoll->open() == 0 ? std::move(epoll) : nullptr;
}

}  // namespace live
