#!/bin/bash
# Prepares a Debian 12 (or newer) machine for building: installs missing
# packages and builds Highway and abseil once, into a cache that all checkouts
# share. build/deps becomes a link into this cache; the CMake presets use it. So
# do build/python and build/clients, with Python packages for ours and for tests.
#
#   tools/setup.sh                  everything, for building and testing
#   tools/setup.sh --release-only   only what a release build needs
#   tools/setup.sh --wheel          only what tools/python/build.sh needs
#   tools/setup.sh --clang          also clang, for the presets clang and fuzz
#   tools/setup.sh --arm            also what the preset arm needs: a compiler for
#                                   64-bit ARM, an emulator, and build/deps-arm
#   tools/setup.sh --windows        also what the preset windows needs: mingw-w64,
#                                   Wine, and build/deps-windows
#
# Running it again is safe: it does only what is missing. All output is on
# stderr.

set -euo pipefail
exec 1>&2
root="$(cd "$(dirname "$0")/.." && pwd)"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/gemma"

release_only=0
wheel=0
clang=0
arm=0
windows=0
case "${1:-}" in
  "") ;;
  --release-only) release_only=1 ;;
  --wheel) release_only=1; wheel=1 ;;
  --clang) clang=1 ;;
  --arm) arm=1 ;;
  --windows) windows=1 ;;
  *) echo "usage: tools/setup.sh [--release-only|--wheel|--clang|--arm|--windows]"; exit 2 ;;
esac

# Upstream release archives in Debian 13's source packages: package, version,
# SHA-256.
suite=trixie
sources=(
  "highway 1.2.0 7e0be78b8318e8bdbf6fa545d2ecb4c90f947df03f7aadc42c1967f019e63343"
  "abseil 20240722.0 df6d1f5ef540725f3851201176a60486aab332410788465c9877910bb471c34a"
)
cxx_flags="-ffp-contract=off"

packages=(
  ca-certificates cmake dpkg-dev g++ git ninja-build pkg-config python3
  python3-pip python3-venv libbenchmark-dev libboost-dev libcli11-dev
  libcurl4-openssl-dev libedit-dev libgmock-dev libgtest-dev libsentencepiece-dev libssl-dev
  nlohmann-json3-dev zlib1g-dev
)
((release_only)) || packages+=(
  ccache chromium chromium-driver clang-format curl doxygen groff-base libpython3-dev
  python3-jsonschema python3-matplotlib
)
((wheel)) && packages+=(libpython3-dev)
((clang)) && packages+=(clang-19 libclang-rt-19-dev llvm-19)
((arm)) && packages+=(g++-aarch64-linux-gnu qemu-user)
((windows)) && packages+=(
  g++-mingw-w64-x86-64-posix libz-mingw-w64-dev perl wine wine64 zip
)

log() { echo "==> $*"; }
fail() { echo "setup.sh: $*"; exit 1; }

# Runs a command. Shows its output on a terminal, or only if it fails.
quietly() {
  if [[ -t 2 ]]; then "$@"; return; fi
  "$@" >"$tmp/log" 2>&1 || { tail -n 60 "$tmp/log"; fail "failed: $*"; }
}

