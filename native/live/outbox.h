// What waits to be written to a socket, in blocks, so that neither a long queue nor a long message is ever copied as a whole.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "message.h"

namespace live {

class Outbox {
 public:
  std::size_t bytes() const { return bytes_; }
  bool isEmpty() const { return bytes_ == 0; }

  // Copies.
  void append(const uint8_t* from, std::size_t count) {
    bytes_ += count;
    if (!blocks_.empty() && blocks_.back().size() + count <= blockBytes) {
      Bytes& last = blocks_.back();
      last.insert(last.end(), from, from + count);
      return;
    }
    Bytes block;
    block.reserve(std::max(count, blockBytes));
    block.assign(from, from + count);
    blocks_.push_back(std::move(block));
  }

  // Doesn't copy what is long.
  void append(Bytes whole) {
    if (whole.size() < blockBytes / 4) return append(whole.data(), whole.size());
    bytes_ += whole.size();
    blocks_.push_back(std::move(whole));
  }

  // The first pieces; returns how many.
  int pieces(iovec* to, int most) const {
    int count = 0;
    std::size_t skipped = begun_;
    for (const Bytes& block : blocks_) {
      if (count == most) break;
      to[count].iov_base = const_cast<uint8_t*>(block.data()) + skipped;
      to[count++].iov_len = block.size() - skipped;
      skipped = 0;
    }
    return count;
  }

  void drop(std::size_t count) {
    bytes_ -= count;
    begun_ += count;
    while (!blocks_.empty() && begun_ >= blocks_.front().size()) {
      begun_ -= blocks_.front().size();
      blocks_.pop_front();
    }
  }

  void clear() {
    blocks_.clear();
    begun_ = 0;
    bytes_ = 0;
  }

 private:
  static constexpr std::size_t blockBytes = 16384;

  std::deque<Bytes> blocks_;
  // Of the first block.
  std::size_t begun_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace live
