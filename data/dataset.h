// An opened prepared dataset. Its files are mapped read-only, so that the ranks of a node share the
// memory. All methods may be called from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "data/prepared.pb.h"

namespace torii::data {

// Lists of int64 in one array: list i is values[offsets[i] .. offsets[i+1]).
struct Bags {
  std::vector<int64_t> offsets;  // [n + 1]
  std::vector<int64_t> values;   // [nnz]
};

// The features of a set of users or items, ready for a tower. One entry per feature of the side, in
// the order of Features::info().
struct FeatureRows {
  int64_t n = 0;
  std::vector<Bags> bags;                 // BAG: [n] lists; SINGLE: values only, [n], offsets empty
  std::vector<std::vector<float>> dense;  // DENSE: [n * width]; empty for the others
};

// All users or all items: features, ids, titles. Row 0 is the most frequent in training (ties:
// smaller id).
class Features {
 public:
  virtual ~Features() = default;
  virtual int64_t rows() const = 0;
  virtual std::span<const PreparedFeature> info() const = 0;
  // Gathers the features of `rows` (any order, repeats allowed). `which`: indices into info().
  virtual FeatureRows Gather(std::span<const int64_t> rows, std::span<const int> which) const = 0;
  // The id as text; the title (the id if there is none).
  virtual std::string Id(int64_t row) const = 0;
  virtual std::string Title(int64_t row) const = 0;
  // The id as a number; only for integer ids.
  virtual int64_t IntegerId(int64_t row) const = 0;
  virtual bool has_integer_ids() const = 0;
  virtual std::optional<int64_t> FindRow(const std::string& id) const = 0;
};

// Interactions of one part, sorted by (user, time).
struct Interactions {
  std::span<const int64_t>
      user_begin;                 // [users + 1]: user u has rows [user_begin[u], user_begin[u+1])
  std::span<const int32_t> user;  // [n] user row of each interaction
  std::span<const int32_t> item;  // [n] item row, in time order within a user
  std::span<const float> weight;  // [n], or empty: all 1
  std::span<const int64_t> time;  // [n], or empty
  // Of held-out parts: how many of the user's training rows come before row i in time, and (test)
  // how many of its validation rows. [n], or empty: all of them.
  std::span<const int32_t> earlier_train = {};
  std::span<const int32_t> earlier_valid = {};
  int64_t size() const { return static_cast<int64_t>(item.size()); }
  std::span<const int32_t> ItemsOf(int64_t u) const {
    return item.subspan(static_cast<size_t>(user_begin[static_cast<size_t>(u)]),
                        static_cast<size_t>(user_begin[static_cast<size_t>(u) + 1] -
                                            user_begin[static_cast<size_t>(u)]));
  }
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  // Verifies version, sizes and (unless told otherwise) content digests.
  static absl::StatusOr<std::unique_ptr<Dataset>> Open(FileSystem& files, const std::string& folder,
                                                       bool verify_digests = true);
  virtual const PreparedDataset& meta() const = 0;
  virtual const Features& users() const = 0;
  virtual const Features& items() const = 0;
  virtual const Interactions& train() const = 0;
  virtual const Interactions& valid() const = 0;  // size 0 if there is none
  virtual const Interactions& test() const = 0;   // size 0 if there is none
  // Training interactions of each item [items], by row: never increasing.
  virtual std::span<const int64_t> item_counts() const = 0;
  // Digest of the whole content; part of a checkpoint's identity.
  virtual const std::string& digest() const = 0;
};

}  // namespace torii::data
