// What JavaScript has been handed of one socket and has not done with.
#pragma once

#include <algorithm>
#include <cstddef>

namespace live {

class InHand {
 public:
  static constexpr std::size_t mostMessages = 256;
  static constexpr std::size_t mostBytes = 262144;

  bool isEmpty() const { return messages_ == 0; }
  bool isFull() const { return messages_ >= mostMessages || bytes_ > mostBytes; }

  void add(std::size_t bytes) {
    messages_++;
    bytes_ += bytes;
  }

  void drop(std::size_t messages, std::size_t bytes) {
    messages_ -= std::min(messages_, messages);
    bytes_ -= std::min(bytes_, bytes);
  }

 private:
  std::size_t messages_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace live
