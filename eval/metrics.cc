#include "eval/metrics.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "eval/metric_names.h"

namespace torii::eval {
namespace {

std::string At(const char* metric, int k) { return absl::StrCat(metric, "@", k); }

// The metrics of one cut-off. sorted: ranks ascending, not empty.
void AddAtCutOff(std::span<const int64_t> sorted, int k, std::map<std::string, double>& out) {
  const auto relevant = static_cast<int64_t>(sorted.size());
  double hits = 0;
  double gain = 0;
  double precision_at_hits = 0;
  for (const int64_t rank : sorted) {
    if (rank > k) break;
    hits += 1;
    gain += 1 / std::log2(1.0 + static_cast<double>(rank));
    precision_at_hits += hits / static_cast<double>(rank);
  }
  const int64_t best_hits = std::min<int64_t>(k, relevant);
  double best_gain = 0;
  for (int64_t i = 1; i <= best_hits; ++i) best_gain += 1 / std::log2(1.0 + static_cast<double>(i));
  out[At(kRecall, k)] = hits / static_cast<double>(relevant);
  out[At(kPrecision, k)] = hits / k;
  out[At(kHitRate, k)] = hits > 0 ? 1 : 0;
  out[At(kNdcg, k)] = gain / best_gain;
  out[At(kMap, k)] = precision_at_hits / static_cast<double>(best_hits);
  out[At(kMrr, k)] = sorted[0] <= k ? 1 / static_cast<double>(sorted[0]) : 0;
}

std::span<const int64_t> RanksOf(const HeldOut& held_out, std::span<const int64_t> ranks,
                                 size_t user) {
  const int64_t begin = held_out.target_begin[user];
  return ranks.subspan(static_cast<size_t>(begin),
                       static_cast<size_t>(held_out.target_begin[user + 1] - begin));
}

// Tabs and line breaks of an id would break the table.
std::string EscapeForTsv(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\t') {
      out += "\\t";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else {
      out += c;
    }
  }
  return out;
}

double ValueOf(const Metrics& metrics, const std::string& name) {
  const auto found = metrics.values.find(name);
  return found == metrics.values.end() ? 0.0 : found->second;
}

}  // namespace

std::map<std::string, double> UserMetrics(std::span<const int64_t> ranks, std::span<const int> ks) {
  TORII_CHECK(!ranks.empty(), "a user without targets has no metrics");
  std::vector<int64_t> sorted(ranks.begin(), ranks.end());
  std::sort(sorted.begin(), sorted.end());
  std::map<std::string, double> out;
  for (const int k : ks) AddAtCutOff(sorted, k, out);
  out[kMrr] = 1 / static_cast<double>(sorted[0]);
  return out;
}

Metrics Aggregate(const HeldOut& held_out, std::span<const int64_t> ranks,
                  std::span<const int> ks) {
  Metrics out;
  out.users = static_cast<int64_t>(held_out.users.size());
  out.targets = static_cast<int64_t>(ranks.size());
  for (size_t u = 0; u < held_out.users.size(); ++u) {
    for (const auto& [name, value] : UserMetrics(RanksOf(held_out, ranks, u), ks)) {
      out.values[name] += value;
    }
  }
  for (auto& [name, value] : out.values) value /= static_cast<double>(out.users);
  return out;
}

absl::Status WritePerUser(FileSystem& files, const std::string& path, const HeldOut& held_out,
                          std::span<const int64_t> ranks, std::span<const int> ks,
                          const std::function<std::string(int64_t)>& user_id) {
  std::string text = "user\ttargets\tranks";
  const int64_t any_rank = 1;
  for (const auto& [name, value] : UserMetrics({&any_rank, 1}, ks)) {
    absl::StrAppend(&text, "\t", name);
  }
  text += "\n";
  for (size_t u = 0; u < held_out.users.size(); ++u) {
    const std::span<const int64_t> own = RanksOf(held_out, ranks, u);
    absl::StrAppend(&text, EscapeForTsv(user_id(held_out.users[u])), "\t", own.size(), "\t");
    for (size_t i = 0; i < own.size(); ++i) absl::StrAppend(&text, i == 0 ? "" : ",", own[i]);
    for (const auto& [name, value] : UserMetrics(own, ks)) {
      absl::StrAppendFormat(&text, "\t%.9g", value);
    }
    text += "\n";
  }
  return WriteFileAtomically(files, path, text);
}

std::string FormatTable(const Metrics& model, const Metrics& baseline, std::span<const int> ks) {
  std::string text = absl::StrFormat("%-10s", "");
  for (const int k : ks) absl::StrAppendFormat(&text, "   %18s", absl::StrCat("at ", k, "      "));
  absl::StrAppendFormat(&text, "\n%-10s", "metric");
  for (size_t i = 0; i < ks.size(); ++i)
    absl::StrAppendFormat(&text, "   %8s  %8s", "model", "popular");
  text += "\n";
  for (const char* metric : kMetricsAtK) {
    absl::StrAppendFormat(&text, "%-10s", metric);
    for (const int k : ks) {
      const std::string name = At(metric, k);
      absl::StrAppendFormat(&text, "   %8.4f  %8.4f", ValueOf(model, name),
                            ValueOf(baseline, name));
    }
    text += "\n";
  }
  absl::StrAppendFormat(&text, "%-10s   %8.4f  %8.4f   (first hit anywhere in the ranking)\n", kMrr,
                        ValueOf(model, kMrr), ValueOf(baseline, kMrr));
  absl::StrAppend(&text, model.users, " users, ", model.targets, " held-out items\n");
  return text;
}

}  // namespace torii::eval
