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
  set_tests_properties(kernels_gpu_test PROPERTIES TIMEOUT 300 ENVIRONMENT "${_environment}" LABELS gpu)
endif()
