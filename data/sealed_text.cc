#include "data/sealed_text.h"

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/exit_code.h"

namespace torii::data {
namespace {

constexpr char kSeal[] = "# digest ";

}  // namespace

std::string SealText(const std::string& text) {
  Digest digest;
  digest.Update(text.data(), text.size());
  return absl::StrCat(text, kSeal, digest.Hex(), "\n");
}

absl::Status CheckSeal(const std::string& sealed) {
  const size_t seal = sealed.rfind(kSeal);
  if (seal == std::string::npos) return DataError("its last line is no digest: it is damaged");
  if (SealText(sealed.substr(0, seal)) == sealed) return absl::OkStatus();
  return DataError("its content does not fit its digest: it is damaged, or was changed by hand");
}

}  // namespace torii::data
