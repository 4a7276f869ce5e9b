# shellcheck shell=sh
# Debian's package `rust-src` as a source of the standard library, for machines
# where rustup can add nothing. Its version must be exactly rustc's own.
#
# The package is unpacked, not installed: installing would bring Debian's rustc.
# apt runs with a sources list and state of its own, so the system's sources stay
# as they are and no root is needed; mirror, proxy and keys are the machine's.

debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg
debian_suites="trixie-backports testing unstable"

source_from_debian_possible() {
    have apt-get && have apt-cache && have dpkg-deb && [ -e "$debian_keyring" ]
}

# link_source_from_debian VERSION: true when the sysroot has the source.
link_source_from_debian() {
    release=$1
    folder=$(cache_folder)/rust-src/rustc-$release
    if [ ! -e "$folder/library/Cargo.lock" ]; then
        fetch_debian_source "$release" "$folder" || return 1
    fi
    link_into_sysroot "$folder"
}

fetch_debian_source() {
    release=$1
    folder=$2
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/thrall-rust-src.XXXXXX")
    found=1
    for suite in $debian_suites; do
        say "looking for the source of Rust $release in Debian's $suite"
        if download_from_suite "$release" "$suite" "$scratch" && unpack_source "$release" "$scratch" "$folder"; then
            say "unpacked rust-src $release from Debian's $suite"
            found=0
            break
        fi
    done
    rm -rf "$scratch"
    return $found
}

# The mirror that the machine uses for Debian itself.
debian_mirror() {
    # apt replaces its own $(...) words.
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | sed -n '/\/debian\/*$/{p;q;}')
    printf '%s\n' "${mirror:-https://deb.debian.org/debian}"
}

private_apt() {
    tool=$1
    area=$2
    shift 2
    "$tool" -qq \
        -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$area/sources" \
        -o Dir::State="$area/state" -o Dir::State::Lists="$area/state/lists" -o Dir::Cache="$area/cache" \
        -o APT::Sandbox::User="$(id -un)" \
        -o APT::Update::Post-Invoke::= -o APT::Update::Post-Invoke-Success::= -o DPkg::Post-Invoke::= \
        "$@"
}

download_from_suite() {
    release=$1
    suite=$2
    scratch=$3
    area=$scratch/apt-$suite
    mkdir -p "$area/sources" "$area/state/lists/partial" "$area/cache/archives/partial"
    cat >"$area/sources/thrall.sources" <<END
Types: deb
URIs: $(debian_mirror)
Suites: $suite
Components: main
Signed-By: $debian_keyring
END
    private_apt apt-get "$area" update >&2 || return 1
    version=$(private_apt apt-cache "$area" madison rust-src | awk -v want="$release+" 'index($3, want) == 1 { print $3; exit }')
    [ -n "$version" ] || return 1
    (cd "$scratch" && private_apt apt-get "$area" download "rust-src=$version") >&2
}

# Only the library is kept (70 MB of 430), under its final name in one move.
unpack_source() {
    release=$1
    scratch=$2
    folder=$3
    dpkg-deb -x "$scratch"/rust-src_*.deb "$scratch/unpacked" || return 1
    source=$scratch/unpacked/usr/src/rustc-$release
    [ -e "$source/library/Cargo.lock" ] || return 1
    mkdir -p "$(dirname "$folder")"
    rm -rf "$folder" "$folder.new"
    mkdir "$folder.new"
    mv "$source/library" "$source/COPYRIGHT" "$folder.new/"
    mv "$folder.new" "$folder"
}

link_into_sysroot() {
    place=$(rustc --print sysroot)/lib/rustlib/src
    if mkdir -p "$place" 2>/dev/null && ln -sfn "$1" "$place/rust" 2>/dev/null; then
        say "linked $place/rust to $1"
        return 0
    fi
    stop "the standard library's source is ready, but the compiler's folder cannot be written. Once, with rights to it:" \
        "sudo mkdir -p $place && sudo ln -sfn $1 $place/rust"
}
