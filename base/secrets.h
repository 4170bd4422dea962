// Keeps keys and passwords out of logs and files.
#pragma once

#include <string>
#include <string_view>

namespace torii {

// `text` with the secrets of the URIs in it replaced by "(redacted)": the user part of
// s3://KEY:SECRET@bucket/path, and the values of options such as ?secret_key=... Pure.
std::string RedactUris(std::string_view text);

// Whether an environment variable of this name holds a secret: SLURM_JWT, AWS_SECRET_ACCESS_KEY ...
bool IsSecretVariable(std::string_view name);

}  // namespace torii
