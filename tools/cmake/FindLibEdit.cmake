# Finds libedit and provides the target libedit::libedit.

find_path(LibEdit_INCLUDE_DIR histedit.h)
if(GEMMA_STATIC_DEPENDENCIES)
  find_library(LibEdit_LIBRARY NAMES libedit.a)
  # What Debian's libedit.a uses.
  foreach(name bsd md tinfo)
    find_library(LibEdit_${name} NAMES lib${name}.a)
    mark_as_advanced(LibEdit_${name})
    list(APPEND needed LibEdit_${name})
    list(APPEND LibEdit_USES "${LibEdit_${name}}")
  endforeach()
else()
  find_library(LibEdit_LIBRARY NAMES edit)
endif()
mark_as_advanced(LibEdit_INCLUDE_DIR LibEdit_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibEdit
  REQUIRED_VARS LibEdit_LIBRARY LibEdit_INCLUDE_DIR ${needed})

if(LibEdit_FOUND AND NOT TARGET libedit::libedit)
  add_library(libedit::libedit UNKNOWN IMPORTED)
  set_target_properties(libedit::libedit PROPERTIES
    IMPORTED_LOCATION "${LibEdit_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${LibEdit_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "${LibEdit_USES}")
endif()
