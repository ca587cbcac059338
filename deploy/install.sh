#!/usr/bin/env bash
# Installs qalign with its Python environment below one folder; the Dockerfile and the tests run this script.
#
#   deploy/install.sh system                      Debian packages: Python, ffmpeg, tini (as root)
#   deploy/install.sh app --package qalign-0.1.0.tgz [--prefix /opt/qalign] [--device cpu|cuda] [--extras "training scipy"]
#     --python FILE  an interpreter that has the Python packages; without it an environment is made in PREFIX/venv
#     --lock FILE    package-lock.json; by default that of the checkout
#
# The tarball is made by `npm pack`. Node packages are those of package-lock.json, Python packages those of
# python/requirements.lock and requirements-torch.txt. The result is read-only in use: PREFIX/bin/qalign, PREFIX/app, PREFIX/venv.
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
      *) fail "there is no flag $1." 2 ;;
    esac
    shift 2
  done
  [ -f "$package" ] || fail "--package must name the tarball of \"npm pack\", not \"$package\"." 2
  [ -f "$lock" ] || fail "there is no $lock; name package-lock.json of the checkout with --lock." 2
  case $device in cpu | cuda) ;; *) fail "--device must be cpu or cuda, not $device." 2 ;; esac
  mkdir -p -- "$prefix/bin"
  prefix=$(cd -- "$prefix" && pwd)
  node_packages "$package" "$lock" "$prefix"
  if [ -z "$python" ]; then
    python="$prefix/venv/bin/python"
    make_environment "$prefix" "$extras"
  fi
  # a read-only folder cannot take compiled files later
  "$python" -m compileall -q "$prefix/app/python/qalign"
  check_torch "$python" "$device"
  launcher "$prefix" "$python"
}

# `npm install -g` of a tarball ignores the lock; `npm ci` beside the unpacked package does not.
node_packages() {
  local package=$1 lock=$2 prefix=$3
  rm -rf "$prefix/app"
  mkdir "$prefix/app"
  tar -xzf "$package" --strip-components=1 --no-same-owner -C "$prefix/app"
  cp "$lock" "$prefix/app/package-lock.json"
  # no scripts: native packages come built, and ffmpeg comes from the system
  (cd "$prefix/app" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund)
}

make_environment() {
  local prefix=$1 extras=$2 python="$1/venv/bin/python" extra
  rm -rf "$prefix/venv"
  "${PYTHON:-python3}" -m venv "$prefix/venv"
  # torch has builds for CPU and CUDA, each in an index of its own: only it, and CUDA with it, comes without hashes
  "$python" -m pip install --no-input --progress-bar off --require-hashes -r "$prefix/app/python/requirements.lock"
  "$python" -m pip install --no-input --progress-bar off -r "$prefix/app/python/requirements-torch.txt"
  for extra in $extras; do
    [ -f "$prefix/app/python/requirements-$extra.lock" ] || fail "there is no extra \"$extra\"." 2
    "$python" -m pip install --no-input --progress-bar off --require-hashes \
      -r "$prefix/app/python/requirements-$extra.lock" -c "$prefix/app/python/requirements.lock"
  done
}

check_torch() {
  local python=$1 device=$2 found
  found=$("$python" -c 'import torch; print("cuda" if torch.version.cuda else "cpu")')
  if [ "$device" = cuda ] && [ "$found" = cpu ]; then
    fail "pip installed a PyTorch without CUDA; let PIP_INDEX_URL name an index with CUDA builds."
  fi
  if [ "$device" = cpu ] && [ "$found" = cuda ]; then
    echo "install.sh: PyTorch brings CUDA, which takes several GB; let PIP_EXTRA_INDEX_URL name an index with CPU builds." >&2
  fi
}

# QALIGN_PYTHON of the caller wins. No character of a path means anything to the shell of the launcher.
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
  *) fail "name what to install: system, or app (see the head of this file)." 2 ;;
esac
