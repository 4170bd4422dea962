#include "base/digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"

namespace torii {

// XXH3 keeps its state aligned to 64 bytes; operator new honours that.
struct Digest::State {
  XXH3_state_t xxh3;
};

Digest::Digest() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh3); }
Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;

void Digest::Update(const void* data, size_t size) {
  if (size == 0) return;
  TORII_CHECK(XXH3_128bits_update(&state_->xxh3, data, size) == XXH_OK, "size ", size);
}

std::string Digest::Hex() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state_->xxh3));
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * sizeof(canonical.digest));
  for (const unsigned char byte : canonical.digest) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

std::string DigestOf(std::string_view bytes) {
  Digest digest;
  digest.Update(bytes);
  return digest.Hex();
}

uint64_t StableHash(std::string_view text, uint64_t seed) {
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

}  // namespace torii
