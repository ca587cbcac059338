#!/usr/bin/env bash
# Installs qalign and its Python environment in one directory. The Dockerfile and the tests run this script.
#
#   deploy/install.sh system
#   deploy/install.sh app --package qalign-0.1.0.tgz [--prefix /opt/qalign] [--device cpu|cuda] [--extras "training scipy"]
#   deploy/install.sh ray [--prefix /opt/qalign]
#
# - system: installs the Debian packages of Python, ffmpeg and tini. It needs root.
# - app: installs the tarball in PREFIX.
# - ray: installs Ray in PREFIX/ray, an environment of its own, after app.
# - --python FILE: an interpreter with the Python packages. By default the script creates PREFIX/venv.
# - --lock FILE: the package-lock.json. By default the file of the checkout.
#
# `npm pack` creates the tarball. package-lock.json pins the Node packages. python/requirements.lock and
# requirements-torch.txt pin the Python packages. PREFIX/bin/qalign, PREFIX/app and PREFIX/venv are not written at run time.
set -euo pipefail
umask 022
here=$(cd "$(dirname "$0")" && pwd)

fail() { echo "install.sh: $1" >&2 && exit "${2:-1}"; }

system() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  apt-get install -y --no-install-recommends ca-certificates ffmpeg python3 python3-venv tini
  rm -rf /var/lib/apt/lists/*
}

app() {
  local package='' prefix=/opt/qalign device=cpu extras='' python='' lock="$here/../package-lock.json"
  while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || fail "$1 needs a value." 2
    case $1 in
      --package) package=$2 ;;
      --prefix) prefix=$2 ;;
      --device) device=$2 ;;
      --extras) extras=$2 ;;
      --lock) lock=$2 ;;
      --python) python=$2 ;;
      *) fail "unknown flag $1; see the head of this file." 2 ;;
    esac
    shift 2
  done
  [ -f "$package" ] || fail "--package must name the tarball of \"npm pack\", not \"$package\"." 2
  [ -f "$lock" ] || fail "$lock does not exist; name package-lock.json of the checkout with --lock." 2
  case $device in cpu | cuda) ;; *) fail "--device must be cpu or cuda, not $device." 2 ;; esac
  mkdir -p -- "$prefix/bin"
  prefix=$(cd -- "$prefix" && pwd)
  node_packages "$package" "$lock" "$prefix"
  if [ -z "$python" ]; then
    python="$prefix/venv/bin/python"
    make_environment "$prefix" "$extras"
  fi
  # compile now, because the directory can be read-only later
  "$python" -m compileall -q "$prefix/app/python/qalign"
  check_torch "$python" "$device"
  launcher "$prefix" "$python"
}

# `npm install -g` of a tarball ignores package-lock.json; `npm ci` in the unpacked package uses it.
node_packages() {
  local package=$1 lock=$2 prefix=$3
  rm -rf "$prefix/app"
  mkdir "$prefix/app"
  tar -xzf "$package" --strip-components=1 --no-same-owner -C "$prefix/app"
  cp "$lock" "$prefix/app/package-lock.json"
  # no install scripts: native packages are prebuilt, and ffmpeg is a system package
  (cd "$prefix/app" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund)
}

make_environment() {
  local prefix=$1 extras=$2 python="$1/venv/bin/python" extra
  rm -rf "$prefix/venv"
  "${PYTHON:-python3}" -m venv "$prefix/venv"
  # CPU and CUDA builds of torch are in different indexes, so only torch and its CUDA packages have no hashes
  "$python" -m pip install --no-input --progress-bar off --require-hashes -r "$prefix/app/python/requirements.lock"
  "$python" -m pip install --no-input --progress-bar off -r "$prefix/app/python/requirements-torch.txt"
  for extra in $extras; do
    [ -f "$prefix/app/python/requirements-$extra.lock" ] || fail "unknown extra \"$extra\"; python/requirements-EXTRA.lock must exist." 2
    "$python" -m pip install --no-input --progress-bar off --require-hashes \
      -r "$prefix/app/python/requirements-$extra.lock" -c "$prefix/app/python/requirements.lock"
  done
}

ray() {
  local prefix=/opt/qalign
  if [ $# -gt 0 ]; then
    [ "$1" = --prefix ] && [ $# -eq 2 ] || fail "ray takes --prefix only; see the head of this file." 2
    prefix=$2
  fi
  local lock="$prefix/app/python/requirements-ray.lock"
  [ -f "$lock" ] || fail "$lock does not exist; run the step app first." 2
  rm -rf "$prefix/ray"
  "${PYTHON:-python3}" -m venv "$prefix/ray"
  "$prefix/ray/bin/python" -m pip install --no-input --progress-bar off --require-hashes -r "$lock"
}

check_torch() {
  local python=$1 device=$2 found
  found=$("$python" -c 'import torch; print("cuda" if torch.version.cuda else "cpu")')
  if [ "$device" = cuda ] && [ "$found" = cpu ]; then
    fail "pip installed PyTorch without CUDA; set PIP_INDEX_URL to an index with CUDA builds."
  fi
  if [ "$device" = cpu ] && [ "$found" = cuda ]; then
    echo "install.sh: PyTorch includes CUDA, which takes several GB; set PIP_EXTRA_INDEX_URL to an index with CPU builds." >&2
  fi
}

# QALIGN_PYTHON of the caller has priority. Paths are quoted, so the launcher's shell does not interpret them.
launcher() {
  local prefix=$1 python=$2
  {
    echo '#!/bin/sh'
    printf '[ -n "${QALIGN_PYTHON:-}" ] || QALIGN_PYTHON=%s\n' "$(quoted "$python")"
    echo 'export QALIGN_PYTHON PYTHONDONTWRITEBYTECODE=1'
    printf 'exec node %s "$@"\n' "$(quoted "$prefix/app/dist/src/cli/main.js")"
  } >"$prefix/bin/qalign"
  chmod 755 "$prefix/bin/qalign"
}

quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

step=${1:-}
[ $# -gt 0 ] && shift
case $step in
  system) system ;;
  app) app "$@" ;;
  ray) ray "$@" ;;
  *) fail "name a step, system, app or ray; see the head of this file." 2 ;;
esac
