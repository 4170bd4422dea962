#include "launch/run/run_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "launch/process/cores.h"

namespace torii::launch {
namespace {

// Start time of a process of this host: field 22 of /proc/<pid>/stat, "" if it is gone or has ended
// and only waits for its parent to take note (state Z), as the ranks that mpirun killed do.
std::string StartTicks(int pid) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/stat"));
  std::string line;
  if (!std::getline(in, line)) return "";
  const size_t name_end = line.rfind(')');  // the name may hold spaces
  if (name_end == std::string::npos) return "";
  const std::vector<std::string> fields =
      absl::StrSplit(line.substr(name_end + 1), ' ', absl::SkipEmpty());
  return fields.size() > 19 && fields[0] != "Z" ? fields[19] : "";
}

std::string ReadText(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// Creates `path` only if it is not there. Not through the file-system seam, which has no exclusive
// creation because remote stores have none; run folders are local or shared directories.
absl::StatusOr<bool> CreateExclusively(const std::string& path, const std::string& content) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0 && errno == EEXIST) return false;
  if (fd < 0) {
    return CannotCreateError(absl::StrCat(path, ": create: ", std::strerror(errno)));
  }
  const bool written =
      ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  const int error = errno;
  ::close(fd);
  if (written) return true;
  ::unlink(path.c_str());
  return IoError(absl::StrCat(path, ": write: ", std::strerror(error)));
}

}  // namespace

std::string FormatHolder(const LockHolder& holder) {
  return absl::StrCat(holder.host, " ", holder.pid, " ", holder.start_ticks, "\n");
}

LockHolder ParseHolder(const std::string& text) {
  LockHolder holder;
  std::istringstream in(text);
  if (!(in >> holder.host >> holder.pid >> holder.start_ticks)) return {};
  return holder;
}

LockHolder ThisProcess() {
  const int pid = static_cast<int>(::getpid());
  return {HostName(), pid, StartTicks(pid)};
}

bool IsStale(const LockHolder& holder) {
  if (holder.host != HostName() || holder.pid <= 0) return false;
  if (::kill(holder.pid, 0) != 0 && errno == ESRCH) return true;
  return StartTicks(holder.pid) != holder.start_ticks;
}

absl::StatusOr<std::unique_ptr<RunLock>> RunLock::Take(const std::string& path) {
  const std::string mine = FormatHolder(ThisProcess());
  for (int attempt = 0; attempt < 2; ++attempt) {
    TORII_ASSIGN_OR_RETURN(const bool created, CreateExclusively(path, mine));
    if (created) return std::unique_ptr<RunLock>(new RunLock(path));
    const LockHolder holder = ParseHolder(ReadText(path));
    if (!IsStale(holder)) {
      const std::string who = holder.host.empty()
                                  ? "an unknown process"
                                  : absl::StrCat("process ", holder.pid, " on ", holder.host);
      return CannotCreateError(absl::StrCat(path, ": the run folder is in use by ", who,
                                            ": wait for it, use another --run-dir, or remove the "
                                            "file if that process is gone"));
    }
    TORII_WARNING(path, ": process ", holder.pid, " is gone; taking over its lock");
    ::unlink(path.c_str());
  }
  return CannotCreateError(absl::StrCat(path, ": another process took the lock just now"));
}

RunLock::~RunLock() { ::unlink(path_.c_str()); }

}  // namespace torii::launch
