// Where the kernel puts what it receives: buffers that it takes one after the other, and gets back when nobody looks at them any more.
#pragma once

#include "uring_queues.h"

namespace live {

class UringBuffers {
 public:
  static constexpr uint16_t group = 0;

  // Returns 0 or an errno.
  int open(int queuesFd) {
    if (const int failure = places_.map(count * sizeof(io_uring_buf))) return failure;
    if (const int failure = memory_.map(count * stride)) return failure;
    io_uring_buf_reg given{};
    given.ring_addr = reinterpret_cast<uint64_t>(places_.at<uint8_t>(0));
    given.ring_entries = count;
    given.bgid = group;
    if (syscall(__NR_io_uring_register, queuesFd, IORING_REGISTER_PBUF_RING, &given, 1) != 0) return errno;
    for (uint16_t id = 0; id < count; id++) giveBack(id);
    publish();
    return 0;
  }

  const uint8_t* at(uint16_t id) const { return memory_.at<uint8_t>(id * stride); }

  bool holds(const uint8_t* bytes) const {
    return bytes >= memory_.at<uint8_t>(0) && bytes < memory_.at<uint8_t>(count * stride);
  }

  // The kernel may have it from the next `publish` on.
  void giveBack(uint16_t id) {
    // Not by its member `bufs`, which lies elsewhere in C++ than in C.
    io_uring_buf& place = places_.at<io_uring_buf>(0)[tail_++ % count];
    place.addr = reinterpret_cast<uint64_t>(at(id));
    place.len = bytes;
    place.bid = id;
  }

  void publish() { __atomic_store_n(&places_.at<io_uring_buf_ring>(0)->tail, tail_, __ATOMIC_RELEASE); }

 private:
  static constexpr uint16_t count = 1024;
  static constexpr uint32_t bytes = 4096;
  // Not a power of two, or the beginnings of all buffers, which are all that a frame needs, would share a few places of the caches.
  static constexpr std::size_t stride = bytes + 320;

  Mapping places_;
  Mapping memory_;
  uint16_t tail_ = 0;
};

}  // namespace live
