#include "exports/trec.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/exit_code.h"
#include "base/status_macros.h"

namespace torii::exports {
namespace {

// The last field of a run's lines: the name of the system.
constexpr char kTag[] = "torii";

absl::Status CheckField(const char* what, const std::string& id) {
  if (!id.empty() && std::none_of(id.begin(), id.end(), [](char c) {
        return absl::ascii_isspace(static_cast<unsigned char>(c));
      })) {
    return absl::OkStatus();
  }
  return DataError(
      absl::StrCat(what, " '", id,
                   "' is empty or has white space, which TREC files cannot hold: use other "
                   "ids, or no TREC files"));
}

// Readers sort by score, so that ties would lose their order.
bool HasTies(const std::vector<eval::ScoredItem>& list) {
  return std::adjacent_find(list.begin(), list.end(),
                            [](const eval::ScoredItem& a, const eval::ScoredItem& b) {
                              return !(a.score > b.score);
                            }) != list.end();
}

}  // namespace

absl::Status WriteTrecRun(FileSystem& files, const std::string& path,
                          std::span<const std::string> user_ids,
                          const std::vector<std::vector<eval::ScoredItem>>& lists,
                          const std::function<std::string(int64_t)>& item_id) {
  TORII_CHECK(user_ids.size() == lists.size(), user_ids.size(), " users, ", lists.size(), " lists");
  std::string text;
  for (size_t u = 0; u < lists.size(); ++u) {
    TORII_RETURN_IF_ERROR(CheckField("user id", user_ids[u]));
    const bool ties = HasTies(lists[u]);
    for (size_t i = 0; i < lists[u].size(); ++i) {
      const std::string item = item_id(lists[u][i].item);
      TORII_RETURN_IF_ERROR(CheckField("item id", item));
      const std::string score =
          ties ? absl::StrCat(lists[u].size() - i) : absl::StrFormat("%.9g", lists[u][i].score);
      absl::StrAppend(&text, user_ids[u], " Q0 ", item, " ", i + 1, " ", score, " ", kTag, "\n");
    }
  }
  return WriteFileAtomically(files, path, text);
}

absl::Status WriteTrecQrels(FileSystem& files, const std::string& path,
                            const eval::HeldOut& held_out,
                            const std::function<std::string(int64_t)>& user_id,
                            const std::function<std::string(int64_t)>& item_id) {
  std::string text;
  for (size_t u = 0; u < held_out.users.size(); ++u) {
    const std::string user = user_id(held_out.users[u]);
    TORII_RETURN_IF_ERROR(CheckField("user id", user));
    for (int64_t t = held_out.target_begin[u]; t < held_out.target_begin[u + 1]; ++t) {
      const std::string item = item_id(held_out.targets[static_cast<size_t>(t)]);
      TORII_RETURN_IF_ERROR(CheckField("item id", item));
      absl::StrAppend(&text, user, " 0 ", item, " 1\n");
    }
  }
  return WriteFileAtomically(files, path, text);
}

}  // namespace torii::exports
