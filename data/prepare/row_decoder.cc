#include "data/prepare/row_decoder.h"

#include "base/status_macros.h"

namespace torii::data {
namespace {

constexpr char kRemedy[] = " (data.interactions.on_missing_id: SKIP drops rows without one)";

}  // namespace

absl::StatusOr<DecodedRows> RowDecoder::Decode(const TableChunk& all, RowsDropped* dropped) const {
  DecodedRows rows;
  TORII_ASSIGN_OR_RETURN(rows.chunk, filter_.Apply(all, dropped));
  if (rows.chunk.rows == 0) {
    return rows;
  }
  const InteractionColumns& columns = filter_.columns();
  TORII_ASSIGN_OR_RETURN(rows.users,
                         ReadIds(columns.Of(rows.chunk, columns.user), survey_.users, kRemedy));
  TORII_ASSIGN_OR_RETURN(rows.items,
                         ReadIds(columns.Of(rows.chunk, columns.item), survey_.items, kRemedy));
  if (columns.time >= 0) {
    TORII_ASSIGN_OR_RETURN(rows.times, survey_.times.Read(columns.Of(rows.chunk, columns.time)));
  }
  TORII_ASSIGN_OR_RETURN(rows.weights, weights_.Read(rows.chunk));
  return rows;
}

}  // namespace torii::data