is_installed() {
  [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

install_packages() {
  local missing=() package
  for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0

  log "Installing ${missing[*]}"
  [[ $EUID == 0 ]] ||
    fail "as root, run: apt-get update && apt-get install ${missing[*]}"
  local apt=(apt-get -o DPkg::Lock::Timeout=300)
  export DEBIAN_FRONTEND=noninteractive
  "${apt[@]}" update -q
  "${apt[@]}" install -q -y --no-install-recommends "${missing[@]}"
}

# Writes this machine's own package sources for its Debian release into $1,
# changed to name the sources of $suite.
private_sources_list() {
  local codename
  codename="$(. /etc/os-release && echo "$VERSION_CODENAME")"
  local parts=/etc/apt/sources.list.d
  # One line per entry: deb [options] URI suite component...
  { cat /etc/apt/sources.list "$parts"/*.list 2>/dev/null || true; } |
    awk -v codename="$codename" -v suite="$suite" '
      $1 == "deb" {
        i = 2
        if ($2 ~ /^\[/) while ($i !~ /\]$/ && i < NF) i++
        if ($2 ~ /^\[/) i++
        if ($(i + 1) != codename || !/ main( |$)/) next
        line = "deb-src"
        for (j = 2; j <= i; j++) line = line " " $j
        sub(/arch=[^] ]*/, "", line)
        print line, suite, "main"
      }' >"$1/private.list"
  # One stanza per entry.
  { awk 1 "$parts"/*.sources 2>/dev/null || true; } | sed '/^#/d' |
    awk -v codename="$codename" -v suite="$suite" '
      BEGIN { RS = ""; FS = "\n"; ORS = "\n\n" }
      /(^|\n)Enabled: *no/ { next }
      !/(^|\n)Components:([^\n]* )?main( |\n|$)/ { next }
      $0 ~ "(^|\n)Suites:([^\n]* )?" codename "( |\n|$)" {
        stanza = "Types: deb-src\nSuites: " suite "\nComponents: main"
        keep = 0
        for (i = 1; i <= NF; i++) {
          if ($i !~ /^[ \t]/)
            keep = $i !~ /^(Types|Suites|Components|Architectures|Enabled):/
          if (keep) stanza = stanza "\n" $i
        }
        print stanza
      }' >"$1/private.sources"
  [[ -s $1/private.list || -s $1/private.sources ]] ||
    fail "found no package source for '$codename' in /etc/apt"
}

# fetch "PACKAGE VERSION SHA256"... downloads and unpacks sources into
# $tmp/PACKAGE.
fetch() {
  log "Fetching the sources of ${*%% *}"
  local entry package version sha256 found archive
  mkdir -p "$tmp/apt/lists/partial" "$tmp/apt/cache/archives/partial" "$tmp/apt/sources"
  private_sources_list "$tmp/apt/sources"
  local options=(
    -o Dir::Etc::sourcelist=/dev/null
    -o Dir::Etc::sourceparts="$tmp/apt/sources"
    -o Dir::State::lists="$tmp/apt/lists"
    -o Dir::Cache="$tmp/apt/cache"
    -o APT::Sandbox::User="$(id -un)"
  )
  # Other archives of this machine may lack the suite. The check below fails if
  # the sources are missing.
  apt-get "${options[@]}" update -q || true
  for entry in "$@"; do
    read -r package version sha256 <<<"$entry"
    found="$(apt-cache "${options[@]}" showsrc --only-source "$package" |
      sed -n "s/^Version: \(${version//./\\.}-.*\)/\1/p" | head -n 1)"
    [[ -n $found ]] || fail "$suite has no $package $version"
    (cd "$tmp" && quietly apt-get "${options[@]}" source --only-source \
      --download-only "$package=$found")
    archive="$(echo "$tmp/${package}_$version".orig.tar.[gx]z)"
    echo "$sha256  $archive" | sha256sum --check --quiet ||
      fail "$package $version: the archive has a different SHA-256 than expected"
    mkdir "$tmp/$package"
    tar -xf "$archive" -C "$tmp/$package" --strip-components=1
  done
}

fetch_sources() {
  [[ ! -d $tmp/abseil ]] || return 0
  fetch "${sources[@]}"
  change_abseil
}

# build NAME SOURCE FLAGS [CMAKE_OPTION...] installs a library into
# $tmp/install.
build() {
  local name="$1" source="$2" flags="$3" start=$SECONDS
  shift 3
  log "Building $name"
  quietly cmake -S "$source" -B "$tmp/build-$name" -G Ninja \
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_STANDARD=20 \
    -DCMAKE_CXX_STANDARD_REQUIRED=ON -DCMAKE_CXX_EXTENSIONS=OFF \
    -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DBUILD_SHARED_LIBS=OFF \
    -DCMAKE_CXX_FLAGS="$flags" -DBUILD_TESTING=OFF \
    -DCMAKE_INSTALL_PREFIX="$tmp/install" -DCMAKE_INSTALL_LIBDIR=lib "$@"
  quietly cmake --build "$tmp/build-$name"
  quietly cmake --install "$tmp/build-$name"
  install -D -m 644 "$source/LICENSE" "$tmp/install/share/licenses/$name"
  log "Built $name in $((SECONDS - start)) s"
}

# Makes $root/build/$1 a link to the files that function $2 installs in
# $tmp/install. The cache keeps them under a name with a hash of versions,
# compiler, flags and recipe.
provide() {
  local link="$root/build/$1" compiler key final
  compiler="$("${CXX:-c++}" --version | head -n 1)"
  key="$(echo "${sources[*]} $compiler $cxx_flags $(declare -f build change_abseil build_abseil "$2")" |
    sha256sum | cut -c 1-12)"
  final="$cache/$1-$key"
  if [[ ! -d $final ]]; then
    rm -rf "$tmp/install"
    "$2"
    mv -T "$tmp/install" "$final"  # An existing directory is complete.
  fi
  [[ ! -e $link || -L $link ]] || fail "$link exists and is not a link"
  ln -sfn "$final" "$link"
}

# Leaves out the parts of abseil that no library of ours uses; they are a third
# of its files. Those that repeat names of others in their library are compiled
# apart; see build_abseil.
change_abseil() {
  local absl="$tmp/abseil/absl"
  sed -i -E '/^add_subdirectory\((flags|log|random)\)$/d' "$absl/CMakeLists.txt"
  echo 'set_source_files_properties(numbers.cc
    PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)' >>"$absl/strings/CMakeLists.txt"
  echo 'set_source_files_properties(time.cc internal/cctz/src/time_zone_posix.cc
    PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)' >>"$absl/time/CMakeLists.txt"
}

# build_abseil NAME FLAGS [CMAKE_OPTION...] installs abseil. The files of each of
# its libraries are compiled as one, which halves the time.
build_abseil() {
  local name="$1" flags="$2"
  shift 2
  build "$name" "$tmp/abseil" "$flags" -DABSL_PROPAGATE_CXX_STD=ON \
    -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=0 "$@"
}

build_plain() {
  fetch_sources
  # Of Highway's contrib we use only math, which is a header. contrib's library
  # is mostly sorting and would take minutes to build.
  build highway "$tmp/highway" "$cxx_flags" -DHWY_ENABLE_CONTRIB=OFF \
    -DHWY_ENABLE_TESTS=OFF -DHWY_ENABLE_EXAMPLES=OFF
  install -D -m 644 -t "$tmp/install/include/hwy/contrib/math" \
    "$tmp/highway/hwy/contrib/math/math-inl.h"
  build_abseil abseil "$cxx_flags"
}

# abseil's hash tables have a different layout under ASan, so the dev preset
# needs its own abseil.
build_asan() {
  fetch_sources
  build_abseil abseil-asan "$cxx_flags -fsanitize=address" \
    -DCMAKE_CXX_FLAGS_RELEASE="-O1 -DNDEBUG"
}

# For 64-bit ARM: what the kernels and their tests need. Debian's libgtest-dev
# brings the sources of GoogleTest.
build_arm() {
  local cross="-DCMAKE_TOOLCHAIN_FILE=$root/tools/cmake/aarch64.cmake"
  fetch_sources
  build highway-arm "$tmp/highway" "$cxx_flags" "$cross" \
    -DHWY_ENABLE_CONTRIB=OFF -DHWY_ENABLE_TESTS=OFF -DHWY_ENABLE_EXAMPLES=OFF
  install -D -m 644 -t "$tmp/install/include/hwy/contrib/math" \
    "$tmp/highway/hwy/contrib/math/math-inl.h"
  build_abseil abseil-arm "$cxx_flags" "$cross"
  cp -r /usr/src/googletest "$tmp/googletest"
  cp /usr/share/doc/googletest/copyright "$tmp/googletest/LICENSE"
  build googletest-arm "$tmp/googletest" "$cxx_flags" "$cross"
}

# For Windows on x86-64. Headers of this machine that any system can use are linked
# here one by one, because the others of /usr/include are those of Linux.
build_windows() {
  local cross="-DCMAKE_TOOLCHAIN_FILE=$root/tools/cmake/windows.cmake"
  # See gemma_options in CMakeLists.txt.
  local flags="$cxx_flags -D_WIN32_WINNT=0x0A00 -Wa,-muse-unaligned-vector-move"
  fetch_sources
  build highway-windows "$tmp/highway" "$flags" "$cross" \
    -DHWY_ENABLE_CONTRIB=OFF -DHWY_ENABLE_TESTS=OFF -DHWY_ENABLE_EXAMPLES=OFF
  install -D -m 644 -t "$tmp/install/include/hwy/contrib/math" \
    "$tmp/highway/hwy/contrib/math/math-inl.h"
  build_abseil abseil-windows "$flags" "$cross"
  rm -rf "$tmp/googletest"
  cp -r /usr/src/googletest "$tmp/googletest"
  cp /usr/share/doc/googletest/copyright "$tmp/googletest/LICENSE"
  build googletest-windows "$tmp/googletest" "$flags" "$cross"
  ln -s /usr/include/{CLI,boost,nlohmann} "$tmp/install/include"
  # Copies, because these files look for the headers where they really are.
  mkdir "$tmp/install/share/cmake"
  cp -r /usr/share/cmake/{CLI11,nlohmann_json} "$tmp/install/share/cmake"
}

# OpenSSL for Windows, with what TLS and digests need.
build_openssl_windows() {
  local start=$SECONDS
  fetch "openssl 3.5.7 a8c0d28a529ca480f9f36cf5792e2cd21984552a3c8e4aa11a24aa31aeac98e8"
  log "Building openssl-windows"
  (
    cd "$tmp/openssl"
    quietly ./Configure mingw64 --cross-compile-prefix=x86_64-w64-mingw32- \
      CC=gcc-posix CXX=g++-posix --prefix="$tmp/install" --libdir=lib \
      --openssldir=/ssl no-shared no-tests no-apps no-docs no-module no-engine \
      no-legacy no-dtls no-quic no-comp no-srp no-gost no-idea no-seed \
      no-camellia no-aria no-cast no-bf no-rc2 no-rc4 no-md4 no-mdc2 \
      no-whirlpool no-cmp no-cms no-ts
    quietly make -j "$(nproc)" build_libs
    quietly make install_dev
  )
  install -D -m 644 "$tmp/openssl/LICENSE.txt" "$tmp/install/share/licenses/openssl"
  log "Built openssl-windows in $((SECONDS - start)) s"
}

# libcurl with HTTP alone, for the command in the wheel: Debian's needs some thirty
# other libraries. It looks for certificates where Debian has them.
build_curl() {
  fetch "curl 8.14.1 6766ada7101d292b42b8b15681120acd68effa4a9660935853cf6d61f0d984d4"
  cp "$tmp/curl/COPYING" "$tmp/curl/LICENSE"
  build curl "$tmp/curl" "$cxx_flags" -DHTTP_ONLY=ON -DBUILD_CURL_EXE=OFF \
    -DBUILD_LIBCURL_DOCS=OFF -DBUILD_MISC_DOCS=OFF -DENABLE_CURL_MANUAL=OFF \
    -DCURL_USE_OPENSSL=ON -DCURL_USE_LIBPSL=OFF -DCURL_USE_LIBSSH2=OFF \
    -DUSE_NGHTTP2=OFF -DUSE_LIBIDN2=OFF -DCURL_ZLIB=OFF -DCURL_BROTLI=OFF \
    -DCURL_ZSTD=OFF -DCURL_CA_PATH=none \
    -DCURL_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt
}

# provide_python NAME FILE makes build/NAME a link to the Python packages that a
# file lists, for the machine's Python, as provide does for libraries.
provide_python() {
  local name="$1" file="$root/$2" key final
  key="$( (python3 -VV; uname -m; cat "$file") | sha256sum | cut -c 1-12)"
  final="$cache/$name-$key"
  if [[ ! -d $final ]]; then
    log "Installing the Python packages of $2"
    rm -rf "$tmp/install"
    mkdir -p "$tmp/install"
    quietly python3 -m pip install --quiet --disable-pip-version-check --no-input \
      --no-cache-dir --no-deps --only-binary :all: --require-hashes \
      --target "$tmp/install" --requirement "$file"
    mv -T "$tmp/install" "$final"
  fi
  ln -sfn "$final" "$root/build/$name"
}

mkdir -p "$cache" "$root/build"
# Only one set-up runs at a time. A second one waits and finds the work done.
exec 9>"$cache/setup.lock"
flock 9
rm -rf "$cache"/setup.tmp.*
tmp="$(mktemp -d "$cache/setup.tmp.XXXXXX")"
trap 'rm -rf "$tmp"' EXIT

install_packages
provide deps build_plain
((release_only)) || provide deps-asan build_asan
((release_only && !wheel)) || provide_python python tools/python/requirements.txt
((release_only)) || provide_python clients tests/clients/requirements.txt
((wheel)) && provide_python wheel-tools tools/python/wheel_requirements.txt
((wheel)) && provide curl build_curl
((arm)) && CXX=aarch64-linux-gnu-g++ provide deps-arm build_arm
((windows)) && CXX=x86_64-w64-mingw32-g++-posix provide deps-windows build_windows
((windows)) && CXX=x86_64-w64-mingw32-g++-posix provide openssl-windows build_openssl_windows
log "Ready: dependencies are in build/deps"
