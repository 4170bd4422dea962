// The plan of a step: everything that ids alone decide. It can be made while the step before it is
// computed.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "comm/communicator.h"
#include "data/batch.h"
#include "model/loss/loss.h"
#include "sampler/negative_sampler.h"
#include "sharding/update_plan.h"
#include "trainer/step/batch_queries.h"
#include "trainer/step/column_exchange.h"
#include "trainer/step/loss_plan.h"
#include "trainer/step/pass_plan.h"
#include "trainer/step/step_clock.h"
#include "trainer/step/two_tower.h"

namespace torii::trainer {

struct StepPlan {
  int64_t step = 0;                // global, from 0
  data::Batch batch;               // this rank's part of the global batch
  BatchQueries queries;            // the users whose vectors the batch needs
  sampler::Candidates candidates;  // what they are scored against
  LossPlan loss;                   // the same for the loss
  ColumnRoute columns;             // from the ranks that compute the candidates' vectors
  PassPlan users, items;           // of the queries, and of the columns that this rank owns
  std::vector<sharding::UpdatePlan> updates;  // one for each group of tables
};

// What a plan is made with. Borrowed.
struct PlanParts {
  TwoTower& towers;
  sampler::NegativeSampler& sampler;
  model::LossNeeds needs;
};

// Plans step `step` (global, from 0) on a global batch, of which `batch` is this rank's part. Fills
// *plan in place, which may hold the plan of a step that is over: its memory is used again. Adds to
// *time. Collective on `comm`: its exchange of counts also carries the wish to stop
// (comm/stop_flag.h).
absl::Status PlanStep(comm::Communicator& comm, const PlanParts& parts, data::Batch batch,
                      int64_t step, StepPlan* plan, StepTime* time);

}  // namespace torii::trainer
