#include "data/synthetic/synthetic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "arrow/api.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "data/arrow_file.h"
#include "data/arrow_output.h"
#include "data/synthetic/synthetic_world.h"
#include "parquet/arrow/writer.h"

namespace torii::data {
namespace {

constexpr int64_t kFirstId = 1;
constexpr int64_t kFirstSecond = 1'600'000'000;  // timestamps begin in September 2020
constexpr int64_t kYear = 365 * 86'400;
constexpr int64_t kRowGroup = 1 << 20;
constexpr int64_t kWordsPerCluster = 12;
constexpr int64_t kWordsPerItem = 6;

absl::Status Validate(const SyntheticOptions& options) {
  if (options.users < 1) {
    return ConfigError(absl::StrCat("synthetic data: users is ", options.users, ", at least 1"));
  }
  if (options.items < 10 || options.items > (int64_t{1} << 31) - 1) {
    return ConfigError(
        absl::StrCat("synthetic data: items is ", options.items, ", from 10 to 2147483647"));
  }
  if (options.clusters < 1 || options.clusters > options.items) {
    return ConfigError(absl::StrCat("synthetic data: clusters is ", options.clusters,
                                    ", from 1 to the number of items, ", options.items));
  }
  if (options.interactions_per_user < 5) {
    return ConfigError(absl::StrCat("synthetic data: interactions_per_user is ",
                                    options.interactions_per_user, ", at least 5"));
  }
  return absl::OkStatus();
}

// A pronounceable word, another one for each index below 9,261,000.
std::string Word(int64_t index) {
  constexpr int64_t kOnsets = 14;
  constexpr std::array<const char*, kOnsets> kOnset = {"b", "d", "f", "g", "k", "l", "m",
                                                       "n", "p", "r", "s", "t", "v", "z"};
  constexpr int64_t kVowels = 15;
  constexpr std::array<const char*, kVowels> kVowel = {
      "a", "e", "i", "o", "u", "an", "en", "in", "on", "un", "al", "el", "il", "ol", "ul"};
  // Three syllables; a multiplier without a common factor spreads neighbours.
  constexpr int64_t kSyllables = kOnsets * kVowels;
  constexpr int64_t kWords = kSyllables * kSyllables * kSyllables;
  int64_t code = index % kWords * 1'000'003 % kWords;
  std::string word;
  for (int syllable = 0; syllable < 3; ++syllable, code /= kSyllables) {
    word += kOnset[static_cast<size_t>(code % kSyllables / kVowels)];
    word += kVowel[static_cast<size_t>(code % kVowels)];
  }
  return word;
}

std::string Capitalized(std::string word) {
  word[0] = static_cast<char>(word[0] - 'a' + 'A');
  return word;
}

std::string ClusterWord(int64_t cluster, int64_t k) {
  return Word(1000 + cluster * kWordsPerCluster + k);
}

// The value if a draw says so, else any of the clusters: a feature that tells the truth most of the
// time.
int64_t Noisy(const RandomStream& random, uint64_t draw, int64_t truth, double noise,
              int64_t clusters) {
  return random.Uniform(draw) < noise ? random.Below(draw + 1, clusters) : truth;
}

arrow::Status WriteParquet(FileSystem& files, const std::string& path,
                           const std::shared_ptr<arrow::Schema>& schema,
                           const std::vector<std::shared_ptr<arrow::Array>>& columns) {
  absl::StatusOr<std::unique_ptr<WritableFile>> file = files.Create(path);
  if (!file.ok()) return ToArrow(file.status());
  const std::shared_ptr<arrow::io::OutputStream> out = ToArrowOutput(*std::move(file));
  ARROW_RETURN_NOT_OK(parquet::arrow::WriteTable(
      *arrow::Table::Make(schema, columns), arrow::default_memory_pool(), out, kRowGroup,
      parquet::WriterProperties::Builder().enable_page_checksum()->build()));
  return out->Close();
}

template <typename Builder>
arrow::Result<std::shared_ptr<arrow::Array>> Finished(Builder& builder) {
  std::shared_ptr<arrow::Array> array;
  ARROW_RETURN_NOT_OK(builder.Finish(&array));
  return array;
}

// In order of time over all users, as a log would be.
arrow::Status WriteInteractions(FileSystem& files, const std::string& path,
                                const SyntheticWorld& world, uint64_t seed) {
  struct Event {
    int64_t time;
    int64_t user;
    int64_t item;
  };
  std::vector<Event> events;
  for (int64_t user = 0; user < world.users(); ++user) {
    const RandomStream random(seed, "synthetic:times", static_cast<uint64_t>(user));
    int64_t time = kFirstSecond + random.Below(0, kYear);
    uint64_t draw = 1;
    for (const int64_t item : world.HistoryOf(user)) {
      events.push_back({time, user, item});
      time += 60 + random.Below(draw++, 6 * 3600);
    }
  }
  std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    return a.time != b.time ? a.time < b.time : a.user < b.user;
  });
  arrow::Int64Builder users;
  arrow::Int64Builder items;
  arrow::Int64Builder times;
  for (const Event& event : events) {
    ARROW_RETURN_NOT_OK(users.Append(kFirstId + event.user));
    ARROW_RETURN_NOT_OK(items.Append(kFirstId + event.item));
    ARROW_RETURN_NOT_OK(times.Append(event.time));
  }
  ARROW_ASSIGN_OR_RAISE(const auto user_column, Finished(users));
  ARROW_ASSIGN_OR_RAISE(const auto item_column, Finished(items));
  ARROW_ASSIGN_OR_RAISE(const auto time_column, Finished(times));
  return WriteParquet(files, path,
                      arrow::schema({arrow::field("user_id", arrow::int64()),
                                     arrow::field("item_id", arrow::int64()),
                                     arrow::field("timestamp", arrow::int64())}),
                      {user_column, item_column, time_column});
}

