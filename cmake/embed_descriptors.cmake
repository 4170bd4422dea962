# The descriptors of the configuration messages with their comments, as an array in torii_launch
# (launch/config/config_docs.h); and what `torii --version` says about the build.
# Included at configure time, and run as a script (-DIN=<file> -DOUT=<file.cc>) at build time.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${IN} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "((0x..,){20})" "\\1\n" bytes "${bytes}")
  file(WRITE ${OUT} "#include \"launch/config/config_docs.h\"\n\nnamespace torii::launch {\nnamespace {\n"
    "const unsigned char kBytes[] = {\n${bytes}};\n}  // namespace\n\n"
    "std::string_view EmbeddedDescriptors() {\n"
    "  return {reinterpret_cast<const char*>(kBytes), sizeof(kBytes)};\n}\n\n}  // namespace torii::launch\n")
  return()
endif()

torii_find_protos(protos)
set(descriptors ${CMAKE_BINARY_DIR}/proto/config.desc)
set(embedded ${CMAKE_BINARY_DIR}/proto/config_descriptors.cc)
add_custom_command(OUTPUT ${descriptors} ${embedded}
  COMMAND ${Protobuf_PROTOC_EXECUTABLE} --include_imports --include_source_info
    --descriptor_set_out=${descriptors} -I ${CMAKE_SOURCE_DIR} launch/run.proto
  COMMAND ${CMAKE_COMMAND} -DIN=${descriptors} -DOUT=${embedded} -P ${CMAKE_CURRENT_LIST_FILE}
  WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} DEPENDS ${protos} ${CMAKE_CURRENT_LIST_FILE})
target_sources(torii_launch PRIVATE ${embedded})
set_source_files_properties(${embedded} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
set_source_files_properties(${CMAKE_SOURCE_DIR}/launch/process/version.cc PROPERTIES
  SKIP_PRECOMPILE_HEADERS ON COMPILE_DEFINITIONS
  "TORII_VERSION=\"${PROJECT_VERSION}\";TORII_BUILD_TYPE=\"${CMAKE_BUILD_TYPE}\";TORII_SANITIZE=\"${TORII_SANITIZE}\"")
