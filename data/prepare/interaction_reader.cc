#include "data/prepare/interaction_reader.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/stopwatch.h"
#include "data/prepare/row_decoder.h"
#include "data/read/table_reader.h"
#include "data/rows/chunk_rows.h"
#include "data/rows/rejected_rows.h"

namespace torii::data {
namespace {

constexpr int kChunksAhead = 4;
constexpr int64_t kProgressRows = 20'000'000;
constexpr int64_t kMaxCodes = std::numeric_limits<int32_t>::max();

// The ids of one side: their codes, and whether the interactions may bring new ones.
struct CodedSide {
  IdMap& ids;
  const IdPolicy& policy;
  const char* name;  // "user"

  absl::Status Unknown(const Ids& of_rows, size_t i, const Column& column) const {
    return CellError(column, static_cast<int64_t>(i),
                     absl::StrCat(name, " ", ShowId(of_rows, ids.type(), i), " is not in ",
                                  policy.side_files, "; add it there, or set ", policy.field,
                                  ".missing: ALLOW to train it without features"));
  }
  absl::StatusOr<int32_t> CodeOf(const Ids& of_rows, size_t i, const Column& column) const {
    if (policy.may_add) {
      const int32_t code = ids.FindOrAdd(of_rows, i);
      if (code == kMaxCodes) {
        return CellError(column, static_cast<int64_t>(i),
                         absl::StrCat("more than ", kMaxCodes, " different ids"));
      }
      return code;
    }
    const int32_t code = ids.Find(of_rows, i);
    if (code < 0) {
      return Unknown(of_rows, i, column);
    }
    return code;
  }
  // The error of the first row whose id is not known and may not be added.
  absl::Status CheckKnown(const Ids& of_rows, int64_t rows, const Column& column) const {
    for (size_t i = 0; !policy.may_add && i < static_cast<size_t>(rows); ++i) {
      if (ids.Find(of_rows, i) < 0) {
        return Unknown(of_rows, i, column);
      }
    }
    return absl::OkStatus();
  }
};

// Turns chunks into interactions, one after the other.
class Coder {
 public:
  Coder(const RowDecoder& decoder, const ReadInteractionsOptions& options, IdMap* users,
        IdMap* items, RejectedRows* rejected)
      : decoder_(decoder),
        columns_(decoder.columns()),
        users_{.ids = *users, .policy = options.users, .name = "user"},
        items_{.ids = *items, .policy = options.items, .name = "item"},
        rejected_(*rejected) {}

  const InteractionCounts& counts() const { return counts_; }

  // The rows of `all` that are kept; valid until the next call.
  absl::StatusOr<InteractionBlock> Code(const TableChunk& all, Part part) {
    const int64_t first_order = counts_.read_rows;
    counts_.read_rows += all.rows + static_cast<int64_t>(all.skipped.size());
    for (const SkippedRow& row : all.skipped) {
      TORII_RETURN_IF_ERROR(rejected_.Add(*all.file, row));
    }
    TORII_ASSIGN_OR_RETURN(const DecodedRows rows, DecodeUsable(all));
    counts_.bad_rows = rejected_.rows();
    block_.clear();
    if (rows.chunk.rows == 0) {
      return InteractionBlock(block_);
    }
    const Column user = columns_.Of(rows.chunk, columns_.user);
    const Column item = columns_.Of(rows.chunk, columns_.item);
    for (size_t i = 0; i < static_cast<size_t>(rows.chunk.rows); ++i) {
      Interaction row;
      TORII_ASSIGN_OR_RETURN(row.user, users_.CodeOf(rows.users, i, user));
      TORII_ASSIGN_OR_RETURN(row.item, items_.CodeOf(rows.items, i, item));
      row.time = rows.times.empty() ? 0 : rows.times[i];
      row.order = first_order + rows.chunk.RowNumber(static_cast<int64_t>(i)) - all.first_row;
      row.weight = rows.weights.empty() ? 1.0F : rows.weights[i];
      row.part = part;
      block_.push_back(row);
    }
    return InteractionBlock(block_);
  }

