// The files of the TREC evaluation tools: lines of fields divided by white space.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/file_system.h"
#include "eval/top_k.h"

namespace torii::exports {

// A run: one line "user Q0 item rank score torii" for each item of each user's list. Readers sort
// by score, so the scores of a list must fall strictly: where two of them tie, the whole list gets
// the scores n, n-1, ..., 1. kData if an id is empty or has white space.
absl::Status WriteTrecRun(FileSystem& files, const std::string& path,
                          std::span<const std::string> user_ids,
                          const std::vector<std::vector<eval::ScoredItem>>& lists,
                          const std::function<std::string(int64_t)>& item_id);

// The relevance judgements: one line "user 0 item 1" for each held-out item. kData as above.
absl::Status WriteTrecQrels(FileSystem& files, const std::string& path,
                            const eval::HeldOut& held_out,
                            const std::function<std::string(int64_t)>& user_id,
                            const std::function<std::string(int64_t)>& item_id);

}  // namespace torii::exports
