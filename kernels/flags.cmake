# Flags of the kernel sources: one source is compiled for several instruction sets, and the program
# chooses at start. Only these files get such flags. Included from the top directory (source properties
# are per directory). Always optimised, also in the dev build: kernels are most of the tests' time.
# They see no precompiled header: its inline functions must not be compiled for a wider CPU.
set(_kernel_flags -O3 -ffp-contract=fast -fno-math-errno -fno-trapping-math)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(_avx2_flags -mavx2 -mfma)
  set(_avx512_flags -mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma)
  set(_avx512bf16_flags ${_avx512_flags} -mavx512bf16)
endif()
function(_torii_kernel_flags source flags)
  set_source_files_properties(${CMAKE_SOURCE_DIR}/kernels/cpu/${source} PROPERTIES
    COMPILE_OPTIONS "${_kernel_flags};${flags}" SKIP_PRECOMPILE_HEADERS ON)
endfunction()
foreach(_kernel ranking/score softmax/softmax linear rows)
  foreach(_variant baseline avx2 avx512)
    _torii_kernel_flags(${_kernel}_${_variant}.cc "${_${_variant}_flags}")
  endforeach()
endforeach()
# Dense weights have the same bits on every instruction set: no product is fused with a sum.
foreach(_variant baseline avx2 avx512)
  _torii_kernel_flags(weights_${_variant}.cc "${_${_variant}_flags};-ffp-contract=off")
endforeach()
_torii_kernel_flags(softmax/softmax_avx512bf16.cc "${_avx512bf16_flags}")

# The kernels of a GPU, compiled for the CPU over an emulation of CUDA (cuda/device.h). No product is fused with a sum
# unless the text says so.
file(GLOB_RECURSE _cuda_kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/cuda/*.cu)
set_source_files_properties(${_cuda_kernels} PROPERTIES LANGUAGE CXX SKIP_PRECOMPILE_HEADERS ON
  COMPILE_OPTIONS "-x;c++;-O2;-ffp-contract=off")
set_source_files_properties(${CMAKE_SOURCE_DIR}/kernels/cuda/emulation.cc PROPERTIES SKIP_PRECOMPILE_HEADERS ON
  COMPILE_OPTIONS -O2)
