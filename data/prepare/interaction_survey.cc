#include "data/prepare/interaction_survey.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "data/read/table_reader.h"
#include "data/rows/chunk_rows.h"
#include "data/rows/interaction_columns.h"
#include "data/rows/row_filter.h"

namespace torii::data {
namespace {

constexpr char kUserType[] = "data.interactions.user_type";
constexpr char kItemType[] = "data.interactions.item_type";

using FilterRows = std::function<absl::StatusOr<TableChunk>(const TableChunk&)>;

// The first rows of a file that the filter keeps; nullopt if there are none.
absl::StatusOr<std::optional<TableChunk>> FirstRows(FileSystem& files, const InputFile& input,
                                                    const std::vector<std::string>& columns,
                                                    const FilterRows& filter) {
  TORII_ASSIGN_OR_RETURN(const auto reader, OpenTable(files, input, columns));
  while (true) {
    TORII_ASSIGN_OR_RETURN(const std::optional<TableChunk> chunk, reader->Next());
    if (!chunk.has_value()) {
      return chunk;
    }
    TORII_ASSIGN_OR_RETURN(TableChunk kept, filter(*chunk));
    if (kept.rows > 0) {
      return kept;
    }
  }
}

absl::StatusOr<TableChunk> WithoutRow(const TableChunk& chunk, int64_t number) {
  std::vector<uint8_t> keep(static_cast<size_t>(chunk.rows), 1);
  for (size_t i = 0; i < keep.size(); ++i) {
    keep[i] = chunk.RowNumber(static_cast<int64_t>(i)) == number ? 0 : 1;
  }
  return KeepRows(chunk, keep);
}

class Surveyor {
 public:
  Surveyor(FileSystem& files, const InteractionFiles& config, RowFilter filter)
      : files_(files), config_(config), filter_(std::move(filter)), columns_(filter_.columns()) {}

