#include "base/log.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <map>
#include <mutex>

#include "base/secrets.h"

namespace torii {
namespace {

constexpr char kEraseLine[] = "\r\x1b[K";

struct Sink {
  int fd = -1;
  std::string path;
  bool warned = false;  // of a failed write, which is said once
};

struct LogState {
  std::mutex mutex;
  std::map<int, Sink> files;  // by rank
  std::string progress;       // what the terminal's last line shows, "" for none
};

std::atomic<LogLevel> lowest_level{LogLevel::kInfo};
thread_local int thread_rank = 0;

// Never destroyed: threads may log while the program ends.
LogState& State() {
  static LogState* const state = new LogState;
  return *state;
}

bool WriteAll(int fd, const std::string& text) {
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t n = ::write(fd, text.data() + written, text.size() - written);
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) written += static_cast<size_t>(n);
  }
  return true;
}

std::string TimeStamp() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::time_t seconds = static_cast<std::time_t>(millis / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> date{};
  std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%s.%03dZ", date.data(), static_cast<int>(millis % 1000));
  return text.data();
}

std::string FormatLine(LogLevel level, int rank, const std::string& message) {
  constexpr std::array<const char*, 4> kLetters = {"D", "I", "W", "E"};
  std::string line =
      absl::StrCat(TimeStamp(), " ", kLetters[static_cast<size_t>(level)], " rank=", rank, " ");
  for (const char c : RedactUris(message)) {
    if (c == '\n') {
      line += "\\n";
    } else {
      line += c;
    }
  }
  return line + "\n";
}

// `text` cut to the terminal's width, so that redrawing needs to erase one line only.
std::string FitTerminal(const std::string& text) {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) return text;
  return text.substr(0, size.ws_col - size_t{1});
}

void WriteStderr(const LogState& state, const std::string& line) {
  WriteAll(STDERR_FILENO, state.progress.empty()
                              ? line
                              : absl::StrCat(kEraseLine, line, FitTerminal(state.progress)));
}

// A full log disk must not stop a training: the failure is said once and the line is lost.
void WriteFile(LogState& state, int rank, const std::string& line) {
  const auto found = state.files.find(rank);
  if (found == state.files.end()) return;
  Sink& sink = found->second;
  if (WriteAll(sink.fd, line) || sink.warned) return;
  sink.warned = true;
  WriteStderr(state, FormatLine(LogLevel::kWarning, rank,
                                absl::StrCat("write of log file ", sink.path, ": ",
                                             std::strerror(errno), "; lines are lost")));
}

}  // namespace

void Log(LogLevel level, const std::string& message) {
  if (level < lowest_level.load(std::memory_order_relaxed)) return;
  const int rank = thread_rank;
  LogState& state = State();
  const std::lock_guard lock(state.mutex);
  const std::string line = FormatLine(level, rank, message);
  if (rank == 0 || level >= LogLevel::kWarning) WriteStderr(state, line);
  WriteFile(state, rank, line);
}

void SetLogRank(int rank) { thread_rank = rank; }
int LogRank() { return thread_rank; }

void SetLogFile(int rank, const std::string& path) {
  LogState& state = State();
  const std::lock_guard lock(state.mutex);
  if (const auto found = state.files.find(rank); found != state.files.end()) {
    ::close(found->second.fd);
    state.files.erase(found);
  }
  if (path.empty()) return;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd >= 0) {
    state.files[rank] = {.fd = fd, .path = path};
    return;
  }
  WriteStderr(state, FormatLine(LogLevel::kWarning, rank,
                                absl::StrCat("create of log file ", path, ": ",
                                             std::strerror(errno), "; lines are lost")));
}

void SetLogLevel(LogLevel level) { lowest_level.store(level, std::memory_order_relaxed); }

void LogProgress(const std::string& line, bool done) {
  if (thread_rank != 0 || !StderrIsTerminal()) {
    Log(LogLevel::kInfo, line);
    return;
  }
  LogState& state = State();
  const std::lock_guard lock(state.mutex);
  WriteAll(STDERR_FILENO, absl::StrCat(kEraseLine, FitTerminal(line), done ? "\n" : ""));
  state.progress = done ? "" : line;
  WriteFile(state, 0, FormatLine(LogLevel::kInfo, 0, line));
}

bool StderrIsTerminal() { return ::isatty(STDERR_FILENO) == 1; }

}  // namespace torii
