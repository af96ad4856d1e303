# Chooses what is compiled for the system.

# gemma_for_system(LIST) leaves those sources in a list that are for this system:
# on Windows, X_win32.cc stands in for X.cc or X_posix.cc, and folders named
# windows are compiled.
function(gemma_for_system list)
  if(WIN32)
    set(others "${${list}}")
    list(FILTER others INCLUDE REGEX "_win32\\.cc$")
    foreach(source IN LISTS others)
      string(REGEX REPLACE "_win32\\.cc$" "" name "${source}")
      list(REMOVE_ITEM ${list} "${name}.cc" "${name}_posix.cc")
    endforeach()
  else()
    list(FILTER ${list} EXCLUDE REGEX "/(windows/[^/]*|[^/]*_win32)\\.cc$")
  endif()
  set(${list} "${${list}}" PARENT_SCOPE)
endfunction()

if(WIN32)
  # Headers of POSIX: see src/os/windows/calls.h.
  target_include_directories(gemma_options SYSTEM INTERFACE
    "${PROJECT_SOURCE_DIR}/src/os/windows/posix")
  target_include_directories(gemma_options INTERFACE "${PROJECT_SOURCE_DIR}")
  # Windows 10 and newer, in UTF-16, without the names that collide with ours.
  target_compile_definitions(gemma_options INTERFACE _WIN32_WINNT=0x0A00
    WIN32_LEAN_AND_MEAN NOMINMAX NOGDI _FILE_OFFSET_BITS=64)
  # g++ keeps vectors on a stack that Windows aligns to 16 bytes, and would move
  # them with instructions that need 32 or 64:
  # https://gcc.gnu.org/bugzilla/show_bug.cgi?id=54412. The assembler writes
  # those that need no alignment, which are as fast.
  target_compile_options(gemma_options INTERFACE
    -Wa,-muse-unaligned-vector-move)
  # No DLL of the compiler.
  add_link_options(-static)
endif()
