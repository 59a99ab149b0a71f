# consilium_options: what all of our own code is compiled with, and nothing else is.
add_library(consilium_options INTERFACE)
# The same bits on any x86-64: no fused multiply-add behind our back, no reassociation.
target_compile_options(consilium_options INTERFACE
  -ffp-contract=off -fno-fast-math
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual)
# Eigen's inlining makes GCC 12 guess at these wrongly.
target_compile_options(consilium_options INTERFACE
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow>)
# Eigen must never spread a product over threads by itself: order of sums is ours.
target_compile_definitions(consilium_options INTERFACE EIGEN_DONT_PARALLELIZE)
if(CONSILIUM_WERROR)
  target_compile_options(consilium_options INTERFACE -Werror)
endif()
if(CONSILIUM_SANITIZE)
  target_compile_options(consilium_options INTERFACE -fsanitize=${CONSILIUM_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(consilium_options INTERFACE -fsanitize=${CONSILIUM_SANITIZE})
endif()
if(CONSILIUM_FUZZ)
  target_compile_options(consilium_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# clang 14 cannot assemble coroutines under sanitizer coverage. In fuzz builds the files that hold them
# (they parse nothing from outside) are compiled without.
function(consilium_coroutines)
  if(CONSILIUM_FUZZ)
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS "-fno-sanitize=all")
  endif()
endfunction()

# consilium_library(NAME SOURCES ... DEPENDS ...): one library target a folder, consilium::NAME.
function(consilium_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  add_library(consilium_${name} STATIC ${ARG_SOURCES})
  add_library(consilium::${name} ALIAS consilium_${name})
  target_include_directories(consilium_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(consilium_${name} PUBLIC ${ARG_DEPENDS} PRIVATE consilium_options ${ARG_PRIVATE_DEPENDS})
endfunction()
