# LibTorch and Arrow from pip wheels, by looking at files only: no Python runs, and torch's own CMake
# package (which wants a CUDA toolkit) is not used. tools/setup.sh makes the environment.
#
# Looks in -DTORII_VENV=<venv>, then $TORII_VENV, $VIRTUAL_ENV, then <source>/.venv.
# Defines Torch::C10, Torch::CPU, PyArrow::arrow, PyArrow::compute, PyArrow::parquet and TORII_SITE_PACKAGES.

foreach(_venv "${TORII_VENV}" "$ENV{TORII_VENV}" "$ENV{VIRTUAL_ENV}" "${CMAKE_SOURCE_DIR}/.venv")
  if(_venv AND NOT TORII_SITE_PACKAGES)
    file(GLOB _site LIST_DIRECTORIES true "${_venv}/lib/python3.*/site-packages")
    foreach(_s ${_site})
      if(EXISTS "${_s}/torch/include/ATen/ATen.h")
        set(TORII_SITE_PACKAGES "${_s}" CACHE PATH "site-packages with the torch and pyarrow wheels")
      endif()
    endforeach()
  endif()
endforeach()

find_path(TORCH_ROOT include/ATen/ATen.h PATHS "${TORII_SITE_PACKAGES}/torch" NO_DEFAULT_PATH)
find_path(PYARROW_ROOT include/arrow/api.h PATHS "${TORII_SITE_PACKAGES}/pyarrow" NO_DEFAULT_PATH)
file(GLOB _arrow "${PYARROW_ROOT}/libarrow.so.*")
file(GLOB _compute "${PYARROW_ROOT}/libarrow_compute.so.*")
file(GLOB _parquet "${PYARROW_ROOT}/libparquet.so.*")
if(TORCH_ROOT)
  file(STRINGS "${TORCH_ROOT}/version.py" _v REGEX "^__version__")
  string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" TorchWheel_VERSION "${_v}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TorchWheel REQUIRED_VARS TORCH_ROOT PYARROW_ROOT _arrow _compute _parquet
  VERSION_VAR TorchWheel_VERSION HANDLE_VERSION_RANGE
  REASON_FAILURE_MESSAGE "run tools/setup.sh or pass -DTORII_VENV=<venv>")

if(TorchWheel_FOUND AND NOT TARGET Torch::C10)
  # torch/include carries an old copy of google/: the system's must come first.
  foreach(h google)
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/shadow)
    file(CREATE_LINK /usr/include/${h} ${CMAKE_BINARY_DIR}/shadow/${h} SYMBOLIC)
  endforeach()
  add_library(Torch::C10 SHARED IMPORTED)
  set_target_properties(Torch::C10 PROPERTIES IMPORTED_LOCATION ${TORCH_ROOT}/lib/libc10.so
    INTERFACE_INCLUDE_DIRECTORIES
    "${CMAKE_BINARY_DIR}/shadow;${TORCH_ROOT}/include;${TORCH_ROOT}/include/torch/csrc/api/include")
  add_library(Torch::CPU SHARED IMPORTED)
  set_target_properties(Torch::CPU PROPERTIES IMPORTED_LOCATION ${TORCH_ROOT}/lib/libtorch_cpu.so
    INTERFACE_LINK_LIBRARIES "Torch::C10;gomp")
  add_library(PyArrow::arrow SHARED IMPORTED)
  set_target_properties(PyArrow::arrow PROPERTIES IMPORTED_LOCATION ${_arrow}
    INTERFACE_INCLUDE_DIRECTORIES "${PYARROW_ROOT}/include")
  add_library(PyArrow::compute SHARED IMPORTED)
  set_target_properties(PyArrow::compute PROPERTIES IMPORTED_LOCATION ${_compute}
    INTERFACE_LINK_LIBRARIES PyArrow::arrow)
  add_library(PyArrow::parquet SHARED IMPORTED)
  set_target_properties(PyArrow::parquet PROPERTIES IMPORTED_LOCATION ${_parquet}
    INTERFACE_LINK_LIBRARIES PyArrow::arrow)
endif()
