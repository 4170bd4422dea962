// Vectors of all items and users of a trained model as files that numpy, pandas and vector
// databases read.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/partition.h"
#include "data/history.h"
#include "exports/export_files.h"
#include "trainer/step/two_tower.h"

namespace torii::exports {

// The file of an export that describes it.
inline constexpr char kExportDescription[] = "export.json";

// Where the weights of a model come from, for export.json.
struct ModelSource {
  std::string checkpoint;  // its path
  int64_t step = 0;        // after which it was written
};

struct ExportOptions {
  std::string out;             // the folder
  int64_t embed_batch = 4096;  // vectors computed at a time, over all ranks
  data::HistoryUpTo history = data::HistoryUpTo::kAll;  // of the users
};

// Writes item_vectors.npy, item_ids.npy, items.parquet, the same for users, and export.json into a
// folder beside `out`, and puts it there when complete (base/files/staged_folder.h). A former export
// there is replaced; a folder that holds anything else is refused (kCannotCreate). Rank 0 writes; no rank holds more than its own vectors and one
// block. Collective.
absl::StatusOr<std::vector<ExportedFile>> ExportModel(FileSystem& files, trainer::TwoTower& towers,
                                                      const ModelSource& source,
                                                      const ExportOptions& options);

// The rows [begin, end) of a partitioned table in row order on rank 0; an empty tensor elsewhere.
// local[i] is row rows.Row(rank, i); each row has one owner. Collective.
absl::StatusOr<at::Tensor> GatherRows(comm::Communicator& comm, const Partition& rows,
                                      const at::Tensor& local, int64_t begin, int64_t end);

}  // namespace torii::exports
