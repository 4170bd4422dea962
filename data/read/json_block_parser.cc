#include "data/read/json_block_parser.h"

#include <utility>

#include "arrow/array.h"
#include "arrow/buffer.h"
#include "arrow/json/options.h"
#include "arrow/json/reader.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"

namespace torii::data {
namespace {

using Batch = std::shared_ptr<arrow::RecordBatch>;

arrow::Result<Batch> ParseAs(std::string_view lines, const arrow::FieldVector& fields) {
  arrow::json::ParseOptions options = arrow::json::ParseOptions::Defaults();
  options.explicit_schema = arrow::schema(fields);
  options.unexpected_field_behavior = arrow::json::UnexpectedFieldBehavior::Ignore;
  return arrow::json::ParseOne(options, std::make_shared<arrow::Buffer>(lines));
}

// The types that a column may have, the narrowest first.
arrow::DataTypeVector PossibleTypes() {
  arrow::DataTypeVector types = {arrow::int64(), arrow::float64(), arrow::boolean(), arrow::utf8()};
  for (size_t k = 0, single = types.size(); k < single; ++k) {
    types.push_back(arrow::list(types[k]));
  }
  return types;
}

// Columns without any value are null, which fits any use.
Batch WithNulls(const Batch& batch) {
  arrow::FieldVector fields = batch->schema()->fields();
  arrow::ArrayVector columns = batch->columns();
  for (size_t k = 0; k < columns.size(); ++k) {
    if (columns[k]->null_count() == columns[k]->length()) {
      columns[k] = std::make_shared<arrow::NullArray>(columns[k]->length());
      fields[k] = arrow::field(fields[k]->name(), arrow::null());
    }
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), batch->num_rows(), std::move(columns));
}

}  // namespace

arrow::Status JsonBlockParser::FindTypes(std::string_view lines) {
  arrow::DataTypeVector types;
  for (const std::string& column : columns_) {
    arrow::Status first;  // why the narrowest type is not possible
    for (const std::shared_ptr<arrow::DataType>& type : PossibleTypes()) {
      const arrow::Status status = ParseAs(lines, {arrow::field(column, type)}).status();
      if (status.ok()) {
        types.push_back(type);
        break;
      }
      first = first.ok() ? status : first;
    }
    if (types.size() <= static_cast<size_t>(&column - columns_.data())) {
      return first;
    }
  }
  types_ = std::move(types);
  return arrow::Status::OK();
}

arrow::Result<Batch> JsonBlockParser::Parse(std::string_view lines) {
  const auto parse = [&] {
    arrow::FieldVector fields;
    for (size_t k = 0; k < types_.size(); ++k) {
      fields.push_back(arrow::field(columns_[k], types_[k]));
    }
    return ParseAs(lines, fields);
  };
  arrow::Status with_former_types;
  if (!types_.empty()) {
    const arrow::Result<Batch> batch = parse();
    if (batch.ok()) {
      return WithNulls(*batch);
    }
    with_former_types = batch.status();
  }
  if (const arrow::Status status = FindTypes(lines); !status.ok()) {
    return with_former_types.ok() ? status : with_former_types;
  }
  ARROW_ASSIGN_OR_RAISE(const Batch batch, parse());
  return WithNulls(batch);
}

}  // namespace torii::data
