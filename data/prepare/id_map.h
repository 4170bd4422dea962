// Numbers for ids: the first id that is seen gets code 0, the next new one 1, and so on.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "data/data.pb.h"
#include "data/prepare/id_type.h"
#include "data/read/column_values.h"

namespace torii::data {

// The ids of one column of one chunk; `integers` or `texts` by type.
struct Ids {
  Integers integers;
  Texts texts;
};
// A missing id is an error; `remedy` is appended to its message.
absl::StatusOr<Ids> ReadIds(const Column& column, const IdReading& reading,
                            const std::string& remedy = "");

class IdMap {
 public:
  explicit IdMap(IdType type) : type_(type) {}
  IdType type() const { return type_; }
  int64_t size() const;
  // The code of id `i`, or -1.
  int32_t Find(const Ids& ids, size_t i) const;
  // The code of id `i`, a new one if it has none.
  int32_t FindOrAdd(const Ids& ids, size_t i);
  std::string Text(int32_t code) const;
  // Order of ids: as numbers, or bytes as unsigned.
  bool Less(int32_t a, int32_t b) const {
    return type_ == INTEGER ? integers_[static_cast<size_t>(a)] < integers_[static_cast<size_t>(b)]
                            : texts_[static_cast<size_t>(a)] < texts_[static_cast<size_t>(b)];
  }
  int64_t Integer(int32_t code) const { return integers_[static_cast<size_t>(code)]; }
  const std::string& TextId(int32_t code) const { return texts_[static_cast<size_t>(code)]; }

 private:
  IdType type_;
  absl::flat_hash_map<int64_t, int32_t> integer_codes_;
  std::vector<int64_t> integers_;
  absl::flat_hash_map<absl::string_view, int32_t> text_codes_;  // views into texts_
  std::deque<std::string> texts_;
};

// The id as messages show it.
std::string ShowId(const Ids& ids, IdType type, size_t i);

}  // namespace torii::data
