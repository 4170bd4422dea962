#include "exports/export_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/chosen_kind.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/files/staged_folder.h"
#include "base/partition.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "exports/json_text.h"
#include "kernels/host_tensors.h"
#include "nlohmann/json.hpp"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/evaluate_model.h"

namespace torii::exports {
namespace {

constexpr int64_t kBlockRows = 65536;

// Rows of every rank -> all rows on rank 0, in rank order. Collective.
absl::StatusOr<at::Tensor> ToRankZero(comm::Communicator& comm, const at::Tensor& mine) {
  TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> rows,
                         comm::AllGatherValue(comm.control(), mine.size(0)));
  std::vector<int64_t> send(rows.size(), 0);
  send[0] = mine.size(0);
  const std::vector<int64_t> nothing(rows.size(), 0);
  return comm.AllToAllV(mine.contiguous(), send, comm.rank() == 0 ? rows : nothing);
}

// One side of the model: its files, filled block by block. Lives on rank 0.
class SideFiles {
 public:
  // name: "item" or "user".
  SideFiles(FileSystem& files, std::string folder, std::string name, const data::Features& side,
            bool titles, int64_t dim)
      : files_(files),
        folder_(std::move(folder)),
        name_(std::move(name)),
        side_(side),
        shape_{dim, side.has_integer_ids(), titles} {}

  absl::Status Open() {
    TORII_ASSIGN_OR_RETURN(vectors_, DigestedFile::Create(files_, folder_, name_ + "_vectors.npy"));
    const int64_t shape[] = {side_.rows(), shape_.dim};
    const std::string header = NpyHeader("<f4", shape);
    TORII_RETURN_IF_ERROR(vectors_->Append(header));
    TORII_ASSIGN_OR_RETURN(table_,
                           VectorTable::Create(files_, folder_, name_ + "s.parquet", shape_));
    return absl::OkStatus();
  }

  // vectors: [n, dim] of the rows from `begin` on.
  absl::Status Append(int64_t begin, const at::Tensor& on_device) {
    const at::Tensor vectors = on_device.cpu();
    const auto* floats = vectors.data_ptr<float>();
    const int64_t n = vectors.size(0);
    if (!at::isfinite(vectors).all().item<bool>()) {
      return DivergedError(absl::StrCat("a vector of ", name_, " rows ", begin, " to ",
                                        begin + n - 1, " is not finite; nothing is exported"));
    }
    TORII_RETURN_IF_ERROR(
        vectors_->Append(floats, n * shape_.dim * static_cast<int64_t>(sizeof(float))));
    IdBlock ids;
    for (int64_t row = begin; row < begin + n; ++row) {
      if (shape_.integer_ids) {
        ids.integers.push_back(side_.IntegerId(row));
      } else {
        ids.texts.push_back(side_.Id(row));
      }
      if (shape_.titles) ids.titles.push_back(side_.Title(row));
    }
    TORII_RETURN_IF_ERROR(table_->Append(ids, {floats, static_cast<size_t>(n * shape_.dim)}));
    integers_.insert(integers_.end(), ids.integers.begin(), ids.integers.end());
    texts_.insert(texts_.end(), ids.texts.begin(), ids.texts.end());
    return absl::OkStatus();
  }

  absl::Status Close(std::vector<ExportedFile>* written) {
    TORII_ASSIGN_OR_RETURN(written->emplace_back(), vectors_->Finish());
    const std::string ids = name_ + "_ids.npy";
    TORII_ASSIGN_OR_RETURN(written->emplace_back(),
                           shape_.integer_ids ? WriteIntegerIds(files_, folder_, ids, integers_)
                                              : WriteTextIds(files_, folder_, ids, texts_));
    TORII_ASSIGN_OR_RETURN(written->emplace_back(), table_->Close());
    return absl::OkStatus();
  }

