// "did you mean": the candidate nearest to a mistyped name.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace torii {

// Levenshtein distance with transpositions counted as one edit.
int EditDistance(std::string_view a, std::string_view b);

// The closest candidate if it is near enough to be a typing error (distance <= 1 + length / 3),
// else "".
std::string ClosestName(std::string_view name, const std::vector<std::string>& candidates);

// " (did you mean 'x'?)" or "".
std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace torii
