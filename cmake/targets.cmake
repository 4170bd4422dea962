# How Torii's targets are made: one static library per layer folder from its *.cc and *.proto, one
# precompiled header for those that see torch, one test executable per folder of tests/.

# The precompiled header holds gtest.h: every user of it must define what GTest::gtest defines.
add_compile_definitions(GTEST_HAS_PTHREAD=1)
# at::parallel_for is serial in code compiled without OpenMP. The one libgomp of the process is the one that
# LibTorch brings (same soname). errno of sqrt keeps loops from being vectorised.
add_compile_options(-fopenmp -fno-math-errno -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=)
add_library(torii_options INTERFACE)
target_compile_options(torii_options INTERFACE -Wall -Wextra -Wconversion -Wshadow -Werror)
# g++ 12 sees faults in inlined std::string code at -O2 that are not there (GCC bugs 105329, 105651).
set(CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE} -Wno-array-bounds -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread -Wno-maybe-uninitialized")
if(TORII_SANITIZE)
  add_compile_options(-fsanitize=${TORII_SANITIZE} -fno-omit-frame-pointer -D_GLIBCXX_ASSERTIONS)
  add_link_options(-fsanitize=${TORII_SANITIZE})
endif()

# The *.proto files of the layer folders and of their sub-folders, relative to the root.
function(torii_find_protos variable)
  foreach(layer ${TORII_LAYERS})
    file(GLOB_RECURSE found RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${layer}/*.proto)
    list(APPEND all ${found})
  endforeach()
  set(${variable} ${all} PARENT_SCOPE)
endfunction()

# All configuration messages in one library, without our warnings: generated code has its own style.
function(torii_add_protos)
  torii_find_protos(protos)
  set(out ${CMAKE_BINARY_DIR}/proto)
  file(MAKE_DIRECTORY ${out})
  foreach(proto ${protos})
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    add_custom_command(OUTPUT ${out}/${stem}.pb.cc ${out}/${stem}.pb.h
      COMMAND ${Protobuf_PROTOC_EXECUTABLE} --cpp_out=${out} -I ${CMAKE_SOURCE_DIR} ${proto}
      WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} DEPENDS ${CMAKE_SOURCE_DIR}/${proto})
    list(APPEND sources ${out}/${stem}.pb.cc)
  endforeach()
  add_library(torii_proto STATIC ${sources})
  target_compile_options(torii_proto PRIVATE -w)
  target_include_directories(torii_proto SYSTEM PUBLIC ${out})
  target_link_libraries(torii_proto PUBLIC protobuf::libprotobuf)
endfunction()

function(torii_add_pch)
  if(NOT TORII_PCH)
    return()
  endif()
  file(WRITE ${CMAKE_BINARY_DIR}/pch.cc "")
  add_library(torii_pch OBJECT ${CMAKE_BINARY_DIR}/pch.cc)
  target_link_libraries(torii_pch PRIVATE Torch::CPU GTest::gtest torii_options)
  target_precompile_headers(torii_pch PRIVATE <ATen/ATen.h> <gtest/gtest.h> <algorithm> <string>
    <unordered_map> <vector>)
endfunction()

function(torii_use_pch target)
  if(TORII_PCH)
    target_precompile_headers(${target} REUSE_FROM torii_pch)
    get_target_property(type ${target} TYPE)
    if(type STREQUAL "EXECUTABLE")  # -fPIE would not match the header, which is compiled with -fPIC
      set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
      target_compile_options(${target} PRIVATE -fPIC)
    endif()
  endif()
endfunction()

# torii_<layer>: every *.cc and *.cu of the folder and of its sub-folders but main.cc and plug-ins, which are
# targets of their own.
function(torii_add_layer layer)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${layer}/*.cc ${CMAKE_SOURCE_DIR}/${layer}/*.cu)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$|/plugin/")
  if(NOT sources)
    add_library(torii_${layer} INTERFACE)
    return()
  endif()
  add_library(torii_${layer} STATIC ${sources})
  target_include_directories(torii_${layer} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(torii_${layer} PUBLIC torii_proto absl::status absl::statusor absl::strings
    absl::span absl::flat_hash_map Threads::Threads PRIVATE torii_options)
  foreach(below ${TORII_LAYER_${layer}})
    target_link_libraries(torii_${layer} PUBLIC torii_${below})
  endforeach()
endfunction()

# torii_add_test(<name> SOURCES ... LIBRARIES ... [MPI_RANKS 1 2 4] [TIMEOUT s]): one executable,
# run alone, or once per rank count under mpirun.
function(torii_add_test name)
  cmake_parse_arguments(T "" "TIMEOUT" "SOURCES;LIBRARIES;MPI_RANKS;LABELS" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  add_executable(${name} ${T_SOURCES})
  target_link_libraries(${name} PRIVATE ${T_LIBRARIES} GTest::gtest GTest::gmock torii_options)
  target_compile_definitions(${name} PRIVATE TORII_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    TORII_BINARY_DIR="${CMAKE_BINARY_DIR}")
  set(environment "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMPI_MCA_btl=self,vader"
    "OMPI_MCA_btl_vader_single_copy_mechanism=none;OMP_NUM_THREADS=1;TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tools/tsan.supp")
  if(NOT T_MPI_RANKS)
    add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${T_TIMEOUT} ENVIRONMENT "${environment}"
      LABELS "${T_LABELS}")
  endif()
  foreach(np ${T_MPI_RANKS})
    add_test(NAME ${name}_np${np} COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${np}
      --oversubscribe $<TARGET_FILE:${name}> WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name}_np${np} PROPERTIES TIMEOUT ${T_TIMEOUT} PROCESSORS ${np}
      LABELS "mpi;${T_LABELS}" ENVIRONMENT "${environment};ASAN_OPTIONS=detect_leaks=0")
  endforeach()
endfunction()