 private:
  FileSystem& files_;
  std::string folder_, name_;
  const data::Features& side_;
  VectorTableShape shape_;
  std::shared_ptr<DigestedFile> vectors_;
  std::unique_ptr<VectorTable> table_;
  std::vector<int64_t> integers_;
  std::vector<std::string> texts_;
};

// The vectors [n, D] of the rows [begin, end), on rank 0. Collective.
using BlockFunction = std::function<absl::StatusOr<at::Tensor>(int64_t begin, int64_t end)>;

// Collective; `side` is null on ranks but 0.
absl::Status WriteSide(comm::Communicator& comm, int64_t rows, SideFiles* side,
                       const BlockFunction& block, std::vector<ExportedFile>* written) {
  TORII_RETURN_IF_ERROR(
      comm::AgreeOnStatus(comm.control(), side == nullptr ? absl::OkStatus() : side->Open()));
  for (int64_t begin = 0; begin < rows; begin += kBlockRows) {
    TORII_ASSIGN_OR_RETURN(const at::Tensor vectors,
                           block(begin, std::min(begin + kBlockRows, rows)));
    TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(
        comm.control(), side == nullptr ? absl::OkStatus() : side->Append(begin, vectors)));
  }
  return comm::AgreeOnStatus(comm.control(),
                             side == nullptr ? absl::OkStatus() : side->Close(written));
}

absl::Status WriteItems(FileSystem& files, trainer::TwoTower& towers, int64_t batch,
                        const std::string& folder, std::vector<ExportedFile>* written) {
  comm::Communicator& comm = towers.comm();
  const data::Features& items = towers.dataset().items();
  TORII_ASSIGN_OR_RETURN(const at::Tensor owned, towers.AllOwnedItems(batch));
  SideFiles side(files, folder, "item", items, towers.dataset().meta().items().has_titles(),
                 owned.size(1));
  return WriteSide(
      comm, items.rows(), comm.rank() == 0 ? &side : nullptr,
      [&](int64_t begin, int64_t end) {
        return GatherRows(comm, towers.corpus(), owned, begin, end);
      },
      written);
}

absl::Status WriteUsers(FileSystem& files, trainer::TwoTower& towers, const ExportOptions& options,
                        const std::string& folder, std::vector<ExportedFile>* written) {
  const int64_t batch = options.embed_batch;
  comm::Communicator& comm = towers.comm();
  const data::Features& users = towers.dataset().users();
  SideFiles side(files, folder, "user", users, towers.dataset().meta().users().has_titles(),
                 towers.net().config().dim());
  const auto block = [&](int64_t begin, int64_t end) -> absl::StatusOr<at::Tensor> {
    std::vector<at::Tensor> parts;
    for (int64_t from = begin; from < end; from += batch) {
      const Range mine = SplitEvenly(std::min(batch, end - from), comm.world_size(), comm.rank());
      std::vector<int64_t> rows(static_cast<size_t>(mine.size()));
      for (size_t i = 0; i < rows.size(); ++i) {
        rows[i] = from + mine.begin + static_cast<int64_t>(i);
      }
      TORII_ASSIGN_OR_RETURN(const at::Tensor vectors,
                             trainer::UserVectors(towers, rows, options.history));
      TORII_ASSIGN_OR_RETURN(parts.emplace_back(), ToRankZero(comm, vectors.detach()));
    }
    return at::cat(parts);
  };
  return WriteSide(comm, users.rows(), comm.rank() == 0 ? &side : nullptr, block, written);
}

absl::Status WriteDescription(FileSystem& files, trainer::TwoTower& towers,
                              const ModelSource& source, const ExportOptions& options,
                              const std::string& folder, const std::vector<ExportedFile>& written) {
  TORII_ASSIGN_OR_RETURN(const auto digests, trainer::CheckpointDigests(files, source.checkpoint));
  const model::ModelConfig& config = towers.net().config();
  const data::Dataset& dataset = towers.dataset();
  const model::Scorer& scorer = *towers.net().scorer();
  nlohmann::ordered_json json;
  json["format"] = "torii-export";
  json["version"] = 1;
  json["dim"] = config.dim();
  json["dtype"] = "float32";
  json["metric"] = ChosenKind(config.scorer(), "inner_product");
  json["normalised"] = config.normalize();
  json["temperature"] = scorer.temperature();
  json["items"] = dataset.items().rows();
  json["users"] = dataset.users().rows();
  json["user_history"] = options.history == data::HistoryUpTo::kAll ? "all" : "train";
  json["checkpoint"] = source.checkpoint;
  json["step"] = source.step;
  for (const auto& [name, digest] : digests) {
    if (name == "total") json["model_digest"] = digest;
  }
  json["data_digest"] = dataset.digest();
  json["files"] = nlohmann::ordered_json::array();
  for (const ExportedFile& file : written) {
    json["files"].push_back({{"name", file.name}, {"size", file.size}, {"digest", file.digest}});
  }
  return WriteFileAtomically(files, JoinPath(folder, kExportDescription), IndentedJson(json));
}

