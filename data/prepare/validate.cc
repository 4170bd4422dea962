#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "data/encode/feature_encoder.h"
#include "data/prepare/prepare.h"
#include "data/read/text_stream.h"
#include "data/read/uri_file_system.h"
#include "data/rows/condition.h"

namespace torii::data {
namespace {

constexpr int64_t kMaxRows = std::numeric_limits<int32_t>::max() - 1;

template <typename Config>
void CheckTextFormat(const Config& config, const ConfigRules& rules) {
  const std::string& delimiter = config.delimiter();
  rules.Require(!config.has_delimiter() || !delimiter.empty(), "delimiter", "must not be empty");
  rules.Require(delimiter.find_first_of("\"\r\n") == std::string::npos, "delimiter",
                "must not contain a quote or a line end");
  rules.Require(!config.quotes() || delimiter.size() <= 1, "quotes",
                "is not possible with a delimiter of several characters");
  rules.Require(config.max_quoted_lines() >= 1, "max_quoted_lines", config.max_quoted_lines(),
                "at least 1");
  rules.Require(config.encoding().empty() || KnownEncoding(config.encoding()), "encoding",
                absl::StrCat("\"", config.encoding(),
                             "\" is not known; write for example \"ISO-8859-1\", \"windows-1252\", "
                             "\"Shift_JIS\" or \"UTF-16\""));
}

void CheckWeightMap(const WeightMap& config, const ConfigRules& rules) {
  const auto is_weight = [](double weight) {
    return weight >= 0 && weight <= std::numeric_limits<float>::max();
  };
  rules.Require(!config.column().empty(), "column", "is needed");
  rules.Require(config.value_size() > 0, "value", "is needed: the weight of at least one value");
  rules.Require(is_weight(config.default_()), "default", config.default_(), "a number >= 0");
  std::set<std::string> keys;
  for (int k = 0; k < config.value_size(); ++k) {
    const ConfigRules value = rules.In("value", k);
    const std::string& key = config.value(k).key();
    const double weight = config.value(k).weight();
    value.Require(config.value(k).has_key(), "key", "is needed");
    value.Require(keys.insert(key).second, "key",
                  absl::StrCat("\"", key, "\" has a weight already"));
    value.Require(config.value(k).has_weight(), "weight", "is needed");
    value.Require(is_weight(weight), "weight", weight, "a number >= 0");
  }
}

void CheckInteractions(const InteractionFiles& config, const ConfigRules& rules) {
  rules.Require(config.path_size() > 0, "path", "is needed: the files of the interactions");
  rules.Require(!config.user().empty(), "user", "must not be empty");
  rules.Require(!config.item().empty(), "item", "must not be empty");
  rules.Require(config.user().empty() || config.user() != config.item(), "item",
                absl::StrCat("\"", config.item(), "\" is the user column too"));
  rules.Require(!config.has_min_rating() || !config.rating().empty(), "min_rating",
                "needs rating, the column to compare");
  rules.Require(!config.has_min_rating() || std::isfinite(config.min_rating()), "min_rating",
                config.min_rating(), "a finite number");
  rules.Require(!config.rating_as_weight() || !config.rating().empty(), "rating_as_weight",
                "needs rating, the column to use");
  rules.Require(!config.rating_as_weight() || config.weight().empty(), "rating_as_weight",
                "excludes weight: a row has one weight");
  rules.Require(config.max_bad_rows() >= 0, "max_bad_rows", config.max_bad_rows(), "at least 0");
  rules.Require(!config.has_weight_map() || (config.weight().empty() && !config.rating_as_weight()),
                "weight_map", "excludes weight and rating_as_weight: a row has one weight");
  if (config.has_weight_map()) CheckWeightMap(config.weight_map(), rules.In("weight_map"));
  if (const auto where = ParseCondition(config.where()); !config.where().empty() && !where.ok()) {
    rules.Break("where", std::string(where.status().message()));
  }
  CheckTextFormat(config, rules);
}

void CheckCategorical(const Categorical& config, const ConfigRules& rules) {
  rules.Require(config.min_count() >= 1, "min_count", config.min_count(), "at least 1");
  rules.Require(config.max_values() >= 0 && config.max_values() < kMaxRows, "max_values",
                config.max_values(), "in [0, 2^31)");
  rules.Require(config.hash_rows() >= 0 && config.hash_rows() < kMaxRows, "hash_rows",
                config.hash_rows(), "in [0, 2^31)");
  rules.Require(config.hash_rows() == 0 || (config.max_values() == 0 && config.min_count() == 1),
                "hash_rows", "excludes min_count and max_values, which need a vocabulary");
  rules.Require(!config.has_separator() || !config.separator().empty(), "separator",
                "must not be empty; leave it out for single values");
}

void CheckText(const Text& config, const ConfigRules& rules) {
  rules.Require(config.hash_rows() >= 1 && config.hash_rows() < kMaxRows, "hash_rows",
                config.hash_rows(), "in [1, 2^31)");
  rules.Require(config.ngram() >= 0, "ngram", config.ngram(), "at least 0");
  rules.Require(config.words() || config.ngram() > 0, "words",
                "must not be false while ngram is 0: no tokens would be left");
  rules.Require(config.max_tokens() >= 1, "max_tokens", config.max_tokens(), "at least 1");
}

void CheckFeature(const Feature& feature, const ConfigRules& rules) {
  rules.Require(feature.column_size() > 0, "column", "is needed");
  for (const std::string& column : feature.column()) {
    rules.Require(!column.empty(), "column", "must not be empty");
  }
  rules.Require(feature.column_size() <= 1 || feature.has_flags(), "column",
                absl::StrCat("has ", feature.column_size(),
                             " columns; only features of the kind flags have several"));
  rules.Require(feature.kind_case() != Feature::KIND_NOT_SET, "",
                "needs its kind: categorical, numeric, text, vector or flags");
  if (feature.has_categorical()) {
    CheckCategorical(feature.categorical(), rules.In("categorical"));
  }
  if (feature.has_numeric()) {
    const int32_t buckets = feature.numeric().buckets();
    rules.In("numeric").Require(buckets >= 2 && buckets <= 100000, "buckets", buckets,
                                "in [2, 100000]");
  }
  if (feature.has_text()) {
    CheckText(feature.text(), rules.In("text"));
  }
  if (feature.has_vector()) {
    rules.In("vector").Require(feature.vector().width() >= 0, "width", feature.vector().width(),
                               "at least 0");
  }
}

void CheckSide(const SideFile& config, const ConfigRules& rules) {
  rules.Require(config.path_size() > 0, "path", "is needed");
  CheckTextFormat(config, rules);
  std::set<std::string> names;
  for (int k = 0; k < config.feature_size(); ++k) {
    const ConfigRules feature = rules.In("feature", k);
    CheckFeature(config.feature(k), feature);
    const std::string name = FeatureName(config.feature(k));
    feature.Require(name.empty() || names.insert(name).second, "name",
                    absl::StrCat("\"", name, "\" is taken; give each feature a name of its own"));
  }
}

void CheckFraction(bool given, double value, absl::string_view field, const ConfigRules& rules) {
  rules.Require(!given || (value > 0 && value < 1), field, value, "in (0, 1)");
}

void CheckSplit(const DataConfig& config, const ConfigRules& rules) {
  const Split& split = config.split();
  rules.Require(split.rule_case() != Split::RULE_NOT_SET, "",
                "needs a rule: last_k, last_fraction, time_fraction, time_from or random_fraction");
  rules.Require(!split.has_last_k() || split.last_k() >= 1, "last_k", split.last_k(), "at least 1");
  CheckFraction(split.has_last_fraction(), split.last_fraction(), "last_fraction", rules);
  CheckFraction(split.has_time_fraction(), split.time_fraction(), "time_fraction", rules);
  CheckFraction(split.has_random_fraction(), split.random_fraction(), "random_fraction", rules);
  const bool by_time = split.has_time_fraction() || split.has_time_from();
  rules.Require(!by_time || !config.interactions().time().empty(), "",
                "cuts by time, which needs data.interactions.time");
  rules.Require(config.test_path_size() == 0 || split.valid(), "",
                "excludes data.test_path, unless `valid: true` asks for a validation part");
  rules.Require(!split.valid() || !split.has_time_from() || config.test_path_size() > 0, "valid",
                "is not possible with time_from; use time_fraction or data.valid_path");
  rules.Require(!split.valid() || config.valid_path_size() == 0, "valid",
                "excludes data.valid_path: there is one validation part");
}

}  // namespace

void Validate(const DataConfig& config, const ConfigRules& rules) {
  rules.Require(!config.prepared_dir().empty(), "prepared_dir", "must not be empty");
  rules.Require(!IsUri(config.prepared_dir()), "prepared_dir",
                absl::StrCat("must be a local folder, not ", config.prepared_dir()));
  CheckInteractions(config.interactions(), rules.In("interactions"));
  if (config.has_split()) CheckSplit(config, rules.In("split"));
  if (config.has_users()) CheckSide(config.users(), rules.In("users"));
  if (config.has_items()) CheckSide(config.items(), rules.In("items"));
  const Filters& filters = config.filters();
  rules.In("filters").Require(filters.min_user_interactions() >= 1, "min_user_interactions",
                              filters.min_user_interactions(), "at least 1");
  rules.In("filters").Require(filters.min_item_interactions() >= 1, "min_item_interactions",
                              filters.min_item_interactions(), "at least 1");
  rules.Require(config.sort_buffer_rows() >= 1, "sort_buffer_rows", config.sort_buffer_rows(),
                "at least 1");
}

}  // namespace torii::data
