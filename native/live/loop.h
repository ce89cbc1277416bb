// The thread that moves frames: an epoll loop over the sockets it was given. Whatever isn't plain media between two linked sockets is
// handed to JavaScript, in order: as long as JavaScript has a message of a socket in hand, what follows on that socket goes the same way.
// So JavaScript may decide anything while it has one (forward it, or not; undo the link; close) before the next one is looked at.
#pragma once

#include <pthread.h>

#include <memory>
#include <unordered_map>
#include <vector>

#include "gathering.h"
#include "link.h"
#include "realtime.h"

namespace live {

// Memory that is shared with JavaScript; it outlives the loop.
struct LoopMemory {
  uint8_t* ring;
  std::size_t ringBytes;
  uint64_t* sequence;
  double* board;
  // In the order of `frameCounterNames` in src/tap/Counters.ts.
  double* counters;
  double* latencyToBot;
  double* latencyToProvider;
  double* delay;
};

class Loop {
 public:
  static constexpr uint32_t mostSockets = 65536;

  // `clockOffsetMs`: JavaScript's `performance.now()` less the monotonic clock. `wake` is called on the thread when there are events.
  Loop(const LoopMemory& memory, double clockOffsetMs, std::function<void()> wake, Gathering gathering = {});
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // False when the system gives no thread or no descriptor.
  bool start();

  // The functions from here on may be called from one other thread.

  // Has the thread run in real time. False: the system doesn't allow it.
  bool comeFirst() { return isRunning_ && live::comeFirst(thread_); }
  // Takes a duplicate of a connected socket. False: nothing has happened.
  bool add(uint32_t slot, int fd, const SocketOptions& options, Bytes input);
  void command(Command command);
  std::vector<Event> takeEvents() { return events_.take(); }
  // Waits for the thread; what it still has is closed.
  void join();

  static double clockMs();

 private:
  static constexpr std::size_t readBytes = 65536;
  static constexpr unsigned mostMessages = 64;
  static constexpr double longestTurnMs = 1500;

  void run();
  void turn();
  void keepTime();
  void catchUp();

  void obey(Command& command);
  void addSocket(Command& command);
  void link(const Command& command);
  void unlink(Socket& socket);

  void serve(Socket& socket);
  void read(Socket& socket);
  std::size_t receive(Socket& socket);
  std::size_t understand(Socket& socket, const uint8_t* bytes, std::size_t count);
  void take(Socket& socket, const Frame& frame, const uint8_t* bytes, std::size_t frameBytes);
  void control(Socket& socket, const Frame& frame, const uint8_t* payload);
  void flush(Socket& from);

  void holdBack(Link& link);
  void write(Socket& socket);
  void fail(Socket& socket, Violation violation);
  void finish(Socket& socket);
  double providerLimit(const Link& link) const;
  double nowMs() const { return clockMs() + clockOffsetMs_; }
  Socket* at(uint64_t slot) const { return slot < sockets_.size() ? sockets_[slot].get() : nullptr; }

  const LoopMemory memory_;
  const double clockOffsetMs_;
  EventQueue events_;
  CommandQueue commands_;
  Wheel wheel_;
  Masks masks_;
  SocketHost host_;
  Ring ring_;
  LinkCounters counters_;
  TapTotals totals_;
  double* ringUsed_;
  Histogram latencyToBot_;
  Histogram latencyToProvider_;
  Histogram delay_;
  pthread_t thread_{};
  bool isRunning_ = false;
  int poll_ = -1;
  int waker_ = -1;
  bool isStopping_ = false;
  std::vector<std::shared_ptr<Socket>> sockets_;
  // Gone, but perhaps still in somebody's hands until the turn is over.
  std::vector<std::shared_ptr<Socket>> gone_;
  std::unordered_map<uint32_t, std::unique_ptr<Link>> links_;
  std::vector<uint32_t> behind_;
  std::vector<uint32_t> listed_;
  Bytes read_;
  Scratch scratch_;
  Run run_;
  // What may wait for each provider, bytes: all of them share a budget.
  double providerShare_;
  Gathering gathering_;
  // The last turn left something where it was: sockets that it had no place for, or bytes of one that had more than is read at once.
  bool hasMore_ = false;
  double turnMs_ = 0;
  // When the first of what a turn finds may have come.
  double sinceMs_ = 0;
  double arrivalMs_ = 0;
  double keptMs_ = 0;
  double caughtUpMs_ = 0;
};

}  // namespace live
