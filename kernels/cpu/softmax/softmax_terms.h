// The factors of the loss's products, a vector of words at a time: Float32Terms and Bfloat16Terms
// offer the same operations, and softmax_tile.h is written on them.
#pragma once

#if defined(__AVX512F__)
#include <immintrin.h>  // every function of it is inlined always, so none is left for the linker
#endif

#include "kernels/cpu/softmax/softmax_variant.h"
#include "kernels/cpu/vector_lanes.h"

namespace torii::kernels::cpu {
namespace {

struct Float32Terms {
  static constexpr SoftmaxPrecision kPrecision = SoftmaxPrecision::kFloat32;
  static constexpr int kTerms = 1;
  static constexpr bool kEmulated = false;
  static constexpr bool kExactExponentials = true;
  // The tile of the logits: as many sums as the registers hold (measured).
#if defined(__AVX512F__)
  static constexpr int kTileRows = 8, kPanelVectors = 3;
#elif defined(__AVX2__)
  static constexpr int kTileRows = 6, kPanelVectors = 2;
#else
  static constexpr int kTileRows = 4, kPanelVectors = 2;
#endif
  using Words = Floats;

  [[gnu::always_inline]] static Words LoadWords(const float* p) { return Load(p); }
  [[gnu::always_inline]] static Words BroadcastWord(const float* p) { return Broadcast(*p); }
  [[gnu::always_inline]] static void StoreWords(float* p, Words x) { Store(p, x); }
  [[gnu::always_inline]] static Floats MultiplyAdd(Words a, Words b, Floats sum) {
    return a * b + sum;
  }
  [[gnu::always_inline]] static Words Pack(const Floats (&terms)[kTerms]) { return terms[0]; }
  [[gnu::always_inline]] static void Unpack(Words x, Floats (&terms)[kTerms]) { terms[0] = x; }
};

struct Bfloat16Terms {
  static constexpr SoftmaxPrecision kPrecision = SoftmaxPrecision::kBfloat16;
  static constexpr int kTerms = 2;
  static constexpr bool kExactExponentials = false;
#if defined(__AVX512BF16__)
  static constexpr bool kEmulated = false;
#else
  static constexpr bool kEmulated = true;
#endif
  // Two vectors of columns make one of words, so their number is even.
#if defined(__AVX512F__)
  static constexpr int kTileRows = 6, kPanelVectors = 4;
#elif defined(__AVX2__)
  static constexpr int kTileRows = 6, kPanelVectors = 2;
#else
  static constexpr int kTileRows = 4, kPanelVectors = 2;
#endif
  using Words = Ints;

  [[gnu::always_inline]] static Words LoadWords(const float* p) {
    return *reinterpret_cast<const IntsInMemory*>(p);
  }
  [[gnu::always_inline]] static Words BroadcastWord(const float* p) {
    using Word [[gnu::may_alias]] = int32_t;
    return *reinterpret_cast<const Word*>(p) - Words{};
  }
  [[gnu::always_inline]] static void StoreWords(float* p, Words x) {
    *reinterpret_cast<IntsInMemory*>(p) = x;
  }
  [[gnu::always_inline]] static Floats MultiplyAdd(Words a, Words b, Floats sum) {
#if defined(__AVX512BF16__)
    return reinterpret_cast<Floats>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum),
                                                     reinterpret_cast<__m512bh>(a),
                                                     reinterpret_cast<__m512bh>(b)));
#else
    Floats x[kTerms], y[kTerms];
    Unpack(a, x);
    Unpack(b, y);
    return x[1] * y[1] + (x[0] * y[0] + sum);
#endif
  }
  // To the nearest, ties to even; what is not a number stays so.
  [[gnu::always_inline]] static Ints Rounded(Floats x) {
    const Bits bits = reinterpret_cast<Bits>(x);
    const Bits rounded = bits + 0x7fff + ((bits >> 16) & 1);
    return reinterpret_cast<Ints>(x == x ? rounded : bits);
  }
  [[gnu::always_inline]] static Ints Join(Ints first, Ints second) {
    return reinterpret_cast<Ints>(reinterpret_cast<Bits>(first) >> 16) | (second & -65536);
  }
  // Words of two floats, of which none is denormal.
  [[gnu::always_inline]] static Words PackPair(Floats first, Floats second) {
#if defined(__AVX512BF16__)
    const __m512bh rounded =
        _mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(second), reinterpret_cast<__m512>(first));
    using Halves = int16_t __attribute__((vector_size(64)));
    Halves alternating;
#pragma GCC unroll 32
    for (int16_t i = 0; i < 32; ++i) alternating[i] = static_cast<int16_t>(i / 2 + i % 2 * 16);
    return reinterpret_cast<Words>(_mm512_permutexvar_epi16(reinterpret_cast<__m512i>(alternating),
                                                            reinterpret_cast<__m512i>(rounded)));
#else
    return Join(Rounded(first), Rounded(second));
#endif
  }
  [[gnu::always_inline]] static Words Pack(const Floats (&terms)[kTerms]) {
    return Join(Rounded(terms[0]), Rounded(terms[1]));
  }
  [[gnu::always_inline]] static void Unpack(Words x, Floats (&terms)[kTerms]) {
    terms[0] = reinterpret_cast<Floats>(x << 16);
    terms[1] = reinterpret_cast<Floats>(x & -65536);
  }
};

}  // namespace
}  // namespace torii::kernels::cpu
