#include "trainer/checkpoint/safetensors.h"

#include <ATen/ATen.h>

#include "base/digest.h"
#include "base/exit_code.h"
#include "base/random.h"
#include "gtest/gtest.h"

namespace torii::trainer {
namespace {

std::string TempFile(const std::string& name) { return ::testing::TempDir() + "/" + name; }

std::vector<NamedTensor> SomeTensors() {
  return {{"a", at::arange(6, at::kFloat).reshape({2, 3})},
          {"empty", at::empty({0, 5}, at::kFloat)},
          {"b", at::full({4}, -1.5, at::kFloat)}};
}

TEST(SafetensorsTest, ReadsBackWhatItWrote) {
  const std::string path = TempFile("roundtrip.safetensors");
  const auto digest = WriteSafetensors(LocalFiles(), path, SomeTensors());
  ASSERT_TRUE(digest.ok()) << digest.status();
  EXPECT_EQ(*digest, DigestOf(*ReadFile(LocalFiles(), path)));

  const auto entries = ReadSafetensorsHeader(LocalFiles(), path);
  ASSERT_TRUE(entries.ok()) << entries.status();
  ASSERT_EQ(entries->size(), 3u);
  for (const NamedTensor& want : SomeTensors()) {
    const auto got = ReadSafetensor(LocalFiles(), path, entries->at(want.name));
    ASSERT_TRUE(got.ok());
    EXPECT_TRUE(at::equal(*got, want.tensor)) << want.name;
  }
}

TEST(SafetensorsTest, RefusesEveryTruncation) {
  const std::string path = TempFile("whole.safetensors"), cut = TempFile("cut.safetensors");
  ASSERT_TRUE(WriteSafetensors(LocalFiles(), path, SomeTensors()).ok());
  const std::string whole = *ReadFile(LocalFiles(), path);
  for (size_t size = 0; size < whole.size(); ++size) {
    ASSERT_TRUE(WriteFileAtomically(LocalFiles(), cut, whole.substr(0, size)).ok());
    EXPECT_FALSE(ReadSafetensorsHeader(LocalFiles(), cut).ok()) << size;
  }
}

TEST(SafetensorsTest, RefusesHostileHeadersWithoutCrashing) {
  const auto file = [](const std::string& header) {
    std::string bytes(8, '\0');
    const uint64_t size = header.size();
    std::memcpy(bytes.data(), &size, 8);
    return bytes + header + std::string(16, 'x');
  };
  const std::string path = TempFile("hostile.safetensors");
  for (const std::string& header : {
           std::string("{"),
           std::string("[]"),
           std::string("{\"a\":1}"),
           std::string(R"({"a":{"dtype":"F16","shape":[4],"data_offsets":[0,16]}})"),
           std::string(R"({"a":{"dtype":"F32","shape":[5],"data_offsets":[0,16]}})"),
           std::string(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}})"),
           std::string(R"({"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}})"),
           std::string(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}})"),
           std::string(
               R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})"),
           std::string(
               R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,16]}})"),
       }) {
    ASSERT_TRUE(WriteFileAtomically(LocalFiles(), path, file(header)).ok());
    const auto entries = ReadSafetensorsHeader(LocalFiles(), path);
    EXPECT_EQ(ExitCodeOf(entries.status()), ExitCode::kData) << header;
  }
}

}  // namespace
}  // namespace torii::trainer
