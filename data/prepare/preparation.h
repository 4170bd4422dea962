// The passes of one preparation, from raw files to the arrays in a folder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "data/prepare/core_filter.h"
#include "data/prepare/id_map.h"
#include "data/prepare/interaction_reader.h"
#include "data/prepare/interaction_survey.h"
#include "data/prepare/part_writer.h"
#include "data/prepare/side_table.h"
#include "data/prepare/side_writer.h"
#include "data/prepare/source_files.h"
#include "data/prepare/split_rule.h"
#include "data/prepared.pb.h"

namespace torii::data {

// "8 rows read, 6 kept, 2 dropped by rating". The numbers add up.
std::string DescribeRows(const PreparedDataset& dataset);

// Used once, by one thread (which starts others).
class Preparation {
 public:
  // All borrowed. `folder` and `scratch` exist.
  Preparation(FileSystem& files, const DataConfig& config, const DataInputs& inputs,
              std::string folder, std::string scratch, bool verbose);

  // Writes every array. The result lacks version, sources, settings and config.
  absl::StatusOr<PreparedDataset> Run();

 private:
  struct SideState {
    SideTableOptions options;
    std::optional<IdMap> ids;
    SideTable table;
    std::vector<int64_t> train_counts;  // [codes]
    std::vector<int32_t> order;         // [rows] code of each row
  };

  // The steps of Run, in order.
  absl::Status ReadSides();
  absl::Status ReadAllInteractions();
  absl::Status ResolveRepeats();
  absl::Status FilterAndSplit();
  absl::Status SortAndWriteParts();
  absl::Status WriteItems();
  absl::Status WriteSides();

  absl::Status ReadSide(const SideFile& config, const std::vector<InputFile>& inputs,
                        SideState* side);
  IdPolicy PolicyOf(bool has_file, const SideFile& config, const std::string& field) const;
  absl::StatusOr<SplitFacts> CountParts();
  void WarnOfSplit(const SplitFacts& facts) const;
  absl::Status WriteSideArrays(const SideState& state, Side* side);
  void Add(const std::vector<PreparedFile>& written);

  FileSystem& files_;
  const DataConfig& config_;
  const DataInputs& inputs_;
  const bool verbose_;

  Survey survey_;
  SideState users_;
  SideState items_;
  std::unique_ptr<InteractionSpill> spill_;
  Kept kept_;
  SplitRule rule_;
  PartOptions parts_;  // among them the two folders
  PreparedDataset result_;
};

}  // namespace torii::data
