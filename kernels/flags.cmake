# Flags of the kernel sources: one source is compiled for several instruction sets, and the program
# chooses at start. Only these files get such flags. Included from the top directory (source properties
# are per directory). Always optimised, also in the dev build: kernels are most of the tests' time.
set(_kernel_flags -O3 -ffp-contract=fast -fno-math-errno -fno-trapping-math)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(_avx2_flags -mavx2 -mfma)
  set(_avx512_flags -mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma)
  set(_avx512bf16_flags ${_avx512_flags} -mavx512bf16)
endif()
foreach(_kernel score softmax linear rows)
  foreach(_variant baseline avx2 avx512)
    set_source_files_properties(${CMAKE_SOURCE_DIR}/kernels/${_kernel}_${_variant}.cc PROPERTIES
      COMPILE_OPTIONS "${_kernel_flags};${_${_variant}_flags}")
  endforeach()
endforeach()
set_source_files_properties(${CMAKE_SOURCE_DIR}/kernels/softmax_avx512bf16.cc PROPERTIES
  COMPILE_OPTIONS "${_kernel_flags};${_avx512bf16_flags}")
