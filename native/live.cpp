// The thread that moves frames, as JavaScript sees it: an object whose methods become commands, and one function that is called with what
// the thread has to tell. Linux only; elsewhere there is no such object, and frames are moved in JavaScript.

#include "live.h"

// The layouts that are shared with JavaScript are little-endian.
#if defined(__linux__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "live/loop.h"

namespace {

using live::CommandKind;

// Events that JavaScript is given at a time; between two times its own loop turns.
constexpr std::size_t mostInBatch = 256;
constexpr std::size_t partsOfEvent = 5;

live::Bytes bytesOf(const Napi::Value& value) {
  const auto array = value.As<Napi::Uint8Array>();
  return live::Bytes(array.Data(), array.Data() + array.ByteLength());
}

double numberAt(const Napi::Object& object, const char* name) {
  return object.Get(name).As<Napi::Number>().DoubleValue();
}

bool flagAt(const Napi::Object& object, const char* name) { return object.Get(name).As<Napi::Boolean>().Value(); }

uint32_t wholeOf(const Napi::Value& value) { return value.As<Napi::Number>().Uint32Value(); }

// Lives until both JavaScript's object and its environment's clean-up have let go of it.
struct Connection {
  Napi::ThreadSafeFunction wake;
  std::unique_ptr<live::Loop> loop;
  std::deque<live::Event> waiting;
  bool isOver = false;

