// The arrays of all users or all items: ids, titles and features in the order of rows.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "data/prepare/id_map.h"
#include "data/prepare/side_table.h"
#include "data/prepared.pb.h"

namespace torii::data {

// Codes in the order of rows: by descending training count, ties by id. Codes that are not `kept`
// are left out.
std::vector<int32_t> OrderRows(const IdMap& ids, std::span<const int64_t> train_counts,
                               std::span<const uint8_t> kept);

// [codes] the row of each code, -1 for those left out.
std::vector<int32_t> RowsOfCodes(std::span<const int32_t> order, int64_t num_codes);

struct WrittenSide {
  Side side;  // without cold_rows
  std::vector<PreparedFile> files;
};

// `order` [rows]: the code of each row. Codes beyond the side table's rows have no title and
// missing features.
absl::StatusOr<WrittenSide> WriteSide(FileSystem& files, const std::string& folder,
                                      const SideTableOptions& options, const IdMap& ids,
                                      std::span<const int32_t> order, const SideTable& table);

}  // namespace torii::data