  absl::Status LookAt(const InputFile& input) {
    TORII_ASSIGN_OR_RETURN(const std::optional<TableChunk> chunk,
                           FirstRows(files_, input, columns_.names,
                                     [&](const TableChunk& all) { return Filter(all); }));
    if (!chunk.has_value()) {
      without_rows_.push_back(input.path);
      return absl::OkStatus();
    }
    const auto ids = [](const std::string& field) {
      return [field](const Column& column) { return LookAtIds(column, field); };
    };
    if (config_.user_type() == DETECT) {
      TORII_ASSIGN_OR_RETURN(users_.emplace_back(), Look(*chunk, columns_.user, ids(kUserType)));
    }
    if (config_.item_type() == DETECT) {
      TORII_ASSIGN_OR_RETURN(items_.emplace_back(), Look(*chunk, columns_.item, ids(kItemType)));
    }
    if (columns_.time >= 0) {
      const auto times = [&](const Column& column) {
        return LookAtTimes(column, config_.time_unit());
      };
      TORII_ASSIGN_OR_RETURN(times_[input.path], Look(*chunk, columns_.time, times));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Survey> Decide() const {
    Survey survey;
    TORII_ASSIGN_OR_RETURN(survey.users, DecideIdType(users_, config_.user_type(), kUserType));
    TORII_ASSIGN_OR_RETURN(survey.items, DecideIdType(items_, config_.item_type(), kItemType));
    TORII_ASSIGN_OR_RETURN(survey.times, TimeReader::Make(times_, config_.time_unit()));
    return survey;
  }

  void WarnOfEmptyFiles() const {
    if (!without_rows_.empty()) {
      TORII_WARNING(without_rows_.size(),
                    " files have no rows, or none that is kept: ", without_rows_.front(),
                    without_rows_.size() > 1 ? " ..." : "");
    }
  }

  // One line for each kind of time that the files have.
  void LogTimes() const {
    std::map<std::string, std::pair<std::string, int64_t>> files_of;  // why -> a file, their number
    for (const auto& [file, seen] : times_) {
      auto& [first, count] = files_of[seen.why];
      first = count++ == 0 ? file : first;
    }
    for (const auto& [why, of] : files_of) {
      TORII_INFO("times: ", why, " (", of.first,
                 of.second > 1 ? absl::StrCat(" and ", of.second - 1, " more") : "", ")");
    }
  }

 private:
  // What the filter keeps. Leaves bad rows out, as the reader will, if there may be any.
  absl::StatusOr<TableChunk> Filter(const TableChunk& all) const {
    RowsDropped ignored;
    absl::StatusOr<TableChunk> kept = filter_.Apply(all, &ignored);
    if (!IsCellError(kept.status()) || config_.max_bad_rows() == 0) {
      return kept;
    }
    const auto check = [&](const TableChunk& chunk) {
      return filter_.Apply(chunk, &ignored).status();
    };
    int64_t bad = 0;
    const auto reject = [&](const TableChunk& /*row*/, const absl::Status& why) {
      return ++bad > config_.max_bad_rows() ? why : absl::OkStatus();
    };
    TORII_ASSIGN_OR_RETURN(const TableChunk good, GoodRows(all, check, reject));
    return filter_.Apply(good, &ignored);
  }

  // What `look` says of a column, without the rows that it refuses while these may be skipped. One
  // after the other: what it makes of a value depends on the others.
  template <typename LookAtColumn>
  auto Look(TableChunk chunk, int column, const LookAtColumn& look) const
      -> decltype(look(Column())) {
    for (int64_t bad = 0;; ++bad) {
      auto seen = look(columns_.Of(chunk, column));
      if (bad == config_.max_bad_rows() || !IsCellError(seen.status())) {
        return seen;
      }
      TORII_ASSIGN_OR_RETURN(TableChunk rest, WithoutRow(chunk, RowOfCellError(seen.status())));
      if (rest.rows == chunk.rows) {
        return seen;
      }
      chunk = std::move(rest);
    }
  }

  FileSystem& files_;
  const InteractionFiles& config_;
  const RowFilter filter_;
  const InteractionColumns& columns_;
  std::vector<IdsSeen> users_;
  std::vector<IdsSeen> items_;
  std::map<std::string, TimesSeen> times_;
  std::vector<std::string> without_rows_;
};

// Ids that files without types show as integers are text if the side file has text.
absl::Status AskSideFiles(FileSystem& files, const std::vector<InputFile>& inputs,
                          const std::string& column, IdReading* reading) {
  for (const InputFile& input : inputs) {
    if (!reading->detected || reading->type == TEXT) {
      return absl::OkStatus();
    }
    const std::vector<std::string> columns = {column};
    TORII_ASSIGN_OR_RETURN(const auto chunk, FirstRows(files, input, columns,
                                                       [](const TableChunk& all) { return all; }));
    if (!chunk.has_value() || chunk->typed[0]) {
      continue;
    }
    TORII_ASSIGN_OR_RETURN(const IdsSeen seen,
                           LookAtIds(ColumnOf(*chunk, 0, column), reading->field));
    if (seen.verdict == IdsSeen::Verdict::kText) {
      reading->type = TEXT;
      reading->why = seen.file + ": " + seen.why;
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string IdColumnOf(const SideFile& side, const std::string& in_interactions) {
  return side.id().empty() ? in_interactions : side.id();
}

absl::StatusOr<Survey> SurveyFiles(FileSystem& files, const DataConfig& config,
                                   const DataInputs& inputs, bool verbose) {
  TORII_ASSIGN_OR_RETURN(RowFilter filter, RowFilter::Make(config.interactions()));
  Surveyor surveyor(files, config.interactions(), std::move(filter));
  for (const std::vector<InputFile>& part : inputs.interactions.of_part) {
    for (const InputFile& input : part) {
      TORII_RETURN_IF_ERROR(surveyor.LookAt(input));
    }
  }
  TORII_ASSIGN_OR_RETURN(Survey survey, surveyor.Decide());
  TORII_RETURN_IF_ERROR(AskSideFiles(files, inputs.users,
                                     IdColumnOf(config.users(), config.interactions().user()),
                                     &survey.users));
  TORII_RETURN_IF_ERROR(AskSideFiles(files, inputs.items,
                                     IdColumnOf(config.items(), config.interactions().item()),
                                     &survey.items));
  if (verbose) {
    TORII_INFO("user ids: ", IdType_Name(survey.users.type), " (", survey.users.why, ")");
    TORII_INFO("item ids: ", IdType_Name(survey.items.type), " (", survey.items.why, ")");
    surveyor.LogTimes();
    surveyor.WarnOfEmptyFiles();
  }
  return survey;
}

}  // namespace torii::data
