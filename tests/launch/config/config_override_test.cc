#include "launch/config/config_override.h"

#include "base/exit_code.h"
#include "gtest/gtest.h"
#include "launch/run.pb.h"

namespace torii::launch {
namespace {

RunConfig With(const std::vector<std::string>& assignments) {
  RunConfig config;
  for (const std::string& assignment : assignments) {
    const absl::Status status = ApplyOverride(assignment, &config);
    EXPECT_TRUE(status.ok()) << status;
  }
  return config;
}

std::string Refused(const std::string& assignment) {
  RunConfig config;
  config.mutable_eval()->add_k(5);
  const std::string before = config.DebugString();
  const absl::Status status = ApplyOverride(assignment, &config);
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig) << assignment;
  EXPECT_EQ(config.DebugString(), before) << assignment;
  return std::string(status.message());
}

TEST(ApplyOverrideTest, SetsEveryScalarType) {
  const RunConfig config =
      With({"model.dim=96", "train.global_batch=5000000000", "seed=18446744073709551615",
            "model.scorer.inner_product.temperature=0.25", "train.dense.epsilon=1e-9",
            "model.normalize=false", "train.check_finite=true", "tables.optimizer=ADAM",
            "run_dir=runs/a b", "data.seed=4"});
  EXPECT_EQ(config.model().dim(), 96);
  EXPECT_EQ(config.train().global_batch(), 5000000000);
  EXPECT_EQ(config.seed(), 18446744073709551615u);
  EXPECT_EQ(config.model().scorer().inner_product().temperature(), 0.25);
  EXPECT_EQ(config.train().dense().epsilon(), 1e-9);
  EXPECT_FALSE(config.model().normalize());
  EXPECT_TRUE(config.train().check_finite());
  EXPECT_EQ(config.tables().optimizer(), sharding::TableConfig::ADAM);
  EXPECT_EQ(config.run_dir(), "runs/a b");
  EXPECT_EQ(config.data().seed(), 4u);
}

TEST(ApplyOverrideTest, TakesStringsWithAndWithoutQuotes) {
  EXPECT_EQ(With({"run_dir=a=b.c"}).run_dir(), "a=b.c");
  EXPECT_EQ(With({"run_dir=\"x y\""}).run_dir(), "x y");
  EXPECT_EQ(With({"run_dir='x'"}).run_dir(), "x");
  EXPECT_EQ(With({R"(run_dir=it's "so"\n)"}).run_dir(), R"(it's "so"\n)");
  EXPECT_EQ(With({"run_dir=x", "run_dir="}).run_dir(), "");
}

TEST(ApplyOverrideTest, ReplacesWholeLists) {
  EXPECT_EQ(With({"eval.k=[1,2]", "eval.k=[10, 20]"}).eval().k_size(), 2);
  EXPECT_EQ(With({"eval.k=[1,2]", "eval.k=7"}).eval().k(0), 7);
  EXPECT_EQ(With({"eval.k=[1,2]", "eval.k=[]"}).eval().k_size(), 0);
  EXPECT_EQ(With({"eval.k=[1,2]", "eval.k="}).eval().k_size(), 0);
  const RunConfig paths = With({"data.test_path=[a b.csv, \"c,d\"]", "data.valid_path=x.csv"});
  ASSERT_EQ(paths.data().valid_path_size(), 1);
  EXPECT_EQ(paths.data().test_path(0), "a b.csv");
}

TEST(ApplyOverrideTest, SetsAndAppendsListElements) {
  const RunConfig config = With({"eval.k=[1,2,3]", "eval.k[1]=20", "eval.k[3]=4"});
  EXPECT_EQ(std::vector<int>(config.eval().k().begin(), config.eval().k().end()),
            (std::vector<int>{1, 20, 3, 4}));
  EXPECT_EQ(With({"data.test_path[0]=a", "data.test_path[0]=b"}).data().test_path(0), "b");
}

TEST(ApplyOverrideTest, ReachesIntoListsOfMessages) {
  const RunConfig config =
      With({"data.users.feature[0].name=city", "data.users.feature[0].categorical.min_count=2",
            "data.users.feature[1]={column: \"age\" numeric { transform: LOG1P }}"});
  ASSERT_EQ(config.data().users().feature_size(), 2);
  EXPECT_EQ(config.data().users().feature(0).name(), "city");
  EXPECT_EQ(config.data().users().feature(0).categorical().min_count(), 2);
  EXPECT_EQ(config.data().users().feature(1).numeric().transform(), data::Numeric::LOG1P);
}

TEST(ApplyOverrideTest, ReplacesAndClearsMessages) {
  const RunConfig config = With({"data.split={last_k: 3 valid: true}", "data.split=last_k: 1"});
  EXPECT_EQ(config.data().split().last_k(), 1);
  EXPECT_FALSE(config.data().split().has_valid());
  EXPECT_FALSE(With({"data.split={last_k: 1}", "data.split="}).data().has_split());
  EXPECT_TRUE(With({"model.user.history={}"}).model().user().has_history());
}

TEST(ApplyOverrideTest, ErrorsNameTheAssignmentAndTheRemedy) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"epochs", "--set epochs: is not of the form field.field=value"},
      {"=3", "is not of the form field.field=value"},
      {"modle.dim=3", "there is no field 'modle' in RunConfig (did you mean 'model'?)"},
      {"model.dimm=3", "there is no field 'dimm' in ModelConfig (did you mean 'dim'?)"},
      {"seed.x=3", "'seed' has no fields"},
      {"model.dim[0]=3", "'dim' is not a list"},
      {"eval.k[2]=3", "'k[2]': the list has 1 elements"},
      {"eval.k[x]=3", "'k[x]' is not a field with an index such as [0]"},
      {"eval.k[0]=", "the value is empty"},
      {"eval.k[0]=[1,2]", "--set eval.k[0]=[1,2]: "},
      {"data.users.feature.name=x", "'feature' is a list: say which element, feature[0]"},
      {"model.dim=abc", "--set model.dim=abc: "},
      {"model.dim=3 seed: 4", "--set model.dim=3 seed: 4: "},
      {"tables.optimizer=adm", "'adm' is not a value of optimizer (did you mean 'ADAM'?)"},
      {"data.split={last_kk: 1}", "(did you mean 'last_k'?)"},
  };
  for (const auto& [assignment, part] : cases) {
    const std::string message = Refused(assignment);
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_EQ(message.find("--set " + assignment), 0u) << message;
  }
}

}  // namespace
}  // namespace torii::launch
