// Settings of the C library's allocator.
#pragma once

namespace torii::launch {

// Freed memory stays with the process. By default glibc gives large blocks back to the kernel, and
// every step would fault its tensors in again, page by page. Once, at the start of the program.
void KeepFreedMemory();

}  // namespace torii::launch
