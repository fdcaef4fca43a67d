# The inner loops of the neighbour list and the targets, once for each instruction set. Unlike the model's kernels they
# are compiled without fused multiply and add: which pairs are edges must not depend on the machine.
function(botan_fast_add_geometry_kernels target)
  set(sets generic)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    list(APPEND sets avx2 avx512)
  endif()
  set(flags_generic "")
  set(flags_avx2 -mavx2)
  set(flags_avx512 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mprefer-vector-width=512)
  foreach(set IN LISTS sets)
    add_library(botan_fast_geometry_${set} OBJECT csrc/cpu/geometry/neighbor_kernels.cpp)
    target_include_directories(botan_fast_geometry_${set} PRIVATE csrc)
    target_compile_options(botan_fast_geometry_${set} PRIVATE
      -O3 -ffp-contract=off -Wall -Wextra -Wno-psabi -fno-math-errno -fno-trapping-math ${flags_${set}})
    target_compile_definitions(botan_fast_geometry_${set} PRIVATE BOTAN_FAST_SIMD=${set})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:botan_fast_geometry_${set}>)
  endforeach()
endfunction()
