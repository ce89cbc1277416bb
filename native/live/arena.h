// Copies of bytes that are to stay where they are for one turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

namespace live {

class Arena {
 public:
  static constexpr std::size_t blockBytes = 65536;

  // At most `blockBytes`. What is kept one after the other mostly lies so, too.
  const uint8_t* keep(const uint8_t* bytes, std::size_t count) {
    if (blocks_.empty() || used_ + count > blockBytes) {
      if (!blocks_.empty()) at_++;
      if (at_ == blocks_.size()) blocks_.emplace_back(new uint8_t[blockBytes]);
      used_ = 0;
    }
    uint8_t* place = blocks_[at_].get() + used_;
    std::memcpy(place, bytes, count);
    used_ += count;
    return place;
  }

  // The turn is over. What one turn in a thousand needs isn't kept for the others.
  void clear() {
    if (blocks_.size() > mostKept) blocks_.resize(mostKept);
    at_ = used_ = 0;
  }

 private:
  static constexpr std::size_t mostKept = 16;

  std::vector<std::unique_ptr<uint8_t[]>> blocks_;
  std::size_t at_ = 0;
  // Of the block that is being filled.
  std::size_t used_ = 0;
};

}  // namespace live