// Age rises with the number of the first taste; the city tells it three times out of four.
arrow::Status WriteUsers(FileSystem& files, const std::string& path, const SyntheticWorld& world,
                         uint64_t seed) {
  const RandomStream ages(seed, "synthetic:ages");
  const RandomStream cities(seed, "synthetic:cities");
  arrow::Int64Builder ids;
  arrow::Int64Builder age_builder;
  arrow::StringBuilder city_builder;
  for (int64_t user = 0; user < world.users(); ++user) {
    const uint64_t row = static_cast<uint64_t>(user);
    const int64_t taste = world.TasteOf(user).cluster[0];
    std::array<float, 1> normal;
    ages.NormalRow(row, normal);
    const double center =
        18 + 50 * (static_cast<double>(taste) + 0.5) / static_cast<double>(world.clusters());
    const double age = std::clamp(std::round(center + 4 * double{normal[0]}), 14.0, 90.0);
    ARROW_RETURN_NOT_OK(ids.Append(kFirstId + user));
    ARROW_RETURN_NOT_OK(age_builder.Append(static_cast<int64_t>(age)));
    ARROW_RETURN_NOT_OK(city_builder.Append(
        Capitalized(Word(Noisy(cities, 2 * row, taste, 0.25, world.clusters())))));
  }
  ARROW_ASSIGN_OR_RAISE(const auto id_column, Finished(ids));
  ARROW_ASSIGN_OR_RAISE(const auto age_column, Finished(age_builder));
  ARROW_ASSIGN_OR_RAISE(const auto city_column, Finished(city_builder));
  return WriteParquet(
      files, path,
      arrow::schema({arrow::field("user_id", arrow::int64()), arrow::field("age", arrow::int64()),
                     arrow::field("city", arrow::utf8())}),
      {id_column, age_column, city_column});
}