 private:
  // The rows that the filter keeps, without bad rows where these may be skipped.
  absl::StatusOr<DecodedRows> DecodeUsable(const TableChunk& all) {
    RowsDropped dropped = counts_.dropped;
    absl::StatusOr<DecodedRows> rows = decoder_.Decode(all, &dropped);
    if (rejected_.allowed()) {
      const absl::Status status = rows.ok() ? CheckKnown(*rows) : rows.status();
      if (IsCellError(status)) {
        TORII_ASSIGN_OR_RETURN(const TableChunk good, WithoutBadRows(all));
        dropped = counts_.dropped;
        rows = decoder_.Decode(good, &dropped);
      }
    }
    counts_.dropped = dropped;
    return rows;
  }

  absl::StatusOr<TableChunk> WithoutBadRows(const TableChunk& all) {
    const auto check = [&](const TableChunk& chunk) -> absl::Status {
      RowsDropped ignored;
      TORII_ASSIGN_OR_RETURN(const DecodedRows rows, decoder_.Decode(chunk, &ignored));
      return CheckKnown(rows);
    };
    const auto reject = [&](const TableChunk& row, const absl::Status& why) {
      return rejected_.Add(row, columns_.names, why);
    };
    return GoodRows(all, check, reject);
  }

  absl::Status CheckKnown(const DecodedRows& rows) const {
    if (rows.chunk.rows == 0) {
      return absl::OkStatus();
    }
    TORII_RETURN_IF_ERROR(
        users_.CheckKnown(rows.users, rows.chunk.rows, columns_.Of(rows.chunk, columns_.user)));
    return items_.CheckKnown(rows.items, rows.chunk.rows, columns_.Of(rows.chunk, columns_.item));
  }

  const RowDecoder& decoder_;
  const InteractionColumns& columns_;
  const CodedSide users_;
  const CodedSide items_;
  RejectedRows& rejected_;
  InteractionCounts counts_;
  std::vector<Interaction> block_;
};

}  // namespace

absl::StatusOr<InteractionCounts> ReadInteractions(
    FileSystem& files, const InteractionFiles& config, const InteractionInputs& inputs,
    const Survey& survey, const ReadInteractionsOptions& options, IdMap* users, IdMap* items,
    InteractionSpill* spill) {
  TORII_ASSIGN_OR_RETURN(const RowFilter filter, RowFilter::Make(config));
  const RowDecoder decoder(config, filter, survey);
  RejectedRows rejected(files, options.rejected_path, config.max_bad_rows());
  Coder coder(decoder, options, users, items, &rejected);
  const Stopwatch watch;
  int64_t next_progress = kProgressRows;
  for (int p = 0; p < kNumParts; ++p) {
    const std::unique_ptr<TableReader> reader = ReadAhead(
        ConcatenateTables(files, inputs.of_part[p], filter.columns().names), kChunksAhead);
    while (true) {
      TORII_ASSIGN_OR_RETURN(const std::optional<TableChunk> chunk, reader->Next());
      if (!chunk.has_value()) {
        break;
      }
      TORII_ASSIGN_OR_RETURN(const InteractionBlock block,
                             coder.Code(*chunk, static_cast<Part>(p)));
      TORII_RETURN_IF_ERROR(spill->Append(block));
      if (options.verbose && coder.counts().read_rows >= next_progress) {
        next_progress += kProgressRows;
        TORII_INFO(
            "read ", coder.counts().read_rows, " interactions, ",
            static_cast<int64_t>(static_cast<double>(coder.counts().read_rows) / watch.seconds()),
            " rows/s");
      }
    }
  }
  TORII_RETURN_IF_ERROR(rejected.Finish());
  TORII_RETURN_IF_ERROR(spill->Finish());
  return coder.counts();
}

}  // namespace torii::data
