# shellcheck shell=sh
# componentize-py, which turns a recipe written in Python into a component. It goes
# into an environment of its own below the cache folder, where `thrall recipe build`
# looks for it; the machine's Python stays as it is.
#
# Nothing else needs it, so a machine that cannot get it is told and goes on: the
# test of the Python recipe then says SKIPPED.

# The same as COMPONENTIZE_PY in host/src/cli/recipe_new/kit.rs; a test compares.
componentize_py_version=0.25.1

componentize_py_folder() { printf '%s/componentize-py-%s\n' "$(cache_folder)" "$componentize_py_version"; }

componentize_py_present() { [ -x "$(componentize_py_folder)/bin/componentize-py" ]; }

ensure_componentize_py() {
    componentize_py_present && return 0
    folder=$(componentize_py_folder)
    say "installing componentize-py $componentize_py_version into $folder"
    mkdir -p "$(cache_folder)"
    rm -rf "$folder"
    if make_environment "$folder" >&2 && install_componentize_py "$folder" >&2; then
        return 0
    fi
    rm -rf "$folder"
    say "componentize-py could not be installed; recipes in Python cannot be built here (pip install componentize-py==$componentize_py_version)"
}

# Debian keeps ensurepip in a package of its own; the machine's pip can fill an
# environment that has none.
make_environment() {
    python3 -m venv "$1" 2>/dev/null || python3 -m venv --without-pip "$1"
}

install_componentize_py() {
    python3 -m pip --disable-pip-version-check --retries 1 --python "$1/bin/python" install --quiet "componentize-py==$componentize_py_version" ||
        "$1/bin/python" -m pip --disable-pip-version-check --retries 1 install --quiet "componentize-py==$componentize_py_version"
}
