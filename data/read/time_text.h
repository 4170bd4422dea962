// Moments as text: "2024-01-31 12:34:56". In code a moment is microseconds since 1970, UTC.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace torii::data {

inline constexpr int64_t kMicrosecondsPerSecond = 1'000'000;

// Reads "2024-01-31", "2024-01-31 12:34", "2024-01-31T12:34:56.123456789", each with a zone ("Z",
// " UTC", "+01:00", "-0800") or without one: UTC. Beyond microseconds digits are cut off.
bool ParseTime(std::string_view text, int64_t* microseconds);

// "2024-01-31" at midnight, "2024-01-31 12:34:56" or "2024-01-31 12:34:56.5" else.
std::string TimeText(int64_t microseconds);

}  // namespace torii::data
