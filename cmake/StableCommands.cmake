# Compile commands that are the same in every environment of pip, and that change with the compiler: ninja compiles
# again what has another command or a newer header, and nothing else.

# pip puts pybind11 into a new temporary folder each time. Its headers are copied, of which those that are the same keep
# their time. Those of another version go: a header that is no longer there must not be found.
set(copy ${CMAKE_BINARY_DIR}/include)
file(GLOB_RECURSE wanted RELATIVE ${pybind11_INCLUDE_DIR} ${pybind11_INCLUDE_DIR}/pybind11/*.h)
file(GLOB_RECURSE copied RELATIVE ${copy} ${copy}/pybind11/*.h)
foreach(header IN LISTS wanted)
  configure_file(${pybind11_INCLUDE_DIR}/${header} ${copy}/${header} COPYONLY)
endforeach()
foreach(header IN LISTS copied)
  if(NOT header IN_LIST wanted)
    file(REMOVE ${copy}/${header})
  endif()
endforeach()
set_target_properties(pybind11::pybind11_headers PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${copy}
  INTERFACE_SYSTEM_INCLUDE_DIRECTORIES ${copy})

# A compiler that was updated under the same name: its version is part of the command.
add_compile_definitions(
  "$<$<COMPILE_LANGUAGE:CXX>:BOTAN_FAST_COMPILER=\"${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}\">")
