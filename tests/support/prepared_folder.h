// Writes any data::Dataset (a FakeDataset, say) as a prepared folder.
#pragma once

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/file_system.h"
#include "base/status_macros.h"
#include "data/array_file.h"
#include "data/dataset.h"
#include "data/prepared_layout.h"
#include "data/sealed_text.h"
#include "google/protobuf/text_format.h"

namespace torii::testing {

class PreparedFolderWriter {
 public:
  PreparedFolderWriter(FileSystem& files, std::string folder, const data::Dataset& dataset)
      : files_(files), folder_(std::move(folder)), dataset_(dataset), meta_(dataset.meta()) {}

  absl::Status Write() {
    TORII_RETURN_IF_ERROR(files_.MakeDirectories(folder_));
    TORII_RETURN_IF_ERROR(WritePart(data::Part::kTrain, dataset_.train()));
    TORII_RETURN_IF_ERROR(WritePart(data::Part::kValid, dataset_.valid()));
    TORII_RETURN_IF_ERROR(WritePart(data::Part::kTest, dataset_.test()));
    TORII_RETURN_IF_ERROR(Array(data::kItemCountsFile, dataset_.item_counts()));
    TORII_RETURN_IF_ERROR(WriteSide(data::SideKind::kUsers, dataset_.users(), meta_.users()));
    TORII_RETURN_IF_ERROR(WriteSide(data::SideKind::kItems, dataset_.items(), meta_.items()));
    return WriteMeta();
  }
  // The metadata, to be changed by tests of damaged folders before WriteMeta().
  data::PreparedDataset& meta() { return meta_; }
  absl::Status WriteMeta() {
    meta_.set_version(data::kPreparedVersion);
    std::string text;
    google::protobuf::TextFormat::PrintToString(meta_, &text);
    return WriteFileAtomically(files_, JoinPath(folder_, data::kPreparedMetaName),
                               data::SealText(text));
  }
  // Writes (or writes again) one array and lists it.
  template <typename T>
  absl::Status Array(const std::string& name, std::span<const T> values) {
    TORII_ASSIGN_OR_RETURN(data::BufferedFile file,
                           data::BufferedFile::CreateArray(files_, JoinPath(folder_, name),
                                                           data::ArrayTypeOf<T>::value,
                                                           static_cast<int64_t>(values.size())));
    TORII_RETURN_IF_ERROR(file.AppendValues(values));
    TORII_ASSIGN_OR_RETURN(const data::PreparedFile written, file.Finish());
    for (data::PreparedFile& listed : *meta_.mutable_file()) {
      if (listed.name() == name) {
        listed = written;
        return absl::OkStatus();
      }
    }
    *meta_.add_file() = written;
    return absl::OkStatus();
  }
  template <typename T>
  absl::Status Array(const std::string& name, const std::vector<T>& values) {
    return Array(name, std::span<const T>(values));
  }

 private:
  absl::Status WritePart(data::Part part, const data::Interactions& rows) {
    TORII_RETURN_IF_ERROR(Array(data::PartFile(part, "user_begin.i64"), rows.user_begin));
    TORII_RETURN_IF_ERROR(Array(data::PartFile(part, "user.i32"), rows.user));
    TORII_RETURN_IF_ERROR(Array(data::PartFile(part, "item.i32"), rows.item));
    if (meta_.has_weight()) {
      TORII_RETURN_IF_ERROR(Array(data::PartFile(part, "weight.f32"), rows.weight));
    }
    if (part != data::Part::kTrain) {
      TORII_RETURN_IF_ERROR(WriteEarlier(part, data::kEarlierTrain, rows, dataset_.train()));
    }
    if (part == data::Part::kTest) {
      TORII_RETURN_IF_ERROR(WriteEarlier(part, data::kEarlierValid, rows, dataset_.valid()));
    }
    return meta_.has_time() ? Array(data::PartFile(part, "time.i64"), rows.time) : absl::OkStatus();
  }

  // All rows of `other` are earlier than those of the part.
  absl::Status WriteEarlier(data::Part part, const std::string& name,
                            const data::Interactions& rows, const data::Interactions& other) {
    std::vector<int32_t> earlier;
    for (const int32_t user : rows.user) {
      earlier.push_back(other.size() == 0 ? 0 : static_cast<int32_t>(other.ItemsOf(user).size()));
    }
    return Array(data::PartFile(part, name), earlier);
  }

  absl::Status WriteTexts(data::SideKind kind, const std::string& what,
                          const std::vector<std::string>& texts) {
    std::vector<int64_t> offsets = {0};
    std::vector<uint8_t> bytes;
    for (const std::string& text : texts) {
      bytes.insert(bytes.end(), text.begin(), text.end());
      offsets.push_back(static_cast<int64_t>(bytes.size()));
    }
    TORII_RETURN_IF_ERROR(Array(data::SideArrayFile(kind, what + ".offsets.i64"), offsets));
    return Array(data::SideArrayFile(kind, what + ".bytes.u8"), bytes);
  }

  absl::Status WriteSide(data::SideKind kind, const data::Features& side, const data::Side& meta) {
    std::vector<int64_t> rows(static_cast<size_t>(side.rows()));
    std::iota(rows.begin(), rows.end(), 0);
    std::vector<int32_t> order(rows.begin(), rows.end());
    std::vector<std::string> titles;
    for (const int64_t row : rows) titles.push_back(side.Title(row));
    if (side.has_integer_ids()) {
      std::vector<int64_t> ids;
      for (const int64_t row : rows) ids.push_back(side.IntegerId(row));
      std::sort(order.begin(), order.end(),
                [&](int32_t a, int32_t b) { return side.IntegerId(a) < side.IntegerId(b); });
      TORII_RETURN_IF_ERROR(Array(data::SideArrayFile(kind, "ids.i64"), ids));
    } else {
      std::vector<std::string> ids;
      for (const int64_t row : rows) ids.push_back(side.Id(row));
      std::sort(order.begin(), order.end(),
                [&](int32_t a, int32_t b) { return side.Id(a) < side.Id(b); });
      TORII_RETURN_IF_ERROR(WriteTexts(kind, "ids", ids));
    }
    TORII_RETURN_IF_ERROR(Array(data::SideArrayFile(kind, "id_order.i32"), order));
    if (meta.has_titles()) TORII_RETURN_IF_ERROR(WriteTexts(kind, "titles", titles));
    for (int k = 0; k < meta.feature_size(); ++k) {
      TORII_RETURN_IF_ERROR(WriteFeature(kind, k, side.Gather(rows, std::vector<int>{k})));
    }
    return absl::OkStatus();
  }

  absl::Status WriteFeature(data::SideKind kind, int k, const data::FeatureRows& all) {
    const size_t index = static_cast<size_t>(k);
    const data::PreparedFeature& feature =
        (kind == data::SideKind::kUsers ? meta_.users() : meta_.items()).feature(k);
    if (feature.kind() == data::PreparedFeature::DENSE) {
      return Array(data::FeatureFile(kind, k, "values.f32"), all.dense[index]);
    }
    if (feature.kind() == data::PreparedFeature::BAG) {
      TORII_RETURN_IF_ERROR(
          Array(data::FeatureFile(kind, k, "offsets.i64"), all.bags[index].offsets));
    }
    const std::vector<int64_t>& values = all.bags[index].values;
    return Array(data::FeatureFile(kind, k, "values.i32"),
                 std::vector<int32_t>(values.begin(), values.end()));
  }

  FileSystem& files_;
  std::string folder_;
  const data::Dataset& dataset_;
  data::PreparedDataset meta_;
};

}  // namespace torii::testing
