#include "data/prepare/id_map.h"

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "base/status_macros.h"

namespace torii::data {
namespace {

absl::string_view AbslView(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

absl::StatusOr<Ids> ReadIds(const Column& column, const IdReading& reading,
                            const std::string& remedy) {
  Ids ids;
  if (!IsText(*column.array) && !IsInteger(*column.array) && !IsFloat(*column.array) &&
      !IsWholeDecimal(*column.array) && !IsNothing(*column.array)) {
    return ColumnError(column, absl::StrCat("has type ", column.array->type()->ToString(),
                                            "; ids are integers or text"));
  }
  int64_t missing = -1;
  if (reading.type == INTEGER) {
    const std::string as_text =
        absl::StrCat(" (set ", reading.field, ": TEXT to keep ids as text)");
    TORII_ASSIGN_OR_RETURN(
        ids.integers,
        ReadIntegers(column, reading.detected ? IntegerText::kCanonical : IntegerText::kAny,
                     as_text));
    for (size_t i = 0; i < ids.integers.missing.size() && missing < 0; ++i) {
      missing = ids.integers.missing[i] != 0 ? static_cast<int64_t>(i) : -1;
    }
  } else {
    TORII_ASSIGN_OR_RETURN(ids.texts, ReadTexts(column));
    for (size_t i = 0; i < ids.texts.values.size() && missing < 0; ++i) {
      missing = ids.texts.values[i].data() == nullptr ? static_cast<int64_t>(i) : -1;
    }
  }
  if (missing >= 0) {
    return CellError(column, missing,
                     absl::StrCat("the id is missing; every row needs one", remedy));
  }
  return ids;
}

int64_t IdMap::size() const {
  return static_cast<int64_t>(type_ == INTEGER ? integers_.size() : texts_.size());
}

int32_t IdMap::Find(const Ids& ids, size_t i) const {
  if (type_ == INTEGER) {
    const auto found = integer_codes_.find(ids.integers.values[i]);
    return found == integer_codes_.end() ? -1 : found->second;
  }
  const auto found = text_codes_.find(AbslView(ids.texts.values[i]));
  return found == text_codes_.end() ? -1 : found->second;
}

int32_t IdMap::FindOrAdd(const Ids& ids, size_t i) {
  if (type_ == INTEGER) {
    const int64_t id = ids.integers.values[i];
    const auto [place, added] =
        integer_codes_.try_emplace(id, static_cast<int32_t>(integers_.size()));
    if (added) {
      integers_.push_back(id);
    }
    return place->second;
  }
  if (const int32_t code = Find(ids, i); code >= 0) {
    return code;
  }
  const int32_t code = static_cast<int32_t>(texts_.size());
  text_codes_.emplace(AbslView(texts_.emplace_back(ids.texts.values[i])), code);
  return code;
}

std::string IdMap::Text(int32_t code) const {
  return type_ == INTEGER ? std::to_string(Integer(code)) : TextId(code);
}

std::string ShowId(const Ids& ids, IdType type, size_t i) {
  return type == INTEGER ? std::to_string(ids.integers.values[i])
                         : "\"" + std::string(ids.texts.values[i]) + "\"";
}

}  // namespace torii::data