// The names in a folder that are of no export.
std::vector<std::string> ForeignNames(FileSystem& files, const std::string& folder,
                                      const std::vector<std::string>& names) {
  std::set<std::string> listed = {kExportDescription};
  const absl::StatusOr<std::string> text = ReadFile(files, JoinPath(folder, kExportDescription));
  const auto json = nlohmann::json::parse(text.ok() ? *text : "", nullptr, false);
  if (json.is_object() && json.contains("files") && json["files"].is_array()) {
    for (const auto& file : json["files"]) {
      if (file.is_object() && file.contains("name") && file["name"].is_string()) {
        listed.insert(file["name"].get<std::string>());
      }
    }
  }
  std::vector<std::string> foreign;
  for (const std::string& name : names) {
    if (!listed.contains(name)) foreign.push_back(name);
  }
  return foreign;
}

absl::StatusOr<std::unique_ptr<StagedFolder>> OpenExport(FileSystem& files,
                                                         const std::string& out) {
  TORII_ASSIGN_OR_RETURN(
      std::unique_ptr<StagedFolder> folder,
      StagedFolder::Open(
          files, out,
          {.what = absl::StrCat("the export ", out),
           .remedy = "choose another --out",
           .foreign = [&files](const std::string& path, const std::vector<std::string>& names) {
             return ForeignNames(files, path, names);
           }}));
  TORII_RETURN_IF_ERROR(folder->Begin());
  return folder;
}

absl::Status PutInPlace(StagedFolder& folder) {
  TORII_FAILPOINT("export.before_rename");
  return folder.Commit();
}

absl::Status WriteAll(FileSystem& files, trainer::TwoTower& towers, const ModelSource& source,
                      const ExportOptions& options, const std::string& folder,
                      std::vector<ExportedFile>* written) {
  comm::Communicator& comm = towers.comm();
  TORII_RETURN_IF_ERROR(WriteItems(files, towers, options.embed_batch, folder, written));
  TORII_RETURN_IF_ERROR(WriteUsers(files, towers, options, folder, written));
  return comm::AgreeOnStatus(
      comm.control(), comm.rank() == 0
                          ? WriteDescription(files, towers, source, options, folder, *written)
                          : absl::OkStatus());
}

}  // namespace

absl::StatusOr<at::Tensor> GatherRows(comm::Communicator& comm, const Partition& rows,
                                      const at::Tensor& local, int64_t begin, int64_t end) {
  const int64_t first = rows.OwnedBefore(comm.rank(), begin);
  const int64_t last = rows.OwnedBefore(comm.rank(), end);
  TORII_ASSIGN_OR_RETURN(const at::Tensor gathered,
                         ToRankZero(comm, local.slice(0, first, last).detach()));
  if (comm.rank() != 0) return gathered;
  at::Tensor ordered = at::empty({end - begin, local.size(1)}, local.options());
  std::vector<int64_t> place;  // of each gathered row
  for (int rank = 0; rank < rows.world_size(); ++rank) {
    for (int64_t slot = rows.OwnedBefore(rank, begin); slot < rows.OwnedBefore(rank, end); ++slot) {
      place.push_back(rows.Row(rank, slot) - begin);
    }
  }
  return ordered.index_copy_(0, kernels::TensorOf(place).to(local.device()), gathered);
}

absl::StatusOr<std::vector<ExportedFile>> ExportModel(FileSystem& files, trainer::TwoTower& towers,
                                                      const ModelSource& source,
                                                      const ExportOptions& options) {
  comm::Communicator& comm = towers.comm();
  const bool leads = comm.rank() == 0;
  std::unique_ptr<StagedFolder> folder;  // on rank 0, which writes
  absl::Status status;
  if (leads) {
    absl::StatusOr<std::unique_ptr<StagedFolder>> opened = OpenExport(files, options.out);
    status = opened.status();
    if (opened.ok()) folder = *std::move(opened);
  }
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(comm.control(), status));
  std::vector<ExportedFile> written;
  TORII_RETURN_IF_ERROR(
      WriteAll(files, towers, source, options, leads ? folder->path() : std::string(), &written));
  TORII_RETURN_IF_ERROR(
      comm::AgreeOnStatus(comm.control(), leads ? PutInPlace(*folder) : absl::OkStatus()));
  return written;
}

}  // namespace torii::exports
