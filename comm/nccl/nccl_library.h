// The calls of NCCL that Torii makes, as a table of functions: the core links neither NCCL nor CUDA.
// The table comes from the CUDA plug-in, whose functions hand on to the library and compare the
// numbers below with nccl.h, or from a stand-in in tests.
#pragma once

#include <cstddef>

namespace torii::comm {

// The values of ncclResult_t.
enum class NcclResult : int {
  kSuccess = 0,
  kUnhandledCudaError = 1,
  kSystemError = 2,
  kInternalError = 3,
  kInvalidArgument = 4,
  kInvalidUsage = 5,
  kRemoteError = 6,
  kInProgress = 7,
};

// The values of ncclDataType_t, those that travel. What is moved but not added travels as bytes.
enum class NcclType : int { kUint8 = 1, kInt32 = 2, kInt64 = 4, kFloat32 = 7, kFloat64 = 8 };

struct NcclHandle;  // what ncclComm_t points to
using NcclComm = NcclHandle*;
using NcclStream = void*;  // a cudaStream_t

struct NcclId {  // ncclUniqueId
  char bytes[128];
};

// All calls of a communicator but `abort`, `async_error` and `last_error` are made by one thread at
// a time. Counts are in elements of the type. Sums only: minima and maxima of NCCL drop NaN.
struct NcclLibrary {
  int header_version;  // NCCL_VERSION_CODE of the header that the table was compiled with
  NcclResult (*get_version)(int* version);
  NcclResult (*get_unique_id)(NcclId* id);
  // Never blocks (config.blocking = 0): kInProgress until every rank has called it.
  NcclResult (*init_rank)(NcclComm* comm, int world_size, const NcclId& id, int rank);
  NcclResult (*async_error)(NcclComm comm, NcclResult* state);
  NcclResult (*finalize)(NcclComm comm);
  NcclResult (*destroy)(NcclComm comm);
  NcclResult (*abort)(NcclComm comm);
  NcclResult (*group_start)();
  NcclResult (*group_end)();
  NcclResult (*send)(const void* from, size_t count, NcclType type, int peer, NcclComm comm,
                     NcclStream stream);
  NcclResult (*recv)(void* to, size_t count, NcclType type, int peer, NcclComm comm,
                     NcclStream stream);
  // `count` of this rank; to [world_size * count].
  NcclResult (*all_gather)(const void* from, void* to, size_t count, NcclType type, NcclComm comm,
                           NcclStream stream);
  NcclResult (*broadcast)(const void* from, void* to, size_t count, NcclType type, int root,
                          NcclComm comm, NcclStream stream);
  NcclResult (*all_reduce_sum)(const void* from, void* to, size_t count, NcclType type,
                               NcclComm comm, NcclStream stream);
  // from [world_size * count]; to [count].
  NcclResult (*reduce_scatter_sum)(const void* from, void* to, size_t count, NcclType type,
                                   NcclComm comm, NcclStream stream);
  // `to` is written at the root only; null elsewhere.
  NcclResult (*reduce_sum)(const void* from, void* to, size_t count, NcclType type, int root,
                           NcclComm comm, NcclStream stream);
  const char* (*last_error)(NcclComm comm);  // of the calling thread; comm may be null
};

}  // namespace torii::comm
