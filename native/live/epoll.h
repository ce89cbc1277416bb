// The wire by epoll: one call to learn what there is, one for each read, and one for each write, which happens at once.
#pragma once

#include "wire.h"

namespace live {

class Epoll final : public Wire {
 public:
  Epoll() : Wire(WireKind::epoll) {}
  ~Epoll() override;

  int open() override;
  bool take(uint32_t slot, int fd) override;
  void add(Socket&) override {}
  void want(Socket& socket, Wants wants) override;
  void unwatch(Socket& socket) override;
  // A descriptor that is closed is out of it.
  void remove(Socket&) override {}
  Chunk receive(Socket& socket) override;
  bool gather(Socket&, const uint8_t*, std::size_t) override { return false; }
  void turn(bool mayWait, WireListener& listener) override;

 private:
  int poll_ = -1;
};

}  // namespace live
