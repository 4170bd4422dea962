# Tests of the tree and of the whole program (tests/programs/*_test.sh get the binary and a scratch folder).
add_test(NAME layers COMMAND ${CMAKE_SOURCE_DIR}/tools/check_layers.sh)
add_test(NAME lengths COMMAND ${CMAKE_SOURCE_DIR}/tools/check_lengths.sh)
add_test(NAME pointers COMMAND ${CMAKE_SOURCE_DIR}/tools/check_pointers.sh)
file(GLOB scripts CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/programs/*_test.sh)
foreach(script ${scripts})
  get_filename_component(name ${script} NAME_WE)
  add_test(NAME program_${name} COMMAND bash ${script} $<TARGET_FILE:torii>
    ${CMAKE_BINARY_DIR}/programs/${name} ${CMAKE_SOURCE_DIR})
  set_tests_properties(program_${name} PROPERTIES TIMEOUT 600 PROCESSORS 2 SKIP_RETURN_CODE 77 ENVIRONMENT
    "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMPI_MCA_btl=self,vader;OMPI_MCA_btl_vader_single_copy_mechanism=none;ASAN_OPTIONS=detect_leaks=0")
endforeach()
