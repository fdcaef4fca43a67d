# Whether the CUDA kernels are built, and the line that says why not: functions, which tests/test_cuda_choice.py calls.
# The line becomes a definition of the compiler, so it holds no semicolon.

set(BOTAN_FAST_ASK "pip install -C cmake.define.BOTAN_FAST_CUDA=ON .")

# botan_fast_find_gpu(result [root]): the first trace of an NVIDIA GPU or of its driver, such as /dev/nvidia0, or "".
# Files alone: nothing is run, and no CUDA toolkit counts, which many machines without a GPU have. /dev/dxg is no trace,
# since every WSL has it: there the driver's library is one, which Windows lends where the GPU is of NVIDIA.
function(botan_fast_find_gpu result)
  set(root "${ARGV1}")
  set(traces
    "/dev/nvidia[0-9]*" /dev/nvidiactl /proc/driver/nvidia/version
    /dev/nvhost-gpu /dev/nvhost-ctrl-gpu /dev/nvgpu /etc/nv_tegra_release)  # the last four: Tegra, Jetson
  foreach(folder
      /usr/lib/wsl/lib /usr/lib64 /usr/lib64/nvidia /usr/lib /lib64 /usr/local/nvidia/lib64 /run/opengl-driver/lib
      "/usr/lib/*-linux-gnu" "/usr/lib/*-linux-gnu/nvidia" "/usr/lib/*-linux-gnu/nvidia/current"
      "/usr/lib/*-linux-gnu/tegra")
    list(APPEND traces "${folder}/libcuda.so.1")
  endforeach()
  string(REPLACE ":" ";" folders "$ENV{PATH}")
  foreach(folder IN LISTS folders)
    if(IS_ABSOLUTE "${folder}")
      list(APPEND traces "${folder}/nvidia-smi")
    endif()
  endforeach()
  foreach(trace IN LISTS traces)
    file(GLOB found LIST_DIRECTORIES true RELATIVE "${root}/" "${root}${trace}")
    if(found)
      list(GET found 0 found)
      set(${result} "/${found}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  set(${result} "" PARENT_SCOPE)
endfunction()

# botan_fast_wants_cuda(BOTAN_FAST_CUDA gpu result why): what the option means where `gpu` was found ("": none), and why
# not.
function(botan_fast_wants_cuda option gpu result why)
  string(TOUPPER "${option}" option)
  set(${result} OFF PARENT_SCOPE)
  if(option STREQUAL "OFF")
    set(${why} "switched off when this was built (BOTAN_FAST_CUDA=OFF)" PARENT_SCOPE)
  elseif(option STREQUAL "AUTO" AND gpu STREQUAL "")
    set(${why} "no GPU was found when this was built. To build them all the same, where nvcc is: ${BOTAN_FAST_ASK}"
      PARENT_SCOPE)
  elseif(option MATCHES "^(AUTO|ON)$")
    set(${result} ON PARENT_SCOPE)
    set(${why} "" PARENT_SCOPE)
  else()
    message(FATAL_ERROR "BOTAN_FAST_CUDA = ${option}; it must be AUTO, ON or OFF")
  endif()
endfunction()

# botan_fast_without_nvcc(BOTAN_FAST_CUDA gpu why): wanted, but nothing compiles them; an error where they were asked for.
function(botan_fast_without_nvcc option gpu why)
  string(TOUPPER "${option}" option)
  if(option STREQUAL "ON")
    message(FATAL_ERROR "BOTAN_FAST_CUDA = ON, but no working CUDA compiler was found; put nvcc on PATH or set CUDACXX")
  endif()
  string(CONCAT text "a GPU was found (${gpu}) but no working nvcc when this was built. "
    "Put nvcc on PATH or set CUDACXX, then: ${BOTAN_FAST_ASK}")
  set(${why} "${text}" PARENT_SCOPE)
endfunction()
