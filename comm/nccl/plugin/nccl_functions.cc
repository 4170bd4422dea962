// NCCL's functions for the plug-in libtorii_cuda.so: each hands on to the library. Compiled into the
// plug-in, beside its kernels; links none of Torii's layers.
#include <nccl.h>

#include "comm/nccl/nccl_library.h"

namespace torii::comm {
namespace {

static_assert(static_cast<int>(NcclResult::kSuccess) == ncclSuccess);
static_assert(static_cast<int>(NcclResult::kUnhandledCudaError) == ncclUnhandledCudaError);
static_assert(static_cast<int>(NcclResult::kSystemError) == ncclSystemError);
static_assert(static_cast<int>(NcclResult::kInternalError) == ncclInternalError);
static_assert(static_cast<int>(NcclResult::kInvalidArgument) == ncclInvalidArgument);
static_assert(static_cast<int>(NcclResult::kInvalidUsage) == ncclInvalidUsage);
static_assert(static_cast<int>(NcclResult::kRemoteError) == ncclRemoteError);
static_assert(static_cast<int>(NcclResult::kInProgress) == ncclInProgress);
static_assert(static_cast<int>(NcclType::kUint8) == ncclUint8);
static_assert(static_cast<int>(NcclType::kInt32) == ncclInt32);
static_assert(static_cast<int>(NcclType::kInt64) == ncclInt64);
static_assert(static_cast<int>(NcclType::kFloat32) == ncclFloat32);
static_assert(static_cast<int>(NcclType::kFloat64) == ncclFloat64);
static_assert(sizeof(NcclId) == sizeof(ncclUniqueId));

NcclResult ResultOf(ncclResult_t result) { return static_cast<NcclResult>(result); }
ncclDataType_t TypeOf(NcclType type) { return static_cast<ncclDataType_t>(type); }
ncclComm_t CommOf(NcclComm comm) { return reinterpret_cast<ncclComm_t>(comm); }
cudaStream_t StreamOf(NcclStream stream) { return static_cast<cudaStream_t>(stream); }

NcclResult GetVersion(int* version) { return ResultOf(ncclGetVersion(version)); }

NcclResult GetUniqueId(NcclId* id) {
  return ResultOf(ncclGetUniqueId(reinterpret_cast<ncclUniqueId*>(id)));
}

NcclResult InitRank(NcclComm* comm, int world_size, const NcclId& id, int rank) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  return ResultOf(ncclCommInitRankConfig(reinterpret_cast<ncclComm_t*>(comm), world_size,
                                         reinterpret_cast<const ncclUniqueId&>(id), rank, &config));
}

NcclResult AsyncError(NcclComm comm, NcclResult* state) {
  ncclResult_t found = ncclSuccess;
  const ncclResult_t result = ncclCommGetAsyncError(CommOf(comm), &found);
  *state = ResultOf(found);
  return ResultOf(result);
}

NcclResult Finalize(NcclComm comm) { return ResultOf(ncclCommFinalize(CommOf(comm))); }
NcclResult Destroy(NcclComm comm) { return ResultOf(ncclCommDestroy(CommOf(comm))); }
NcclResult Abort(NcclComm comm) { return ResultOf(ncclCommAbort(CommOf(comm))); }
NcclResult GroupStart() { return ResultOf(ncclGroupStart()); }
NcclResult GroupEnd() { return ResultOf(ncclGroupEnd()); }

NcclResult Send(const void* from, size_t count, NcclType type, int peer, NcclComm comm,
                NcclStream stream) {
  return ResultOf(ncclSend(from, count, TypeOf(type), peer, CommOf(comm), StreamOf(stream)));
}

NcclResult Recv(void* to, size_t count, NcclType type, int peer, NcclComm comm, NcclStream stream) {
  return ResultOf(ncclRecv(to, count, TypeOf(type), peer, CommOf(comm), StreamOf(stream)));
}

NcclResult AllGather(const void* from, void* to, size_t count, NcclType type, NcclComm comm,
                     NcclStream stream) {
  return ResultOf(ncclAllGather(from, to, count, TypeOf(type), CommOf(comm), StreamOf(stream)));
}

NcclResult Broadcast(const void* from, void* to, size_t count, NcclType type, int root,
                     NcclComm comm, NcclStream stream) {
  return ResultOf(
      ncclBroadcast(from, to, count, TypeOf(type), root, CommOf(comm), StreamOf(stream)));
}

NcclResult AllReduceSum(const void* from, void* to, size_t count, NcclType type, NcclComm comm,
                        NcclStream stream) {
  return ResultOf(
      ncclAllReduce(from, to, count, TypeOf(type), ncclSum, CommOf(comm), StreamOf(stream)));
}

NcclResult ReduceScatterSum(const void* from, void* to, size_t count, NcclType type, NcclComm comm,
                            NcclStream stream) {
  return ResultOf(
      ncclReduceScatter(from, to, count, TypeOf(type), ncclSum, CommOf(comm), StreamOf(stream)));
}

NcclResult ReduceSum(const void* from, void* to, size_t count, NcclType type, int root,
                     NcclComm comm, NcclStream stream) {
  return ResultOf(
      ncclReduce(from, to, count, TypeOf(type), ncclSum, root, CommOf(comm), StreamOf(stream)));
}

const char* LastError(NcclComm comm) { return ncclGetLastError(CommOf(comm)); }

}  // namespace
}  // namespace torii::comm

extern "C" const void* torii_nccl_library() {
  namespace comm = torii::comm;
  static const comm::NcclLibrary kLibrary = {
      .header_version = NCCL_VERSION_CODE,
      .get_version = comm::GetVersion,
      .get_unique_id = comm::GetUniqueId,
      .init_rank = comm::InitRank,
      .async_error = comm::AsyncError,
      .finalize = comm::Finalize,
      .destroy = comm::Destroy,
      .abort = comm::Abort,
      .group_start = comm::GroupStart,
      .group_end = comm::GroupEnd,
      .send = comm::Send,
      .recv = comm::Recv,
      .all_gather = comm::AllGather,
      .broadcast = comm::Broadcast,
      .all_reduce_sum = comm::AllReduceSum,
      .reduce_scatter_sum = comm::ReduceScatterSum,
      .reduce_sum = comm::ReduceSum,
      .last_error = comm::LastError,
  };
  return &kLibrary;
}
