// Which process has something, said so that another process, on any machine, can judge whether it
// still lives.
#pragma once

#include <cstdint>
#include <string>

namespace torii {

struct Holder {
  std::string host;
  std::string boot_id;        // of the running kernel: differs between machines, and after a reboot
  std::string pid_namespace;  // process ids count inside it
  int64_t pid = 0;
  std::string job_id;   // of Slurm, "" without
  std::string started;  // when it took the lease: "2026-11-27T15:00:00Z"
  std::string nonce;    // of this lease alone
  int64_t beat = 0;     // goes up while it lives
};

// This process, with a new nonce.
Holder ThisHolder();
// One "name value" a line, and back. A text that is not such one gives an empty nonce. Pure.
std::string FormatHolder(const Holder& holder);
Holder ParseHolder(const std::string& text);
// "process 4711 on node7 (job 12, since 2026-11-27T15:00:00Z)"; "an unknown process" without nonce.
std::string Describe(const Holder& holder);
// Whether both run, or ran, under the same running kernel: its locks tell then who lives.
bool SameKernel(const Holder& a, const Holder& b);

}  // namespace torii
