// The plan of a step: everything that ids alone decide. It can be made while the step before it is
// computed.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "base/partition.h"
#include "comm/communicator.h"
#include "data/batch.h"
#include "model/loss/loss.h"
#include "sampler/negative_sampler.h"
#include "trainer/step/batch_queries.h"
#include "trainer/step/column_exchange.h"

namespace torii::trainer {

struct StepPlan {
  int64_t step = 0;  // global, from 0
  data::Batch batch;
  BatchQueries queries;
  sampler::Candidates candidates;
  ColumnRoute columns;
};

struct StepToPlan {
  const data::Dataset& dataset;
  const sampler::NegativeSampler& sampler;
  model::LossNeeds needs;
  Partition corpus;                 // which rank owns an item
  bool share_user_vectors = false;  // a user's vector depends on the user alone
};

// `batch`: this rank's part of the global batch. Collective: its exchange of counts also carries
// the wish to stop (comm/stop_flag.h).
absl::StatusOr<StepPlan> PlanStep(comm::Communicator& comm, const StepToPlan& what,
                                  data::Batch batch, int64_t step);

}  // namespace torii::trainer
