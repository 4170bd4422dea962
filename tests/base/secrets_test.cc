#include "base/secrets.h"

#include "gtest/gtest.h"

namespace torii {
namespace {

TEST(SecretsTest, TheUserPartOfAUriGoes) {
  EXPECT_EQ(RedactUris("read s3://KEY:SECRET@bucket/a@b.csv, gs://x:y@z: failed"),
            "read s3://(redacted)@bucket/a@b.csv, gs://(redacted)@z: failed");
  EXPECT_EQ(RedactUris("path: \"s3://K@b/x\" path: 's3://K:S@S@b'"),
            "path: \"s3://(redacted)@b/x\" path: 's3://(redacted)@b'");
}

TEST(SecretsTest, SecretOptionsGo) {
  EXPECT_EQ(
      RedactUris("s3://b/x?region=eu&secret_key=S&endpoint_override=h:9000&X-Amz-Signature=T"),
      "s3://b/x?region=eu&secret_key=(redacted)&endpoint_override=h:9000"
      "&X-Amz-Signature=(redacted)");
  EXPECT_EQ(RedactUris("abfs://c?account_key=K"), "abfs://c?account_key=(redacted)");
}

TEST(SecretsTest, EverythingElseStays) {
  for (const char* text : {"", "://", "a@b.c", "x.csv", "file:///tmp/a?b", "https://h/p?q#f",
                           "user@host:22 and s3://bucket/key=1/x.parquet"}) {
    EXPECT_EQ(RedactUris(text), text);
  }
}

TEST(SecretsTest, NamesOfSecretVariables) {
  for (const char* name : {"SLURM_JWT", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "PGPASSWORD",
                           "torii_api_key", "GOOGLE_APPLICATION_CREDENTIALS", "OMPI_AUTH"}) {
    EXPECT_TRUE(IsSecretVariable(name)) << name;
  }
  for (const char* name : {"SLURM_JOB_ID", "LANG", "OMP_NUM_THREADS", "TORII_FAIL"}) {
    EXPECT_FALSE(IsSecretVariable(name)) << name;
  }
}

}  // namespace
}  // namespace torii
