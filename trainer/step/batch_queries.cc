#include "trainer/step/batch_queries.h"

#include <numeric>

namespace torii::trainer {

BatchQueries QueriesOf(const data::Batch& batch, bool share) {
  BatchQueries queries;
  if (share && batch.user_runs.queries() < batch.size()) {
    queries.rows = batch.user_runs;
    for (int64_t query = 0; query < queries.rows.queries(); ++query) {
      queries.users.push_back(batch.users[static_cast<size_t>(queries.rows.begin(query))]);
    }
    return queries;
  }
  queries.rows = RowGroups::OneEach(batch.size());
  queries.users = batch.users;
  queries.dropout_key.resize(batch.users.size());
  std::iota(queries.dropout_key.begin(), queries.dropout_key.end(), batch.first_position);
  return queries;
}

}  // namespace torii::trainer
