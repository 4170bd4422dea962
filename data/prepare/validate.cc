#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "data/encode/feature_encoder.h"
#include "data/prepare/prepare.h"
#include "data/read/uri_file_system.h"

namespace torii::data {
namespace {

constexpr int64_t kMaxRows = std::numeric_limits<int32_t>::max() - 1;

// Collects what is wrong, each with its field.
class Rules {
 public:
  // Adds "<field>: <what>" unless `holds`.
  void Require(bool holds, const std::string& field, const std::string& what) {
    if (!holds) {
      broken_.push_back(absl::StrCat(field, ": ", what));
    }
  }
  std::vector<std::string> Take() { return std::move(broken_); }

 private:
  std::vector<std::string> broken_;
};

void CheckInteractions(const InteractionFiles& config, Rules* rules) {
  const std::string at = "data.interactions.";
  rules->Require(config.path_size() > 0, at + "path", "is needed: the files of the interactions");
  rules->Require(!config.user().empty(), at + "user", "must not be empty");
  rules->Require(!config.item().empty(), at + "item", "must not be empty");
  rules->Require(config.user().empty() || config.user() != config.item(), at + "item",
                 absl::StrCat("\"", config.item(), "\" is the user column too"));
  rules->Require(!config.has_min_rating() || !config.rating().empty(), at + "min_rating",
                 "needs rating, the column to compare");
  rules->Require(!config.has_min_rating() || std::isfinite(config.min_rating()), at + "min_rating",
                 "is not a finite number");
  rules->Require(!config.rating_as_weight() || !config.rating().empty(), at + "rating_as_weight",
                 "needs rating, the column to use");
  rules->Require(!config.rating_as_weight() || config.weight().empty(), at + "rating_as_weight",
                 "and weight exclude each other");
}

void CheckCategorical(const Categorical& config, const std::string& at, Rules* rules) {
  rules->Require(config.min_count() >= 1, at + "min_count",
                 absl::StrCat(config.min_count(), " is not >= 1"));
  rules->Require(config.max_values() >= 0 && config.max_values() < kMaxRows, at + "max_values",
                 absl::StrCat(config.max_values(), " is not in [0, 2^31)"));
  rules->Require(config.hash_rows() >= 0 && config.hash_rows() < kMaxRows, at + "hash_rows",
                 absl::StrCat(config.hash_rows(), " is not in [0, 2^31)"));
  rules->Require(config.hash_rows() == 0 || (config.max_values() == 0 && config.min_count() == 1),
                 at + "hash_rows", "and min_count or max_values exclude each other");
  rules->Require(!config.has_separator() || !config.separator().empty(), at + "separator",
                 "must not be empty; leave it out for single values");
}

void CheckText(const Text& config, const std::string& at, Rules* rules) {
  rules->Require(config.hash_rows() >= 1 && config.hash_rows() < kMaxRows, at + "hash_rows",
                 absl::StrCat(config.hash_rows(), " is not in [1, 2^31)"));
  rules->Require(config.ngram() >= 0, at + "ngram", absl::StrCat(config.ngram(), " is not >= 0"));
  rules->Require(config.words() || config.ngram() > 0, at + "words",
                 "false with ngram 0 leaves no tokens");
  rules->Require(config.max_tokens() >= 1, at + "max_tokens",
                 absl::StrCat(config.max_tokens(), " is not >= 1"));
}

void CheckFeature(const Feature& feature, const std::string& at, Rules* rules) {
  rules->Require(feature.column_size() > 0, at + ".column", "is needed");
  for (const std::string& column : feature.column()) {
    rules->Require(!column.empty(), at + ".column", "must not be empty");
  }
  rules->Require(feature.column_size() <= 1 || feature.has_flags(), at + ".column",
                 absl::StrCat(feature.column_size(), " columns; only flags takes several"));
  rules->Require(feature.kind_case() != Feature::KIND_NOT_SET, at,
                 "needs its kind: categorical, numeric, text, vector or flags");
  if (feature.has_categorical()) {
    CheckCategorical(feature.categorical(), at + ".categorical.", rules);
  }
  if (feature.has_numeric()) {
    const int32_t buckets = feature.numeric().buckets();
    rules->Require(buckets >= 2 && buckets <= 100000, at + ".numeric.buckets",
                   absl::StrCat(buckets, " is not in [2, 100000]"));
  }
  if (feature.has_text()) {
    CheckText(feature.text(), at + ".text.", rules);
  }
  if (feature.has_vector()) {
    rules->Require(feature.vector().width() >= 0, at + ".vector.width",
                   absl::StrCat(feature.vector().width(), " is not >= 0"));
  }
}

void CheckSide(const SideFile& config, const std::string& at, Rules* rules) {
  rules->Require(config.path_size() > 0, at + ".path", "is needed");
  std::set<std::string> names;
  for (int k = 0; k < config.feature_size(); ++k) {
    const std::string place = absl::StrCat(at, ".feature[", k, "]");
    CheckFeature(config.feature(k), place, rules);
    const std::string name = FeatureName(config.feature(k));
    rules->Require(name.empty() || names.insert(name).second, place + ".name",
                   absl::StrCat("\"", name, "\" is taken; give each feature a name of its own"));
  }
}

void CheckFraction(bool given, double value, const std::string& field, Rules* rules) {
  rules->Require(!given || (value > 0 && value < 1), field,
                 absl::StrCat(value, " is not in (0, 1)"));
}

void CheckSplit(const DataConfig& config, Rules* rules) {
  if (!config.has_split()) {
    return;
  }
  const Split& split = config.split();
  const std::string at = "data.split";
  rules->Require(
      split.rule_case() != Split::RULE_NOT_SET, at,
      "needs a rule: last_k, last_fraction, time_fraction, time_from or random_fraction");
  rules->Require(!split.has_last_k() || split.last_k() >= 1, at + ".last_k",
                 absl::StrCat(split.last_k(), " is not >= 1"));
  CheckFraction(split.has_last_fraction(), split.last_fraction(), at + ".last_fraction", rules);
  CheckFraction(split.has_time_fraction(), split.time_fraction(), at + ".time_fraction", rules);
  CheckFraction(split.has_random_fraction(), split.random_fraction(), at + ".random_fraction",
                rules);
  const bool by_time = split.has_time_fraction() || split.has_time_from();
  rules->Require(!by_time || !config.interactions().time().empty(), at,
                 "a split by time needs data.interactions.time");
  rules->Require(config.test_path_size() == 0, at, "and data.test_path exclude each other");
  rules->Require(!split.valid() || !split.has_time_from(), at + ".valid",
                 "is not possible with time_from; use time_fraction or data.valid_path");
  rules->Require(!split.valid() || config.valid_path_size() == 0, at + ".valid",
                 "and data.valid_path exclude each other");
}

}  // namespace

std::vector<std::string> Validate(const DataConfig& config) {
  Rules rules;
  rules.Require(!config.prepared_dir().empty(), "data.prepared_dir", "must not be empty");
  rules.Require(!IsUri(config.prepared_dir()), "data.prepared_dir",
                absl::StrCat(config.prepared_dir(), " is not a local folder"));
  CheckInteractions(config.interactions(), &rules);
  CheckSplit(config, &rules);
  if (config.has_users()) {
    CheckSide(config.users(), "data.users", &rules);
  }
  if (config.has_items()) {
    CheckSide(config.items(), "data.items", &rules);
  }
  rules.Require(config.filters().min_user_interactions() >= 1, "data.filters.min_user_interactions",
                absl::StrCat(config.filters().min_user_interactions(), " is not >= 1"));
  rules.Require(config.filters().min_item_interactions() >= 1, "data.filters.min_item_interactions",
                absl::StrCat(config.filters().min_item_interactions(), " is not >= 1"));
  rules.Require(config.sort_buffer_rows() >= 1, "data.sort_buffer_rows",
                absl::StrCat(config.sort_buffer_rows(), " is not >= 1"));
  return rules.Take();
}

}  // namespace torii::data
