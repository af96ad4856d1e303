# Makes compiling faster.

# Uses ccache if it is installed and the user chose no other launcher. Paths
# below the source tree stay relative, so that a clone in a different folder
# reuses the results of this one.
option(GEMMA_USE_CCACHE "Compile with ccache if it is installed"
  ${PROJECT_IS_TOP_LEVEL})
find_program(GEMMA_CCACHE ccache)
if(GEMMA_USE_CCACHE AND GEMMA_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env
    "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=1
    "CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime"
    "${GEMMA_CCACHE}")
endif()

# gemma_precompile(TARGET HEADER...) precompiles headers that most files of a
# target read.
function(gemma_precompile target)
  target_precompile_headers(${target} PRIVATE ${ARGN})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # ccache needs this option for precompiled headers.
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  endif()
endfunction()
