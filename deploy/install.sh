#!/bin/sh
# Installs OptiInfra into a new folder: the packages of deploy/requirements.lock and the wheel of this checkout, and nothing to build or
# install with. The image is built by it, and `make test-deploy` starts every process from what it made.
#
#   deploy/install.sh /opt/optiinfra
#
# Needs Python 3.11 or newer (PYTHON=python3.x for another than python3) and, unless optiinfra_api/web/vendor is there, npm.
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
target=${1:?say where to install}
python=${PYTHON:-python3}
pip="-m pip --quiet --disable-pip-version-check --no-input"
export PIP_ROOT_USER_ACTION=ignore

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"$python" -m venv "$tools"
grep -E '^(hatchling|packaging|pathspec|pluggy|trove-classifiers)==' "$source/requirements.lock" >"$tools/build.lock"
"$tools/bin/python" $pip install --no-deps -r "$tools/build.lock"
"$tools/bin/python" $pip wheel --no-deps --no-build-isolation --wheel-dir "$tools/wheel" "$source"

"$python" -m venv --without-pip "$target"
"$tools/bin/python" -m pip --python "$target/bin/python" --quiet --disable-pip-version-check --no-input \
    install --no-deps --compile -r "$source/deploy/requirements.lock" "$tools"/wheel/*.whl
