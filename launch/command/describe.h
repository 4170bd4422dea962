// Texts and JSON about prepared datasets, checkpoints and evaluations, shared by several
// subcommands. Pure.
#pragma once

#include <string>

#include "data/prepared.pb.h"
#include "eval/metrics.h"
#include "nlohmann/json.hpp"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/evaluate_model.h"

namespace torii::launch {

std::string DescribeDataset(const std::string& folder, const data::PreparedDataset& dataset);
nlohmann::ordered_json DatasetJson(const std::string& folder, const data::PreparedDataset& dataset);

std::string DescribeCheckpoint(const trainer::CheckpointInfo& info);
nlohmann::ordered_json CheckpointJson(const trainer::CheckpointInfo& info);

// The table of an evaluation: the model beside the popularity ranking.
std::string DescribeEvaluation(const trainer::Evaluation& evaluation);
nlohmann::ordered_json EvaluationJson(const trainer::Evaluation& evaluation);

}  // namespace torii::launch
