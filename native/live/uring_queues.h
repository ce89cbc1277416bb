// The two queues that io_uring shares with the kernel, by system calls of our own: what is asked for, and what became of it. Used by one
// thread, from `begin` on.
#pragma once

#include <errno.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace live {

// Memory that is mapped, and unmapped in the end.
class Mapping {
 public:
  Mapping() = default;
  ~Mapping() {
    if (at_ != nullptr) munmap(at_, bytes_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  // `fd` -1: memory of nobody else. Returns 0 or an errno.
  int map(std::size_t bytes, int fd = -1, off_t offset = 0) {
    const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED | MAP_POPULATE;
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, offset);
    if (at == MAP_FAILED) return errno;
    at_ = at;
    bytes_ = bytes;
    return 0;
  }

  template <typename T>
  T* at(std::size_t offset) const {
    return reinterpret_cast<T*>(static_cast<uint8_t*>(at_) + offset);
  }

 private:
  void* at_ = nullptr;
  std::size_t bytes_ = 0;
};

// What became of something: a copy, since its place in the queue is the kernel's again.
struct Completion {
  uint64_t mark;
  int32_t result;
  uint32_t flags;
};

class UringQueues {
 public:
  UringQueues() = default;
  ~UringQueues() {
    if (fd_ >= 0) ::close(fd_);
  }
  UringQueues(const UringQueues&) = delete;
  UringQueues& operator=(const UringQueues&) = delete;

  // On any thread: the queues stay shut until their own one begins. The kernel does its part of the work only while that thread asks for
  // it (DEFER_TASKRUN, Linux 6.1), so nothing interrupts what it does, and nothing is received meanwhile. Returns 0 or an errno.
  int open() {
    io_uring_params given{};
    given.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                  IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
    given.cq_entries = completions;
    fd_ = static_cast<int>(syscall(__NR_io_uring_setup, submissions, &given));
    if (fd_ < 0) return errno;
    if ((given.features & IORING_FEAT_SINGLE_MMAP) == 0) return ENOSYS;
    return map(given);
  }

  // On the thread that uses them from now on.
  void begin() {
    syscall(__NR_io_uring_register, fd_, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    // Saves looking the descriptor up at each call, where it can be had.
    io_uring_rsrc_update place{};
    place.offset = UINT32_MAX;
    place.data = static_cast<uint64_t>(fd_);
    if (syscall(__NR_io_uring_register, fd_, IORING_REGISTER_RING_FDS, &place, 1) != 1) return;
    entered_ = static_cast<int>(place.offset);
    enterFlags_ = IORING_ENTER_REGISTERED_RING;
  }

  int fd() const { return fd_; }

  // Room to ask for something, all zero; null: there is none until the kernel has taken what is there.
  io_uring_sqe* ask() {
    if (unsubmitted() == submissions) return nullptr;
    io_uring_sqe* place = asked_.at<io_uring_sqe>(0) + (tail_++ & sqMask_);
    std::memset(place, 0, sizeof *place);
    return place;
  }

  // Gives the kernel all that was asked for, and calls `take` with each completion.
  template <typename Take>
  void submit(Take take) {
    while (unsubmitted() > 0) {
      if (enter(0, 0) < 0) sched_yield();
      drain(take);
    }
  }

  // The same, then lets the kernel work, and waits until there are `least` completions.
  template <typename Take>
  void wait(unsigned least, Take take) {
    enter(least, IORING_ENTER_GETEVENTS);
    drain(take);
    // What it didn't take for want of memory or room.
    submit(take);
  }

 private:
  // Together with the buffers' places some 150 KiB, which newer kernels count as locked memory.
  static constexpr unsigned submissions = 1024;
  static constexpr unsigned completions = 4096;

  int map(const io_uring_params& given) {
    const std::size_t asked = given.sq_off.array + given.sq_entries * sizeof(uint32_t);
    const std::size_t answered = given.cq_off.cqes + given.cq_entries * sizeof(io_uring_cqe);
    if (const int failure = shared_.map(asked > answered ? asked : answered, fd_, IORING_OFF_SQ_RING)) return failure;
    if (const int failure = asked_.map(given.sq_entries * sizeof(io_uring_sqe), fd_, IORING_OFF_SQES)) return failure;
    sqHead_ = shared_.at<uint32_t>(given.sq_off.head);
    sqTail_ = shared_.at<uint32_t>(given.sq_off.tail);
    sqMask_ = *shared_.at<uint32_t>(given.sq_off.ring_mask);
    cqHead_ = shared_.at<uint32_t>(given.cq_off.head);
    cqTail_ = shared_.at<uint32_t>(given.cq_off.tail);
    cqMask_ = *shared_.at<uint32_t>(given.cq_off.ring_mask);
    answers_ = shared_.at<io_uring_cqe>(given.cq_off.cqes);
    entered_ = fd_;
    // Each place stands for itself, for ever.
    auto* places = shared_.at<uint32_t>(given.sq_off.array);
    for (uint32_t i = 0; i < given.sq_entries; i++) places[i] = i;
    return 0;
  }

  unsigned unsubmitted() const { return tail_ - __atomic_load_n(sqHead_, __ATOMIC_ACQUIRE); }

  int enter(unsigned least, unsigned flags) {
    __atomic_store_n(sqTail_, tail_, __ATOMIC_RELEASE);
    return static_cast<int>(
        syscall(__NR_io_uring_enter, entered_, unsubmitted(), least, flags | enterFlags_, nullptr, 0));
  }

  template <typename Take>
  void drain(Take take) {
    uint32_t head = *cqHead_;
    const uint32_t tail = __atomic_load_n(cqTail_, __ATOMIC_ACQUIRE);
    for (; head != tail; head++) {
      const io_uring_cqe& answer = answers_[head & cqMask_];
      take(Completion{answer.user_data, answer.res, answer.flags});
    }
    __atomic_store_n(cqHead_, head, __ATOMIC_RELEASE);
  }

  int fd_ = -1;
  int entered_ = -1;
  unsigned enterFlags_ = 0;
  Mapping shared_;
  Mapping asked_;
  uint32_t* sqHead_ = nullptr;
  uint32_t* sqTail_ = nullptr;
  uint32_t* cqHead_ = nullptr;
  uint32_t* cqTail_ = nullptr;
  io_uring_cqe* answers_ = nullptr;
  uint32_t sqMask_ = 0;
  uint32_t cqMask_ = 0;
  uint32_t tail_ = 0;
};

}  // namespace live
