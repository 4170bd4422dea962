// How n things in order are divided into parts: contiguous ranges, of which the first n mod parts
// are longer by one.
#pragma once

#include <cstdint>

namespace torii {

struct Range {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
  friend bool operator==(const Range&, const Range&) = default;
};

constexpr Range SplitEvenly(int64_t n, int parts, int part) {
  const int64_t base = n / parts;
  const int64_t extra = n % parts;
  const int64_t begin = part * base + (part < extra ? part : extra);
  return {begin, begin + base + (part < extra ? 1 : 0)};
}

}  // namespace torii
