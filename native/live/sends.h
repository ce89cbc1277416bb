// JavaScript's messages on their way to one peer: where in all that is ever written each of them ends, and how many have left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

namespace live {

class Sends {
 public:
  // A message that ends so many bytes behind what has left.
  void add(std::size_t bytesBehind) { ends_.push_back(left_ + bytesBehind); }

  bool isEmpty() const { return ends_.empty(); }

  // So many bytes have left. Returns how many messages end in them.
  std::size_t leave(std::size_t bytes) {
    left_ += bytes;
    std::size_t messages = 0;
    while (!ends_.empty() && ends_.front() <= left_) {
      ends_.pop_front();
      messages++;
    }
    return messages;
  }

  // The others never will. Returns how many.
  std::size_t clear() {
    const std::size_t messages = ends_.size();
    ends_.clear();
    return messages;
  }

 private:
  std::deque<uint64_t> ends_;
  uint64_t left_ = 0;
};

}  // namespace live
