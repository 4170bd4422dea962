#include "launch/config/load_config.h"

#include "base/exit_code.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace torii::launch {
namespace {

using google::protobuf::util::MessageDifferencer;

RunConfig Parsed(const std::string& text) {
  RunConfig config;
  const absl::Status status = ParseConfigText(text, "test.txtpb", &config);
  EXPECT_TRUE(status.ok()) << status;
  return config;
}

std::string ParseMessage(const std::string& text) {
  RunConfig config;
  const absl::Status status = ParseConfigText(text, "my.txtpb", &config);
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
  return std::string(status.message());
}

std::string WriteTemporary(const std::string& name, const std::string& text) {
  const std::string path = JoinPath(::testing::TempDir(), "load_config_" + name);
  EXPECT_TRUE(WriteFileAtomically(LocalFiles(), path, text).ok());
  return path;
}

TEST(ParseConfigTextTest, UnknownFieldSaysWhereAndWhatWasMeant) {
  const std::string message = ParseMessage("seed: 3\nmodel {\n  diim: 3\n}\n");
  EXPECT_EQ(message.find("my.txtpb:3:7: there is no field 'diim' in ModelConfig "
                         "(did you mean 'dim'?); its fields are dim, user,"),
            0u)
      << message;
}

TEST(ParseConfigTextTest, UnknownEnumValueListsTheValues) {
  const std::string message = ParseMessage("tables { optimizer: adagrat }");
  EXPECT_NE(message.find("my.txtpb:1:29: 'adagrat' is not a value of optimizer "
                         "(did you mean 'ADAGRAD'?); its values are ROWWISE_ADAGRAD, ADAGRAD"),
            std::string::npos)
      << message;
}

TEST(ParseConfigTextTest, WrongTypesAndSyntaxSayWhere) {
  EXPECT_EQ(ParseMessage("train { epochs: many }").find("my.txtpb:1:17: "), 0u);
  EXPECT_EQ(ParseMessage("train { epochs: 3").find("my.txtpb:1:18: "), 0u);
  EXPECT_EQ(ParseMessage("\n\n%").find("my.txtpb:3:1: "), 0u);
  EXPECT_EQ(ParseMessage("train { epochs: 99999999999999999999 }").find("my.txtpb:1:17: "), 0u);
}

TEST(ParseConfigTextTest, ANumberIsTheTextOfAFieldThatWantsText) {
  RunConfig config;
  const absl::Status status = ParseConfigText(
      "data {\n  split { time_from: 1700000050000 }\n  items { title: 5 } }", "c.txtpb", &config);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(config.data().split().time_from(), "1700000050000");
  EXPECT_EQ(config.data().items().title(), "5");

  const absl::Status word =
      ParseConfigText("data { split { time_from: May } }", "c.txtpb", &config);
  EXPECT_EQ(word.message(), "c.txtpb:1:27: Expected string, got: May");
}

TEST(ParseConfigTextTest, AByteOrderMarkIsPassedOver) {
  EXPECT_TRUE(MessageDifferencer::Equals(Parsed("\xef\xbb\xbfseed: 7"), Parsed("seed: 7")));
}

TEST(ParseConfigTextTest, EmptyTextIsTheDefaults) {
  EXPECT_TRUE(MessageDifferencer::Equals(Parsed(""), RunConfig()));
}

TEST(OverlayTest, ReplacesListsAndKeepsWhatIsNotNamed) {
  RunConfig base = Parsed(
      "seed: 5 eval { k: [1, 2, 3] batch_users: 7 } "
      "data { interactions { path: 'a' path: 'b' time: 't' } } model { dim: 8 }");

  Overlay(Parsed("eval { k: 10 } data { interactions { path: 'c' } } model { user { trunk { mlp { "
                 "dropout: .5 } } } }"),
          &base);

  EXPECT_TRUE(MessageDifferencer::Equals(
      base,
      Parsed("seed: 5 eval { k: 10 batch_users: 7 } data { interactions { path: 'c' time: 't' } }"
             "model { dim: 8 user { trunk { mlp { dropout: .5 } } } }")))
      << base.DebugString();
}

TEST(OverlayTest, ReplacesListsOfMessagesAndTheMemberOfAOneof) {
  RunConfig base = Parsed(
      "data { users { feature { column: 'a' numeric {} } feature { column: 'b' text {} } } "
      "split { last_k: 1 valid: true } }");

  Overlay(Parsed("data { users { feature { column: 'c' flags {} } } split { last_fraction: .1 } }"),
          &base);

  EXPECT_TRUE(
      MessageDifferencer::Equals(base, Parsed("data { users { feature { column: 'c' flags {} } } "
                                              "split { last_fraction: .1 valid: true } }")))
      << base.DebugString();
}

TEST(OverlayTest, AnEmptyMessageOfTheOverlayIsMade) {
  RunConfig base;
  Overlay(Parsed("model { user { history {} } }"), &base);
  EXPECT_TRUE(base.model().user().has_history());
}

TEST(FillDefaultsTest, WritesDefaultsAndLeavesOptionalPartsOut) {
  RunConfig config = Parsed("train { epochs: 3 } data { items { path: 'x' } }");

  FillDefaults(&config);

  EXPECT_EQ(config.train().epochs(), 3);
  EXPECT_TRUE(config.train().has_global_batch());
  EXPECT_TRUE(config.train().checkpoint().has_keep());
  EXPECT_EQ(config.eval().k_size(), 3);
  EXPECT_EQ(config.eval().k(0), 10);
  EXPECT_TRUE(config.data().items().has_missing());
  EXPECT_FALSE(config.data().items().has_title());
  EXPECT_FALSE(config.data().has_users());
  EXPECT_FALSE(config.data().has_split());
  EXPECT_FALSE(config.model().user().has_history());
}

TEST(FillDefaultsTest, ChangesNothingTheSecondTime) {
  RunConfig config = Parsed("model { user { history {} } } data { split { last_k: 1 } }");
  FillDefaults(&config);
  RunConfig again = config;
  FillDefaults(&again);
  EXPECT_TRUE(MessageDifferencer::Equals(config, again));
}

TEST(FillDefaultsTest, FullCorpusIsNotContradictedByADefault) {
  RunConfig config = Parsed("sampler { full_corpus: true }");
  FillDefaults(&config);
  EXPECT_EQ(config.sampler().in_batch(), sampler::SamplerConfig::NONE);
}

TEST(PrintConfigTest, ReadsBackEqual) {
  RunConfig config = Parsed(
      "run_dir: 'runs/\\303\\244 \\\"x\\\"' model { user { trunk { mlp { hidden: [128, 64] "
      "dropout: 0.1 } } } } "
      "data { interactions { path: ['a', 'b\\n'] } split { last_k: 2 } } "
      "train { dense { learning_rate: 1e-300 } }");
  FillDefaults(&config);
  EXPECT_TRUE(MessageDifferencer::Equals(Parsed(PrintConfig(config)), config));
}

TEST(LoadConfigTest, CommandLineWinsOverLaterFileOverEarlierFile) {
  ConfigSources sources;
  sources.files = {
      WriteTemporary("base.txtpb", "seed: 1 train { epochs: 1 max_steps: 1 patience: 1 }"),
      WriteTemporary("over.txtpb", "train { max_steps: 2 patience: 2 }")};
  sources.sets = {"train.patience=3", "run_dir=elsewhere"};
  sources.seed = 9;

  const absl::StatusOr<RunConfig> config = LoadConfig(LocalFiles(), sources);

  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->train().epochs(), 1);
  EXPECT_EQ(config->train().max_steps(), 2);
  EXPECT_EQ(config->train().patience(), 3);
  EXPECT_EQ(config->seed(), 9u);
  EXPECT_EQ(config->run_dir(), "elsewhere");
}

TEST(LoadConfigTest, ReportsTheErrorsOfAllSourcesAtOnce) {
  ConfigSources sources;
  sources.files = {WriteTemporary("bad1.txtpb", "sed: 1"), WriteTemporary("bad2.txtpb", "\nx: 1")};
  sources.sets = {"train.epoch=3"};

  const absl::Status status = LoadConfig(LocalFiles(), sources).status();

  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
  const std::string message(status.message());
  for (const char* part :
       {"bad1.txtpb:1:4: ", "bad2.txtpb:2:2: ", "--set train.epoch=3: ", "'seed'", "'epochs'"}) {
    EXPECT_NE(message.find(part), std::string::npos) << part << " in " << message;
  }
}

TEST(LoadConfigTest, MissingFileIsNoInput) {
  ConfigSources sources;
  sources.files = {"/does/not/exist.txtpb"};
  const absl::Status status = LoadConfig(LocalFiles(), sources).status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kNoInput);
  EXPECT_NE(std::string(status.message()).find("/does/not/exist.txtpb"), std::string::npos);
}

}  // namespace
}  // namespace torii::launch
