# Makes compiling faster.

# Uses ccache if it is installed and the user chose no other launcher. Paths
# below the source tree stay relative, so that a clone in a different folder
# reuses the results of this one. ccache learns from the compiler which headers a
# source reads, instead of preprocessing it first.
option(GEMMA_USE_CCACHE "Compile with ccache if it is installed"
  ${PROJECT_IS_TOP_LEVEL})
find_program(GEMMA_CCACHE ccache)
if(GEMMA_USE_CCACHE AND GEMMA_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env
    "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=1 CCACHE_DEPEND=1
    "CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime"
    "${GEMMA_CCACHE}")
endif()

# gemma_precompile(TARGET HEADER...) precompiles headers that most files of a
# target read.
function(gemma_precompile target)
  target_precompile_headers(${target} PRIVATE ${ARGN})
  gemma_precompiled_options(${target})
endfunction()

# gemma_reuse_precompiled(TARGET OTHER) uses the precompiled headers of another
# target, which must be compiled with the same options.
function(gemma_reuse_precompiled target other)
  target_precompile_headers(${target} REUSE_FROM ${other})
  gemma_precompiled_options(${target})
endfunction()

function(gemma_precompiled_options target)
  # ccache needs these options for precompiled headers.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  else()
    target_compile_options(${target} PRIVATE
      "SHELL:-Xclang -fno-pch-timestamp")
  endif()
endfunction()

# gemma_unite(TARGET LIST [FOLDER...]) replaces the sources in a list by one for
# each of their folders, which includes them; those of the named folders stay.
# Headers are then read once for a folder, which halves the time of a full build.
# Switch it off for work on the code: a change then compiles only its file.
option(GEMMA_UNITE "Compile the files of each folder as one" ON)
function(gemma_unite target list)
  if(NOT GEMMA_UNITE)
    return()
  endif()
  foreach(source IN LISTS ${list})
    cmake_path(GET source PARENT_PATH folder)
    cmake_path(GET folder FILENAME folder)
    if(folder IN_LIST ARGN)
      list(APPEND all ${source})
      continue()
    endif()
    # A path from the root, so that clones can share a compiler cache.
    cmake_path(ABSOLUTE_PATH source)
    cmake_path(RELATIVE_PATH source BASE_DIRECTORY "${PROJECT_SOURCE_DIR}")
    string(APPEND includes_${folder} "#include \"${source}\"\n")
    list(APPEND folders ${folder})
  endforeach()
  list(REMOVE_DUPLICATES folders)
  foreach(folder IN LISTS folders)
    set(united "${CMAKE_CURRENT_BINARY_DIR}/united/${target}/${folder}.cc")
    file(CONFIGURE OUTPUT "${united}" CONTENT "${includes_${folder}}" @ONLY)
    list(APPEND all ${united})
  endforeach()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ takes the included files for headers, whose types others might read.
    set_source_files_properties(${all} PROPERTIES
      COMPILE_OPTIONS -Wno-subobject-linkage)
  endif()
  set(${list} ${all} PARENT_SCOPE)
endfunction()
