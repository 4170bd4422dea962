#include "trainer/batch_queries.h"

#include <numeric>

namespace torii::trainer {

BatchQueries QueriesOf(const data::Batch& batch, bool share) {
  BatchQueries queries;
  if (share && std::ssize(batch.user_begin) - 1 < batch.size()) {
    queries.row_begin = batch.user_begin;
    for (size_t r = 0; r + 1 < queries.row_begin.size(); ++r) {
      queries.users.push_back(batch.users[static_cast<size_t>(queries.row_begin[r])]);
    }
    return queries;
  }
  queries.users = batch.users;
  queries.dropout_key.resize(batch.users.size());
  std::iota(queries.dropout_key.begin(), queries.dropout_key.end(), batch.first_position);
  return queries;
}

}  // namespace torii::trainer
