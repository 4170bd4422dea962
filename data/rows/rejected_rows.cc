#include "data/rows/rejected_rows.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "arrow/scalar.h"
#include "base/exit_code.h"
#include "base/secrets.h"
#include "base/status_macros.h"
#include "data/read/column_values.h"
#include "nlohmann/json.hpp"

namespace torii::data {
namespace {

using Json = nlohmann::ordered_json;

// One line; bytes that are no text become U+FFFD.
std::string LineOf(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

Json JsonOf(const std::string& file, int64_t row, absl::string_view why) {
  return {{"file", RedactUris(file)}, {"row", row}, {"error", RedactUris(std::string(why))}};
}

// The only value of a column as text; null if it is missing.
Json ValueOf(const Column& column) {
  if (const auto texts = ReadTexts(column); texts.ok()) {
    const std::string_view text = texts->values.front();
    return text.data() == nullptr ? Json(nullptr) : Json(text);
  }
  const auto scalar = column.array->GetScalar(0);
  return scalar.ok() ? Json((*scalar)->ToString()) : Json(nullptr);
}

}  // namespace

absl::Status RejectedRows::Count(const std::string& why) {
  ++rows_;
  if (rows_ == 1) {
    first_ = why;
  }
  if (rows_ <= most_) {
    return absl::OkStatus();
  }
  return DataError(absl::StrCat(why,
                                "; this is one bad row more than data.interactions.max_bad_rows ",
                                most_, " allows, the first was ", first_));
}

absl::Status RejectedRows::Write(const std::string& line) {
  if (file_ == nullptr) {
    TORII_ASSIGN_OR_RETURN(file_, files_.Create(path_));
  }
  return file_->Append(line);
}

absl::Status RejectedRows::Add(const TableChunk& row, const std::vector<std::string>& columns,
                               const absl::Status& why) {
  TORII_RETURN_IF_ERROR(Count(std::string(why.message())));
  Json json = JsonOf(*row.file, row.RowNumber(0), why.message());
  json["values"] = Json::object();
  for (size_t k = 0; k < columns.size(); ++k) {
    json["values"][columns[k]] = ValueOf(ColumnOf(row, k, columns[k]));
  }
  return Write(LineOf(json));
}

absl::Status RejectedRows::Add(const std::string& file, const SkippedRow& row) {
  const std::string why = absl::StrCat(file, ":", row.number, ": ", row.what);
  TORII_RETURN_IF_ERROR(Count(why));
  Json json = JsonOf(file, row.number, why);
  json["text"] = row.text;
  return Write(LineOf(json));
}

absl::Status RejectedRows::Finish() {
  if (file_ == nullptr) {
    return absl::OkStatus();
  }
  TORII_RETURN_IF_ERROR(file_->Sync());
  return file_->Close();
}

}  // namespace torii::data
