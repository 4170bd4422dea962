// The prepared folder: names and layout of its files, and what both its writer (prepare.h) and its
// reader (dataset.h) need to know.
//
//   dataset.txtpb                    PreparedDataset, sealed (sealed_text.h): written last, lists
//                                    every other file
//   For each part P of train, valid, test (always all three; a part may have 0 rows):
//     P.user_begin.i64               [users + 1]; user u has rows [user_begin[u], user_begin[u + 1])
//     P.user.i32, P.item.i32         [n] user and item row, by (user, time, order of the files)
//     P.weight.f32                   [n], only if has_weight
//     P.time.i64                     [n], only if has_time: microseconds since 1970, UTC, or
//                                    (time_is_ordinal) numbers that only have an order
//   For the held-out parts H, valid and test:
//     H.earlier_train.i32            [n] how many training rows of the user come before the row
//     H.earlier_valid.i32            [n] how many validation rows; only test
//   item_counts.i64                  [items] training interactions, never increasing
//   For each side S of users, items:
//     S.ids.i64                      [rows], if id_type is INTEGER
//     S.ids.offsets.i64              [rows + 1], if id_type is TEXT
//     S.ids.bytes.u8                 [bytes], if id_type is TEXT
//     S.id_order.i32                 [rows] the rows sorted by id (as numbers, or as unsigned
//                                    bytes): finds the row of an id
//     S.titles.offsets.i64           [rows + 1], only if Side.has_titles
//     S.titles.bytes.u8              [bytes], only if Side.has_titles; a row whose title is empty
//                                    shows its id
//   For feature k (its index in Side.feature) of side S:
//     S.feature.k.offsets.i64        BAG: [rows + 1]
//     S.feature.k.values.i32         BAG: [nnz] embedding rows; SINGLE: [rows] embedding rows
//     S.feature.k.values.f32         DENSE: [rows * width], row by row
//
// Row order of a side: descending number of training interactions, ties by ascending id. Rows
// without training interactions therefore come last.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "data/prepared.pb.h"

namespace torii::data {

// 2: times in microseconds, earlier rows, Unicode words.
inline constexpr int kPreparedVersion = 2;
inline constexpr char kPreparedMetaName[] = "dataset.txtpb";
// Rows that were skipped because of a bad value, one JSON object a line. For people: it is not
// among the files that dataset.txtpb lists. Only there if there are such rows.
inline constexpr char kRejectedName[] = "rejected.jsonl";

enum class Part { kTrain = 0, kValid = 1, kTest = 2 };
inline constexpr int kNumParts = 3;
std::string_view PartName(Part part);

enum class SideKind { kUsers, kItems };
std::string_view SideName(SideKind side);

// "train.item.i32", "users.ids.i64", "items.feature.3.values.f32".
std::string PartFile(Part part, std::string_view array);                      // array: "item.i32"
std::string SideArrayFile(SideKind side, std::string_view array);             // array: "ids.i64"
std::string FeatureFile(SideKind side, int feature, std::string_view array);  // array: "values.f32"
inline constexpr char kEarlierTrain[] = "earlier_train.i32";
inline constexpr char kEarlierValid[] = "earlier_valid.i32";
inline constexpr char kItemCountsFile[] = "item_counts.i64";

// Reads and checks dataset.txtpb: kNoInput if there is none, kData if it cannot be parsed or has
// another version.
absl::StatusOr<PreparedDataset> ReadPreparedMeta(FileSystem& files, const std::string& folder);

enum class VerifyDepth { kSizes, kDigests };
// Every listed file exists with its size (and its digest); the message names the first that does
// not.
absl::Status VerifyPreparedFiles(FileSystem& files, const std::string& folder,
                                 const PreparedDataset& meta, VerifyDepth depth);

// XXH3 digest of a whole file, read in blocks.
absl::StatusOr<std::string> DigestOfFile(FileSystem& files, const std::string& path);

// Digest of the content: names, sizes and digests of the listed files. Does not depend on where the
// raw files were or on how the preparation was run.
std::string PreparedContentDigest(const PreparedDataset& meta);

}  // namespace torii::data
