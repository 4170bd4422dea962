// Integers of different meaning that stand side by side in a call. Given types of their own, one in
// the place of the other does not compile: ShardName(Rank{2}, WorldSize{4}).
#pragma once

#include <cstdint>
#include <type_traits>

namespace torii {

enum class Rank : int {};  // in a world, from 0
enum class WorldSize : int {};

enum class Epoch : int64_t {};        // from 0
enum class StepInEpoch : int64_t {};  // from 0

// The number of an id.
template <typename Id>
  requires std::is_enum_v<Id>
constexpr std::underlying_type_t<Id> Value(Id id) {
  return static_cast<std::underlying_type_t<Id>>(id);
}

}  // namespace torii
