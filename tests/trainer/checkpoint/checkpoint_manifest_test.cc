// A manifest that anyone may have written, with digests that fit: an error, never a crash.
#include "trainer/checkpoint/checkpoint_manifest.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/exit_code.h"
#include "gtest/gtest.h"
#include "trainer/checkpoint/safetensors.h"

namespace torii::trainer {
namespace {

using nlohmann::ordered_json;

class ManifestTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/checkpoint_manifest_test";
    ASSERT_TRUE(LocalFiles().RemoveAll(folder_).ok());
    ASSERT_TRUE(LocalFiles().MakeDirectories(folder_).ok());
    Manifest manifest;
    manifest.info.step = 3;
    manifest.info.world_size = 1;
    manifest.info.config = "seed: 1";
    manifest.info.data_digest = "abc";
    manifest.info.messages["position"] = "step: 3";
    manifest.tensors["t"] = {at::kFloat, {4, 2}, Partition::Kind::kRowModWorld};
    manifest.tensors["d"] = {at::kFloat, {3}, Partition::Kind::kReplicated};
    AddFile(&manifest, ShardName(Rank{0}, WorldSize{1}), {{"t", at::ones({4, 2})}});
    AddFile(&manifest, kReplicatedName, {{"d", at::ones({3})}});
    good_ = ordered_json::parse(FormatManifest(manifest));
  }

  void AddFile(Manifest* manifest, const std::string& name,
               const std::vector<NamedTensor>& tensors) const {
    const std::string path = JoinPath(folder_, name);
    const auto digest = WriteSafetensors(LocalFiles(), path, tensors);
    ASSERT_TRUE(digest.ok());
    manifest->files.push_back({name, LocalFiles().Info(path)->size, *digest});
  }

  // What reading gives for `json` with its digest mended.
  absl::Status Read(ordered_json json) const {
    json.erase("manifest_digest");
    json["manifest_digest"] = DigestOf(json.dump());
    return ReadText(json.dump());
  }
  absl::Status ReadText(const std::string& text) const {
    std::ofstream(JoinPath(folder_, kManifestName), std::ios::binary) << text;
    return CheckpointDigests(LocalFiles(), folder_).status();
  }

  std::string folder_;
  ordered_json good_;
};

TEST_F(ManifestTest, TheGoodOneIsRead) { EXPECT_TRUE(Read(good_).ok()) << Read(good_); }

TEST_F(ManifestTest, AMissingMemberIsDamage) {
  for (const auto& [name, value] : good_.items()) {
    if (name == "manifest_digest") continue;
    ordered_json without = good_;
    without.erase(name);
    EXPECT_EQ(ExitCodeOf(Read(without)), ExitCode::kData) << name;
  }
}

TEST_F(ManifestTest, AMemberOfAnotherTypeIsDamage) {
  const std::vector<ordered_json> others = {nullptr, true, -1, 1e300, "x", {1, 2}, {{"a", 1}}};
  for (const auto& [name, value] : good_.items()) {
    if (name == "manifest_digest") continue;
    for (const ordered_json& other : others) {
      if (other.type() == value.type() && !other.is_object() && !other.is_array()) continue;
      ordered_json changed = good_;
      changed[name] = other;
      const absl::Status status = Read(changed);
      EXPECT_EQ(ExitCodeOf(status), ExitCode::kData) << name << " " << other << ": " << status;
    }
  }
}

TEST_F(ManifestTest, HostileNumbersAreDamage) {
  const auto with = [this](const std::string& pointer, const ordered_json& value) {
    ordered_json changed = good_;
    changed[ordered_json::json_pointer(pointer)] = value;
    return changed;
  };
  constexpr int64_t kHuge = int64_t{1} << 62;
  for (const ordered_json& hostile : {with("/world_size", 0),
                                      with("/world_size", 1 << 30),
                                      with("/world_size", kHuge),
                                      with("/step", uint64_t{1} << 63),
                                      with("/tensors/t/shape", ordered_json::array()),
                                      with("/tensors/t/shape", {1000000000000, 2}),
                                      with("/tensors/t/shape", {kHuge, kHuge}),
                                      with("/tensors/t/shape", {1000000000000, 0}),
                                      with("/tensors/t/shape", {-1, 2}),
                                      with("/tensors/t/shape", {2, 4}),
                                      with("/tensors/t/shape", {4, 2, 1}),
                                      with("/tensors/t/dtype", "F63"),
                                      with("/tensors/t/dtype", "F64"),
                                      with("/tensors/t/partition", "columns"),
                                      with("/tensors/t/partition", "replicated"),
                                      with("/tensors/d/partition", "blocks"),
                                      with("/files/0/name", "../../etc/passwd"),
                                      with("/files/0/name", kReplicatedName),
                                      with("/files/0/size", kHuge),
                                      with("/files/0/size", -1),
                                      with("/files/0/digest", ""),
                                      with("/files", {1, 2})}) {
    const absl::Status status = Read(hostile);
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kData) << hostile.dump() << ": " << status;
  }
}

TEST_F(ManifestTest, DeepNestingIsDamage) {
  constexpr int kLevels = 300000;
  for (const std::string& text :
       {std::string(kLevels, '['), std::string(kLevels, '[') + std::string(kLevels, ']'),
        "{\"format\":" + std::string(kLevels, '[') + std::string(kLevels, ']') + "}",
        std::string("\"") + std::string(kLevels, '['), std::string(), std::string("\\")}) {
    EXPECT_EQ(ExitCodeOf(ReadText(text)), ExitCode::kData);
  }
}

TEST_F(ManifestTest, EveryTruncationIsDamage) {
  const std::string text = good_.dump();
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(ExitCodeOf(ReadText(text.substr(0, size))), ExitCode::kData) << size;
  }
}

}  // namespace
}  // namespace torii::trainer
