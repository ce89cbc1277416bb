// The wire by io_uring: what comes is received by the kernel into buffers of the loop's, and what goes out is gathered and sent with the
// next call, which also waits for what comes. So a turn is one system call, however many frames it moves.
#pragma once

#include "wire.h"

namespace live {

// Null where this was built without; `open` says whether the kernel lets it be used.
std::unique_ptr<Wire> makeUring();

}  // namespace live
