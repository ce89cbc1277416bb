// What is to be sent to one peer at the turn's end, in one go: places of bytes that stay where they are until then.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "outbox.h"

namespace live {

class Parcel {
 public:
  // As much as is read of a socket at once with epoll: so much may be on its way to a peer before anybody knows whether that one reads.
  static constexpr std::size_t mostBytes = 65536;
  static constexpr std::size_t mostPieces = 8;

  // It has been given to the kernel, whose answer isn't known yet.
  bool isUnderWay = false;

  std::size_t bytes() const { return bytes_; }
  bool isEmpty() const { return bytes_ == 0; }

  bool hasRoom(std::size_t count) const { return count_ < mostPieces && bytes_ + count <= mostBytes; }

  void add(const uint8_t* bytes, std::size_t count) {
    bytes_ += count;
    if (count_ > 0) {
      iovec& last = pieces_[count_ - 1];
      if (static_cast<const uint8_t*>(last.iov_base) + last.iov_len == bytes) {
        last.iov_len += count;
        return;
      }
    }
    pieces_[count_++] = {const_cast<uint8_t*>(bytes), count};
  }

  std::size_t pieces() const { return count_; }
  const iovec& first() const { return pieces_[0]; }

  // Good until anything is added.
  msghdr* message() {
    message_ = {};
    message_.msg_iov = pieces_;
    message_.msg_iovlen = count_;
    return &message_;
  }

  // Copies what lies behind the first `sent` bytes.
  void copyRest(std::size_t sent, Outbox& to) const {
    for (std::size_t i = 0; i < count_; i++) {
      const auto* from = static_cast<const uint8_t*>(pieces_[i].iov_base);
      const std::size_t length = pieces_[i].iov_len;
      if (sent < length) to.append(from + sent, length - sent);
      sent -= sent < length ? sent : length;
    }
  }

  void clear() {
    count_ = 0;
    bytes_ = 0;
    isUnderWay = false;
  }

 private:
  iovec pieces_[mostPieces];
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
  msghdr message_;
};

}  // namespace live
