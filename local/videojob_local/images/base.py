"""The base of all images: Python on Debian, pulled, or made here where no registry can be reached.

The stand-in is a minimal Debian of this machine's own package mirrors with this machine's own Python in the layout of
the official image. It bears another name, which the images' label `base.name` repeats, so nobody takes it for the real
one.
"""

import sys
import sysconfig
import tempfile
from pathlib import Path

from videojob_local.errors import ToolMissing
from videojob_local.images.engine import Engine
from videojob_local.programs import output_of

OFFICIAL = "docker.io/library/python:3.11-slim-bookworm"
STAND_IN = "localhost/videojob-python:3.11"
_SUITE = "bookworm"
_LIBRARIES = (
    "usr-is-merged ca-certificates netbase tzdata libffi8 libsqlite3-0 libssl3 libreadline8 libncursesw6 libbz2-1.0 "
    "liblzma5 zlib1g libuuid1"
)
"""What the official image has beside minbase and Python's own files."""

_LEFT_OUT = ("./test", "./site-packages", "./idlelib", "./config-3.11-*", "./tkinter", "./turtledemo")
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))

_HOOK = """\
set -eu
R=$1
mkdir -p $R/usr/local/bin $R/usr/local/include $R/usr/local/lib/python3.11/site-packages $R/etc/uv
cp -a {prefix}/bin/python3.11 $R/usr/local/bin/
ln -s python3.11 $R/usr/local/bin/python3
ln -s python3.11 $R/usr/local/bin/python
cp -a {prefix}/include/python3.11 $R/usr/local/include/
cp -a {prefix}/lib/libpython3.11.so* {prefix}/lib/libpython3.so $R/usr/local/lib/
tar -C {prefix}/lib/python3.11 {left_out} --exclude=__pycache__ --exclude='*/test' --exclude='*/tests' -cf - . \\
  | tar -C $R/usr/local/lib/python3.11 -xf -
chroot $R ldconfig
chroot $R python3 -m ensurepip --default-pip >/dev/null 2>&1
cp {bundle} $R{bundle}
printf '[global]\\ncert = {bundle}\\n' > $R/etc/pip.conf
"""
"""Copies Python into the new root, with the certificates that this machine trusts: a package index may need them."""


def ensure_base(engine: Engine) -> str:
    """Return the name of the base image, getting or making it first where it is not there.

    Raises:
        ToolMissing: no registry answers, and this machine cannot make the stand-in.
        ProgramFailed: making it failed.
    """
    for name in (OFFICIAL, STAND_IN):
        if engine.has(name):
            return name
    if engine.can_pull(OFFICIAL):
        return OFFICIAL
    _make(engine)
    return STAND_IN


def _make(engine: Engine) -> None:
    prefix = Path(sys.base_prefix)
    if sys.version_info[:2] != (3, 11) or prefix == Path("/usr") or not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        raise ToolMissing(
            f"{OFFICIAL} cannot be pulled, and a stand-in can be made only with a shared Python 3.11 outside /usr"
        )
    sources = [str(path) for path in _SOURCES if path.exists()][:1]
    if not sources:
        raise ToolMissing(f"{OFFICIAL} cannot be pulled, and a stand-in can be made only on Debian")
    with tempfile.TemporaryDirectory() as folder:
        hook, archive = Path(folder) / "hook.sh", Path(folder) / "base.tar"
        left_out = " ".join(f"--exclude='{pattern}'" for pattern in _LEFT_OUT)
        hook.write_text(_HOOK.format(prefix=prefix, left_out=left_out, bundle=_CA_BUNDLE))
        output_of(["mmdebstrap", *_debian_options(hook), _SUITE, archive, *sources])
        engine.run(
            "import",
            '--change=CMD ["python3"]',
            "--change=ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
            "--change=ENV LANG=C.UTF-8",
            str(archive),
            STAND_IN,
        )


def _debian_options(hook: Path) -> list[str]:
    return [
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(_LIBRARIES.split())}",
        *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("man", "locale", "doc")),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        '--aptopt=APT::Install-Recommends "false"',
        f'--customize-hook=sh {hook} "$1"',
    ]
