# Finds the dependencies of gemma. tools/setup.sh provides all of them on
# Debian, abseil and Highway under build/deps.

# A command that has all of its libraries but the system's own runs elsewhere, as
# in a Python wheel: see tools/python/build.sh.
option(GEMMA_STATIC_DEPENDENCIES "Link other libraries statically" OFF)
if(GEMMA_STATIC_DEPENDENCIES)
  set(OPENSSL_USE_STATIC_LIBS ON)
  set(ZLIB_USE_STATIC_LIBS ON)
endif()

# gemma_need(PART "DEBIAN'S PACKAGES" PACKAGE...) finds a package that a part
# needs, or says how to do without.
macro(gemma_need part debian package)
  find_package(${package} ${ARGN})
  if(NOT ${package}_FOUND)
    message(FATAL_ERROR "${part} needs ${package}, which was not found. Install it "
      "(Debian: ${debian}), or leave the part out: -D${part}=OFF")
  endif()
endmacro()

find_package(Threads REQUIRED)
if(NOT GEMMA_KERNELS_ONLY)
  find_package(nlohmann_json 3.11 REQUIRED)
  if(GEMMA_WITH_SCOPE)
    gemma_need(GEMMA_WITH_SCOPE zlib1g-dev ZLIB)
  endif()
endif()
find_package(absl QUIET)
find_package(hwy 1.2 QUIET)

# abseil's hash tables have a different layout under ASan.
if(PROJECT_IS_TOP_LEVEL AND absl_FOUND AND NOT absl_DIR MATCHES "asan"
   AND CMAKE_CXX_FLAGS MATCHES "fsanitize=[a-z,]*address")
  set(found "${absl_DIR}")
  unset(absl_DIR CACHE)
  message(FATAL_ERROR "An ASan build needs an abseil built with ASan, but found "
    "${found}. tools/setup.sh builds one into build/deps-asan.")
endif()

if(NOT absl_FOUND OR NOT hwy_FOUND)
  # For users who have internet access but did not run tools/setup.sh. Our tests
  # do not cover it.
  include(FetchContent)
  if(NOT absl_FOUND)
    message(STATUS "abseil not found: fetching it")
    set(ABSL_PROPAGATE_CXX_STD ON)
    set(ABSL_ENABLE_INSTALL ON)
    FetchContent_Declare(absl SYSTEM
      URL https://github.com/abseil/abseil-cpp/archive/refs/tags/20240722.0.tar.gz
      URL_HASH SHA256=f50e5ac311a81382da7fa75b97310e4b9006474f9560ac46f54a9967f07d4ae3)
    FetchContent_MakeAvailable(absl)
  endif()
  if(NOT hwy_FOUND)
    message(STATUS "Highway not found: fetching it")
    set(HWY_ENABLE_CONTRIB OFF)
    set(HWY_ENABLE_EXAMPLES OFF)
    set(HWY_ENABLE_TESTS OFF)
    FetchContent_Declare(hwy SYSTEM
      URL https://github.com/google/highway/archive/refs/tags/1.2.0.tar.gz
      URL_HASH SHA256=7e0be78b8318e8bdbf6fa545d2ecb4c90f947df03f7aadc42c1967f019e63343)
    FetchContent_MakeAvailable(hwy)
    add_library(hwy::hwy ALIAS hwy)
  endif()
endif()

if(GEMMA_BUILD_TOOLS)
  find_package(CLI11 REQUIRED)
  if(GEMMA_WITH_PULL)
    gemma_need(GEMMA_WITH_PULL libcurl4-openssl-dev CURL 7.87)
    gemma_need(GEMMA_WITH_PULL libssl-dev OpenSSL 3.0 COMPONENTS Crypto)
  endif()
  if(GEMMA_WITH_LINE_EDITING)
    gemma_need(GEMMA_WITH_LINE_EDITING libedit-dev LibEdit)
  endif()
  if(GEMMA_WITH_SERVE)
    gemma_need(GEMMA_WITH_SERVE libssl-dev OpenSSL 3.0 COMPONENTS Crypto SSL)
    # Headers of Asio and Beast.
    gemma_need(GEMMA_WITH_SERVE libboost-dev Boost 1.74)
  endif()
endif()
if(GEMMA_BUILD_TESTS)
  if(NOT GEMMA_WITH_SCOPE AND NOT GEMMA_KERNELS_ONLY)
    message(FATAL_ERROR "GEMMA_BUILD_TESTS needs GEMMA_WITH_SCOPE, because tests "
      "read .npz files: add -DGEMMA_WITH_SCOPE=ON or -DGEMMA_BUILD_TESTS=OFF")
  endif()
  find_package(GTest REQUIRED)
  if(NOT GEMMA_KERNELS_ONLY)
    find_package(SentencePiece REQUIRED)  # the reference for tokens
  endif()
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
endif()
if(GEMMA_BUILD_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()
