# Tests of the plug-in for GPUs that need no GPU.
add_library(other_version_plugin MODULE ${CMAKE_CURRENT_SOURCE_DIR}/kernels/cuda/other_version_plugin.cc)
target_include_directories(other_version_plugin PRIVATE ${CMAKE_SOURCE_DIR})
add_dependencies(kernels_test other_version_plugin)

# The plug-in opens, and says politely how many GPUs it sees; the kernels' tests once more, on a GPU where there is one.
# Three libraries of NVIDIA's are stubs unless they are installed.
if(TORII_HAS_CUDA)
  set(_environment "TORII_CUDA_PLUGIN=$<TARGET_FILE:torii_cuda>"
    "LD_LIBRARY_PATH=${TORII_CUDA_LIBRARIES}:${CMAKE_BINARY_DIR}/cuda_stubs")
  add_test(NAME cuda_load_test COMMAND kernels_test --gtest_filter=CudaPluginTest.ThePluginOpensAndCountsTheGpus)
  add_test(NAME kernels_gpu_test COMMAND kernels_test --gtest_filter=*CudaTest.*)
  set_tests_properties(cuda_load_test PROPERTIES TIMEOUT 120 ENVIRONMENT "${_environment}" LABELS cuda-load)
  add_test(NAME trainer_gpu_test COMMAND trainer_test --gtest_filter=GpuTest.*)
  set_tests_properties(kernels_gpu_test trainer_gpu_test PROPERTIES TIMEOUT 300
    ENVIRONMENT "${_environment}" LABELS gpu)
  foreach(np 1 2)
    add_test(NAME nccl_gpu_test_np${np} COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${np} --oversubscribe
      $<TARGET_FILE:launch_mpi_test> --gtest_filter=NcclGpuTest.*)
    set_tests_properties(nccl_gpu_test_np${np} PROPERTIES TIMEOUT 300 PROCESSORS ${np} LABELS "gpu;nccl"
      ENVIRONMENT "${_environment};OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
  endforeach()
endif()