// Mostly words of the item's own cluster.
std::string WordsOf(const RandomStream& random, uint64_t first_draw, int64_t cluster,
                    int64_t clusters) {
  std::string words;
  for (int64_t k = 0; k < kWordsPerItem; ++k) {
    const uint64_t draw = first_draw + 3 * static_cast<uint64_t>(k);
    const int64_t source = Noisy(random, draw, cluster, 0.2, clusters);
    absl::StrAppend(&words, k > 0 ? " " : "",
                    ClusterWord(source, random.Below(draw + 2, kWordsPerCluster)));
  }
  return words;
}

arrow::Status WriteItems(FileSystem& files, const std::string& path, const SyntheticWorld& world,
                         uint64_t seed) {
  const RandomStream categories(seed, "synthetic:categories");
  const RandomStream prices(seed, "synthetic:prices");
  const RandomStream words(seed, "synthetic:words");
  arrow::Int64Builder ids;
  arrow::StringBuilder titles;
  arrow::StringBuilder category_builder;
  arrow::DoubleBuilder price_builder;
  arrow::StringBuilder word_builder;
  for (int64_t item = 0; item < world.items(); ++item) {
    const uint64_t row = static_cast<uint64_t>(item);
    const int64_t cluster = world.ClusterOf(item);
    const std::string text = WordsOf(words, 32 * row, cluster, world.clusters());
    const int64_t category = Noisy(categories, 2 * row, cluster, 0.1, world.clusters());
    std::array<float, 1> normal;
    prices.NormalRow(row, normal);
    const double level =
        3 * (static_cast<double>(cluster) + 0.5) / static_cast<double>(world.clusters());
    const double price = std::round(100 * std::exp(1 + level + 0.3 * double{normal[0]})) / 100;
    ARROW_RETURN_NOT_OK(ids.Append(kFirstId + item));
    ARROW_RETURN_NOT_OK(titles.Append(
        absl::StrCat(Capitalized(text.substr(0, text.find(' '))), " ", kFirstId + item)));
    ARROW_RETURN_NOT_OK(category_builder.Append(Capitalized(ClusterWord(category, 0))));
    ARROW_RETURN_NOT_OK(price_builder.Append(price));
    ARROW_RETURN_NOT_OK(word_builder.Append(text));
  }
  ARROW_ASSIGN_OR_RAISE(const auto id_column, Finished(ids));
  ARROW_ASSIGN_OR_RAISE(const auto title_column, Finished(titles));
  ARROW_ASSIGN_OR_RAISE(const auto category_column, Finished(category_builder));
  ARROW_ASSIGN_OR_RAISE(const auto price_column, Finished(price_builder));
  ARROW_ASSIGN_OR_RAISE(const auto word_column, Finished(word_builder));
  return WriteParquet(
      files, path,
      arrow::schema({arrow::field("item_id", arrow::int64()), arrow::field("title", arrow::utf8()),
                     arrow::field("category", arrow::utf8()),
                     arrow::field("price", arrow::float64()),
                     arrow::field("words", arrow::utf8())}),
      {id_column, title_column, category_column, price_column, word_column});
}

}  // namespace

absl::StatusOr<SyntheticTruth> WriteSyntheticData(FileSystem& files, const std::string& folder,
                                                  const SyntheticOptions& options) {
  TORII_RETURN_IF_ERROR(Validate(options));
  TORII_FAILPOINT("synthetic.write");
  const SyntheticWorld world(options);
  TORII_RETURN_IF_ERROR(files.MakeDirectories(folder));
  // Beside first, so that a failure leaves no half-written file under its name.
  const auto write = [&](const char* name, const auto& writer) -> absl::Status {
    const std::string path = JoinPath(folder, name);
    const std::string partial = path + ".partial";
    absl::Status status = FromArrow(writer(files, partial, world, options.seed), partial);
    if (status.ok()) status = files.Rename(partial, path);
    if (!status.ok()) files.RemoveAll(partial).IgnoreError();
    return status;
  };
  TORII_RETURN_IF_ERROR(write("users.parquet", WriteUsers));
  TORII_RETURN_IF_ERROR(write("items.parquet", WriteItems));
  TORII_RETURN_IF_ERROR(write("interactions.parquet", WriteInteractions));
  return world.Truth();
}

}  // namespace torii::data
