#include "launch/config/config_docs.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "base/exit_code.h"
#include "base/field_options.pb.h"
#include "base/file_system.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "gtest/gtest.h"
#include "launch/run.pb.h"

namespace torii::launch {
namespace {

TEST(ConfigDocsTest, TheDocumentIsUpToDate) {
  const absl::StatusOr<std::string> docs = ConfigDocs(EmbeddedDescriptors());
  ASSERT_TRUE(docs.ok()) << docs.status();
  const absl::StatusOr<std::string> document =
      ReadFile(LocalFiles(), TORII_SOURCE_DIR "/docs/configuration.md");
  ASSERT_TRUE(document.ok()) << document.status();
  // Not EXPECT_EQ: that would print both texts.
  EXPECT_TRUE(*docs == *document)
      << "docs/configuration.md is out of date: torii config --docs > docs/configuration.md";
}

// Every field of `type` and of the messages below it has a row with a meaning.
void ExpectDocumented(const google::protobuf::Descriptor& type, const std::string& docs) {
  for (int i = 0; i < type.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *type.field(i);
    EXPECT_NE(docs.find("\n| `" + field.name() + "` | "), std::string::npos) << field.full_name();
    if (field.message_type() != nullptr) {
      EXPECT_NE(docs.find("\n## " + field.message_type()->name() + "\n"), std::string::npos);
      ExpectDocumented(*field.message_type(), docs);
    }
  }
}

TEST(ConfigDocsTest, NamesEveryFieldWithDefaultAndComment) {
  const absl::StatusOr<std::string> docs = ConfigDocs(EmbeddedDescriptors());
  ASSERT_TRUE(docs.ok()) << docs.status();
  ExpectDocumented(*RunConfig::descriptor(), *docs);
  EXPECT_NE(docs->find("| `dim` | int32 | `64` | fixed | D: width of the user and item vectors. |"),
            std::string::npos);
  EXPECT_NE(docs->find("| `prepared_dir` | string | `\"prepared\"` |"), std::string::npos);
  EXPECT_NE(docs->find("| `hidden` | list of int32 |"), std::string::npos);
  EXPECT_NE(docs->find("(one of `rule`) The last k interactions"), std::string::npos);
  EXPECT_NE(docs->find("`LOG1P`: log(1 + x), then standardised."), std::string::npos);
}

// The leaves below `type` that do not say what a change of them does to a run.
void CollectUnmarked(const google::protobuf::Descriptor& type,
                     std::set<const google::protobuf::Descriptor*>* visited,
                     std::vector<std::string>* unmarked) {
  if (!visited->insert(&type).second) return;
  for (int i = 0; i < type.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *type.field(i);
    if (field.message_type() != nullptr) {
      CollectUnmarked(*field.message_type(), visited, unmarked);
    } else if (field.options().GetExtension(effect) == UNMARKED) {
      unmarked->push_back(field.full_name());
    }
  }
}

TEST(ConfigDocsTest, EveryLeafSaysWhatAChangeOfItDoes) {
  std::set<const google::protobuf::Descriptor*> visited;
  std::vector<std::string> unmarked;
  CollectUnmarked(*RunConfig::descriptor(), &visited, &unmarked);
  EXPECT_THAT(unmarked, testing::IsEmpty()) << "mark each with (effect) = MEANING or FREE, see "
                                               "base/field_options.proto";
  visited.clear();
  CollectUnmarked(*google::protobuf::FieldDescriptorProto::descriptor(), &visited, &unmarked);
  EXPECT_THAT(unmarked, testing::Contains("google.protobuf.FieldDescriptorProto.name"));
}

TEST(ConfigDocsTest, EveryFieldHasAMeaning) {
  const absl::StatusOr<std::string> docs = ConfigDocs(EmbeddedDescriptors());
  ASSERT_TRUE(docs.ok()) << docs.status();
  for (const absl::string_view line : absl::StrSplit(*docs, '\n')) {
    EXPECT_FALSE(absl::EndsWith(line, "|  |")) << line << " lacks its comment in the .proto file";
  }
}

TEST(ConfigDocsTest, RefusesDamagedDescriptors) {
  EXPECT_EQ(ExitCodeOf(ConfigDocs("\x0a\xff").status()), ExitCode::kInternal);
  EXPECT_EQ(ExitCodeOf(ConfigDocs("").status()), ExitCode::kInternal);
}

}  // namespace
}  // namespace torii::launch
