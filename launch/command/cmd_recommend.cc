// torii recommend: the best unseen items for some users, for people to look at.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/history.h"
#include "exports/json_text.h"
#include "launch/command/command.h"
#include "launch/command/describe.h"
#include "launch/command/history_flag.h"
#include "launch/command/output.h"
#include "launch/run/trained_model.h"
#include "trainer/evaluate_model.h"

namespace torii::launch {
namespace {

using Json = nlohmann::ordered_json;
using ItemLists = std::vector<std::vector<eval::ScoredItem>>;

absl::StatusOr<std::vector<int64_t>> FindUsers(const data::Features& users,
                                               const std::vector<std::string>& ids) {
  std::vector<int64_t> rows;
  for (const std::string& id : ids) {
    const std::optional<int64_t> row = users.FindRow(id);
    if (!row.has_value()) {
      std::string some;
      for (int64_t i = 0; i < std::min<int64_t>(3, users.rows()); ++i) {
        absl::StrAppend(&some, i == 0 ? "" : ", ", users.Id(i));
      }
      return UsageError(absl::StrCat("--user ", id, ": there is no such user among the ",
                                     users.rows(), " of the prepared data; ids are for example ",
                                     some));
    }
    rows.push_back(*row);
  }
  return rows;
}

// The items of user i of `last`, newest first.
std::vector<int64_t> NewestFirst(const data::Bags& last, size_t i) {
  std::vector<int64_t> items(last.values.begin() + last.offsets[i],
                             last.values.begin() + last.offsets[i + 1]);
  std::reverse(items.begin(), items.end());
  return items;
}

std::string Text(const data::Dataset& dataset, const std::vector<int64_t>& users,
                 const data::Bags& last, const ItemLists& lists) {
  const data::Features& items = dataset.items();
  std::string out;
  for (size_t i = 0; i < users.size(); ++i) {
    absl::StrAppendFormat(&out, "%suser %s\n  last items, newest first\n", i > 0 ? "\n" : "",
                          dataset.users().Id(users[i]));
    for (const int64_t item : NewestFirst(last, i)) {
      absl::StrAppendFormat(&out, "            %-12s %s\n", items.Id(item), items.Title(item));
    }
    absl::StrAppend(&out, "  recommended (score, id, title)\n");
    for (size_t j = 0; j < lists[i].size(); ++j) {
      const eval::ScoredItem& best = lists[i][j];
      absl::StrAppendFormat(&out, "  %2d %7.4f %-12s %s\n", j + 1, best.score, items.Id(best.item),
                            items.Title(best.item));
    }
  }
  return out;
}

// Ids as numbers where they are numbers.
Json IdJson(const data::Features& side, int64_t row) {
  return side.has_integer_ids() ? Json(side.IntegerId(row)) : Json(side.Id(row));
}

Json AsJson(const data::Dataset& dataset, const std::vector<int64_t>& users, const data::Bags& last,
            const ItemLists& lists) {
  const data::Features& items = dataset.items();
  Json all = Json::array();
  for (size_t i = 0; i < users.size(); ++i) {
    Json user = {{"user", IdJson(dataset.users(), users[i])},
                 {"last_items", Json::array()},
                 {"recommended", Json::array()}};
    for (const int64_t item : NewestFirst(last, i)) {
      user["last_items"].push_back({{"item", IdJson(items, item)}, {"title", items.Title(item)}});
    }
    for (const eval::ScoredItem& best : lists[i]) {
      user["recommended"].push_back({{"item", IdJson(items, best.item)},
                                     {"score", best.score},
                                     {"title", items.Title(best.item)}});
    }
    all.push_back(std::move(user));
  }
  return all;
}

class RecommendCommand final : public Command {
 public:
  CommandText text() const final {
    return {"recommend", "Print the best unseen items for some users.",
            "For each --user prints the items of its latest interactions and the k unseen items "
            "with the highest scores, with titles if the items file has them: the quickest way to "
            "see whether a model makes sense. For all users at once, export the vectors.",
            "torii recommend --run-dir runs/first --user 42 --user 7 --k 10\n"
            "torii recommend --run-dir runs/first --user 42 --json"};
  }
  void Declare(FlagSet& flags) final {
    flags.AddTexts("user", &ids_, "ID", "A user id as in the raw files.");
    flags.AddInteger("k", &k_, 1, "Items recommended to each user, at most all. Default: 10.");
    flags.AddInteger("last", &last_, 0, "Latest items shown of each user. Default: 5.");
    history_.Declare(flags);
    flags.AddSwitch("json", &json_, "Print JSON.");
    model_.Declare(flags);
    ranks_.Declare(flags);
  }
  absl::StatusOr<int> Run(const CommandContext& context) final {
    TORII_RETURN_IF_ERROR(history_.Check());
    if (ids_.empty()) return UsageError("say for whom: --user ID, which may be repeated");
    TORII_RETURN_IF_ERROR(context.runtime.RunOnRanks(
        ranks_, [&](comm::Communicator& comm, const kernels::Device& device) {
          return RunOnRank(context.files, comm, device);
        }));
    return 0;
  }

 private:
  absl::Status RunOnRank(FileSystem& files, comm::Communicator& comm,
                         const kernels::Device& device) const {
    TORII_ASSIGN_OR_RETURN(const std::unique_ptr<TrainedModel> model,
                           OpenTrainedModel(files, comm, model_, device));
    const data::Dataset& dataset = *model->dataset;
    TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> users, FindUsers(dataset.users(), ids_));
    TORII_ASSIGN_OR_RETURN(
        const ItemLists lists,
        trainer::Recommend(*model->towers, users,
                           {.k = k_,
                            .history = history_.up_to(),
                            .embed_batch = model->config.train().embed_batch()}));
    absl::Status printed;
    if (comm.rank() == 0) {
      const data::Bags last = data::LastItems(dataset, users, last_, history_.up_to());
      printed = Print(json_ ? exports::IndentedJson(AsJson(dataset, users, last, lists))
                            : Text(dataset, users, last, lists));
    }
    return comm::AgreeOnStatus(comm.control(), printed);
  }

  std::vector<std::string> ids_;
  int64_t k_ = 10, last_ = 5;
  bool json_ = false;
  HistoryFlag history_;
  ModelFlags model_;
  RankOptions ranks_;
};

}  // namespace

std::unique_ptr<Command> MakeRecommendCommand() { return std::make_unique<RecommendCommand>(); }

}  // namespace torii::launch
