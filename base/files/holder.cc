#include "base/files/holder.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <random>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace torii {
namespace {

std::string FirstLineOf(const char* path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

std::string LinkTarget(const char* path) {
  std::array<char, 256> text{};
  const ssize_t length = ::readlink(path, text.data(), text.size());
  return length > 0 ? std::string(text.data(), static_cast<size_t>(length)) : "";
}

std::string Host() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

std::string Now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

// Not of the run's seed: two starts of one configuration are two holders.
std::string Nonce() {
  std::random_device device;
  const uint64_t bits = uint64_t{device()} << 32 | device();
  return absl::StrCat(absl::Hex(bits, absl::kZeroPad16));
}

// The fields that are texts, by the name that they have in a file.
constexpr std::pair<const char*, std::string Holder::*> kTexts[] = {
    {"host", &Holder::host},
    {"boot_id", &Holder::boot_id},
    {"pid_namespace", &Holder::pid_namespace},
    {"job_id", &Holder::job_id},
    {"started", &Holder::started},
    {"nonce", &Holder::nonce},
};
constexpr std::pair<const char*, int64_t Holder::*> kNumbers[] = {{"pid", &Holder::pid},
                                                                  {"beat", &Holder::beat}};

}  // namespace

Holder ThisHolder() {
  const char* const job = std::getenv("SLURM_JOB_ID");
  return {.host = Host(),
          .boot_id = FirstLineOf("/proc/sys/kernel/random/boot_id"),
          .pid_namespace = LinkTarget("/proc/self/ns/pid"),
          .pid = static_cast<int64_t>(::getpid()),
          .job_id = job == nullptr ? "" : job,
          .started = Now(),
          .nonce = Nonce(),
          .beat = 0};
}

std::string FormatHolder(const Holder& holder) {
  std::string text;
  for (const auto& [name, field] : kTexts) absl::StrAppend(&text, name, " ", holder.*field, "\n");
  for (const auto& [name, field] : kNumbers) absl::StrAppend(&text, name, " ", holder.*field, "\n");
  return text;
}

Holder ParseHolder(const std::string& text) {
  Holder holder;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(line, absl::MaxSplits(' ', 1));
    for (const auto& [name, field] : kTexts) {
      if (parts.first == name) holder.*field = parts.second;
    }
    for (const auto& [name, field] : kNumbers) {
      if (parts.first == name && !absl::SimpleAtoi(parts.second, &(holder.*field))) return {};
    }
  }
  return holder;
}

std::string Describe(const Holder& holder) {
  if (holder.nonce.empty()) return "an unknown process";
  return absl::StrCat("process ", holder.pid, " on ", holder.host, " (",
                      holder.job_id.empty() ? "" : absl::StrCat("job ", holder.job_id, ", "),
                      "since ", holder.started, ")");
}

bool SameKernel(const Holder& a, const Holder& b) {
  return !a.boot_id.empty() && a.boot_id == b.boot_id;
}

}  // namespace torii
