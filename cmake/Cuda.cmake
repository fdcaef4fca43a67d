# The CUDA side of the core: BOTAN_FAST_CUDA = AUTO (built where a GPU could run it and nvcc works), ON (required), OFF.
# Sets BOTAN_FAST_HAVE_CUDA and, with it, makes the static library botan_fast_cuda; else BOTAN_FAST_CUDA_ABSENT says why
# there is none, to whoever builds and in `botan-fast info`, since pip shows nothing of a build that succeeds.
set(BOTAN_FAST_CUDA AUTO CACHE STRING "Build the CUDA kernels: AUTO, ON or OFF")
set_property(CACHE BOTAN_FAST_CUDA PROPERTY STRINGS AUTO ON OFF)
include(${PROJECT_SOURCE_DIR}/cmake/CudaChoice.cmake)

set(BOTAN_FAST_HAVE_CUDA OFF)
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
botan_fast_find_gpu(gpu)
botan_fast_wants_cuda("${BOTAN_FAST_CUDA}" "${gpu}" wants BOTAN_FAST_CUDA_ABSENT)
if(wants)
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    botan_fast_without_nvcc("${BOTAN_FAST_CUDA}" "${gpu}" BOTAN_FAST_CUDA_ABSENT)
    set(wants OFF)
  endif()
endif()
if(NOT wants)
  message(NOTICE "botan_fast: NO CUDA KERNELS: ${BOTAN_FAST_CUDA_ABSENT}")
  return()
endif()
# Before enable_language(CUDA), which would set it to the compiler's default. Ampere, Hopper and Blackwell as far as this
# nvcc has them, and one intermediate form: compiling that at the first call would take a GPU of today a minute or more.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  if(DEFINED ENV{CUDAARCHS})
    set(CMAKE_CUDA_ARCHITECTURES "$ENV{CUDAARCHS}")
  else()
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real)
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-code OUTPUT_VARIABLE known ERROR_QUIET)
    foreach(newer 100 120)
      if(" ${known}" MATCHES "[ \r\n]sm_${newer}[ \r\n]")
        list(APPEND CMAKE_CUDA_ARCHITECTURES ${newer}-real)
      endif()
    endforeach()
    list(APPEND CMAKE_CUDA_ARCHITECTURES 90-virtual)
  endif()
endif()
enable_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER_ID STREQUAL "NVIDIA")
  message(FATAL_ERROR "the CUDA compiler ${CMAKE_CUDA_COMPILER} is ${CMAKE_CUDA_COMPILER_ID}; "
    "only nvcc is supported; set CUDACXX, or BOTAN_FAST_CUDA=OFF")
endif()
set(BOTAN_FAST_HAVE_CUDA ON)
string(REPLACE ";" " " architectures "${CMAKE_CUDA_ARCHITECTURES}")
message(STATUS "botan_fast: CUDA kernels: BUILT by nvcc ${CMAKE_CUDA_COMPILER_VERSION} for ${architectures}")

set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)  # as of C++: two copies of the core in one process share nothing

# Keeps ptxas' report on registers and spills beside each object, as <object>.ptxas.txt, for
# cmake/check_ptxas_report.py. By the interpreter behind a virtual environment: the command is then the same in all.
get_filename_component(interpreter "${Python_EXECUTABLE}" REALPATH)
set(CMAKE_CUDA_COMPILER_LAUNCHER ${interpreter} ${PROJECT_SOURCE_DIR}/cmake/keep_ptxas_report.py)
add_compile_definitions("$<$<COMPILE_LANGUAGE:CUDA>:BOTAN_FAST_COMPILER=\"nvcc ${CMAKE_CUDA_COMPILER_VERSION}\">")

file(GLOB cuda_geometry CONFIGURE_DEPENDS cuda/geometry/*.cu)
file(GLOB cuda_others CONFIGURE_DEPENDS cuda/network/*.cu cuda/runtime/*.cu)
add_library(botan_fast_cuda STATIC ${cuda_geometry} ${cuda_others})
target_include_directories(botan_fast_cuda PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_options(botan_fast_cuda PRIVATE "SHELL:-Xptxas -v" -Xcompiler=-Wall,-Wextra)
if(BOTAN_FAST_WERROR)
  target_compile_options(botan_fast_cuda PRIVATE "SHELL:-Werror all-warnings" -Xcompiler=-Werror)
endif()
set_source_files_properties(cuda/runtime/build.cu PROPERTIES
  COMPILE_DEFINITIONS "BOTAN_FAST_CUDA_ARCHITECTURES=\"${architectures}\"")
# Geometry rounds as on the CPU: in that folder, and in no other, products and sums are not contracted, neither on the
# device nor in the functions that call it (aarch64 would fuse them).
set_source_files_properties(${cuda_geometry} PROPERTIES COMPILE_OPTIONS "-fmad=false;-Xcompiler=-ffp-contract=off")
