// Settings of the C library's allocator.
#pragma once

namespace torii::launch {

// Keeps freed memory in the process. By default glibc gives large blocks back to the kernel, and
// each step would fault in its tensors again, page by page. Called once, at the start of the
// program.
void KeepFreedMemory();

}  // namespace torii::launch
