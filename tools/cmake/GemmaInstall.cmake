# The files that `cmake --install` and cpack give to users of the library:
# headers, libgemma.so and libgemma.a, gemmaConfig.cmake with gemma::gemma,
# gemma.pc and licences.

include(CMakePackageConfigHelpers)

# Each library contains all our code; nothing is compiled twice.
set(objects $<TARGET_OBJECTS:gemma> $<TARGET_OBJECTS:gemma_ops>
  $<TARGET_OBJECTS:gemma_compression>)
add_library(gemma_shared SHARED ${objects})
add_library(gemma_static STATIC ${objects})
set(zlib $<$<BOOL:${GEMMA_WITH_SCOPE}>:ZLIB::ZLIB>)
foreach(library gemma_shared gemma_static)
  set_target_properties(${library} PROPERTIES OUTPUT_NAME gemma)
  target_include_directories(${library}
    INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  target_compile_features(${library} INTERFACE cxx_std_20)
  target_link_libraries(${library}
    PUBLIC absl::span absl::status absl::statusor
    PRIVATE absl::crc32c absl::function_ref absl::hash absl::str_format
            absl::strings hwy::hwy Threads::Threads ${zlib})
endforeach()
set_target_properties(gemma_shared PROPERTIES EXPORT_NAME shared
  VERSION "${PROJECT_VERSION}"
  # Before 1.0 a minor version may change the interface.
  SOVERSION "${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}")
set_target_properties(gemma_static PROPERTIES EXPORT_NAME static)
if(UNIX AND NOT APPLE)
  # The library contains abseil and Highway, and hides their symbols.
  target_link_options(gemma_shared PRIVATE
    "LINKER:--exclude-libs,ALL" "LINKER:--no-undefined")
endif()

set(config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/gemma")
install(TARGETS gemma_shared gemma_static EXPORT gemmaTargets)
install(EXPORT gemmaTargets NAMESPACE gemma:: DESTINATION "${config_dir}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/gemma"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")

# If tools/setup.sh built abseil and Highway, installs them in a folder next to
# the library, where they cannot conflict with other packages' versions.
set(dependencies "")
set(built "${PROJECT_SOURCE_DIR}/build/deps")
string(FIND "${absl_DIR}" "${built}/" at)
if(at EQUAL 0)
  set(dependencies "${CMAKE_INSTALL_LIBDIR}/gemma")
  file(REAL_PATH "${built}" built)
  install(DIRECTORY "${built}/include" "${built}/lib"
    DESTINATION "${dependencies}" PATTERN "pkgconfig" EXCLUDE)
  install(DIRECTORY "${built}/share/licenses/"
    DESTINATION "${CMAKE_INSTALL_DOCDIR}/licenses")
endif()
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE"
  DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/tools/licenses/"
  DESTINATION "${CMAKE_INSTALL_DOCDIR}/licenses")

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/gemmaConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/package/gemmaConfig.cmake"
  INSTALL_DESTINATION "${config_dir}")
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/package/gemmaConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/package/gemmaConfig.cmake"
  "${PROJECT_BINARY_DIR}/package/gemmaConfigVersion.cmake"
  DESTINATION "${config_dir}")

set(libs_private "")
if(GEMMA_WITH_SCOPE)
  set(libs_private "-lz")
endif()
# The prefix is relative to gemma.pc itself, so that users may move the files.
file(RELATIVE_PATH prefix_from_pc
  "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
configure_file("${CMAKE_CURRENT_LIST_DIR}/gemma.pc.in"
  "${PROJECT_BINARY_DIR}/package/gemma.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/package/gemma.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

set(CPACK_GENERATOR TGZ DEB)
set(CPACK_PACKAGE_NAME libgemma)
set(CPACK_PACKAGE_VENDOR "libgemma")
set(CPACK_PACKAGE_CONTACT "The libgemma authors")
set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE")
set(CPACK_RESOURCE_FILE_README "${PROJECT_SOURCE_DIR}/README.md")
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
if(GEMMA_WITH_SCOPE)
  set(CPACK_DEBIAN_PACKAGE_DEPENDS zlib1g-dev)  # for gemmaConfig.cmake
endif()
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
include(CPack)
