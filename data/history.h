// The histories that evaluation, recommendation and export give to users. Those of training are in
// batch.h.
#pragma once

#include <cstdint>
#include <span>

#include "data/dataset.h"

namespace torii::data {

// Up to where a user's history goes. Evaluation never uses what came at or after its target.
enum class HistoryUpTo {
  kTraining,    // the training rows, all of them
  kValidation,  // the training rows before the user's first validation row
  kTest,        // the training and validation rows before the user's first test row
  kAll,         // everything that is known: training, validation and test rows
};

// The last `length` items of each user, oldest first. A user without a row in the part of the
// target has no limit.
Bags LastItems(const Dataset& dataset, std::span<const int64_t> users, int64_t length,
               HistoryUpTo up_to);

}  // namespace torii::data