  // The memory that the thread uses is JavaScript's, so the thread ends first, however this environment does.
  void end() {
    if (std::exchange(isOver, true)) return;
    loop->join();
    wake.Abort();
  }
};

class LiveLoop : public Napi::ObjectWrap<LiveLoop> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "LiveLoop",
                       {
                           InstanceMethod<&LiveLoop::start>("start"),
                           InstanceMethod<&LiveLoop::comeFirst>("comeFirst"),
                           InstanceMethod<&LiveLoop::add>("add"),
                           InstanceMethod<&LiveLoop::send>("send"),
                           InstanceMethod<&LiveLoop::close>("close"),
                           InstanceMethod<&LiveLoop::tell<CommandKind::terminate>>("terminate"),
                           InstanceMethod<&LiveLoop::tell<CommandKind::pause>>("pause"),
                           InstanceMethod<&LiveLoop::tell<CommandKind::resume>>("resume"),
                           InstanceMethod<&LiveLoop::handled>("handled"),
                           InstanceMethod<&LiveLoop::link>("link"),
                           InstanceMethod<&LiveLoop::unlink>("unlink"),
                           InstanceMethod<&LiveLoop::share>("share"),
                           InstanceMethod<&LiveLoop::stop>("stop"),
                           InstanceMethod<&LiveLoop::join>("join"),
                           StaticMethod<&LiveLoop::clockMs>("clockMs"),
                           StaticMethod<&LiveLoop::mayComeFirst>("mayComeFirst"),
                       });
  }

  // new LiveLoop(memory, clockOffsetMs, onEvents)
  explicit LiveLoop(const Napi::CallbackInfo& info) : Napi::ObjectWrap<LiveLoop>(info) {
    const Napi::Env env = info.Env();
    const auto memory = info[0].As<Napi::Object>();
    memory_ = Napi::Persistent(memory);
    onEvents_ = Napi::Persistent(info[2].As<Napi::Function>());
    connection_ = std::make_shared<Connection>();
    connection_->wake = Napi::ThreadSafeFunction::New(env, onEvents_.Value(), "reelay-frames", 0, 1);
    connection_->wake.Unref(env);
    connection_->loop = std::make_unique<live::Loop>(memoryOf(memory), info[1].As<Napi::Number>().DoubleValue(),
                                                     [this] { connection_->wake.NonBlockingCall(this, deliver); });
    napi_add_env_cleanup_hook(env, cleanUp, new std::shared_ptr<Connection>(connection_));
  }

  ~LiveLoop() override {
    if (connection_ != nullptr) connection_->end();
  }

 private:
  static live::LoopMemory memoryOf(const Napi::Object& memory) {
    const auto cells = [&memory](const char* name) { return memory.Get(name).As<Napi::Float64Array>().Data(); };
    auto ring = memory.Get("ring").As<Napi::Uint8Array>();
    return {ring.Data(),
            ring.ByteLength(),
            memory.Get("sequence").As<Napi::BigUint64Array>().Data(),
            cells("board"),
            cells("counters"),
            cells("latencyToBot"),
            cells("latencyToProvider"),
            cells("delay")};
  }

  static void cleanUp(void* given) {
    const std::unique_ptr<std::shared_ptr<Connection>> held(static_cast<std::shared_ptr<Connection>*>(given));
    (*held)->end();
  }

  // Whether JavaScript still runs. An environment that ends calls what waits before it runs its hooks, and whoever called into it then would
  // take the process down.
  static bool canCall(Napi::Env env) {
    napi_value global;
    bool has;
    return napi_get_global(env, &global) == napi_ok &&
           napi_has_named_property(env, global, "Object", &has) == napi_ok;
  }

  // On JavaScript's thread.
  static void deliver(Napi::Env env, Napi::Function onEvents, LiveLoop* self) {
    if (env == nullptr || self->connection_->isOver || !canCall(env)) return;
    Connection& connection = *self->connection_;
    for (live::Event& event : connection.loop->takeEvents()) connection.waiting.push_back(std::move(event));
    const std::size_t count = std::min(connection.waiting.size(), mostInBatch);
    if (count == 0) return;
    const Napi::HandleScope scope(env);
    Napi::Array parts = Napi::Array::New(env, count * partsOfEvent);
    uint32_t at = 0;
    for (std::size_t i = 0; i < count; i++) {
      const live::Event& event = connection.waiting.front();
      parts.Set(at++, static_cast<double>(event.kind));
      parts.Set(at++, static_cast<double>(event.slot));
      parts.Set(at++, event.a);
      parts.Set(at++, event.b);
      if (event.kind == live::EventKind::message)
        parts.Set(at++, Napi::Buffer<uint8_t>::Copy(env, event.bytes.data(), event.bytes.size()));
      else parts.Set(at++, env.Null());
      connection.waiting.pop_front();
    }
    if (!connection.waiting.empty()) connection.wake.NonBlockingCall(self, deliver);
    onEvents.Call({parts});
  }

  // start(): whether the thread runs.
  Napi::Value start(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), connection_->loop->start());
  }

  // comeFirst(): whether it does.
  Napi::Value comeFirst(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), connection_->loop->comeFirst());
  }

  // add(slot, fd, options, input): whether the socket is the thread's from now on.
  Napi::Value add(const Napi::CallbackInfo& info) {
    const auto given = info[2].As<Napi::Object>();
    const live::SocketOptions options{
        flagAt(given, "isClient"),
        static_cast<std::size_t>(numberAt(given, "maxMessageBytes")),
        numberAt(given, "closeTimeoutMs"),
        numberAt(given, "stalledMs"),
    };
    const int fd = info[1].As<Napi::Number>().Int32Value();
    return Napi::Boolean::New(info.Env(),
                              connection_->loop->add(wholeOf(info[0]), fd, options, bytesOf(info[3])));
  }

  // send(slot, message, isBinary, isClient): returns the bytes that were handed over.
  Napi::Value send(const Napi::CallbackInfo& info) {
    const bool isBinary = info[2].As<Napi::Boolean>().Value();
    live::Command command{CommandKind::send, wholeOf(info[0])};
    command.bytes = frameOf(info[1], isBinary ? live::Opcode::binary : live::Opcode::text, info[3]);
    const auto bytes = static_cast<double>(command.bytes.size());
    connection_->loop->command(std::move(command));
    return Napi::Number::New(info.Env(), bytes);
  }

  // close(slot, payload, isClient): the payload of a Close frame, code and reason.
  void close(const Napi::CallbackInfo& info) {
    live::Command command{CommandKind::close, wholeOf(info[0])};
    command.bytes = frameOf(info[1], live::Opcode::close, info[2]);
    connection_->loop->command(std::move(command));
  }

  live::Bytes frameOf(const Napi::Value& payload, live::Opcode opcode, const Napi::Value& isClient) {
    const auto array = payload.As<Napi::Uint8Array>();
    const bool isMasked = isClient.As<Napi::Boolean>().Value();
    return live::frameOf(opcode, array.Data(), array.ByteLength(), isMasked ? masks_.next() : nullptr);
  }

  template <CommandKind kind>
  void tell(const Napi::CallbackInfo& info) {
    connection_->loop->command({kind, wholeOf(info[0])});
  }

  // handled(slot, messages, bytes)
  void handled(const Napi::CallbackInfo& info) {
    live::Command command{CommandKind::handled, wholeOf(info[0])};
    command.number = wholeOf(info[1]);
    command.amount = info[2].As<Napi::Number>().DoubleValue();
    connection_->loop->command(std::move(command));
  }

  // link(number, provider, bot, options)
  void link(const Napi::CallbackInfo& info) {
    const auto given = info[3].As<Napi::Object>();
    live::LinkOptions options;
    options.framing = flagAt(given, "isBinary") ? live::Framing::binary : live::Framing::twilio;
    options.streamId = given.Get("streamId").As<Napi::String>().Utf8Value();
    options.onlyTrack = static_cast<live::Track>(numberAt(given, "onlyTrack"));
    options.providerFrameBytes = static_cast<std::size_t>(numberAt(given, "frameBytes"));
    options.takesFromBot = flagAt(given, "takesFromBot");
    options.call = wholeOf(given.Get("call"));
    options.stream = wholeOf(given.Get("stream"));
    options.isMuted = flagAt(given, "isMuted");
    options.startedMs = numberAt(given, "startedMs");
    options.aheadMs = numberAt(given, "aheadMs");
    options.botBytes = static_cast<std::size_t>(numberAt(given, "botBytes"));
    options.providerBytes = static_cast<std::size_t>(numberAt(given, "providerBytes"));
    live::Command command{CommandKind::link, wholeOf(info[1]), wholeOf(info[2]), wholeOf(info[0])};
    command.options = std::make_shared<live::LinkOptions>(std::move(options));
    connection_->loop->command(std::move(command));
  }

  // unlink(number)
  void unlink(const Napi::CallbackInfo& info) {
    live::Command command{CommandKind::unlink};
    command.number = wholeOf(info[0]);
    connection_->loop->command(std::move(command));
  }

  // share(bytes): what may wait for each provider; Infinity for what its link says.
  void share(const Napi::CallbackInfo& info) {
    live::Command command{CommandKind::share};
    command.amount = info[0].As<Napi::Number>().DoubleValue();
    connection_->loop->command(std::move(command));
  }

  // stop(): tells every socket closed, then that it has stopped.
  void stop(const Napi::CallbackInfo&) { connection_->loop->command({CommandKind::stop}); }

  // join(): to be called when it has stopped.
  void join(const Napi::CallbackInfo&) { connection_->end(); }

  // mayComeFirst(): whether the system would let it.
  static Napi::Value mayComeFirst(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), live::mayComeFirst());
  }

  // clockMs(): the thread's clock now.
  static Napi::Value clockMs(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), live::Loop::clockMs());
  }

  std::shared_ptr<Connection> connection_;
  live::Masks masks_;
  // Keeps the memory from being collected while the thread runs.
  Napi::ObjectReference memory_;
  Napi::FunctionReference onEvents_;
};

}  // namespace

void addLive(Napi::Env env, Napi::Object exports) { exports.Set("LiveLoop", LiveLoop::define(env)); }

#else

void addLive(Napi::Env, Napi::Object) {}

#endif
