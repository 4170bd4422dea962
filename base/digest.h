// Content digests: XXH3-128 (stable across machines and versions), as 32 hex digits. Finds
// corruption; not a defence against an adversary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace torii {

class Digest {
 public:
  Digest();
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;
  void Update(const void* data, size_t size);
  void Update(std::string_view text) { Update(text.data(), text.size()); }
  std::string Hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string DigestOf(std::string_view bytes);
// 64-bit stable hash of text (XXH3_64 with seed), for hashed vocabularies.
uint64_t StableHash(std::string_view text, uint64_t seed);

}  // namespace torii
