# One object per instruction set from each source of vector kernels. It is compiled with the flags of that set alone, so
# that no other code of the module can use an instruction that the machine lacks; csrc/cpu/simd.cpp chooses at run time.
include(CheckCXXCompilerFlag)

set(BOTAN_FAST_SETS generic)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  list(APPEND BOTAN_FAST_SETS avx2 avx512)
  check_cxx_compiler_flag(-mavx512bf16 BOTAN_FAST_COMPILES_AVX512_BF16)
endif()
set(BOTAN_FAST_BF16_SETS ${BOTAN_FAST_SETS})  # float32 has no use for the last one
if(BOTAN_FAST_COMPILES_AVX512_BF16)
  list(APPEND BOTAN_FAST_BF16_SETS avx512_bf16)
endif()

set(BOTAN_FAST_FLAGS_generic "")
set(BOTAN_FAST_FLAGS_avx2 -mavx2 -mfma)
set(BOTAN_FAST_FLAGS_avx512 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mprefer-vector-width=512)
set(BOTAN_FAST_FLAGS_avx512_bf16 ${BOTAN_FAST_FLAGS_avx512} -mavx512bf16)

# Adds `source`, once for each of `sets`, to a target. contract: `off` where products and sums are rounded one by one, as
# in csrc/cpu/geometry, where the result must not depend on the machine; `fast` where the machine may fuse them.
function(botan_fast_add_vector_kernels target source contract sets)
  get_filename_component(name ${source} NAME_WE)
  foreach(set IN LISTS sets)
    set(objects botan_fast_${name}_${set})
    add_library(${objects} OBJECT ${source})
    target_include_directories(${objects} PRIVATE ${PROJECT_SOURCE_DIR}/csrc)
    target_compile_options(${objects} PRIVATE -O3 -ffp-contract=${contract} -Wall -Wextra -Wno-psabi
      -fno-math-errno -fno-trapping-math ${BOTAN_FAST_FLAGS_${set}})
    target_compile_definitions(${objects} PRIVATE BOTAN_FAST_SIMD=${set})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
    string(TOUPPER ${set} upper)
    target_compile_definitions(${target} PRIVATE BOTAN_FAST_HAVE_${upper}=1)
  endforeach()
endfunction()
