# shellcheck shell=sh
# What llama.cpp and SQLite need to be compiled (a C++ compiler, make, cmake,
# clang with libclang for the bindings), and what `thrall model pull` needs
# (python3 with pip). Installed when that is possible without asking: as root
# with apt-get. Otherwise the exact line is printed.

ensure_native_tools() {
    missing=$(missing_tools)
    [ -n "$missing" ] || return 0
    if [ "$(package_manager)" = apt-get ] && is_root; then
        install_with_apt "$missing"
        missing=$(missing_tools)
        [ -n "$missing" ] || return 0
    fi
    name_missing "$missing"
}

# The missing tools, as words.
missing_tools() {
    have c++ || have clang++ || printf 'c++ '
    have make || have ninja || printf 'make '
    have cmake || printf 'cmake '
    have clang || printf 'clang '
    libclang_present || printf 'libclang '
    have python3 || printf 'python3 '
    python3 -m pip --version >/dev/null 2>&1 || printf 'pip '
}

# Where the bindings generator looks for the library.
libclang_present() {
    [ -z "${LIBCLANG_PATH:-}" ] || return 0
    for file in /usr/lib/llvm*/lib/libclang*.so* /usr/lib/*-linux-*/libclang*.so* \
        /usr/lib64/libclang*.so* /usr/lib64/llvm*/lib/libclang*.so* /usr/lib/libclang*.so* \
        /usr/local/lib/libclang*.so* /Library/Developer/CommandLineTools/usr/lib/libclang.dylib \
        /opt/homebrew/opt/llvm/lib/libclang.dylib /usr/local/opt/llvm/lib/libclang.dylib; do
        # clang-cpp is another library, without the C interface.
        case $file in *libclang-cpp*) continue ;; esac
        [ -e "$file" ] && return 0
    done
    have llvm-config && [ -n "$(find "$(llvm-config --libdir)" -maxdepth 1 -name 'libclang.*' 2>/dev/null)" ]
}

# The packages for the missing tools, by package manager; each at most once.
packages_for() {
    manager=$1
    shift
    for tool in "$@"; do
        case "$manager:$tool" in
            apt-get:c++ | apt-get:make) printf 'build-essential\n' ;;
            apt-get:libclang) printf 'libclang-dev\n' ;;
            apt-get:pip) printf 'python3-pip\n' ;;
            dnf:c++) printf 'gcc-c++\n' ;;
            dnf:libclang) printf 'clang-devel\n' ;;
            dnf:pip) printf 'python3-pip\n' ;;
            pacman:c++ | pacman:make) printf 'base-devel\n' ;;
            pacman:libclang) printf 'clang\n' ;;
            pacman:python3) printf 'python\n' ;;
            pacman:pip) printf 'python-pip\n' ;;
            brew:c++ | brew:clang | brew:libclang) printf 'llvm\n' ;;
            brew:python3 | brew:pip) printf 'python\n' ;;
            *) printf '%s\n' "$tool" ;;
        esac
    done | sort -u | tr '\n' ' ' | sed 's/ $//'
}

install_with_apt() {
    # Word splitting is meant: one word is one tool.
    # shellcheck disable=SC2086
    packages=$(packages_for apt-get $1)
    say "installing with apt-get: $packages"
    # The index may be missing or old on a fresh image; a failed update is only
    # a warning, because the install says clearly what it could not find.
    apt-get update -qq >&2 || say "apt-get update failed; trying with the index at hand"
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >&2 ||
        say "apt-get could not install everything"
}

name_missing() {
    manager=$(package_manager)
    # shellcheck disable=SC2086
    packages=$(packages_for "$manager" $1)
    case $manager in
        apt-get) line="sudo apt-get install -y --no-install-recommends $packages" ;;
        dnf) line="sudo dnf install -y $packages" ;;
        pacman) line="sudo pacman -S --needed $packages" ;;
        brew) line="brew install $packages" ;;
        *) line="install with this system's package manager: $packages" ;;
    esac
    stop "missing on this machine: ${1% }. To install, then run the same command again:" "$line"
}
